// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A log that only grows. A record that cannot be written in full (the disk is full) is taken back, so that the file
/// always ends at the end of a record unless the process is killed inside the system call.
final class AppendOnlyFile {
  let url: URL
  private(set) var size: Int
  private var descriptor: Int32
  /// Whether the folder is on the disk with the file's name in it, which flushing the file alone does not bring about.
  private var hasDurableName = false

  /// Opens the file for appending, creating it when it does not exist.
  init(_ url: URL) throws {
    self.url = url
    // A pipe that nobody reads is not waited for.
    descriptor = open(url.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0o666)
    guard descriptor >= 0 else { throw RunStoreError.system("write", url.path, code: errno) }
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
    let end = lseek(descriptor, 0, SEEK_END)
    // A device such as a pipe has no end to seek to.
    size = end < 0 ? 0 : Int(end)
  }

  deinit { if descriptor >= 0 { _ = Foundation.close(descriptor) } }

  func append(_ data: Data) throws {
    guard descriptor >= 0 else {
      throw RunStoreError("\(url.path) was already closed.", remedy: "Open a new log writer to continue.")
    }
    let code = writeAll(data, to: descriptor)
    guard code == 0 else {
      ftruncate(descriptor, off_t(size))
      throw RunStoreError.system("write", url.path, code: code)
    }
    size += data.count
  }

  func append(_ text: String) throws { try append(Data(text.utf8)) }

  /// Waits until the disk holds everything appended so far, and the name of the file.
  func synchronize() throws {
    guard descriptor >= 0 else { return }
    if fsync(descriptor) != 0, errno != EINVAL, errno != EROFS {
      throw RunStoreError.system("write", url.path, code: errno)
    }
    // Once for every file opened: the name may be of a process that was killed before it came to this.
    if !hasDurableName { flushFolder(url.deletingLastPathComponent().path) }
    hasDurableName = true
  }

  func close() throws {
    guard descriptor >= 0 else { return }
    defer { descriptor = -1 }
    if Foundation.close(descriptor) != 0 { throw RunStoreError.system("close", url.path, code: errno) }
  }

  /// Cuts a log back to the length that a checkpoint recorded.
  ///
  /// - Throws: `RunStoreError` when the file is shorter than that, so that bytes which the checkpoint relies on are lost.
  static func truncate(_ url: URL, to size: Int) throws {
    var information = stat()
    guard stat(url.path, &information) == 0 else {
      if size == 0, errno == ENOENT { return }
      throw RunStoreError.system("resume from", url.path, code: errno)
    }
    guard Int(information.st_size) >= size, size >= 0 else {
      throw RunStoreError(
        "\(url.path) has \(information.st_size) bytes, but the checkpoint was taken when it had \(size).",
        remedy: "The log has changed since; resume from an untouched copy of the run, or start again with --force.")
    }
    guard Foundation.truncate(url.path, off_t(size)) == 0 else {
      throw RunStoreError.system("resume from", url.path, code: errno)
    }
  }
}
