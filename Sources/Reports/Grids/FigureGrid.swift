// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A point of a curve, with the range behind it.
public struct FigurePoint: Sendable, Equatable {
  /// Place and value, in the units of the axes.
  public let x, y: Double
  /// The range, such as the least and the greatest value over seeds; nil where there is none.
  public let low, high: Double?

  /// A point, with a range or without.
  public init(x: Double, y: Double, low: Double? = nil, high: Double? = nil) {
    (self.x, self.y, self.low, self.high) = (x, y, low, high)
  }
}

/// A curve of a panel.
public struct FigureLine: Sendable, Equatable {
  /// What the colour stands for.
  public let series: String
  /// What the dash stands for, such as `train` or `test`; nil where nothing is told apart.
  public let measure: String?
  /// The points, in order.
  public let points: [FigurePoint]

  /// A curve from its points.
  public init(_ series: String, measure: String? = nil, points: [FigurePoint]) {
    (self.series, self.measure, self.points) = (series, measure, points)
  }
}

/// One plot of a grid.
public struct FigurePanel: Sendable {
  /// The headings of its row and column, which also are its place.
  public let row, column: String
  /// The axes.
  public let x, y: FigureAxis
  /// The curves; a panel without any says so.
  public let lines: [FigureLine]
  /// A dotted horizontal line, such as the share of labels left unchanged.
  public let reference: Double?

  /// A panel from its parts.
  public init(
    row: String = "", column: String = "", x: FigureAxis, y: FigureAxis, lines: [FigureLine], reference: Double? = nil
  ) {
    (self.row, self.column, self.x, self.y) = (row, column, x, y)
    self.lines = lines.filter { !$0.points.isEmpty }
    self.reference = reference
  }
}

/// How series get their colours.
public enum FigureColors: Sendable, Equatable {
  /// From little to much, such as noise levels.
  case ordered
  /// Apart from each other, without an order. Groups of examples, noise levels and optimizers keep their own.
  case categorical
}

/// Curves in a grid of panels with common axes and one legend, as wide as a page of a two-column paper.
///
/// Panels whose axes are equal share the ends of them; labels are drawn at the left and at the bottom, and wherever
/// neighbours differ.
public struct FigureGrid: Sendable {
  /// How panels lie.
  public enum Layout: Sendable, Equatable {
    /// By their headings: a row and a column for each, in order of appearance.
    case matrix
    /// One after the other with letters, so many in a row; the column heading is the title of the panel.
    case lettered(columns: Int)
  }

  /// A short name for files and links.
  public let id: String
  /// The title.
  public let title: String
  /// How to read it, with formulas, what was trained, and the number of seeds.
  public let caption: String
  /// The heading under which pages show it.
  public let section: String
  /// How panels lie.
  public let layout: Layout
  /// The panels.
  public let panels: [FigurePanel]
  /// How series get their colours.
  public let colors: FigureColors
  /// The series in the order of the legend; those not named follow by appearance.
  public let order: [String]

  /// A grid from its panels.
  public init(
    id: String, title: String, caption: String, section: String, layout: Layout = .matrix,
    colors: FigureColors = .categorical, order: [String] = [], panels: [FigurePanel]
  ) {
    (self.id, self.title, self.caption, self.section) = (id, title, caption, section)
    (self.layout, self.colors, self.order, self.panels) = (layout, colors, order, panels)
  }

  /// The figure; nil when no panel has a curve.
  public func figure() -> Figure? {
    guard panels.contains(where: { !$0.lines.isEmpty }) else { return nil }
    return GridDrawing(grid: self).figure
  }
}

/// Draws a grid.
private struct GridDrawing {
  let grid: FigureGrid
  let frame: GridFrame
  /// The panels by place; nil where a matrix has a gap.
  let places: [FigurePanel?]
  let names: [String]
  let shades: [Shade]
  let measures: [String]
  /// The points of every curve of every place, those taken together that lie too close to be told apart.
  private let drawn: [[[FigurePoint]]]

  init(grid: FigureGrid) {
    self.grid = grid
    let lines = grid.panels.flatMap(\.lines)
    names = unique(grid.order.filter { name in lines.contains { $0.series == name } } + lines.map(\.series))
    shades = Palette.shades(for: names, grid.colors)
    measures = unique(lines.compactMap(\.measure))
    let rows: [String]
    let columns: [String]
    switch grid.layout {
    case .matrix:
      (rows, columns) = (unique(grid.panels.map(\.row)), unique(grid.panels.map(\.column)))
      places = rows.flatMap { row in
        columns.map { column in grid.panels.first { $0.row == row && $0.column == column } }
      }
    case .lettered(let count):
      let number = max(1, min(count, grid.panels.count))
      (rows, columns) = (
        Array(repeating: "", count: (grid.panels.count + number - 1) / number), Array(repeating: "", count: number)
      )
      places = grid.panels
    }
    frame = GridFrame(rows: rows, columns: columns, places: places)
    let bins = Int(frame.width / 1.6)
    drawn = places.map { panel in
      guard let panel else { return [] }
      let shown = panel.lines.map { $0.points.filter { panel.x.shows($0.x) && panel.y.shows($0.y) } }
      let values = shown.joined().map(\.y)
      let range = values.min().flatMap { low in values.max().map { low...$0 } }
      return shown.map { CurveBins(count: bins, x: panel.x.scale, y: panel.y.scale, range: range).joined($0) }
    }
  }

