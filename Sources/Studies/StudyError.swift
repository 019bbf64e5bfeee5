// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What was wrong with a wish for verdicts, and what to do.
public struct StudyError: Error, CustomStringConvertible, LocalizedError, Sendable, Equatable {
  /// What was wrong.
  public let problem: String
  /// What to do about it.
  public let remedy: String

  init(_ problem: String, remedy: String) {
    self.problem = problem
    self.remedy = remedy
  }

  /// The problem followed by the remedy.
  public var description: String { problem + " " + remedy }

  /// The same text, for callers that print `localizedDescription`.
  public var errorDescription: String? { description }
}
