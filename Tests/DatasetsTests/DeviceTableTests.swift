// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing

@testable import Datasets

/// Mini-batches gathered on a device, with the processor in its place.
@Suite struct DeviceTableTests {
  private func bits(_ tensor: Tensor) throws -> [UInt32] { try tensor.values(as: Float.self).map(\.bitPattern) }

  @Test(arguments: [nil, .cifar10] as [Normalization?]) func hasTheBitsOfTheHost(_ normalization: Normalization?) throws
  {
    var generator = SeededGenerator(seed: 3)
    let bytes = (0..<(7 * 3 * 5 * 4)).map { _ in UInt8(generator.integer(below: 256)) }
    var plain = try Dataset(
      name: "small", split: .train, exampleShape: [3, 5, 4], classNames: ["a", "b"], images: ByteStorage(bytes),
      labels: [0, 1, 0, 1, 0, 1, 1])
    plain.normalization = normalization
    let placed = try plain.withTable(of: #require(plain.images), on: .cpu)
    #expect(placed.table != nil)
    for indices in [[3], [6, 0, 3, 3], [], Array(0..<7)] {
      let (own, other) = try (placed.imageTensor(at: indices), plain.imageTensor(at: indices))
      #expect(own.shape == other.shape && own.shape == [indices.count, 3, 5, 4])
      #expect(try bits(own) == bits(other))
    }
    expectError("Example 7", "0 to 6") { _ = try placed.imageTensor(at: [0, 7]) }
    expectError("Example -1") { _ = try placed.imageTensor(at: [-1]) }
  }

  /// Another part of the data has another table, or none.
  @Test func partsHaveNone() throws {
    let data = try smallDataset()
    let placed = try data.withTable(of: #require(data.images), on: .cpu)
    #expect(try placed.subset(first: 3).table == nil)
    #expect(try placed.subset(indices: [2, 1]).table == nil)
    // Another normalisation would make other numbers of it.
    var changed = placed
    changed.normalization = .cifar10
    #expect(changed.table == nil)
    // The host needs no copy of what it has.
    #expect(try data.placed(on: .cpu).table == nil)
    #expect(try bits(placed.subset(indices: [2]).imageTensor(at: [0])) == bits(data.imageTensor(at: [2])))
  }
}
