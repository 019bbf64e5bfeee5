// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// Reading whole files with errors that name the file.
enum FileReading {
  /// The bytes of a regular file.
  ///
  /// - Parameter limit: the most bytes that a file of this kind can sensibly have.
  /// - Throws: `DatasetError` when there is no such file, it is not a regular file, is too large or cannot be read.
  static func bytes(of path: String, limit: Int = .max) throws -> Data {
    let size = try regularFileSize(path)
    guard size <= limit else {
      throw DatasetError("\(path) has \(size) bytes; a file of this kind has at most \(limit).")
    }
    do {
      // The file may be another one by now: opened so that a pipe in its place is not waited for.
      let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
      guard descriptor >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
      let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
      return try handle.readToEnd() ?? Data()
    } catch {
      throw DatasetError("\(path) cannot be read: \(reason(error)).", remedy: "Check its permissions.")
    }
  }

  /// The size in bytes of a regular file, links followed.
  static func regularFileSize(_ path: String) throws -> Int {
    let resolved = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    let attributes: [FileAttributeKey: Any]
    do {
      attributes = try FileManager.default.attributesOfItem(atPath: resolved)
    } catch {
      throw DatasetError("\(path) does not exist or cannot be accessed.", remedy: "Check the path.")
    }
    guard attributes[.type] as? FileAttributeType == .typeRegular, let size = attributes[.size] as? NSNumber else {
      throw DatasetError("\(path) is not a regular file.", remedy: "Check the path.")
    }
    return size.intValue
  }

  /// SHA-256 of a file, in lower-case hexadecimal.
  static func sha256(of path: String) throws -> String { try digest(SHA256(), of: path) }

  /// MD5 of a file, in lower-case hexadecimal; good against damage alone.
  static func md5(of path: String) throws -> String { try digest(Insecure.MD5(), of: path) }

  // A digest of a file, read in pieces of 1 MiB.
  private static func digest(_ empty: some HashFunction, of path: String) throws -> String {
    _ = try regularFileSize(path)
    do {
      let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
      defer { try? handle.close() }
      var hash = empty
      while let piece = try handle.read(upToCount: 1 << 20), !piece.isEmpty { hash.update(data: piece) }
      return hexadecimal(hash.finalize())
    } catch { throw DatasetError("\(path) cannot be read: \(reason(error)).", remedy: "Check its permissions.") }
  }

  /// Writes a file whole or not at all, also where the power fails.
  static func write(_ data: Data, to path: String) throws {
    let target = URL(fileURLWithPath: path)
    let name = ".\(target.lastPathComponent).partial-\(ProcessInfo.processInfo.processIdentifier)"
    let part = target.deletingLastPathComponent().appendingPathComponent(name, isDirectory: false)
    do {
      // A link that somebody put there is not followed.
      unlink(part.path)
      try data.write(to: part, options: .withoutOverwriting)
      try move(part.path, to: path)
    } catch {
      unlink(part.path)
      throw DatasetError(
        "\(path) cannot be written: \(reason(error)).", remedy: "Check the folder, its permissions and the free space.")
    }
  }

  /// Gives a written file its name, replacing what is there in one step: the bytes are on the disk before the name is, or
  /// a power failure could leave a name of good repute with nothing behind it.
  ///
  /// - Throws: `POSIXError`; the file is then where it was.
  static func move(_ part: String, to path: String) throws {
    try flush(part)
    guard rename(part, path) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    // Not every file system can flush a folder.
    try? flush(URL(fileURLWithPath: path).deletingLastPathComponent().path)
  }

  private static func flush(_ path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS else {
      throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
    }
  }

  /// What the system says went wrong, in few words.
  static func reason(_ error: any Error) -> String {
    if let error = error as? POSIXError { return String(cString: strerror(error.code.rawValue)) }
    let error = error as NSError
    if let below = error.userInfo[NSUnderlyingErrorKey] as? NSError, below.domain == NSPOSIXErrorDomain {
      return String(cString: strerror(Int32(truncatingIfNeeded: below.code)))
    }
    return error.localizedDescription.trimmingCharacters(in: CharacterSet(charactersIn: ". \n"))
  }
}
