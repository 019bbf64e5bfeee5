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

  private static func config(background: JSON, text: JSON, quiet: JSON, grid: JSON, line: JSON, fonts: String) -> JSON {
    [
      "background": background, "font": .string(fonts), "padding": 6, "view": ["stroke": nil],
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

  /// Shares as 50 %, 12.5 %.
  static let percentLabel = "format(datum.value * 100, '~g') + ' %'"

  /// In how many columns a legend of some width is set.
  static func legendColumns(_ names: [String], width: Double, fontSize: Double = 11.5) -> Int {
    let longest = Double(names.map(\.count).max() ?? 1) * 0.5 * fontSize + 3 * fontSize
    let fitting = max(1, min(names.count, Int(clamping: width / longest)))
    // Rows of about the same length.
    let rows = (names.count + fitting - 1) / max(1, fitting)
    return max(1, (names.count + rows - 1) / max(1, rows))
  }
}
