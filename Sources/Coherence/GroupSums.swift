// SPDX-License-Identifier: Apache-2.0

import Foundation
import NeuralNetworks
import Tensors

/// The gradient sums of groups of examples, set aside in a temporary file.
final class GroupSums {
  struct Group {
    var count = 0
    var squaredNorms: [Double] = []
  }

  /// The groups that are complete.
  private(set) var closed: [Group] = []
  /// The groups of all processes that share the sample, in their order; those that are complete, where there is one.
  var all: [Group] { shared ?? closed }
  private var shared: [Group]?
  private var current = Group()
  private let descriptor: Int32
  private let parameterCount: Int
  // Columns read back at a time: small beside the activations of a batch.
  private let blockSize = 1 << 16

  /// - Throws: `CoherenceError` when no temporary file can be made; `TensorError` when memory runs out.
  init(store: ParameterStore) throws {
    parameterCount = store.count
    // mkstemp puts letters of its own in the place of the last six.
    let template = NSTemporaryDirectory() + "/coherent-groups-" + String(repeating: "X", count: 6)
    var path = Array(template.utf8CString)
    descriptor = mkstemp(&path)
    guard descriptor >= 0 else {
      throw CoherenceError(
        "no temporary file could be created in \(NSTemporaryDirectory()) (\(String(cString: strerror(errno)))), so there are "
          + "no confidence intervals; set TMPDIR to a writable folder")
    }
    // Without a name it vanishes with the process, however that ends.
    unlink(path)
  }

  deinit { Foundation.close(descriptor) }

  /// Takes note of a batch of the current group.
  func note(count: Int, squaredNorms: [Double]) {
    current.count += count
    if current.squaredNorms.isEmpty { current.squaredNorms = Array(repeating: 0, count: squaredNorms.count) }
    for index in squaredNorms.indices { current.squaredNorms[index] += squaredNorms[index] }
  }

  /// Ends the current group, whose gradients add up to `sum` [P].
  func close(sum: Tensor) throws {
    guard current.count > 0 else { return }
    try sum.to(.float32, device: .cpu).withElements(of: Float.self) { try write(UnsafeRawBufferPointer($0)) }
    closed.append(current)
    current = Group()
  }

  /// Takes over the complete groups of another.
  func absorb(_ other: GroupSums) throws {
    for (index, group) in other.closed.enumerated() {
      let values = try other.read(group: index, columns: 0..<parameterCount)
      try values.withUnsafeBytes { try write($0) }
      closed.append(group)
    }
  }

  /// Takes note of how many examples and which Σ‖gᵢ‖² the groups of the other processes have.
  func share(over exchange: any SampleExchange) throws {
    let own = closed.map { [Double($0.count)] + $0.squaredNorms }
    let width = Int(exactly: try exchange.gather([Double(own.first?.count ?? 0)]).map { $0[0] }.max() ?? 0) ?? 0
    let groups = try exchange.concatenated(own.flatMap(\.self)).flatMap { numbers in
      stride(from: 0, to: numbers.count, by: max(1, width)).map { start in
        Group(count: Int(exactly: numbers[start]) ?? 0, squaredNorms: Array(numbers[start + 1..<start + width]))
      }
    }
    shared = groups
  }

  /// How the sum Sₖ of one group stands to the sum S of all, over one layer's columns.
  struct Products {
    /// ‖Sₖ‖².
    var own = 0.0
    /// ⟨S, Sₖ⟩.
    var withTotal = 0.0
  }

  /// For each layer (by its columns) and then each group: its products with the sum of all groups, float64 [P].
  ///
  /// The file is read once; no more than a block of it is held.
  func products(with total: Tensor, layers: [[Range<Int>]]) throws -> [[Products]] {
    // One copy to the host, where the sums of groups are read to.
    let total = try total.to(.float64, device: .cpu)
    return try layers.map { ranges in
      try closed.indices.map { group in
        var sum = Products()
        for range in ranges {
          for start in stride(from: range.lowerBound, to: range.upperBound, by: blockSize) {
            let columns = start..<min(start + blockSize, range.upperBound)
            let values = try read(group: group, columns: columns)
            let part = try total.narrow(0, from: start, length: columns.count)
            try part.withElements(of: Double.self) { Self.add(values, $0, to: &sum) }
          }
        }
        return sum
      }
    }
  }

  /// The products of the groups of all processes, in their order.
  ///
  /// - Parameters:
  ///   - own: those of the groups here, by layer and then group.
  ///   - exchange: the processes.
  func allProducts(_ own: [[Products]], over exchange: any SampleExchange) throws -> [[Products]] {
    // Group by group, so that those of all processes follow one another.
    let numbers = closed.indices.flatMap { group in own.flatMap { [$0[group].own, $0[group].withTotal] } }
    let width = 2 * own.count
    let groups = try exchange.concatenated(numbers).flatMap { numbers in
      stride(from: 0, to: numbers.count, by: max(1, width)).map { Array(numbers[$0..<$0 + width]) }
    }
    return own.indices.map { layer in
      groups.map { Products(own: $0[2 * layer], withTotal: $0[2 * layer + 1]) }
    }
  }

  /// Eight running sums, so that the loop is a vector operation in a fixed order.
  private static func add(_ values: [Float], _ total: UnsafeBufferPointer<Double>, to sum: inout Products) {
    var own = SIMD8<Double>()
    var withTotal = SIMD8<Double>()
    let whole = values.count / 8 * 8
    values.withUnsafeBufferPointer { values in
      for start in stride(from: 0, to: whole, by: 8) {
        var value = SIMD8<Double>()
        var other = SIMD8<Double>()
        for lane in 0..<8 {
          value[lane] = Double(values[start + lane])
          other[lane] = total[start + lane]
        }
        own += value * value
        withTotal += value * other
      }
      for index in whole..<values.count {
        let value = Double(values[index])
        sum.own += value * value
        sum.withTotal += value * total[index]
      }
    }
    sum.own += own.sum()
    sum.withTotal += withTotal.sum()
  }

  private func write(_ bytes: UnsafeRawBufferPointer) throws {
    var offset = 0
    let start = closed.count * parameterCount * 4
    while offset < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
      let done = pwrite(descriptor, rest.baseAddress, rest.count, off_t(start + offset))
      guard done > 0 else {
        throw CoherenceError(
          "the temporary file in \(NSTemporaryDirectory()) could not be written (\(String(cString: strerror(errno)))), so "
            + "there are no confidence intervals; free some space or set TMPDIR")
      }
      offset += done
    }
  }

  private func read(group: Int, columns: Range<Int>) throws -> [Float] {
    try [Float](unsafeUninitializedCapacity: columns.count) { buffer, initialized in
      var offset = 0
      let bytes = UnsafeMutableRawBufferPointer(buffer)
      let start = (group * parameterCount + columns.lowerBound) * 4
      while offset < columns.count * 4 {
        let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<columns.count * 4])
        let done = pread(descriptor, rest.baseAddress, rest.count, off_t(start + offset))
        guard done > 0 else {
          throw CoherenceError("the temporary file of the confidence intervals cannot be read back")
        }
        offset += done
      }
      initialized = columns.count
    }
  }
}
