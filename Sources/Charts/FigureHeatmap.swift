// SPDX-License-Identifier: Apache-2.0

/// Rows with a name each along an axis, each stretch with its value as its colour, such as layers by steps. The colour
/// scale is logarithmic.
public struct FigureHeatmap: Sendable {
  /// A stretch of a row.
  public struct Cell: Sendable, Equatable {
    /// The name of its row.
    public let row: String
    /// Where it begins and ends on the axis.
    public let from, to: Double
    /// Its value, above 0.
    public let value: Double
    /// What else the reader's pointer shows, as text.
    public let details: [String]

    /// A cell from its parts.
    public init(row: String, from: Double, to: Double, value: Double, details: [String] = []) {
      (self.row, self.from, self.to, self.value, self.details) = (row, from, to, value, details)
    }
  }

  /// A short name for files and links.
  public let id: String
  /// The title, in lines.
  public let title: [String]
  /// How to read it.
  public let caption: String
  /// The heading under which pages show it.
  public let section: String
  /// What runs from left to right.
  public let x: FigureAxis
  /// The rows from top to bottom.
  public let rows: [String]
  /// What the colour says.
  public let value: String
  /// The ends of the colour scale.
  public let range: ClosedRange<Double>
  /// The cells.
  public let cells: [Cell]
  /// What the `details` of cells are.
  public let details: [String]

  /// A map from its cells.
  public init(
    id: String, title: [String], caption: String, section: String, x: FigureAxis, rows: [String], value: String,
    range: ClosedRange<Double>, cells: [Cell], details: [String] = []
  ) {
    (self.id, self.title, self.caption, self.section, self.x) = (id, title, caption, section, x)
    (self.rows, self.value, self.range, self.cells, self.details) = (rows, value, range, cells, details)
  }

  /// The figure; nil without cells.
  public func figure() -> Figure? {
    guard !cells.isEmpty else { return nil }
    let domain = x.domain(of: cells.flatMap { [$0.from, $0.to] }, isX: true)
    let tooltip: [JSON] =
      [["field": "row", "title": "row"], ["field": "value", "title": .string(value), "format": ".4~g"]]
      + details.indices.map { ["field": .string(FigureData.field(ofDetail: $0)), "title": .string(details[$0])] }
    let chart: JSON = .object([
      "title": title.count == 1 ? .string(title[0]) : .strings(title), "width": 400,
      "height": .number(Double(min(520, max(150, rows.count * 22)))),
      "data": ["name": "cells"], "usermeta": ["steps": "fixed"], "mark": ["type": "rect", "tooltip": true],
      "encoding": [
        "x": x.encoding(field: "from", domain: domain, isLabelled: true, pixels: 400, isX: true), "x2": ["field": "to"],
        "y": [
          "field": "row", "type": "nominal", "title": nil, "sort": nil, "scale": ["domain": .strings(rows)],
          "axis": ["labelLimit": 130, "labelOverlap": true],
        ],
        "color": [
          "field": "value", "type": "quantitative",
          "scale": [
            "type": "log", "scheme": "viridis", "domain": .numbers([range.lowerBound, range.upperBound]), "nice": false,
          ],
          "legend": [
            "title": .string(value), "orient": "right", "gradientThickness": 10, "format": "~g",
            "values": .numbers(LogarithmicAxis.ticks(from: range.lowerBound, to: range.upperBound)),
          ],
        ],
        "tooltip": .array(tooltip),
      ],
    ])
    let data = cells.map { cell in
      cell.details.enumerated().reduce(
        [
          "row": .string(cell.row), "from": .number(Wording.rounded(cell.from)),
          "to": .number(Wording.rounded(cell.to)), "value": .number(Wording.rounded(cell.value)),
        ] as JSON
      ) { row, detail in
        row.merging(
          members: .object([.init(key: FigureData.field(ofDetail: detail.offset), value: .string(detail.element))]))
      }
    }
    return Figure(
      id: id, title: title.joined(separator: ": "), caption: caption, section: section, isComposite: false,
      chart: chart,
      data: [FigureData(name: "cells", rows: data)], shades: [],
      table: cells.map {
        FigureRow(panel: "cells", series: $0.row, x: FigureRow.text(Wording.rounded($0.from)), y: $0.value)
      })
  }
}
