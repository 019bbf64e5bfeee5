// SPDX-License-Identifier: Apache-2.0

/// A record that is one line of a CSV file.
public protocol CSVRecord: Sendable, Equatable {
  /// Its columns, and how it is made from them.
  static var schema: CSVSchema<Self> { get }
}

/// A column of a CSV file: its name, and the property whose values it holds.
public struct Column<Record, Value: CSVValue>: Sendable {
  let name: String
  let path: any KeyPath<Record, Value> & Sendable
  let range: ClosedRange<Double>?
  let isTrailing: Bool

  /// - Parameters:
  ///   - name: the column's name.
  ///   - path: the property whose values it holds.
  ///   - range: what a number in it may be; a value that is not a number passes.
  ///   - isTrailing: whether a file has the column only when one of its records has a value there; such a column
  ///     is the last.
  public init(
    _ name: String, _ path: any KeyPath<Record, Value> & Sendable, in range: ClosedRange<Double>? = nil,
    isTrailing: Bool = false
  ) { (self.name, self.path, self.range, self.isTrailing) = (name, path, range, isTrailing) }
}

/// The columns of a record's CSV file, in order; an absent value is an empty cell.
public struct CSVSchema<Record>: Sendable {
  /// The columns that every file has.
  let names: [String]
  /// Those that only some have.
  let trailing: [String]
  /// Names that columns had in files of earlier versions, with those of today.
  let formerNames: [String: String]
  /// All cells, not yet quoted.
  let cells: @Sendable (Record) -> [String]
  let read: @Sendable (CSVRow) throws -> Record

  /// A schema from columns and what makes a record of their values, such as its memberwise initialiser.
  public init<each Value: CSVValue>(
    _ columns: repeat Column<Record, each Value>, formerNames: [String: String] = [:],
    make: @escaping @Sendable (repeat each Value) throws -> Record
  ) {
    var (names, trailing): ([String], [String]) = ([], [])
    for column in repeat each columns {
      if column.isTrailing { trailing.append(column.name) } else { names.append(column.name) }
    }
    (self.names, self.trailing, self.formerNames) = (names, trailing, formerNames)
    cells = { record in
      var cells: [String] = []
      for column in repeat each columns { cells.append(record[keyPath: column.path].cell) }
      return cells
    }
    read = { row in
      var place = 0
      func next<Cell: CSVValue>(_ column: Column<Record, Cell>) throws -> Cell {
        defer { place += 1 }
        return try Cell(CSVCell(row: row, column: place, range: column.range))
      }
      return try make(repeat try next(each columns))
    }
  }
}

/// What `make` throws for cells that contradict each other; the file and the line are added to it.
struct CSVSchemaError: Error {
  let message: String
  let remedy: String
}

/// What a cell of a CSV file can hold.
public protocol CSVValue: Sendable {
  /// The cell, not yet quoted.
  var cell: String { get }
  /// - Throws: `RunStoreError` naming file, line and column of a cell that holds something else.
  init(_ cell: CSVCell) throws
}

/// One line of a CSV file while it is read; knows where it stands, so that errors can say so.
struct CSVRow {
  let file: String
  let line: Int
  let columns: [String]
  let cells: [String]
}

/// A cell of a CSV file while it is read.
public struct CSVCell {
  let row: CSVRow
  let column: Int
  /// What a number in it may be; nil for any.
  var range: ClosedRange<Double>?

  /// What it holds; empty where the file has no such column.
  public var text: String { row.cells.indices.contains(column) ? row.cells[column] : "" }

  /// The error of a cell that is not what was expected, such as "a number".
  public func unreadable(_ expected: String) -> RunStoreError {
    RunStoreError(
      "\(row.file):\(row.line): column \(row.columns[column]) holds \"\(text)\", which is not \(expected).",
      remedy: "Correct or remove this line, or restore the file from a copy.")
  }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Int: CSVValue {
  public var cell: String { "\(self)" }
  public init(_ cell: CSVCell) throws {
    guard let value = Int(cell.text), RecordRange.whole.contains(value) else {
      throw cell.unreadable("a whole number from 0 to \(RecordRange.whole.upperBound)")
    }
    self = value
  }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Double: CSVValue {
  public var cell: String { "\(self)" }
  public init(_ cell: CSVCell) throws {
    guard let value = Double(cell.text) else { throw cell.unreadable("a number") }
    if let range = cell.range, !value.isNaN, !range.contains(value) {
      throw cell.unreadable("a number from \(range.lowerBound) to \(range.upperBound)")
    }
    self = value
  }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Bool: CSVValue {
  public var cell: String { self ? "1" : "0" }
  public init(_ cell: CSVCell) throws {
    switch cell.text {
    case "1", "true", "True": self = true
    case "0", "false", "False": self = false
    default: throw cell.unreadable("0 or 1")
    }
  }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension String: CSVValue {
  public var cell: String { SpreadsheetText.guarded(self) }
  public init(_ cell: CSVCell) { self = SpreadsheetText.unguarded(cell.text) }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Optional: CSVValue where Wrapped: CSVValue {
  public var cell: String { self?.cell ?? "" }
  public init(_ cell: CSVCell) throws { self = cell.text.isEmpty ? nil : try Wrapped(cell) }
}