  var figure: Figure {
    let views = places.indices.map(view)
    let isJoined = zip(places, drawn).contains { panel, lines in
      zip(panel?.lines ?? [], lines).contains { line, points in
        points.contains { $0.low != nil } && !line.points.contains { $0.low != nil }
      }
    }
    let narrow = grid.panels.compactMap { panel -> String? in
      let note = AccuracyAxis.note(domainY(of: panel))
      return panel.y.isAccuracy && !note.isEmpty ? note : nil
    }
    return Figure(
      id: grid.id, title: grid.title,
      caption: grid.caption + (isJoined ? " " + CurveBins.note : "") + (narrow.first ?? ""), section: grid.section,
      isComposite: false,
      chart: frame.chart(title: grid.title, views: views),
      data: [FigureData(name: GridFrame.data, rows: rows)], shades: shades, table: table)
  }

  private var labelled: Bool { grid.layout != .matrix }

  private func letter(_ index: Int) -> String { String("abcdefghijklmnopqrstuvwxyz".dropFirst(index).prefix(1)) }

  private func view(_ index: Int) -> JSON {
    guard let panel = places[index] else { return frame.empty(index) }
    let isY = labelled || frame.labelsY(index)
    let isX = labelled || frame.labelsX(index)
    let x = panel.x.encoding(
      field: "x", domain: domain(\.x, of: panel, isX: true) { $0.points.map(\.x) }, isLabelled: isX,
      pixels: frame.width, isX: true)
    let y = panel.y.encoding(
      field: "y", domain: domainY(of: panel), isLabelled: isY, pixels: frame.height, isX: false)
    let isNarrow = panel.y.isAccuracy && domainY(of: panel) != AccuracyAxis.whole
    let few = panel.lines.contains { $0.points.count < 8 }
    var layers: [JSON] = []
    if let reference = panel.reference { layers.append(frame.rule(at: reference, y: y)) }
    if drawn[index].contains(where: { $0.contains { $0.low != nil } }) { layers.append(band(x: x, y: y)) }
    layers.append(
      .object([
        "mark": .object([
          "type": "line", "strokeWidth": 1.1, "clip": isNarrow ? true : nil,
          "point": few ? ["filled": true, "size": 9] : nil,
        ]),
        "encoding": .object(["x": x, "y": y, "color": color, "strokeDash": dash, "detail": ["field": "series"]]),
      ]))
    if panel.lines.isEmpty { layers.append(frame.note("no data")) }
    let heading = labelled ? (places.count > 1 ? "(\(letter(index))) " : "") + panel.column : nil
    return frame.view(index, layers: layers, heading: heading)
  }

  /// The ends of a y axis. Accuracies along training that all end close together have them closer; see `AccuracyAxis`.
  private func domainY(of panel: FigurePanel) -> ClosedRange<Double> {
    let own = domain(\.y, of: panel, isX: false) { $0.points.flatMap { [$0.y, $0.low ?? $0.y, $0.high ?? $0.y] } }
    guard panel.y.isAccuracy, own == AccuracyAxis.whole else { return own }
    let sharing = grid.panels.filter { $0.y == panel.y }
    guard sharing.allSatisfy(\.x.isTraining), sharing.allSatisfy({ $0.reference == nil }) else { return own }
    return AccuracyAxis.ends(
      of: sharing.flatMap { panel in
        let ends = domain(\.x, of: panel, isX: true) { $0.points.map(\.x) }
        let (start, end) = (panel.x.scale.place(ends.lowerBound), panel.x.scale.place(ends.upperBound))
        return panel.lines.flatMap { line in
          [\FigurePoint.y, \.lowEnd, \.highEnd].map { value in
            line.points.filter { panel.x.shows($0.x) }.map { point in
              let place = end > start ? (panel.x.scale.place(point.x) - start) / (end - start) : 1
              return AccuracyAxis.Moment(place: place, value: point[keyPath: value])
            }
          }
        }
      })
  }

