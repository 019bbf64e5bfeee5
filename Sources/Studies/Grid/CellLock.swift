// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The mark that a cell is in the hands of a process: an advisory lock (flock) on a file that the cell's process has
/// open as its standard input. The system takes it back when that process is gone, and not before, even where the grid
/// that started it was killed: between its start and the making of its run directory nothing else would tell. A
/// `DirectoryLock` ends with the process that took it, and is of no use for handing on.
enum CellLock {
  /// Takes the lock. File systems without locks are let pass.
  ///
  /// - Returns: the file, which holds the lock for whoever has it open; nil when a process has it.
  /// - Throws: an error of Foundation or of the system when the file cannot be made.
  static func take(_ file: URL) throws -> FileHandle? {
    let descriptor = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK else {
      return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }
    close(descriptor)
    return nil
  }
}
