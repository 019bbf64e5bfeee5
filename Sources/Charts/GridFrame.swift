// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Sizes and headings of panels in a grid, in points of the printed page.
struct GridFrame {
  /// The name of the data set that all panels read.
  static let data = "panels"
  /// The width of a page of a two-column paper: 7 inches.
  static let pageWidth = 504.0

  let rows, columns: [String]
  let width, height: Double
  private let horizontalGap, verticalGap: Double
  private let ownsX, ownsY: [Bool]

  /// - Parameter places: The panels row by row, nil at gaps.
  init(rows: [String], columns: [String], places: [FigurePanel?]) {
    let count = columns.count
    func differs(_ axis: KeyPath<FigurePanel, FigureAxis>, _ index: Int, _ other: Int) -> Bool {
      guard let panel = places[index], places.indices.contains(other) else { return false }
      return places[other]?[keyPath: axis] != panel[keyPath: axis]
    }
    let headed = columns.contains { !$0.isEmpty } || rows.contains { !$0.isEmpty }
    // Where the axis says what the row is, the row needs no heading.
    let shown = rows.enumerated().map { index, row in
      places.indices.contains(index * count) && places[index * count]?.y.title == row ? "" : row
    }
    let isMatrix = headed || places.count == 1
    let ownsY = places.indices.map { !isMatrix || $0 % count == 0 || differs(\.y, $0, $0 - 1) }
    let ownsX = places.indices.map { !isMatrix || $0 + count >= places.count || differs(\.x, $0, $0 + count) }
    self.init(rows: shown, columns: columns, ownsX: ownsX, ownsY: ownsY, hasTitles: !isMatrix)
  }

  init(rows: [String], columns: [String], ownsX: [Bool], ownsY: [Bool], hasTitles: Bool) {
    (self.rows, self.columns, self.ownsX, self.ownsY) = (rows, columns, ownsX, ownsY)
    let count = columns.count
    let isWide = ownsY.enumerated().contains { $0.offset % count != 0 && $0.element }
    let isTall = ownsX.enumerated().contains { $0.offset + count < ownsX.count && $0.element }
    horizontalGap = isWide ? 44 : 9
    verticalGap = (isTall ? 32 : 9) + (hasTitles ? 16 : 0)
    // At the left title and labels, at the right the headings of the rows.
    let margins = 44.0 + (rows.contains { !$0.isEmpty } ? 16 : 6)
    let available = (Self.pageWidth - margins - horizontalGap * Double(count - 1)) / Double(count)
    width = min(count == 1 ? 260 : 200, available.rounded(.down))
    height = (min(150, max(62, width * (count == 1 ? 0.62 : 0.72)))).rounded(.down)
  }

  func labelsX(_ index: Int) -> Bool { ownsX[index] }
  func labelsY(_ index: Int) -> Bool { ownsY[index] }

  /// All panels, with the sizes of print.
  func chart(title: String, views: [JSON]) -> JSON {
    [
      "title": ["text": .string(title), "fontSize": 9.5, "offset": 10], "columns": .number(Double(columns.count)),
      "bounds": "flush", "align": "all", "spacing": ["row": .number(verticalGap), "column": .number(horizontalGap)],
      "data": ["name": .string(Self.data)], "concat": .array(views),
      "resolve": ["scale": ["color": "shared", "strokeDash": "shared"]], "config": Self.printSizes,
    ]
  }

  /// A panel from its layers, with the headings of its row and column.
  func view(_ index: Int, layers: [JSON], heading: String?) -> JSON {
    let column = index % columns.count
    let row = index / columns.count
    var all = layers
    // Headings are marks: a title would stand higher above a panel with labels than above its neighbour.
    if column == columns.count - 1, rows.indices.contains(row), !rows[row].isEmpty {
      all.append(Self.text(rows[row], x: width + 9, y: height / 2, angle: 90))
    }
    if let heading {
      all.append(Self.text(heading, x: 0, y: -9, align: "left", weight: "normal"))
    } else if row == 0, !columns[column].isEmpty {
      all.append(Self.text(columns[column], x: width / 2, y: -9))
    }
    return [
      "width": .number(width), "height": .number(height),
      "transform": [["filter": .string("datum.panel === \(index)")]], "layer": .array(all),
    ]
  }

  /// A place of the matrix that has no panel.
  func empty(_ index: Int) -> JSON { view(index, layers: [note("")], heading: nil) }

  /// Words in the middle of a panel.
  func note(_ text: String) -> JSON { Self.text(text, x: width / 2, y: height / 2, weight: "normal") }

  private static func text(
    _ text: String, x: Double, y: Double, angle: Double = 0, align: JSON = "center", weight: JSON = 600
  ) -> JSON {
    [
      "data": ["values": [["text": .string(text)]]],
      "mark": [
        "type": "text", "angle": .number(angle), "fontSize": 8.5, "fontWeight": weight,
        "color": .string(Palette.neutral.light), "align": align, "baseline": "middle", "clip": false,
        "x": .number(x), "y": .number(y),
      ],
      "encoding": ["text": ["field": "text"]],
    ]
  }

  /// The legend of names, in as many columns as fit beside what else stands there.
  func legend(symbol: String, names: [String], beside others: [String] = []) -> JSON {
    func pixels(_ name: String) -> Double { Double(name.count) * 4.1 + 32 }
    let page = max(300, Double(columns.count) * (width + horizontalGap) + 20)
    let left = page - others.reduce(0) { $0 + pixels($1) }
    let longest = names.map(pixels).max() ?? 1
    let fitting = max(1, min(names.count, Int(clamping: left / longest)))
    return [
      "title": nil, "orient": "bottom", "direction": "horizontal", "symbolType": .string(symbol),
      "symbolOpacity": 1, "columns": .number(Double(fitting)), "columnPadding": 12, "rowPadding": 2, "offset": 8,
    ]
  }

  /// Sizes of letters and lines for a page of 504 points; colours come from the page or from print.
  private static let printSizes: JSON = [
    "padding": 3,
    "axis": [
      "labelFontSize": 7.5, "titleFontSize": 8, "gridWidth": 0.5, "domainWidth": 0.6, "tickWidth": 0.6, "tickSize": 3,
      "titlePadding": 4, "labelPadding": 2,
    ],
    "axisY": ["minExtent": 0],
    "legend": ["labelFontSize": 8, "titleFontSize": 8, "symbolStrokeWidth": 1.6, "symbolSize": 130],
  ]
}
