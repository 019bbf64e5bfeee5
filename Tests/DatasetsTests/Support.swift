// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import Testing

/// A made-up data set in the shape of MNIST.
func smallDataset(count: Int = 12, split: Split = .train) throws -> Dataset {
  var generator = SeededGenerator(seed: 5)
  let bytes = (0..<(count * 784)).map { _ in UInt8(generator.integer(below: 256)) }
  return try Dataset(
    name: "mnist", split: split, exampleShape: [1, 28, 28], classNames: SyntheticDigits.classNames,
    images: ByteStorage(bytes), labels: (0..<count).map { $0 % 10 })
}

func bytes(_ storage: ByteStorage?) -> [UInt8] { storage?.withUnsafeBytes { [UInt8]($0) } ?? [] }

/// Expects a `DatasetError` whose text has every one of the given parts.
func expectError(
  _ parts: String..., at location: SourceLocation = #_sourceLocation, from body: () throws -> Void
) {
  do {
    try body()
    Issue.record("No error was thrown.", sourceLocation: location)
  } catch let error as DatasetError {
    for part in parts {
      #expect(error.description.contains(part), "\(error.description)", sourceLocation: location)
    }
  } catch {
    Issue.record("Another kind of error: \(error)", sourceLocation: location)
  }
}
