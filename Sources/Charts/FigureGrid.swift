// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How series get their colours.
public enum FigureColors: Sendable, Equatable {
  /// From little to much, such as noise levels.
  case ordered
  /// Apart from each other, without an order. Groups of examples, noise levels and optimizers keep their own.
  case categorical
  /// By name.
  case named([String: Shade])
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
  /// The curves of every place, with points taken together that lie too close to be told apart.
  private let drawn: [[FigureLine]]

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
    let bins = Int(clamping: frame.width / 1.6)
    drawn = places.map { panel in
      guard let panel else { return [] }
      let shown = panel.lines.map { line in
        line.through(line.points.filter { panel.x.shows($0.x) && panel.y.shows($0.y) })
      }
      let values = shown.flatMap(\.points).map(\.y)
      let range = values.min().flatMap { low in values.max().map { low...$0 } }
      let joining = CurveBins(count: bins, x: panel.x.scale, y: panel.y.scale, range: range)
      return shown.map { $0.through(joining.joined($0.points)) }
    }
  }

  var figure: Figure {
    let views = places.indices.map(view)
    let isJoined = zip(places, drawn).contains { panel, lines in
      zip(panel?.lines ?? [], lines).contains { whole, line in line.hasBand && !whole.hasBand }
    }
    let narrow = grid.panels.compactMap { panel -> String? in
      let note = AccuracyAxis.note(domainY(of: panel))
      return panel.y.isAccuracy && panel.y.ends == nil && !note.isEmpty ? note : nil
    }
    return Figure(
      id: grid.id, title: grid.title,
      caption: grid.caption + (isJoined ? " " + CurveBins.note : "") + (narrow.first ?? ""), section: grid.section,
      isComposite: false,
      chart: frame.chart(title: grid.title, views: views),
      data: [FigureData(name: GridFrame.data, panels: numbered)]
        + grid.panels.flatMap(\.marks).map { FigureData(name: $0.name, lines: $0.lines, isCurve: false) },
      shades: shades, table: table)
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
    let y = panel.y.encoding(field: "y", domain: domainY(of: panel), isLabelled: isY, pixels: frame.height, isX: false)
    let isNarrow = panel.y.isAccuracy && domainY(of: panel) != AccuracyAxis.whole
    let drawing = PanelDrawing(style: .print, x: x, y: y, color: color, dash: dash)
    var layers = drawing.layers(of: panel, lines: drawn[index], isClipped: isNarrow)
    if panel.lines.isEmpty { layers.append(frame.note("no data")) }
    let heading = labelled ? (places.count > 1 ? "(\(letter(index))) " : "") + panel.column : nil
    let view = frame.view(index, layers: layers, heading: heading)
    return panel.y.isAccuracy ? view.merging(["usermeta": AccuracyAxis.mark]) : view
  }

  /// The ends of a y axis. Accuracies along training that all end close together have them closer; see `AccuracyAxis`.
  private func domainY(of panel: FigurePanel) -> ClosedRange<Double> {
    let own = domain(\.y, of: panel, isX: false) { $0.points.flatMap { [$0.y, $0.low ?? $0.y, $0.high ?? $0.y] } }
    guard panel.y.isAccuracy, panel.y.ends == nil, own == AccuracyAxis.whole else { return own }
    let sharing = grid.panels.filter { $0.y == panel.y }
    guard sharing.allSatisfy(\.x.isTraining), sharing.allSatisfy(\.references.isEmpty) else { return own }
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
    let references = isX ? [] : sharing.flatMap(\.references).map(\.value)
    return own.domain(of: sharing.flatMap(\.lines).flatMap(values) + references, isX: isX)
  }

  private var color: JSON {
    .object([
      "field": "series", "type": "nominal",
      "scale": ["domain": .strings(names), "range": .strings(shades.map(\.light))],
      "legend": names.count > 1 ? frame.legend(symbol: "stroke", names: names, beside: measures) : .null,
    ])
  }

  private var dash: JSON? {
    guard measures.count > 1 else { return nil }
    return [
      "field": "measure", "type": "nominal",
      "scale": [
        "domain": .strings(measures), "range": .array(measures.indices.map(PanelStyle.print.dash)),
      ],
      "legend": frame.legend(symbol: "stroke", names: measures).merging([
        "symbolStrokeColor": .string(Palette.neutral.light), "symbolStrokeWidth": 1.2,
      ]),
    ]
  }

  private var numbered: [(panel: Int?, line: FigureLine)] {
    drawn.enumerated().flatMap { index, lines in lines.map { (index, $0) } }
  }

  private var table: [FigureRow] {
    grid.panels.flatMap { panel in
      panel.lines.flatMap { line in
        line.points.map {
          FigureRow(
            panel: [panel.row, panel.column].filter { !$0.isEmpty }.joined(separator: ", "),
            series: line.name, x: FigureRow.text($0.x), y: $0.y, low: $0.low, high: $0.high)
        }
      }
    }
  }
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
    let given: [String: Shade] = if case .named(let shades) = colors { shades } else { [:] }
    let own = zip(names, levels).map { name, level in given[name] ?? level.flatMap { known[$0] } ?? groups[name] }
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
