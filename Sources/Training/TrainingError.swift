// SPDX-License-Identifier: Apache-2.0

/// Why a training cannot start or go on: a sentence with the remedy.
public struct TrainingError: Error, CustomStringConvertible, Sendable, Equatable {
  /// The family an error belongs to.
  public enum Kind: Sendable, Equatable {
    /// A setting that is impossible or contradicts another.
    case configuration
    /// A checkpoint that is damaged, missing or belongs to something else.
    case checkpoint
    /// The loss or the parameters stopped being finite numbers.
    case divergence
  }

  /// The family.
  public let kind: Kind
  /// What was wrong, where, and what to do.
  public let description: String

  /// An error with its sentence.
  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}
