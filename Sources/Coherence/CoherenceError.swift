// SPDX-License-Identifier: Apache-2.0

/// Why a measure cannot be given: a sentence with the remedy.
public struct CoherenceError: Error, CustomStringConvertible, Sendable, Equatable {
  /// What was wrong, and what to do.
  public let description: String
  /// Whether gradients were no longer finite numbers.
  public let isDivergence: Bool

  /// An error with its sentence.
  public init(_ description: String) { self.init(description, isDivergence: false) }

  private init(_ description: String, isDivergence: Bool) {
    (self.description, self.isDivergence) = (description, isDivergence)
  }

  /// The sentence of another process whose gradients are no longer finite.
  public init(diverged sentence: String) { self.init(sentence, isDivergence: true) }

  /// Gradients that are no longer finite.
  ///
  /// - Parameter what: which, as a clause.
  static func diverged(_ what: String) -> CoherenceError {
    CoherenceError("\(what): the model may have diverged; measure an earlier checkpoint", isDivergence: true)
  }
}
