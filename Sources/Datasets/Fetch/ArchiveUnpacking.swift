// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A published checksum of a file.
enum PublishedChecksum: Sendable {
  case sha256(String)
  case md5(String)

  var name: String {
    switch self {
    case .sha256: "SHA-256"
    case .md5: "MD5"
    }
  }

  var value: String {
    switch self {
    case .sha256(let value), .md5(let value): value
    }
  }

  /// The same kind of sum, of a file on disk.
  func sum(of path: String) throws -> String {
    switch self {
    case .sha256: try FileReading.sha256(of: path)
    case .md5: try FileReading.md5(of: path)
    }
  }
}

/// A file that can be downloaded and verified.
struct PublishedFile: Sendable {
  let name: String
  let size: Int
  let checksum: PublishedChecksum

  /// A file of a data set, when a checksum of its own is published.
  init?(_ file: DatasetFile) {
    guard let sum = file.sha256 else { return nil }
    (name, size, checksum) = (file.name, file.size, .sha256(sum))
  }

  init(_ archive: DatasetArchive) { (name, size, checksum) = (archive.name, archive.size, .md5(archive.md5)) }
}

/// Takes the files of a data set out of its archive, into the archive's folder below the data folder.
struct ArchiveUnpacking {
  private let archive: DatasetArchive
  private let entry: DatasetEntry
  private let folder: URL

  init(_ archive: DatasetArchive, of entry: DatasetEntry, in directory: String) {
    self.archive = archive
    self.entry = entry
    folder = URL(fileURLWithPath: directory).appendingPathComponent(archive.folder)
  }

  /// Where the files go, in the order of the data set.
  var paths: [String] { entry.files.map { folder.appendingPathComponent($0.name).path } }

  /// Whether every file is there with its published size.
  ///
  /// - Throws: `DatasetError` when one is there with another size and may not be replaced.
  func isDone(replace: Bool) throws -> Bool {
    var isDone = true
    for (file, path) in zip(entry.files, paths) {
      guard FileManager.default.fileExists(atPath: path) else {
        isDone = false
        continue
      }
      let size = try FileReading.regularFileSize(path)
      if size == file.size { continue }
      guard replace else {
        throw DatasetError(
          "\(path) already exists, but it is not the file of \(entry.name): it has \(size) bytes, not \(file.size).",
          remedy: "Move it away, choose another folder, or allow it to be replaced (--force).")
      }
      isDone = false
    }
    return isDone
  }

  /// Writes the files that the archive holds, whole or not at all, and removes the archive.
  ///
  /// - Throws: `DatasetError` when the archive lacks one or holds one of another size, or the disk is full.
  func unpack(_ path: String) throws {
    let compressed = try FileReading.bytes(of: path, limit: 1 << 31)
    let plain = try ByteStorage(count: try Gzip.announcedSize(of: compressed, path: path)) { buffer in
      try Gzip.inflateAll(compressed, into: buffer, path: path)
    }
    let contents = try TarFile.files(named: Set(entry.files.map(\.name)), in: plain, path: path)
    for file in entry.files where contents[file.name]?.count != file.size {
      let found =
        contents[file.name].map { "holds \(file.name) with \($0.count) bytes" } ?? "does not hold \(file.name)"
      throw DatasetError(
        "\(path) \(found), but \(file.size) bytes were expected.", remedy: "Fetch it again with --force.")
    }
    try DatasetLoader.makeFolder(folder.path)
    for (file, target) in zip(entry.files, paths) {
      guard let bytes = contents[file.name] else { continue }
      // Data() copies; the file is written before the next copy is made.
      try FileReading.write(bytes.withUnsafeBytes { Data($0) }, to: target)
    }
    try? FileManager.default.removeItem(atPath: path)
  }
}
