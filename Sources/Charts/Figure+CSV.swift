// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A line of a figure's table.
struct FigureRow: Sendable, Equatable {
  var panel = ""
  var series = ""
  /// A number, or the name of a category.
  var x = ""
  var y: Double?
  var low: Double?
  var high: Double?

  /// A number without a needless decimal point.
  static func text(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? "\(Int(clamping: value))" : "\(value)"
  }

  /// A cell, quoted where it has to be (RFC 4180). Spreadsheets take what begins with a few characters for a formula: an
  /// apostrophe makes it text.
  fileprivate static func cell(_ text: String) -> String {
    let isFormula = text.unicodeScalars.first.map { "=+-@\t\r".unicodeScalars.contains($0) } ?? false
    let text = isFormula && Double(text) == nil ? "'" + text : text
    guard text.unicodeScalars.contains(where: { ",\"\n\r".unicodeScalars.contains($0) }) else { return text }
    return "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
  }
}

extension Figure {
  /// The data as one tidy table with the columns panel, series, x, y, low and high, for spreadsheets and data frames;
  /// absent values are empty cells. Curves are whole, even where the chart thins them for the screen.
  public var csv: String {
    let lines = table.map { row in
      let numbers = [row.y, row.low, row.high].map { $0.map(FigureRow.text) ?? "" }
      return ([row.panel, row.series, row.x].map(FigureRow.cell) + numbers).joined(separator: ",")
    }
    return ([Self.tableColumns.joined(separator: ",")] + lines).joined(separator: "\n") + "\n"
  }

  static let tableColumns = ["panel", "series", "x", "y", "low", "high"]
}
