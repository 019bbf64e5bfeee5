// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A text as a cell of a CSV file: in quotes where it needs them, on one line, and never a formula of a spreadsheet.
public func csvCell(_ text: String) -> String { CSV.quoted(text.cell) }

/// Names of files and classes in CSV files that somebody may open with a spreadsheet, which takes a cell that begins with
/// one of a few characters for a formula: an apostrophe before it makes it text, and is taken away again on reading.
enum SpreadsheetText {
  static func guarded(_ text: String) -> String {
    guard let first = text.unicodeScalars.first else { return text }
    if first == "'" { return text.unicodeScalars.dropFirst().first.map(isGuarded) ?? false ? "'" + text : text }
    return isGuarded(first) && Double(text) == nil ? "'" + text : text
  }

  static func unguarded(_ cell: String) -> String {
    let scalars = cell.unicodeScalars
    guard scalars.first == "'", let second = scalars.dropFirst().first, isGuarded(second) else { return cell }
    return String(scalars.dropFirst())
  }

  private static func isGuarded(_ scalar: Unicode.Scalar) -> Bool { "=+-@\t\r'".unicodeScalars.contains(scalar) }
}

enum CSV {
  static func header<Record: CSVRecord>(_: Record.Type) -> String { Record.schema.names.joined(separator: ",") + "\n" }

  /// Records as a whole file, with the trailing columns where a record has a value for one.
  static func table<Record: CSVRecord>(_ records: [Record]) -> String {
    let schema = Record.schema
    let isWide = records.contains { record in !schema.cells(record)[schema.names.count...].allSatisfy(\.isEmpty) }
    let columns = schema.names + (isWide ? schema.trailing : [])
    return columns.joined(separator: ",") + "\n" + lines(records, columns: columns.count)
  }

  /// - Parameter columns: how many of the columns are written; by default all but the trailing ones.
  static func lines<Record: CSVRecord>(_ records: some Sequence<Record>, columns: Int? = nil) -> String {
    let schema = Record.schema
    let columns = columns ?? schema.names.count
    var text = ""
    for record in records {
      text += schema.cells(record).prefix(columns).lazy.map(quoted).joined(separator: ",") + "\n"
    }
    return text
  }

  static func quoted(_ cell: String) -> String {
    guard cell.utf8.contains(where: { $0 == 0x2C || $0 == 0x22 || $0 == 0x0A || $0 == 0x0D }) else { return cell }
    let oneLine = cell.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).joined(separator: " ")
    return "\"" + oneLine.replacingOccurrences(of: "\"", with: "\"\"") + "\""
  }

  /// Reads records from the text of a file, or of a part of it that starts at the given line number.
  ///
  /// - Parameters:
  ///   - checkHeader: whether the text starts with the header line.
  ///   - ignoreUnfinished: whether a last line without a newline is being written right now and is left out.
  static func read<Record: CSVRecord>(
    _: Record.Type, from data: Data, file: String, checkHeader: Bool = true, ignoreUnfinished: Bool
  ) throws -> [Record] {
    var records: [Record] = []
    try forEach(Record.self, in: data, file: file, checkHeader: checkHeader, ignoreUnfinished: ignoreUnfinished) {
      records.append($1)
    }
    return records
  }

  /// As `read`, with the number of the line that a record stands on.
  static func forEach<Record: CSVRecord>(
    _: Record.Type, in data: Data, file: String, checkHeader: Bool = true, ignoreUnfinished: Bool,
    body: (Int, Record) throws -> Void
  ) throws {
    let schema = Record.schema
    let columns = checkHeader ? nil : schema.names
    try forEachRow(of: data, file: file, columns: columns, ignoreUnfinished: ignoreUnfinished) {
      try check(header: $0, of: Record.self, file: file)
    } body: { row in
      do {
        try body(row.line, schema.read(row))
      } catch let error as CSVSchemaError {
        throw RunStoreError("\(file):\(row.line): \(error.message)", remedy: error.remedy)
      }
    }
  }

  /// Calls `body` with every line that is not empty, once its cells are as many as the columns.
  ///
  /// - Parameters:
  ///   - columns: the columns, where they are known already; otherwise the first line is the header, with or without
  ///     the byte order mark of spreadsheets.
  ///   - ignoreUnfinished: whether a last line without a newline is left out.
  ///   - header: checks the header, which is empty in an empty file, and gives the columns by their names of today.
  static func forEachRow(
    of data: Data, file: String, columns: [String]?, ignoreUnfinished: Bool,
    header: ([String]) throws -> [String], body: (CSVRow) throws -> Void
  ) throws {
    var columns = columns
    var number = 0
    try forEachLine(of: data) { bytes, isFinished in
      number += 1
      if !isFinished && ignoreUnfinished { return }
      guard let known = columns else {
        let mark = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        columns = try header(split(bytes.dropFirst(mark)))
        return
      }
      if bytes.isEmpty { return }
      let cells = split(bytes)
      guard cells.count == known.count else {
        throw RunStoreError(
          "\(file):\(number): expected \(known.count) columns (\(known.joined(separator: ",")))"
            + " but found \(cells.count).",
          remedy: "Correct or remove this line, or restore the file from a copy.")
      }
      try body(CSVRow(file: file, line: number, columns: known, cells: cells))
    }
    if columns == nil && !ignoreUnfinished { columns = try header([]) }
  }

  /// The columns that a file has, by their names of today.
  private static func check<Record: CSVRecord>(header: [String], of _: Record.Type, file: String) throws -> [String] {
    let schema = Record.schema
    let names = header.map { schema.formerNames[$0] ?? $0 }
    if names == schema.names || names == schema.names + schema.trailing { return names }
    throw RunStoreError(
      "\(file):1: the header is \"\(header.joined(separator: ","))\" "
        + "but should be \"\(schema.names.joined(separator: ","))\".",
      remedy: "The file is damaged or comes from another version of the program; restore it or run again.")
  }

  /// Calls `body` with each line (without its end) and whether a newline ended it.
  private static func forEachLine(
    of data: Data, _ body: (UnsafeRawBufferPointer.SubSequence, Bool) throws -> Void
  ) rethrows {
    try data.withUnsafeBytes { buffer in
      var start = 0
      while start < buffer.count {
        let end = buffer[start...].firstIndex(of: 0x0A)
        var stop = end ?? buffer.count
        let next = stop + 1
        if stop > start, buffer[stop - 1] == 0x0D { stop -= 1 }
        try body(buffer[start..<stop], end != nil)
        start = next
      }
    }
  }

  /// The cells of a line.
  static func split(_ bytes: UnsafeRawBufferPointer.SubSequence) -> [String] {
    guard bytes.contains(0x22) else {
      return bytes.split(separator: 0x2C, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
    }
    var cells: [String] = []
    var cell: [UInt8] = []
    var isQuoted = false
    var index = bytes.startIndex
    while index < bytes.endIndex {
      let byte = bytes[index]
      if byte == 0x22 {
        if isQuoted, index + 1 < bytes.endIndex, bytes[index + 1] == 0x22 {
          cell.append(byte)
          index += 1
        } else {
          isQuoted.toggle()
        }
      } else if byte == 0x2C, !isQuoted {
        cells.append(String(decoding: cell, as: UTF8.self))
        cell.removeAll()
      } else {
        cell.append(byte)
      }
      index += 1
    }
    return cells + [String(decoding: cell, as: UTF8.self)]
  }
}
