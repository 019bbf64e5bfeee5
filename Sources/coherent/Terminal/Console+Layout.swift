// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Lines that fit the terminal.
extension Console {
  /// Characters that a line has room for: the columns of the terminal, else those that COLUMNS says; no limit where
  /// lines go to files and other programs.
  static var width: Int {
    for stream in [STDERR_FILENO, STDOUT_FILENO] {
      var size = winsize()
      if isatty(stream) == 1, ioctl(stream, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
    }
    let columns = ProcessInfo.processInfo.environment["COLUMNS"].flatMap { Int($0) } ?? 0
    return columns > 0 ? columns : .max
  }

  /// Parts of a line that is drawn over and over, two spaces between them, within the terminal's width: a longer line
  /// would leave a copy of itself with every drawing. Where there is no room for all, parts go one by one, and the last
  /// one that is left is cut.
  ///
  /// - Parameters:
  ///   - parts: in the order of the line; empty ones are left out.
  ///   - order: the places of the parts that go first, least important first; the others go from the end of the line.
  ///   - width: the room; by default the terminal's, less the last column, after which some terminals break a line.
  static func fitted(_ parts: [String], droppingFirst order: [Int] = [], width: Int? = nil) -> String {
    let room = max(0, width ?? Console.width - 1)
    let parts = parts.map(plain)
    var kept = parts.indices.filter { !parts[$0].isEmpty }
    var leaving = (order + parts.indices.reversed().filter { !order.contains($0) }).filter(kept.contains)[...]
    func line() -> String { kept.map { parts[$0] }.joined(separator: "  ") }
    while line().count > room, kept.count > 1, let next = leaving.popFirst() { kept.removeAll { $0 == next } }
    let text = line()
    return text.count <= room ? text : String(text.prefix(max(0, room - 1))) + (room > 0 ? "…" : "")
  }

  /// Text broken between words. The first line follows `first`, such as the name of what the text is about; the others
  /// are indented. A word that is longer than a line stays whole: it may be a path.
  static func wrapped(_ text: String, after first: String = "", indent: Int = 0, width: Int? = nil) -> String {
    let room = max(width ?? Console.width, indent + 20)
    let margin = String(repeating: " ", count: indent)
    var lines: [String] = []
    var line = first
    var isEmpty = true
    for word in text.split(separator: " ") {
      if !isEmpty, line.count + 1 + word.count > room {
        lines.append(line)
        (line, isEmpty) = (margin, true)
      }
      line += isEmpty ? String(word) : " " + word
      isEmpty = false
    }
    return (lines + [line]).joined(separator: "\n")
  }

  /// Columns aligned by their widest cell; the first to the left, the others to the right. Where a line would be wider
  /// than the room, the columns move together, and then the widest cells take several lines.
  static func table(_ rows: [[String]], width: Int? = nil) -> String {
    let room = width ?? Console.width
    let columns = rows.map(\.count).max() ?? 0
    var widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    func excess(_ gap: Int) -> Int { widths.reduce(0, +) + gap * max(0, columns - 1) - room }
    let gap = [3, 2].first { excess($0) <= 0 } ?? 2
    let shortest = (0..<columns).map { column in
      rows.flatMap { column < $0.count ? $0[column].split(separator: " ").map(\.count) : [] }.max() ?? 0
    }
    while excess(gap) > 0 {
      guard let widest = widths.indices.filter({ widths[$0] > shortest[$0] }).max(by: { widths[$0] < widths[$1] })
      else { break }
      widths[widest] = max(shortest[widest], widths[widest] - excess(gap))
    }
    let separator = String(repeating: " ", count: gap)
    return rows.flatMap { row -> [String] in
      let cells = row.enumerated().map { column, cell in lines(of: cell, width: widths[column]) }
      return (0..<(cells.map(\.count).max() ?? 0)).map { index in
        let line = cells.enumerated().map { column, lines in
          let text = index < lines.count ? lines[index] : ""
          let padding = String(repeating: " ", count: max(0, widths[column] - text.count))
          return column == 0 ? text + padding : padding + text
        }.joined(separator: separator)
        return String(line.reversed().drop { $0 == " " }.reversed())
      }
    }.joined(separator: "\n")
  }

  private static func lines(of cell: String, width: Int) -> [String] {
    guard cell.count > width else { return [cell] }
    return cell.split(separator: " ").reduce(into: []) { lines, word in
      if let last = lines.last, last.count + 1 + word.count <= width {
        lines[lines.count - 1] = last + " " + word
      } else {
        lines.append(String(word))
      }
    }
  }
}
