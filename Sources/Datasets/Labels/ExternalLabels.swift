// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Labels from a file beside the data set (`--labels`), in data set order.
///
/// | ending | content |
/// |---|---|
/// | `.npy` | a NumPy array of one dimension and any integer type (or bool) |
/// | `.csv` | one label a line; or a header with a column `label` or `assigned`, and maybe `index` (or `sample_id`); a label is a number or the name of a class |
/// | `.u8` | one byte for each label |
public struct ExternalLabels: Sendable, Equatable {
  /// The file they came from.
  public let path: String
  /// One label for each example, each in 0 ..< the number of classes.
  public let labels: [Int]

  /// Reads and checks a label file.
  ///
  /// - Parameters:
  ///   - path: the file; its ending says what it holds.
  ///   - expectedCount: the number of examples of the data set.
  ///   - classCount: K; labels must be in 0 ..< K.
  ///   - classNames: names that may stand for numbers in a CSV file.
  ///   - columns: the names of the column that counts, where a CSV file has a header; the first that is there.
  /// - Throws: `DatasetError` when the file is missing, damaged or of another kind, has another number of labels, or a
  ///   label is not a class.
  public init(
    path: String, expectedCount: Int, classCount: Int, classNames: [String] = [],
    columns: [String] = ExternalLabels.usualColumns
  ) throws {
    self.path = path
    labels = try Self.load(
      from: path, expectedCount: expectedCount, classCount: classCount, classNames: classNames, columns: columns)
  }

  /// The columns that labels stand in.
  public static let usualColumns = ["label", "assigned"]

  /// The labels of a file; see ``init(path:expectedCount:classCount:classNames:columns:)``. Where the examples are the
  /// first ones of a data set of `wholeCount`, a file may have a label for each of that set's. Where examples have files
  /// (`file`) and a table names them, labels are found by these names.
  public static func load(
    from path: String, expectedCount: Int, wholeCount: Int? = nil, classCount: Int, classNames: [String] = [],
    columns: [String] = ExternalLabels.usualColumns, file: ((Int) -> String?)? = nil
  ) throws -> [Int] {
    // Generous: a line of CSV or an array entry stays far below 64 bytes.
    let (room, overflow) = max(expectedCount, wholeCount ?? 0, 0).multipliedReportingOverflow(by: 64)
    let bytes = try FileReading.bytes(of: path, limit: overflow ? .max : room &+ (1 << 20))
    var labels: [Int]
    var place = { (index: Int) in "\(path): label \(index)" }
    switch (path as NSString).pathExtension.lowercased() {
    case "npy": labels = try NumPyLabels.parse(bytes, path: path)
    case "u8": labels = bytes.map { Int($0) }
    case "csv":
      let reader = CSVLabels(path: path, columns: columns, classNames: classNames)
      let table = try reader.parse(bytes, expectedCounts: [expectedCount, wholeCount ?? expectedCount], file: file)
      labels = table.labels
      place = { index in "\(path), line \(table.lines[index]): the label" }
    default:
      throw DatasetError(
        "\(path) does not end in .npy, .csv or .u8, so it is unclear how to read labels from it.", remedy: "Rename it.")
    }
    guard labels.count == expectedCount || labels.count == wholeCount else {
      throw DatasetError(
        "\(path) holds \(labels.count) labels, but the data set has \(expectedCount) examples.",
        remedy: "Give one label for each example, in data set order"
          + (file == nil
            ? "."
            : "; or name the pictures in a column file, by their paths below the data folder. Of a folder without val or test "
              + "a part is held out, but for --test-fraction 0."))
    }
    try checkLabels(labels, classCount: classCount, place: place)
    return Array(labels.prefix(expectedCount))
  }

