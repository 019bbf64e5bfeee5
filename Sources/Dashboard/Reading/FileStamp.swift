// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What tells whether a file or folder changed since it was read: which one it is, its size, and when it was written.
struct FileStamp: Sendable, Hashable {
  /// The size in bytes.
  let size: Int
  /// When it was last written, in nanoseconds since 1970.
  let written: Int
  private let device: UInt64
  private let number: UInt64

  /// The stamp of what lies at a place; nil where nothing does.
  ///
  /// - Parameter url: the file or folder.
  init?(of url: URL) {
    var information = stat()
    guard stat(url.path, &information) == 0 else { return nil }
    size = Int(information.st_size)
    #if canImport(Darwin)
      let time = information.st_mtimespec
    #else
      let time = information.st_mtim
    #endif
    written = Int(time.tv_sec) * 1_000_000_000 + Int(time.tv_nsec)
    (device, number) = (UInt64(information.st_dev), UInt64(information.st_ino))
  }

  /// Whether it is another file than it was, not the same one written to.
  func isOther(than earlier: FileStamp) -> Bool { device != earlier.device || number != earlier.number }

  /// Whether the clock of the file system may not tell the next change from this one.
  var isFresh: Bool { Date().timeIntervalSince1970 * 1e9 - Double(written) < 2e9 }

  /// The number of the file on its disk.
  var fileNumber: UInt64 { number }
}
