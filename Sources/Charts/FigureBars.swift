// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A bar with the range behind it.
public struct FigureBar: Sendable, Equatable {
  /// What it stands for.
  public let name: String
  /// Its height.
  public let value: Double
  /// The range, such as the least and the greatest value over seeds; nil where there is none.
  public let low, high: Double?
  /// A value to compare with, such as the exact or the paper's one, drawn as a line across the bar.
  public let expected: Double?
  /// A few characters above the bar, such as a count.
  public let note: String?

  /// A bar from its parts.
  public init(
    _ name: String, value: Double, low: Double? = nil, high: Double? = nil, expected: Double? = nil, note: String? = nil
  ) {
    (self.name, self.value, self.low, self.high) = (name, value, low, high)
    (self.expected, self.note) = (expected, note)
  }
}

/// Bars, in one panel or in several side by side with a common axis.
public struct FigureBars: Sendable {
  /// Bars side by side under a heading.
  public struct Panel: Sendable, Equatable {
    /// The heading.
    public let title: String
    /// The bars, in order.
    public let bars: [FigureBar]

    /// A panel from its bars.
    public init(_ title: String = "", bars: [FigureBar]) { (self.title, self.bars) = (title, bars) }
  }

  /// A short name for files and links.
  public let id: String
  /// The title.
  public let title: String
  /// How to read it.
  public let caption: String
  /// The heading under which pages show it.
  public let section: String
  /// What the bars stand for, under them.
  public let categories: String
  /// What the height says.
  public let y: FigureAxis
  /// The panels.
  public let panels: [Panel]

  /// Bars from their panels.
  public init(
    id: String, title: String, caption: String, section: String, categories: String, y: FigureAxis, panels: [Panel]
  ) {
    (self.id, self.title, self.caption, self.section) = (id, title, caption, section)
    (self.categories, self.y, self.panels) = (categories, y, panels.filter { !$0.bars.isEmpty })
  }

  /// The figure; nil without bars.
  public func figure() -> Figure? {
    guard !panels.isEmpty else { return nil }
    // Many bars are a scale, not kinds, and share a colour.
    let isScale = names.count > 6
    let shades = isScale ? names.map { _ in Palette.categorical[0] } : Palette.shades(for: names, .categorical)
    return Figure(
      id: id, title: title, caption: caption, section: section, isComposite: false,
      chart: frame.chart(title: title, views: panels.indices.map { view($0, shades: shades) }),
      data: [FigureData(name: GridFrame.data, rows: rows)], shades: shades, table: table)
  }

  private var names: [String] { unique(panels.flatMap(\.bars).map(\.name)) }

  private var frame: GridFrame {
    GridFrame(
      rows: [""], columns: panels.map(\.title), ownsX: panels.map { _ in true },
      ownsY: panels.indices.map { $0 == 0 }, hasTitles: false)
  }

  private var domain: ClosedRange<Double> {
    let bars = panels.flatMap(\.bars)
    let values = bars.flatMap { [$0.value, $0.low, $0.high, $0.expected].compactMap { $0 } }
    let range = y.domain(of: values + (y.scale == .linear ? [0] : []), isX: false)
    guard bars.contains(where: { $0.note != nil }), let top = values.max(), y.scale == .linear else { return range }
    // Room for the words above the bars.
    let room = 0.12 * (range.upperBound - range.lowerBound)
    return range.lowerBound...max(range.upperBound, top + room)
  }

  private func view(_ index: Int, shades: [Shade]) -> JSON {
    let own = panels[index].bars.map(\.name)
    let isLong = own.contains { Double($0.count) * 4.2 > frame.width / Double(own.count) }
    let x: JSON = [
      "field": "name", "type": "nominal", "sort": nil, "title": .string(categories),
      "scale": [
        "domain": .strings(own), "paddingInner": 0.3, "paddingOuter": .number(own.count < 3 ? 0.9 : 0.25),
      ],
      "axis": ["labelAngle": .number(isLong ? -40 : 0), "ticks": false, "labelLimit": 110, "labelOverlap": false],
    ]
    let y = self.y.encoding(field: "value", domain: domain, isLabelled: index == 0, pixels: frame.height, isX: false)
    let bars: JSON = [
      "mark": ["type": "bar", "clip": true],
      "encoding": [
        "x": x, "y": y, "y2": ["datum": .number(self.y.scale == .linear ? 0 : domain.lowerBound)],
        "color": [
          "field": "name", "type": "nominal", "legend": nil,
          "scale": ["domain": .strings(names), "range": .strings(shades.map(\.light))],
        ],
        "tooltip": [["field": "name", "title": " "], ["field": "value", "title": "value", "format": ".4~g"]],
      ],
    ]
    let zero = domain.lowerBound < 0 ? PanelDrawing.rules([FigureReference(0)], y: y, style: .print) : []
    let neutral = JSON.string(Palette.neutral.light)
    let ranges: JSON = [
      "transform": [["filter": "isValid(datum.low)"]], "mark": ["type": "rule", "strokeWidth": 1.1, "color": neutral],
      "encoding": ["x": x, "y": y.merging(["field": "low"]), "y2": ["field": "high"]],
    ]
    let expected: JSON = [
      "transform": [["filter": "isValid(datum.expected)"]],
      "mark": ["type": "tick", "thickness": 1.4, "bandSize": 24, "color": neutral],
      "encoding": ["x": x, "y": y.merging(["field": "expected"])],
    ]
    let notes: JSON = [
      "transform": [["filter": "isValid(datum.note)"]],
      "mark": ["type": "text", "fontSize": 7, "dy": -6, "color": neutral, "clip": false],
      "encoding": ["x": x, "y": y.merging(["field": "top"]), "text": ["field": "note"]],
    ]
    return frame.view(index, layers: [bars] + zero + [ranges, expected, notes], heading: nil)
  }

  /// Above the bar and its range, and above the line across it only where that would run through the words.
  private func place(ofNote bar: FigureBar) -> Double {
    let top = max(bar.value, bar.high ?? bar.value)
    guard let expected = bar.expected, expected > top else { return top }
    let height = 0.12 * (domain.upperBound - domain.lowerBound)
    return y.scale == .linear && expected - top > height ? top : expected
  }

  private var rows: [JSON] {
    panels.enumerated().flatMap { index, panel in
      panel.bars.map { bar in
        func number(_ value: Double?) -> JSON? { value.map { .number(Wording.rounded($0)) } }
        return .object([
          "panel": .number(Double(index)), "name": .string(bar.name), "value": number(bar.value),
          "low": number(bar.low), "high": number(bar.high), "expected": number(bar.expected),
          "note": bar.note.map(JSON.string), "top": number(place(ofNote: bar)),
        ])
      }
    }
  }

  private var table: [FigureRow] {
    panels.flatMap { panel in
      panel.bars.flatMap { bar in
        let row = FigureRow(
          panel: panel.title, series: y.title, x: bar.name, y: bar.value, low: bar.low, high: bar.high)
        let expected = bar.expected.map {
          FigureRow(panel: panel.title, series: "\(y.title), expected", x: bar.name, y: $0)
        }
        return [row] + (expected.map { [$0] } ?? [])
      }
    }
  }
}
