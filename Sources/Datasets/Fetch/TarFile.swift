// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Reads the plain tar files that data sets are published as (POSIX.1-1988 "ustar", GNU long names passed over).
///
/// A reader of our own is a page of code, behaves alike on every system, and takes out only files asked for by name, so
/// that no archive can write anywhere else; running the system's `tar` gives none of this.
enum TarFile {
  private static let block = 512

  /// The contents of the regular files with the given last path components, by that name, sharing memory with `bytes`.
  ///
  /// - Throws: `DatasetError` when the archive breaks off or a header is damaged.
  static func files(named names: Set<String>, in bytes: ByteStorage, path: String) throws -> [String: ByteStorage] {
    var found: [String: ByteStorage] = [:]
    var offset = 0
    while offset + block <= bytes.count {
      let header = bytes.suffix(from: offset).prefix(block).withUnsafeBytes { [UInt8]($0) }
      if header.allSatisfy({ $0 == 0 }) { break }
      guard let size = octal(header[124..<136]), let sum = octal(header[148..<156]), sum == checksum(of: header) else {
        throw DatasetError("\(path) is damaged: the tar header at byte \(offset) is wrong.", remedy: "Fetch it again.")
      }
      let start = offset + block
      guard size <= bytes.count - start else {
        throw DatasetError("\(path) is truncated: it ends inside the file that begins at byte \(start).")
      }
      let name = (text(header[0..<100]) as NSString).lastPathComponent
      let isRegular = header[156] == 0 || header[156] == UInt8(ascii: "0")
      if isRegular, names.contains(name) { found[name] = bytes.suffix(from: start).prefix(size) }
      offset = start + (size + block - 1) / block * block
    }
    return found
  }

  private static func text(_ field: ArraySlice<UInt8>) -> String {
    String(decoding: field.prefix { $0 != 0 }, as: UTF8.self)
  }

  private static func octal(_ field: ArraySlice<UInt8>) -> Int? {
    let digits = text(field).trimmingCharacters(in: .whitespaces)
    return digits.isEmpty ? 0 : Int(digits, radix: 8).flatMap { $0 < 0 ? nil : $0 }
  }

  // The sum of the header's bytes, those of the sum itself taken as spaces.
  private static func checksum(of header: [UInt8]) -> Int {
    header.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
  }
}