  private func domain(
    _ axis: KeyPath<FigurePanel, FigureAxis>, of panel: FigurePanel, isX: Bool, _ values: (FigureLine) -> [Double]
  ) -> ClosedRange<Double> {
    let own = panel[keyPath: axis]
    let sharing = grid.panels.filter { $0[keyPath: axis] == own }
    let references = isX ? [] : sharing.compactMap(\.reference)
    return own.domain(of: sharing.flatMap(\.lines).flatMap(values) + references, isX: isX)
  }

  private func band(x: JSON, y: JSON) -> JSON {
    [
      "transform": [["filter": "isValid(datum.low)"]],
      "mark": ["type": "area", "opacity": 0.22, "clip": true, "strokeWidth": 0],
      "encoding": [
        "x": x, "y": y.merging(["field": "low"]), "y2": ["field": "high"], "color": color,
        "detail": [["field": "measure"], ["field": "series"]],
      ],
    ]
  }

  private var color: JSON {
    .object([
      "field": "series", "type": "nominal",
      "scale": ["domain": .strings(names), "range": .strings(shades.map(\.light))],
      "legend": names.count > 1
        ? frame.legend(symbol: "stroke", names: names, beside: measures) : .null,
    ])
  }

  private var dash: JSON? {
    guard measures.count > 1 else { return nil }
    let patterns: [JSON] = [[1, 0], [3.5, 2], [1, 2], [6, 2, 1, 2]]
    return [
      "field": "measure", "type": "nominal",
      "scale": [
        "domain": .strings(measures), "range": .array(measures.indices.map { patterns[min($0, patterns.count - 1)] }),
      ],
      "legend": frame.legend(symbol: "stroke", names: measures).merging([
        "symbolStrokeColor": .string(Palette.neutral.light), "symbolStrokeWidth": 1.2,
      ]),
    ]
  }

  private var rows: [JSON] {
    places.enumerated().flatMap { index, panel -> [JSON] in
      guard let panel else { return [] }
      return zip(panel.lines, drawn[index]).flatMap { line, points in
        points.map { point in
          JSON.object([
            "panel": .number(Double(index)), "series": .string(line.series), "measure": line.measure.map(JSON.string),
            "x": .number(Wording.rounded(point.x, digits: 7)), "y": .number(Wording.rounded(point.y)),
            "low": point.low.map { .number(Wording.rounded($0)) },
            "high": point.high.map { .number(Wording.rounded($0)) },
          ])
        }
      }
    }
  }

  private var table: [FigureRow] {
    grid.panels.flatMap { panel in
      panel.lines.flatMap { line in
        line.points.map {
          FigureRow(
            panel: [panel.row, panel.column].filter { !$0.isEmpty }.joined(separator: ", "),
            series: [line.series, line.measure ?? ""].filter { !$0.isEmpty }.joined(separator: ", "),
            x: FigureRow.text($0.x), y: $0.y, low: $0.low, high: $0.high)
        }
      }
    }
  }
}

/// The values in order of their first appearance.
func unique(_ values: [String]) -> [String] {
  var seen: Set<String> = []
  return values.filter { seen.insert($0).inserted }
}

extension FigurePoint {
  /// The ends of the band, or the value where there is none.
  fileprivate var lowEnd: Double { low ?? y }
  fileprivate var highEnd: Double { high ?? y }
}

extension Palette {
  /// Colours of series. Groups of examples, levels of noise and the papers' optimizers have theirs by name, the same in
  /// all figures of a page.
  static func shades(for names: [String], _ colors: FigureColors) -> [Shade] {
    let levels = names.map(noiseLevel)
    let known = Dictionary(
      zip(levels.compactMap { $0 }, noise(levels.compactMap { $0 })), uniquingKeysWith: { first, _ in first })
    if colors == .ordered, known.count < names.count { return ordered(names.count) }
    let own = zip(names, levels).map { name, level in level.flatMap { known[$0] } ?? groups[name] }
    let taken = Set(own.compactMap { $0?.light })
    var free = categorical.filter { !taken.contains($0.light) }.makeIterator()
    return own.map { $0 ?? free.next() ?? neutral }
  }

  private static let groups: [String: Shade] = [
    "pristine": pristine, "corrupt": corrupt,
    "training": neutral, "training accuracy": neutral, "training sample": neutral, "training examples": neutral,
    "test": test, "test accuracy": test, "test sample": test, "test examples": test,
    "SGD": categorical[0], "RM3": categorical[1], "RA3": categorical[2], "M3": categorical[3],
  ]

  /// The level of a name such as `25 % noise`.
  private static func noiseLevel(_ name: String) -> Double? {
    guard name.hasSuffix(" % noise") else { return nil }
    return Double(name.dropLast(" % noise".count)).map { $0 / 100 }
  }
}
