// SPDX-License-Identifier: Apache-2.0

/// Examples held out of a training set, so that a model can be selected without looking at the test set.
public struct HoldOut: Sendable, Equatable {
  /// The examples to train on, ascending.
  public let training: [Int]
  /// The examples held out, ascending.
  public let validation: [Int]

  /// Holds out `validationCount` of `count` examples, drawn without replacement; they depend on the seed alone.
  ///
  /// - Throws: `DatasetError` when `validationCount` is negative or leaves nothing to train on.
  public init(count: Int, validationCount: Int, seed: UInt64) throws {
    guard validationCount >= 0, validationCount < count else {
      throw DatasetError(
        "\(validationCount) examples cannot be held out of \(count).",
        remedy: "Hold out at least 0, and leave at least one example to train on.")
    }
    var generator = SeededGenerator(seed: seed, stream: .validation)
    let order = generator.permutation(count: count)
    validation = order[0..<validationCount].sorted()
    training = order[validationCount...].sorted()
  }
}
