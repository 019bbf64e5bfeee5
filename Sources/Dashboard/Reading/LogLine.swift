// SPDX-License-Identifier: Apache-2.0

/// The cells of a line of a log, as places among its bytes: no text is made of what nobody reads.
enum LogLine {
  /// The cells of a line; commas in quotes part none.
  ///
  /// - Parameters:
  ///   - bytes: where the line stands.
  ///   - line: its place, without its end.
  ///   - fields: receives the places of its cells.
  static func split(
    _ bytes: UnsafeBufferPointer<UInt8>, _ line: Range<Int>, into fields: inout [Range<Int>]
  ) {
    fields.removeAll(keepingCapacity: true)
    var start = line.lowerBound
    var isQuoted = false
    for index in line {
      switch bytes[index] {
      case 0x22: isQuoted.toggle()
      case 0x2C where !isQuoted:
        fields.append(start..<index)
        start = index + 1
      default: break
      }
    }
    fields.append(start..<line.upperBound)
  }

  /// The text of a cell, without the quotes around it.
  static func text(_ bytes: UnsafeBufferPointer<UInt8>, _ field: Range<Int>) -> String {
    let text = String(decoding: bytes[field], as: UTF8.self)
    guard text.hasPrefix("\""), text.hasSuffix("\""), text.count > 1 else { return text }
    return String(text.dropFirst().dropLast()).replacing("\"\"", with: "\"")
  }
}
