// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

/// Where words go: results to standard output, everything on the way to standard error.
enum Console {
  static let isTerminal = isatty(STDERR_FILENO) == 1

  static func note(_ text: String) { write(plain(text) + "\n") }

  /// Writes to standard error. Words that cannot be written (the disk behind a redirection is full) are dropped: they
  /// must not end a training.
  static func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }

  static func json(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.dateEncodingStrategy = .iso8601
    // Escapes of control characters are the same in JSON.
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
  static func percent(_ share: Double?) -> String { share.map { String(format: "%.1f %%", $0 * 100) } ?? "–" }

  static func bytes(_ count: Int) -> String {
    count >= 1 << 30
      ? String(format: "%.1f GB", Double(count) / Double(1 << 30)) : "\(count >> 20) MB"
  }

  /// A bar of so many characters, filled by a share from 0 to 1.
  static func bar(_ share: Double, width: Int) -> String {
    let filled = share.isFinite ? min(width, max(0, Int(clamping: share * Double(width)))) : 0
    return String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
  }

  private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
