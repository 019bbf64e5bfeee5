// SPDX-License-Identifier: Apache-2.0

/// Why an audit cannot be made: a sentence with the remedy.
public struct AuditError: Error, CustomStringConvertible, Sendable, Equatable {
  /// What was wrong, and what to do.
  public let description: String
  /// An error with its sentence.
  public init(_ description: String) { self.description = description }
}
