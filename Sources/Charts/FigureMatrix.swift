// SPDX-License-Identifier: Apache-2.0

/// A table of numbers whose colours show the large ones, such as scores by setting: each number stands in its cell, the
/// largest of a column in bold.
public struct FigureMatrix: Sendable {
  /// A short name for files and links.
  public let id: String
  /// The title.
  public let title: String
  /// How to read it.
  public let caption: String
  /// The heading under which pages show it.
  public let section: String
  /// The names of the rows, from top to bottom.
  public let rows: [String]
  /// The names of the columns, from left to right.
  public let columns: [String]
  /// What the numbers are.
  public let value: String
  /// The ends of the colour scale, which is linear; numbers beyond have the colour of the end.
  public let range: ClosedRange<Double>
  /// A number for a row and a column; nil leaves the cell empty.
  public let values: [[Double?]]

  /// A table from its numbers.
  ///
  /// - Parameters:
  ///   - id: A short name for files and links.
  ///   - title: The title.
  ///   - caption: How to read it.
  ///   - section: The heading under which pages show it.
  ///   - rows: The names of the rows.
  ///   - columns: The names of the columns.
  ///   - value: What the numbers are.
  ///   - range: The ends of the colour scale.
  ///   - values: The numbers, row by row.
  public init(
    id: String, title: String, caption: String, section: String, rows: [String], columns: [String], value: String,
    range: ClosedRange<Double>, values: [[Double?]]
  ) {
    (self.id, self.title, self.caption, self.section) = (id, title, caption, section)
    (self.rows, self.columns, self.value, self.range, self.values) = (rows, columns, value, range, values)
  }

  private struct Cell {
    let row, column: String
    let value: Double
    let isLargest: Bool
  }

  private var cells: [Cell] {
    let largest = columns.indices.map { column in
      values.compactMap { column < $0.count ? $0[column] : nil }.max()
    }
    return zip(rows, values).flatMap { row, numbers in
      zip(columns.indices, numbers).compactMap { column, number in
        number.map { Cell(row: row, column: columns[column], value: $0, isLargest: $0 == largest[column]) }
      }
    }
  }

  /// The figure; nil without numbers.
  public func figure() -> Figure? {
    let cells = cells
    guard !cells.isEmpty else { return nil }
    let x: JSON = [
      "field": "column", "type": "nominal", "title": nil, "sort": nil, "scale": ["domain": .strings(columns)],
      "axis": ["labelAngle": -40, "labelLimit": 160, "ticks": false, "domain": false, "labelOverlap": false],
    ]
    let y: JSON = [
      "field": "row", "type": "nominal", "title": nil, "sort": nil, "scale": ["domain": .strings(rows)],
      "axis": ["labelLimit": 180, "ticks": false, "domain": false, "labelOverlap": false],
    ]
    let tooltip: JSON = .array([
      ["field": "row", "title": " "], ["field": "column", "title": "in"],
      ["field": "value", "title": .string(value), "format": ".4f"],
    ])
    let colours: JSON = [
      "mark": "rect",
      "encoding": [
        "x": x, "y": y, "tooltip": tooltip,
        "color": [
          "field": "value", "type": "quantitative",
          "scale": [
            "scheme": "blues", "domain": .numbers([range.lowerBound, range.upperBound]), "clamp": true, "nice": false,
          ],
          "legend": ["title": .string(value), "orient": "right", "gradientThickness": 10],
        ],
      ],
    ]
    // White where the cell is dark.
    let middle = range.lowerBound + 0.6 * (range.upperBound - range.lowerBound)
    func numbers(_ filter: String, weight: String) -> JSON {
      [
        "transform": [["filter": .string(filter)]],
        "mark": ["type": "text", "fontSize": 8, "fontWeight": .string(weight), "tooltip": nil],
        "encoding": [
          "x": x, "y": y, "text": ["field": "value", "format": ".3f"],
          "color": [
            "condition": ["test": .string("datum.value > \(middle)"), "value": "white"], "value": .string("#222"),
          ],
        ],
      ]
    }
    let chart: JSON = .object([
      "title": .string(title), "width": .number(Double(columns.count) * 36), "height": .number(Double(rows.count) * 16),
      "data": ["name": "cells"], "usermeta": ["steps": "fixed"],
      "layer": [
        colours, numbers("!datum.largest", weight: "normal"), numbers("datum.largest", weight: "bold"),
      ],
    ])
    let data: [JSON] = cells.map {
      [
        "row": .string($0.row), "column": .string($0.column), "value": .number(Wording.rounded($0.value)),
        "largest": .bool($0.isLargest),
      ]
    }
    return Figure(
      id: id, title: title, caption: caption, section: section, isComposite: false, chart: chart,
      data: [FigureData(name: "cells", rows: data)], shades: [],
      table: cells.map { FigureRow(panel: $0.column, series: $0.row, x: value, y: $0.value) })
  }
}
