// SPDX-License-Identifier: Apache-2.0

/// The sizes in which panels are drawn.
struct PanelStyle {
  let lineWidth, pointSize: Double
  /// Curves of fewer points than this show them.
  let fewPoints: Int
  let bandOpacity: Double
  let dashes: [JSON]
  let dots: JSON
  let dotWidth: Double

  /// For the cards of a page, 400 pixels wide.
  static let card = PanelStyle(
    lineWidth: 1.8, pointSize: 36, fewPoints: 3, bandOpacity: 0.2,
    dashes: [[1, 0], [5, 3], [1.5, 3], [8, 3, 1.5, 3]],
    dots: [1, 3], dotWidth: 1.3)

  /// For grids as they are printed, in points.
  static let print = PanelStyle(
    lineWidth: 1.1, pointSize: 9, fewPoints: 8, bandOpacity: 0.22,
    dashes: [[1, 0], [3.5, 2], [1, 2], [6, 2, 1, 2]],
    dots: [1, 2], dotWidth: 0.9)

  /// The dash of a measure.
  func dash(_ index: Int) -> JSON { dashes[min(index, dashes.count - 1)] }
}

/// A panel as Vega-Lite: its layers, from the ranges at the back to the points in front.
struct PanelDrawing {
  let style: PanelStyle
  /// The encodings of both axes, with their ends.
  let x, y: JSON
  /// The encodings of colours and dashes; nil where nothing is told apart by them.
  let color, dash: JSON?

  private static let neutral = JSON.string(Palette.neutral.light)

  /// The layers of a panel.
  ///
  /// - Parameters:
  ///   - panel: What is shown; its data lie beside the chart.
  ///   - lines: The curves as they are drawn.
  ///   - isClipped: Whether curves may leave the plot.
  ///   - isDotted: Whether every point is marked.
  func layers(of panel: FigurePanel, lines: [FigureLine], isClipped: Bool, isDotted: Bool = false) -> [JSON] {
    let ranges = panel.marks.compactMap { marks in
      marks.opacity.map { band(opacity: $0).merging(["data": ["name": .string(marks.name)]]) }
    }
    let own = lines.contains(where: \.hasBand) ? [band(opacity: style.bandOpacity)] : []
    let isSparse = lines.contains { $0.points.count < style.fewPoints }
    let curves: JSON = .object([
      "mark": .object([
        "type": "line", "strokeWidth": .number(style.lineWidth), "clip": isClipped ? true : nil,
        "point": isSparse || isDotted ? ["filled": true, "size": .number(isSparse ? style.pointSize : 14)] : nil,
      ]),
      "encoding": .object([
        "x": x, "y": y, "color": color, "strokeDash": dash, "detail": [["field": "measure"], ["field": "series"]],
        "order": panel.details.isEmpty ? nil : ["field": "order", "type": "quantitative"],
        "tooltip": panel.details.isEmpty ? nil : .array(tooltip(panel)),
      ]),
    ])
    let points = panel.marks.filter { $0.opacity == nil }.map { marks -> JSON in
      [
        "data": ["name": .string(marks.name)],
        "mark": ["type": "point", "filled": false, "size": 16, "strokeWidth": 1, "opacity": 0.8, "clip": true],
        "encoding": .object(["x": x, "y": y, "color": color]),
      ]
    }
    return ranges + Self.rules(panel.references, y: y, style: style) + own + [curves] + points
  }

  private func band(opacity: Double) -> JSON {
    [
      "transform": [["filter": "isValid(datum.low)"]],
      "mark": ["type": "area", "fillOpacity": .number(opacity), "clip": true, "strokeWidth": 0],
      "encoding": .object([
        "x": x, "y": y.merging(["field": "low"]), "y2": ["field": "high"], "color": color,
        "detail": [["field": "measure"], ["field": "series"]],
      ]),
    ]
  }

  /// Dotted lines over the width of the panel, named beside it, where no curve is.
  static func rules(_ references: [FigureReference], y: JSON, style: PanelStyle) -> [JSON] {
    guard !references.isEmpty else { return [] }
    let data: JSON = ["values": .array(references.map { ["y": .number($0.value), "name": .string($0.label)] })]
    let y = y.merging(["field": "y"])
    let rule: JSON = [
      "data": data,
      "mark": [
        "type": "rule", "strokeDash": style.dots, "strokeCap": "round", "strokeWidth": .number(style.dotWidth),
        "clip": true, "color": neutral,
      ],
      "encoding": ["y": y],
    ]
    guard references.contains(where: { !$0.label.isEmpty }) else { return [rule] }
    let names: JSON = [
      "data": data,
      "mark": [
        "type": "text", "align": "left", "baseline": "middle", "dx": 5, "fontSize": 10.5, "color": neutral,
        "clip": false,
      ],
      "encoding": ["x": ["value": "width"], "y": y, "text": ["field": "name"]],
    ]
    return [rule, names]
  }

  private func tooltip(_ panel: FigurePanel) -> [JSON] {
    func number(_ field: String, _ title: String) -> JSON {
      ["field": .string(field), "title": .string(title), "format": ".4~g"]
    }
    return [["field": "series", "title": "series"], ["field": "measure", "title": "measure"]]
      + [number("x", panel.x.shortTitle), number("y", panel.y.shortTitle)]
      + panel.details.indices.map {
        ["field": .string(FigureData.field(ofDetail: $0)), "title": .string(panel.details[$0])]
      }
  }
}

/// Legends as the cards of pages have them.
enum CardLegend {
  /// Below the plot, in as many columns as fit.
  static func below(_ names: [String]) -> JSON {
    [
      "title": nil, "orient": "bottom", "symbolType": "stroke", "symbolOpacity": 1, "columnPadding": 18, "offset": 10,
      "columns": .number(Double(ChartStyle.legendColumns(names, width: 460))),
    ]
  }

  /// Above the plot. Those of colours and of dashes for the same names have to be equal: both are then drawn as one.
  static let above: JSON = [
    "title": nil, "orient": "top", "symbolType": "stroke", "direction": "horizontal", "offset": 2,
    "symbolStrokeWidth": 1.8, "columnPadding": 12,
  ]
}
