// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

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
    value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
  }
}

extension Figure {
  /// The data as one tidy table with the columns panel, series, x, y, low and high, for spreadsheets and data frames;
  /// absent values are empty cells. Curves are whole, even where the chart thins them for the screen.
  public var csv: String {
    let header = Self.tableColumns.joined(separator: ",")
    let rows = table.isEmpty ? data.flatMap(\.table) : table
    let lines = rows.map { row in
      let numbers = [row.y, row.low, row.high].map { $0.map(FigureRow.text) ?? "" }
      return ([row.panel, row.series, row.x].map(csvCell) + numbers).joined(separator: ",")
    }
    return ([header] + lines).joined(separator: "\n") + "\n"
  }

  static let tableColumns = ["panel", "series", "x", "y", "low", "high"]
}

extension FigureData {
  /// The data set as lines of a figure's table.
  var table: [FigureRow] {
    let curves = series.flatMap { series in
      series.points.map { point in
        FigureRow(
          panel: name, series: [series.run, series.measure ?? ""].filter { !$0.isEmpty }.joined(separator: ", "),
          x: "\(point.step)", y: point.value, low: point.low, high: point.high)
      }
    }
    return curves + plainRows.map { Self.row(of: $0, in: name) }
  }

  /// A row of some other shape: its words name the series, its place is a step, an edge or a word.
  private static func row(of row: JSON, in panel: String) -> FigureRow {
    func number(_ keys: String...) -> Double? {
      keys.lazy.compactMap { key in if case .number(let value)? = row[key] { value } else { nil } }.first
    }
    func word(_ key: String) -> String? {
      if case .string(let text)? = row[key], !text.isEmpty { text } else { nil }
    }
    let series = ["run", "layer", "group", "measure"].compactMap(word).joined(separator: ", ")
    return FigureRow(
      panel: panel, series: series, x: number("step", "loss", "x", "from").map(FigureRow.text) ?? "",
      y: number("value", "r", "y", "share"), low: number("low"), high: number("high"))
  }
}
