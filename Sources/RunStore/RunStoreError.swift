// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What went wrong with a run directory: one clear sentence and the remedy.
public struct RunStoreError: Error, CustomStringConvertible, LocalizedError, Sendable, Equatable {
  /// What was wrong and where (file, line, column).
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

extension RunStoreError {
  /// An error for a failed system call on a path, from its `errno`.
  static func system(_ action: String, _ path: String, code: Int32) -> RunStoreError {
    let reason = String(cString: strerror(code))
    switch code {
    case ENOSPC, EDQUOT:
      return RunStoreError(
        "The disk is full: cannot \(action) \(path) (\(reason)).",
        remedy: "Free some space, then run the command again; a training continues with --resume.")
    case EACCES, EPERM, EROFS:
      return RunStoreError(
        "No permission to \(action) \(path) (\(reason)).",
        remedy: "Choose a folder that you can write to with --out, or change its permissions.")
    case ENOTDIR:
      return RunStoreError(
        "Cannot \(action) \(path): a part of this path is a file, not a folder.",
        remedy: "Choose another folder with --out.")
    case ENOENT:
      return RunStoreError("Cannot \(action) \(path): it does not exist.", remedy: "Check the path for a typing error.")
    default:
      return RunStoreError(
        "Cannot \(action) \(path): \(reason).", remedy: "Check the disk and the path, then try again.")
    }
  }
}
