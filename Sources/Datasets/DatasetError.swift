// SPDX-License-Identifier: Apache-2.0

/// What went wrong with a data set, in a sentence for the person at the keyboard: which file or value, where in it,
/// and what to do about it.
public struct DatasetError: Error, CustomStringConvertible, Sendable, Equatable {
  /// What was wrong, and where.
  public let message: String
  /// What to do about it; empty when the message says it already.
  public let remedy: String

  /// Creates an error from what was wrong and what to do about it.
  public init(_ message: String, remedy: String = "") {
    self.message = message
    self.remedy = remedy
  }

  /// The message and the remedy as one text.
  public var description: String { remedy.isEmpty ? message : message + " " + remedy }
}
