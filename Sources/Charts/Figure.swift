// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One figure: a Vega-Lite specification with its data, a title and a caption.
///
/// Made by `FigureCard`, `FigureGrid`, `FigureBars`, `FigureMap`, `FigureScatter`, `FigureHeatmap` and `FigureHistogram`.
public struct Figure: Sendable {
  /// A short name for files and links, such as `train-accuracy`.
  public let id: String
  /// The title, such as `(a) Training accuracy`.
  public let title: String
  /// One or two sentences on how to read it, with the formulas of what it shows.
  public let caption: String
  /// The heading under which pages show it.
  public let section: String
  /// Whether it shows other figures side by side, so that pages, which show those, leave it out.
  public var isComposite: Bool
  /// The chart without data; its views name the data sets below.
  let chart: JSON
  let data: [FigureData]
  /// The colours it names beside those that every page knows, with their twins for dark pages.
  let shades: [Shade]
  /// Its data as one table: curves are whole, even where the chart thins them.
  let table: [FigureRow]

  /// The full Vega-Lite 6 specification with its data, on white, as JSON text. Paste it into any Vega-Lite program.
  public var specification: String {
    let datasets = JSON.object(data.map { JSON.Member(key: $0.name, value: .array($0.rows)) })
    return JSON.object([
      "$schema": "https://vega.github.io/schema/vega-lite/v6.json", "description": .string(caption),
      "datasets": datasets,
    ]).merging(members: chart).merging(["config": ChartStyle.printConfig.refined(by: chart["config"] ?? [:])]).text
  }

  /// What its curves compare, such as the names of runs.
  public var series: [String] { unique(data.flatMap(\.lines).map(\.line.series)) }

  /// The same figure with its chart or its data changed.
  func replacing(_ change: (JSON) -> JSON, data: [FigureData]? = nil) -> Figure {
    Figure(
      id: id, title: title, caption: caption, section: section, isComposite: isComposite, chart: change(chart),
      data: data ?? self.data, shades: shades, table: table)
  }
}

/// A named data set of a figure: curves, or rows of any other shape.
struct FigureData: Sendable {
  let name: String
  /// The curves, with their panel where there are several.
  let lines: [(panel: Int?, line: FigureLine)]
  let plainRows: [JSON]
  /// Whether its curves run along training, so that the pointer on one chart shows its step on all of them.
  let isCurve: Bool

  init(name: String, lines: [FigureLine], isCurve: Bool = true) {
    self.init(name: name, panels: lines.map { (nil, $0) }, isCurve: isCurve)
  }

  init(name: String, panels lines: [(panel: Int?, line: FigureLine)], isCurve: Bool = false) {
    (self.name, self.lines, plainRows, self.isCurve) = (name, lines, [], isCurve)
  }

  init(name: String, rows: [JSON]) { (self.name, lines, plainRows, isCurve) = (name, [], rows, false) }

  /// The field of a point's detail.
  static func field(ofDetail index: Int) -> String { "detail\(index + 1)" }

  /// The rows as Vega-Lite reads them.
  var rows: [JSON] {
    plainRows
      + lines.flatMap { panel, line in
        line.points.enumerated().map { index, point in
          let row = JSON.object([
            "panel": panel.map { .number(Double($0)) }, "series": .string(line.series),
            "measure": line.measure.map(JSON.string), "x": Self.place(point.x), "y": Self.number(point.y),
            "low": Self.number(point.low), "high": Self.number(point.high),
            "order": point.details.isEmpty ? nil : .number(Double(index)),
          ])
          return point.details.enumerated().reduce(row) { row, detail in
            row.merging(
              members: .object([
                .init(key: Self.field(ofDetail: detail.offset), value: Self.number(detail.element) ?? .null)
              ]))
          }
        }
      }
  }

  /// The same in a quarter of the bytes; the page's script unpacks it.
  var compact: JSON {
    guard plainRows.isEmpty, !lines.contains(where: { $0.line.points.contains { !$0.details.isEmpty } }) else {
      return ["rows": .array(rows)]
    }
    let packed = lines.map { panel, line in
      func column(_ value: (FigurePoint) -> JSON?) -> JSON { .array(line.points.map { value($0) ?? .null }) }
      return JSON.object([
        "panel": panel.map { .number(Double($0)) }, "series": .string(line.series),
        "measure": line.measure.map(JSON.string), "x": column { Self.place($0.x) }, "y": column { Self.number($0.y) },
        "low": line.hasBand ? column { Self.number($0.low) } : nil,
        "high": line.hasBand ? column { Self.number($0.high) } : nil,
      ])
    }
    return .object(["series": .array(packed), "curves": isCurve ? true : nil])
  }

  /// The data set as lines of a figure's table.
  var table: [FigureRow] {
    lines.flatMap { _, line in
      line.points.map {
        FigureRow(
          panel: name, series: line.name, x: FigureRow.text($0.x), y: $0.y.isFinite ? $0.y : nil, low: $0.low,
          high: $0.high)
      }
    }
  }

  private static func place(_ value: Double) -> JSON { .number(Wording.rounded(value, digits: 7)) }

  private static func number(_ value: Double?) -> JSON? {
    value.flatMap { $0.isFinite ? .number(Wording.rounded($0)) : nil }
  }
}

/// The values in order of their first appearance.
package func unique(_ values: [String]) -> [String] {
  var seen: Set<String> = []
  return values.filter { seen.insert($0).inserted }
}
