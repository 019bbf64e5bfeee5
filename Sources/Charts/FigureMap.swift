// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A table of numbers with the size of each as its colour, such as the cross-generalisation of parts of a data set, or
/// scores by setting.
public struct FigureMap: Sendable {
  /// A cell.
  public struct Cell: Sendable, Equatable {
    /// The headings of its row and column.
    public let row, column: String
    /// Its value.
    public let value: Double
    /// The range, such as the least and the greatest value over seeds; nil where there is none.
    public let low, high: Double?

    /// A cell from its parts.
    public init(row: String, column: String, value: Double, low: Double? = nil, high: Double? = nil) {
      (self.row, self.column, self.value, self.low, self.high) = (row, column, value, low, high)
    }
  }

  /// A short name for files and links.
  public let id: String
  /// The title.
  public let title: String
  /// How to read it.
  public let caption: String
  /// The heading under which pages show it.
  public let section: String
  /// What rows and columns stand for.
  public let rows, columns: String
  /// What the values are.
  public let value: FigureAxis
  /// The cells; a place without one stays empty.
  public let cells: [Cell]
  /// Whether there are many rows with long names: they are lower, headings of columns are slanted, numbers have three
  /// decimals, and the largest of each column is bold.
  public let isDense: Bool

  /// A map from its cells.
  public init(
    id: String, title: String, caption: String, section: String, rows: String, columns: String, value: FigureAxis,
    cells: [Cell], isDense: Bool = false
  ) {
    (self.id, self.title, self.caption, self.section) = (id, title, caption, section)
    (self.rows, self.columns, self.value, self.cells, self.isDense) = (rows, columns, value, cells, isDense)
  }

  /// The figure; nil without cells.
  public func figure() -> Figure? {
    guard !cells.isEmpty else { return nil }
    let domain = value.domain(of: cells.map(\.value), isX: false)
    let rowNames = unique(cells.map(\.row))
    let columnNames = unique(cells.map(\.column))
    let frame = GridFrame(rows: [""], columns: [""], ownsX: [true], ownsY: [true], hasTitles: false)
    func axis(_ field: String, _ title: String, _ names: [String]) -> JSON {
      [
        "field": .string(field), "type": "nominal", "sort": nil, "title": title.isEmpty ? nil : .string(title),
        "scale": ["domain": .strings(names)],
        "axis": [
          "labelAngle": .number(isDense && field == "column" ? -40 : 0), "labelLimit": .number(isDense ? 180 : 90),
          "ticks": false, "domain": false, "grid": false, "labelOverlap": false,
        ],
      ]
    }
    let (x, y) = (axis("column", columns, columnNames), axis("row", rows, rowNames))
    let layers: [JSON] =
      [
        [
          "mark": "rect",
          "encoding": [
            "x": x, "y": y,
            "color": [
              "field": "share", "type": "quantitative", "legend": nil,
              "scale": ["domain": [0, 1], "range": .strings(["#f0f0f0", "#4a4f57"])],
            ],
          ],
        ]
      ]
      + [false, true].map { isLargest -> JSON in
        [
          "transform": [["filter": .string("datum.largest === \(isLargest)")]],
          "mark": ["type": "text", "fontSize": .number(isDense ? 7 : 9), "fontWeight": isLargest ? "bold" : "normal"],
          "encoding": [
            "x": x, "y": y, "text": ["field": "text"],
            "color": [
              "condition": ["test": "datum.share > 0.55", "value": "#ffffff"], "value": "#1a1a1a",
            ],
          ],
        ]
      }
    var view = frame.view(0, layers: layers, heading: nil)
    view = view.merging([
      "width": .number(Double(isDense ? 32 * columnNames.count : min(300, 70 * columnNames.count))),
      "height": .number(Double(isDense ? 13 * rowNames.count : min(300, 30 * rowNames.count))),
    ])
    let largest = isDense ? Dictionary(grouping: cells, by: \.column).mapValues { $0.map(\.value).max() } : [:]
    let data = cells.map { cell -> JSON in
      let width = domain.upperBound - domain.lowerBound
      return [
        "panel": 0, "row": .string(cell.row), "column": .string(cell.column),
        "value": .number(Wording.rounded(cell.value)), "text": .string(text(cell.value)),
        "share": .number(Wording.rounded(width > 0 ? (cell.value - domain.lowerBound) / width : 0)),
        "largest": .bool(largest[cell.column] == cell.value),
      ]
    }
    return Figure(
      id: id, title: title, caption: caption, section: section, isComposite: false,
      chart: frame.chart(title: title, views: [view]), data: [FigureData(name: GridFrame.data, rows: data)],
      shades: [],
      table: cells.map { FigureRow(panel: "", series: $0.row, x: $0.column, y: $0.value, low: $0.low, high: $0.high) })
  }

  private func text(_ number: Double) -> String {
    value.isShare ? Wording.percent(number) : String(format: isDense ? "%.3f" : "%.3g", number)
  }
}
