// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Why a figure or a page could not be made: one clear sentence and the remedy.
public struct ChartError: Error, CustomStringConvertible, LocalizedError, Sendable, Equatable {
  /// What was wrong and where.
  public let problem: String
  /// What to do about it.
  public let remedy: String

  /// An error from its two halves, each a full sentence.
  public init(_ problem: String, remedy: String) {
    self.problem = problem
    self.remedy = remedy
  }

  /// The problem followed by the remedy.
  public var description: String { problem + " " + remedy }

  /// The same text, for callers that print `localizedDescription`.
  public var errorDescription: String? { description }
}