  /// The labels of a file for the examples of a data set, which may be the first of `wholeCount`.
  ///
  /// - Throws: `DatasetError`, as ``init(path:expectedCount:classCount:classNames:columns:)``.
  public static func load(
    from path: String, for dataset: Dataset, wholeCount: Int? = nil,
    columns: [String] = ExternalLabels.usualColumns
  ) throws -> [Int] {
    let file: ((Int) -> String?)? = dataset.file(at: 0) == nil ? nil : { dataset.file(at: $0) }
    return try load(
      from: path, expectedCount: dataset.count, wholeCount: wholeCount, classCount: dataset.classCount,
      classNames: dataset.classNames, columns: columns, file: file)
  }

  /// The labels beside the original ones: what changed are the true flips.
  ///
  /// - Throws: `DatasetError` when the numbers differ.
  public func compared(to original: [Int]) throws -> NoisyLabels {
    try NoisyLabels(original: original, assigned: labels)
  }
}

/// Labels from CSV text.
struct CSVLabels {
  /// The file's name, for messages.
  let path: String
  /// The names of the column that counts.
  let columns: [String]
  /// What names stand for.
  private let numbers: [String: Int]

  init(path: String, columns: [String], classNames: [String]) {
    (self.path, self.columns) = (path, columns)
    numbers = Dictionary(zip(classNames, 0...)) { first, _ in first }
  }

  struct Table {
    var labels: [Int] = []
    /// The line, from 1, that each label stands on.
    var lines: [Int] = []
  }

  /// - Parameters:
  ///   - expectedCounts: numbers of examples that the file may be about.
  ///   - file: the name of an example's file; nil where they have none.
  func parse(_ bytes: Data, expectedCounts: [Int], file: ((Int) -> String?)? = nil) throws -> Table {
    let lines = try Self.lines(of: bytes, path: path)
    var columns: Columns?
    var table = Table()
    var places: [Int] = []
    var names: [String] = []
    for (number, line) in zip(1..., lines) where !line.allSatisfy(\.isWhitespace) {
      let cells = Self.cells(of: line)
      guard let known = columns else {
        let found = try layout(firstLine: cells, line: number)
        columns = found
        if found.file != nil, file == nil, found.index == nil {
          throw DatasetError(
            "\(path) names files, but the examples have none.",
            remedy: "Name examples by their places, from 0, in a column index.")
        }
        if found.hasHeader { continue }
        try append(cells, found, line: number, to: &table, &places)
        continue
      }
      try append(cells, known, line: number, to: &table, &places)
      if file != nil, let column = known.file { names.append(cells[column]) }
    }
    if let file, !names.isEmpty {
      return try ordered(table, names, (0..<(expectedCounts.first ?? 0)).compactMap(file))
    }
    let count = expectedCounts.last { $0 == places.count } ?? expectedCounts.first ?? 0
    return places.isEmpty ? table : try ordered(table, places, expectedCount: count)
  }

  /// The lines of a file, the empty ones too.
  static func lines(of bytes: Data, path: String) throws -> [Substring] {
    guard var text = String(data: bytes, encoding: .utf8) else {
      throw DatasetError("\(path) is not UTF-8 text.", remedy: "Save it as plain CSV.")
    }
    if text.hasPrefix("\u{FEFF}") { text.removeFirst() }
    // Lines end in \n, \r\n or \r; Swift sees \r\n as one character.
    return text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
  }

  private struct Columns {
    var label = 0
    var index: Int?
    var file: Int?
    var count = 1
    var hasHeader = false
  }

  private func layout(firstLine cells: [String], line: Int) throws -> Columns {
    var found = Columns(count: cells.count)
    if cells.count == 1, number(of: cells[0]) != nil { return found }
    let names = cells.map { $0.lowercased() }
    guard let label = columns.lazy.compactMap({ names.firstIndex(of: $0) }).first else {
      throw DatasetError(
        "\(path), line \(line): there is no column `\(columns.first ?? "label")`.",
        remedy: cells.count == 1 && cells[0].contains(";")
          ? "Separate columns by commas."
          : "Give one label on each line, or a header with the columns index and \(columns.first ?? "label").")
    }
    found.label = label
    found.index = names.firstIndex(of: "sample_id") ?? names.firstIndex(of: "index")
    found.file = names.firstIndex(of: "file")
    found.hasHeader = true
    return found
  }

