// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The last lines of a log, for tables that show where a run stands: they must not read whole logs.
struct LogTail {
  private let header: [String]
  private let lines: [[String]]

  /// Reads the header and the last finished lines of a log.
  ///
  /// - Parameters:
  ///   - url: the file; what cannot be read has no lines.
  ///   - bytes: how much of its end is read.
  init(_ url: URL, bytes: Int = 16 << 10) {
    guard let handle = FileHandle(forReadingAtPath: url.path) else {
      (header, lines) = ([], [])
      return
    }
    defer { try? handle.close() }
    let size = (try? handle.seekToEnd()).map(Int.init) ?? 0
    let start = max(0, size - bytes)
    func part(from offset: Int, count: Int) -> Data {
      guard (try? handle.seek(toOffset: UInt64(offset))) != nil else { return Data() }
      return (try? handle.read(upToCount: count)) ?? Data()
    }
    let head = start == 0 ? Data() : part(from: 0, count: 512)
    let end = part(from: start, count: bytes)
    // What stands behind the last end of a line is still being written; what stands before the first one is a part.
    let finished = end.lastIndex(of: 0x0A).map { end[..<$0] } ?? Data()
    var all = finished.split(separator: 0x0A).map {
      String(decoding: $0, as: UTF8.self).split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    if start == 0 {
      header = all.isEmpty ? [] : all.removeFirst()
    } else {
      header = String(decoding: head.prefix { $0 != 0x0A }, as: UTF8.self).split(separator: ",").map(String.init)
      if !all.isEmpty { all.removeFirst() }
    }
    lines = all.filter { [header] in $0.count == header.count }
  }

  /// The number in a column of the last line with some cells; nil where there is none.
  ///
  /// - Parameters:
  ///   - column: the column's name.
  ///   - cells: what other columns hold, by their names.
  func last(_ column: String, where cells: KeyValuePairs<String, String>) -> Double? {
    guard let place = header.firstIndex(of: column) else { return nil }
    let conditions = cells.compactMap { name, value in header.firstIndex(of: name).map { ($0, value) } }
    guard conditions.count == cells.count else { return nil }
    return lines.last { line in conditions.allSatisfy { line[$0.0] == $0.1 } }.flatMap { Double($0[place]) }
  }
}
