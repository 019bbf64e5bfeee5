// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The last lines of a log, for tables that show where a run stands: they must not read whole logs.
struct LogTail {
  private let header: [String]
  /// Whole lines.
  private let bytes: [UInt8]

  /// Reads the header and the last finished lines of a log.
  ///
  /// - Parameters:
  ///   - url: the file; what cannot be read has no lines.
  ///   - count: how many bytes of its end are read.
  init(_ url: URL, bytes count: Int = 16 << 10) {
    let descriptor = open(url.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    defer { if descriptor >= 0 { close(descriptor) } }
    func part(from offset: Int, count: Int) -> [UInt8] {
      [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        filled = descriptor < 0 ? 0 : max(0, pread(descriptor, buffer.baseAddress, count, off_t(offset)))
      }
    }
    let size = descriptor < 0 ? 0 : max(0, Int(lseek(descriptor, 0, SEEK_END)))
    let start = max(0, size - count)
    let head = part(from: 0, count: 512)
    header = head.prefix { $0 != 0x0A && $0 != 0x0D }.split(separator: 0x2C).map { String(decoding: $0, as: UTF8.self) }
    let end = part(from: start, count: count)
    // What stands before the first end of a line is the header or a part of a line; what stands behind the last one is
    // still being written.
    guard let first = end.firstIndex(of: 0x0A), let last = end.lastIndex(of: 0x0A) else {
      bytes = []
      return
    }
    bytes = Array(end[first...last])
  }

  /// The number in a column of the last line with some cells; nil where there is none.
  ///
  /// - Parameters:
  ///   - column: the column's name.
  ///   - cells: what other columns hold, by their names.
  func last(_ column: String, where cells: KeyValuePairs<String, String>) -> Double? {
    guard let place = header.firstIndex(of: column) else { return nil }
    let conditions = cells.compactMap { name, value in header.firstIndex(of: name).map { ($0, Array(value.utf8)) } }
    guard conditions.count == cells.count else { return nil }
    return bytes.withUnsafeBufferPointer { bytes in
      var fields: [Range<Int>] = []
      var stop = bytes.count - 1
      // From the last line backwards: the first one that fits is the one.
      while stop > 0, let start = bytes[..<stop].lastIndex(of: 0x0A) {
        LogLine.split(bytes, (start + 1)..<stop, into: &fields)
        if fields.count == header.count, conditions.allSatisfy({ bytes[fields[$0.0]].elementsEqual($0.1) }) {
          return PlainNumber.value(bytes, fields[place]).flatMap { $0.isFinite ? $0 : nil }
        }
        stop = start
      }
      return nil
    }
  }
}
