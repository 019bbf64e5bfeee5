// SPDX-License-Identifier: Apache-2.0

/// The look shared by every chart: thin lines, direct titles, nothing that carries no information.
enum ChartStyle {
  static let fonts = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"

  /// Vega-Lite configuration for paper: black on white.
  static let printConfig = config(
    background: "white", text: "#1a1a1a", quiet: "#555555", grid: "#e8e8e8", line: "#8c8c8c", fonts: fonts)

  /// Vega-Lite configuration for the light and dark page.
  static let lightConfig = config(
    background: "transparent", text: "#1b1f24", quiet: "#57606a", grid: "#e9ebee", line: "#8c959f", fonts: screenFonts)
  static let darkConfig = config(
    background: "transparent", text: "#e6e8eb", quiet: "#a0a7b0", grid: "#2b3038", line: "#6b737d", fonts: screenFonts)

  static let screenFonts = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Arial, sans-serif"

  private static func config(
    background: JSON, text: JSON, quiet: JSON, grid: JSON, line: JSON, fonts: String
  ) -> JSON {
    [
      "background": background,
      "font": .string(fonts),
      "padding": 6,
      "view": ["stroke": nil],
      "title": ["anchor": "start", "fontSize": 13, "fontWeight": 600, "color": text, "offset": 10, "frame": "group"],
      "axis": [
        "labelColor": quiet, "titleColor": text, "labelFontSize": 11, "titleFontSize": 11.5,
        "titleFontWeight": "normal",
        "gridColor": grid, "gridWidth": 1, "domainColor": line, "domainWidth": 1, "tickColor": line, "tickSize": 4,
        "titlePadding": 8, "labelPadding": 4, "labelFlush": false,
      ],
      "axisX": ["grid": false],
      "axisY": ["domain": false, "ticks": false, "minExtent": 36],
      "legend": [
        "labelColor": text, "titleColor": text, "labelFontSize": 11.5, "titleFontSize": 11.5,
        "titleFontWeight": "normal", "symbolStrokeWidth": 2.5, "symbolSize": 260, "labelLimit": 320,
      ],
      "line": ["strokeCap": "round", "strokeJoin": "round"],
    ]
  }

  /// Steps as 500, 1k, 20k; zero without a unit.
  static let stepLabel = "datum.value === 0 ? '0' : format(datum.value, '~s')"

  /// Shares as 50 %, 12.5 %.
  static let percentLabel = "format(datum.value * 100, '~g') + ' %'"

  /// The axis of shares.
  static let shareAxis: JSON = ["labelExpr": .string(percentLabel), "tickCount": 5]

  /// The step axis. The report's switch turns it into a logarithmic one.
  static let stepAxis: JSON = [
    "field": "step", "type": "quantitative", "title": "Training step",
    "scale": ["nice": false, "zero": false], "axis": ["labelExpr": .string(stepLabel), "tickCount": 5],
  ]

  /// Curves from their encoding, with points where they are few, over the bands of those that have some.
  static func curves(_ encoding: JSON, series: [Series], isClipped: Bool = false) -> JSON {
    let fewPoints = series.contains { $0.points.count < 3 }
    let lines: JSON = .object([
      "mark": .object([
        "type": "line", "strokeWidth": 1.8, "clip": isClipped ? true : JSON?.none,
        "point": fewPoints ? ["filled": true, "size": 36] : JSON?.none,
      ]),
      "encoding": encoding,
    ])
    guard series.contains(where: \.hasBand) else { return lines }
    return ["layer": .array([bands(encoding), lines])]
  }

  /// The bands of curves with this encoding.
  static func bands(_ encoding: JSON) -> JSON {
    [
      "transform": [["filter": "isValid(datum.low)"]],
      "mark": ["type": "area", "fillOpacity": 0.2, "clip": true, "strokeWidth": 0],
      "encoding": .object([
        "x": encoding["x"], "y": encoding["y"]?.merging(["field": "low"]), "y2": ["field": "high"],
        "color": encoding["color"], "detail": [["field": "run"], ["field": "measure"]],
      ]),
    ]
  }

  /// Colour by run, in the order of the report; the legend only where there is something to tell apart.
  ///
  /// - Parameter group: What a report of one run takes instead of the run's colour, such as that of the test set: it
  ///   then has the same colour in all figures.
  static func runColor(_ runs: [RunData], group: Shade? = nil) -> JSON {
    let only = runs.count == 1 ? group : nil
    return [
      "field": "run", "type": "nominal",
      "scale": [
        "domain": .strings(runs.map(\.label)), "range": .strings(runs.map { (only ?? $0.shade).light }),
      ],
      "legend": runs.count > 1
        ? [
          "title": nil, "orient": "bottom", "symbolType": "stroke", "symbolOpacity": 1, "columnPadding": 18,
          "offset": 10, "columns": .number(Double(legendColumns(runs.map(\.label), width: 460))),
        ] : nil,
    ]
  }

  /// Colour of curves that are told apart by split: by run where there are several, else by split.
  static func splitColor(_ runs: [RunData], splits: [String]) -> JSON {
    guard runs.count == 1, splits.count > 1 else { return runColor(runs, group: splits.first.map(Palette.split)) }
    return [
      "field": "measure", "type": "nominal",
      "scale": ["domain": .strings(splits), "range": .strings(splits.map { Palette.split($0).light })],
      "legend": dashLegend,
    ]
  }

  /// In how many columns a legend of some width is set.
  static func legendColumns(_ names: [String], width: Double, fontSize: Double = 11.5) -> Int {
    let longest = Double(names.map(\.count).max() ?? 1) * 0.5 * fontSize + 3 * fontSize
    let fitting = max(1, min(names.count, Int(width / longest)))
    // Rows of about the same length.
    let rows = (names.count + fitting - 1) / max(1, fitting)
    return max(1, (names.count + rows - 1) / max(1, rows))
  }

  /// The legend of dashes. That of colours for the same names has to be equal: both are then drawn as one.
  static let dashLegend: JSON = [
    "title": nil, "orient": "top", "symbolType": "stroke", "direction": "horizontal", "offset": 2,
    "symbolStrokeWidth": 1.8, "columnPadding": 12,
  ]
}
