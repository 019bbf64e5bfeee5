// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A text as a cell of a CSV file: in quotes where it needs them, and on one line.
public func csvCell(_ text: String) -> String { CSV.quoted(text) }

/// What can be written as one line of a CSV file.
protocol CSVLine {
  static var columns: [String] { get }
  /// Columns behind those, which a file has when one of its records has a value there.
  static var optionalColumns: [String] { get }
  /// The cells in column order, not yet quoted; an absent value is an empty cell.
  var cells: [String] { get }
  /// The cells of `optionalColumns`.
  var optionalCells: [String] { get }
}

extension CSVLine {
  static var optionalColumns: [String] { [] }
  var optionalCells: [String] { [] }
}

/// A line that is also read.
protocol CSVRecord: CSVLine {
  /// Names that columns had in files of earlier versions, with those of today.
  static var formerNames: [String: String] { get }
  init(_ row: CSVRow) throws
}

extension CSVRecord {
  static var formerNames: [String: String] { [:] }
}

/// One line of a CSV file while it is read; knows where it stands, so that errors can say so.
struct CSVRow {
  let file: String
  let line: Int
  let columns: [String]
  let cells: [String]

  func string(_ column: Int) -> String { cells[column] }

  /// The cell of a column that the file may not have; `nil` when it is not there or empty.
  func optionalString(_ column: Int) -> String? {
    cells.indices.contains(column) && !cells[column].isEmpty ? cells[column] : nil
  }

  func integer(_ column: Int) throws -> Int {
    guard let value = Int(cells[column]) else { throw unreadable(column, "a whole number") }
    return value
  }

  func double(_ column: Int) throws -> Double {
    guard let value = Double(cells[column]) else { throw unreadable(column, "a number") }
    return value
  }

  func boolean(_ column: Int) throws -> Bool {
    switch cells[column] {
    case "1", "true", "True": return true
    case "0", "false", "False": return false
    default: throw unreadable(column, "0 or 1")
    }
  }

  func optional<Value>(_ column: Int, _ read: (Int) throws -> Value) rethrows -> Value? {
    cells[column].isEmpty ? nil : try read(column)
  }

  private func unreadable(_ column: Int, _ expected: String) -> RunStoreError {
    RunStoreError(
      "\(file):\(line): column \(columns[column]) holds \"\(cells[column])\", which is not \(expected).",
      remedy: "Correct or remove this line, or restore the file from a copy.")
  }
}

enum CSV {
  static func cell(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
  static func cell(_ value: Int?) -> String { value.map { "\($0)" } ?? "" }
  static func cell(_ value: Bool?) -> String { value.map { $0 ? "1" : "0" } ?? "" }

  static func header<Line: CSVLine>(_: Line.Type) -> String {
    Line.columns.joined(separator: ",") + "\n"
  }

  /// Records as a whole file, with the optional columns where a record has a value for one.
  static func table<Line: CSVLine>(_ records: [Line]) -> String {
    guard records.contains(where: { !$0.optionalCells.allSatisfy(\.isEmpty) }) else {
      return header(Line.self) + lines(records)
    }
    let columns = Line.columns + Line.optionalColumns
    return columns.joined(separator: ",") + "\n" + lines(records, withOptional: true)
  }

  static func lines(_ records: some Sequence<some CSVLine>, withOptional: Bool = false) -> String {
    var text = ""
    for record in records {
      var first = true
      for cell in withOptional ? record.cells + record.optionalCells : record.cells {
        if !first { text.append(",") }
        first = false
        text.append(quoted(cell))
      }
      text.append("\n")
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
    var number = 0
    var headerSeen = !checkHeader
    var columns = Record.columns
    try forEachLine(of: data) { bytes, isFinished in
      number += 1
      if !isFinished && ignoreUnfinished { return }
      if !headerSeen {
        headerSeen = true
        columns = try check(header: split(bytes), of: Record.self, file: file)
      } else if !bytes.isEmpty {
        let cells = split(bytes)
        guard cells.count == columns.count else {
          throw RunStoreError(
            "\(file):\(number): expected \(columns.count) columns (\(columns.joined(separator: ",")))"
              + " but found \(cells.count).",
            remedy: "Correct or remove this line, or restore the file from a copy.")
        }
        records.append(try Record(CSVRow(file: file, line: number, columns: columns, cells: cells)))
      }
    }
    if !headerSeen && !ignoreUnfinished { _ = try check(header: [], of: Record.self, file: file) }
    return records
  }

  /// The columns that a file has, by their names of today.
  private static func check<Record: CSVRecord>(
    header: [String], of _: Record.Type, file: String
  ) throws -> [String] {
    let names = header.map { Record.formerNames[$0] ?? $0 }
    if names == Record.columns || names == Record.columns + Record.optionalColumns { return names }
    throw RunStoreError(
      "\(file):1: the header is \"\(header.joined(separator: ","))\" "
        + "but should be \"\(Record.columns.joined(separator: ","))\".",
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

  private static func split(_ bytes: UnsafeRawBufferPointer.SubSequence) -> [String] {
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
