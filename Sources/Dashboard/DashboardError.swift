// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Why the server cannot start: one clear sentence and the remedy.
public struct DashboardError: Error, CustomStringConvertible, LocalizedError, Sendable, Equatable {
  /// What was wrong.
  public let problem: String
  /// What to do about it.
  public let remedy: String

  /// An error from its two halves, each a full sentence.
  ///
  /// - Parameters:
  ///   - problem: what was wrong.
  ///   - remedy: what to do about it.
  public init(_ problem: String, remedy: String) { (self.problem, self.remedy) = (problem, remedy) }

  /// The problem followed by the remedy.
  public var description: String { problem + " " + remedy }

  /// The same text, for callers that print `localizedDescription`.
  public var errorDescription: String? { description }
}
