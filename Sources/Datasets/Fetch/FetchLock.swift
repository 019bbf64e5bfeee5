// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The right to download into a folder, which one process has at a time: an advisory lock on the folder itself, which the
/// system takes back when the process ends. Two would append to the same part of a file.
final class FetchLock {
  private var descriptor: Int32

  /// - Throws: `DatasetError` when another process has it. File systems without locks are let pass.
  init(_ folder: String) throws {
    descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK else { return }
    close(descriptor)
    descriptor = -1
    throw DatasetError(
      "Another process is downloading into \(folder).",
      remedy: "Wait for it to end, then run the command again, or choose another folder.")
  }

  deinit { release() }

  /// Gives the lock back; a second time nothing happens.
  func release() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }
}
