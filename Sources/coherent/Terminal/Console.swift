// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Where words go: results to standard output, everything on the way to standard error.
enum Console {
  static let isTerminal = isatty(STDERR_FILENO) == 1

  static func note(_ text: String) { write(text + "\n") }

  /// Writes to standard error. Words that cannot be written (the disk behind a redirection is full) are dropped: they
  /// must not end a training.
  static func write(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
  }

  static func json(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.dateEncodingStrategy = .iso8601
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  /// "1 h 02 min", "3 min 20 s", "12 s".
  static func duration(_ seconds: Double) -> String {
    guard let whole = Int(exactly: seconds.rounded()) else { return "?" }
    if whole >= 3600 { return "\(whole / 3600) h \(twoDigits(whole % 3600 / 60)) min" }
    if whole >= 60 { return "\(whole / 60) min \(twoDigits(whole % 60)) s" }
    return "\(whole) s"
  }

  /// "97.3 %", or a dash.
  static func percent(_ share: Double?) -> String {
    share.map { String(format: "%.1f %%", $0 * 100) } ?? "–"
  }

  static func bytes(_ count: Int) -> String {
    count >= 1 << 30
      ? String(format: "%.1f GB", Double(count) / Double(1 << 30)) : "\(Int(Double(count) / Double(1 << 20))) MB"
  }

  /// Columns aligned by their widest cell; the first to the left, the others to the right.
  static func table(_ rows: [[String]]) -> String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      row.enumerated().map { column, cell in
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + padding : padding + cell
      }.joined(separator: "   ")
    }.joined(separator: "\n")
  }

  /// A bar of so many characters, filled by a share from 0 to 1.
  static func bar(_ share: Double, width: Int) -> String {
    let filled = share.isFinite ? min(width, max(0, Int(share * Double(width)))) : 0
    return String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
  }

  /// The columns of the terminal that standard error is; 80 where it does not say.
  static var width: Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// The parts of a line that fit into a width, without the last ones where there is no room: a line that wraps would be
  /// left standing.
  static func fitted(_ parts: [String], width: Int = width) -> String {
    var line = ""
    for part in parts {
      let longer = line.isEmpty ? part : line + "  " + part
      guard longer.count < width else { break }
      line = longer
    }
    return line
  }

  private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