  private func number(of cell: String) -> Int? { Int(cell) ?? numbers[cell] }

  // Commas inside quotes belong to a cell: labels.csv of a folder names files.
  private static func cells(of line: Substring) -> [String] {
    guard line.contains("\"") else { return line.split(separator: ",", omittingEmptySubsequences: false).map(clean) }
    var (cells, isQuoted) = ([""], false)
    for character in line {
      if character == "\"" { isQuoted.toggle() }
      if character == ",", !isQuoted { cells.append("") } else { cells[cells.count - 1].append(character) }
    }
    return cells.map { clean($0[...]) }
  }

  /// What stands in a cell, without the quotes around it.
  static func clean(_ cell: Substring) -> String {
    let text = cell.trimmingCharacters(in: .whitespaces)
    guard text.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") else { return text }
    return String(text.dropFirst().dropLast()).replacing("\"\"", with: "\"")
  }

  private func append(
    _ cells: [String], _ columns: Columns, line: Int, to table: inout Table, _ places: inout [Int]
  ) throws {
    guard cells.count == columns.count else {
      throw DatasetError("\(path), line \(line) has \(cells.count) columns where \(columns.count) are expected.")
    }
    guard let label = number(of: cells[columns.label]) else {
      let kind = numbers.isEmpty ? "a whole number" : "a whole number or the name of a class"
      throw DatasetError("\(path), line \(line): the label \"\(cells[columns.label])\" is not \(kind).")
    }
    table.labels.append(label)
    table.lines.append(line)
    guard let column = columns.index else { return }
    guard let index = Int(cells[column]) else {
      throw DatasetError("\(path), line \(line): the index \"\(cells[column])\" is not a whole number.")
    }
    places.append(index)
  }

  /// The labels of some files, by their names. Other files' labels are passed over: they may be held out.
  private func ordered(_ table: Table, _ names: [String], _ files: [String]) throws -> Table {
    var rows: [String: Int] = [:]
    for (row, name) in names.enumerated() {
      if let first = rows.updateValue(row, forKey: name) {
        throw DatasetError(
          "\(path), line \(table.lines[row]): \(name) already has a label on line \(table.lines[first]).",
          remedy: "Keep one of the two.")
      }
    }
    let order = try files.map { file in
      // A run's own tables have an apostrophe before what a spreadsheet would compute.
      guard let row = rows[file] ?? rows["'" + file] else {
        throw DatasetError(
          "\(path) has no label for \(file).",
          remedy: "Give one for each picture, and name pictures by their paths below the data folder, as here.")
      }
      return row
    }
    return Table(labels: order.map { table.labels[$0] }, lines: order.map { table.lines[$0] })
  }

  // Puts labels that name their example in data set order.
  private func ordered(_ table: Table, _ places: [Int], expectedCount: Int) throws -> Table {
    guard places.count == expectedCount else { return table }
    var rows = [Int?](repeating: nil, count: expectedCount)
    for (row, index) in places.enumerated() {
      guard rows.indices.contains(index) else {
        throw DatasetError(
          "\(path), line \(table.lines[row]): there is no example \(index); they are 0 to \(expectedCount - 1).")
      }
      if let first = rows[index] {
        throw DatasetError(
          "\(path), line \(table.lines[row]): example \(index) already has a label on line \(table.lines[first]).")
      }
      rows[index] = row
    }
    // As many rows as examples, none twice: every example has one.
    let order = rows.compactMap { $0 }
    return Table(labels: order.map { table.labels[$0] }, lines: order.map { table.lines[$0] })
  }
}
