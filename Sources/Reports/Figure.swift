// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One figure: a Vega-Lite specification with its data, a title and a caption.
public struct Figure: Sendable {
  /// A short name for files and links, such as `train-accuracy`.
  public let id: String
  /// The title, such as `(a) Training accuracy`.
  public let title: String
  /// One or two sentences on how to read it, with the formulas of what it shows.
  public let caption: String
  /// The heading under which the report shows it.
  public let section: String
  /// Whether it shows other figures side by side, so that the report, which shows those, leaves it out.
  public let isComposite: Bool
  /// The chart without data; its views name the data sets below.
  let chart: JSON
  let data: [FigureData]
  /// The colours it names beside those that every page knows, with their twins for dark pages.
  var shades: [Shade] = []
  /// Its data as one table, where the chart's own data sets are not all of it.
  var table: [FigureRow] = []

  /// The full Vega-Lite 6 specification with its data, on white, as JSON text. Paste it into any Vega-Lite program.
  public var specification: String {
    let datasets = JSON.object(data.map { JSON.Member(key: $0.name, value: .array($0.rows)) })
    return JSON.object([
      "$schema": "https://vega.github.io/schema/vega-lite/v6.json", "description": .string(caption),
      "datasets": datasets,
    ]).merging(members: chart).merging(["config": ChartStyle.printConfig.refined(by: chart["config"] ?? [:])]).text
  }
}

extension JSON {
  /// This object with the members of another.
  func merging(members other: JSON) -> JSON {
    guard case .object(let own) = self, case .object(let added) = other else { return self }
    return .object(own.filter { member in !added.contains { $0.key == member.key } } + added)
  }

  /// This object with the members of another, objects inside of it merged likewise.
  func refined(by other: JSON) -> JSON {
    guard case .object(let added) = other, case .object = self else { return other }
    return added.reduce(self) { result, member in
      result.merging([member.key: result[member.key]?.refined(by: member.value) ?? member.value])
    }
  }
}

/// One curve of a figure.
struct Series: Sendable {
  let run: String
  /// What is measured, where a figure shows more than one measure.
  let measure: String?
  let points: [Point]

  /// A curve without the points that cannot be drawn, thinned for the screen; nil when nothing is left.
  init?(run: String, measure: String? = nil, points: [Point], limit: Int = Downsampling.limit) {
    let drawable = Downsampling.thinned(points.filter(\.value.isFinite), limit: limit)
    guard !drawable.isEmpty else { return nil }
    self.run = run
    self.measure = measure
    self.points = drawable
  }

  private init(_ other: Series, points: [Point]) {
    (run, measure, self.points) = (other.run, other.measure, points)
  }

  /// The same curve through other points.
  func through(_ points: [Point]) -> Series { Series(self, points: points) }

  /// The same curve without the band behind it.
  var withoutBand: Series { through(points.map { Point(step: $0.step, value: $0.value) }) }

  /// Whether a band lies behind it.
  var hasBand: Bool { points.contains { $0.low != nil } }
}

/// A named data set of a figure: curves, or rows of any other shape.
struct FigureData: Sendable {
  let name: String
  let series: [Series]
  let plainRows: [JSON]

  init(name: String, series: [Series]) {
    self.name = name
    self.series = series
    plainRows = []
  }

  init(name: String, rows: [JSON]) {
    self.name = name
    series = []
    plainRows = rows
  }

  /// The rows as Vega-Lite reads them.
  var rows: [JSON] {
    plainRows
      + series.flatMap { series in
        series.points.map { point in
          JSON.object([
            "run": .string(series.run), "measure": series.measure.map(JSON.string),
            "step": .number(Double(point.step)), "value": .number(Wording.rounded(point.value)),
            "low": point.low.map { .number(Wording.rounded($0)) },
            "high": point.high.map { .number(Wording.rounded($0)) },
          ])
        }
      }
  }

  /// The same in a quarter of the bytes; the report's script unpacks it.
  var compact: JSON {
    guard plainRows.isEmpty else { return .object(["rows": .array(plainRows)]) }
    let packed = series.map { series in
      func band(_ end: (Point) -> Double?) -> JSON? {
        series.hasBand ? .array(series.points.map { end($0).map { .number(Wording.rounded($0)) } ?? .null }) : nil
      }
      return JSON.object([
        "run": .string(series.run), "measure": series.measure.map(JSON.string),
        "x": .numbers(series.points.map { Double($0.step) }),
        "y": .numbers(series.points.map { Wording.rounded($0.value) }), "low": band(\.low), "high": band(\.high),
      ])
    }
    return .object(["series": .array(packed)])
  }
}

/// Makes figures from runs. To add a page of figures, write one builder and name it in `FigureBuilders.all`.
protocol FigureBuilder: Sendable {
  /// The figures that these runs have data for; none instead of an empty one.
  func figures(for runs: [RunData]) -> [Figure]
}

/// The builders, in the order of the report.
enum FigureBuilders {
  static let all: [any FigureBuilder] = [
    LearningCurves(), AccuracyByGroup(), FirstLearned(), CoherenceByStep(), CoherenceByLoss(), CoherenceByLayer(),
    Contributions(), RelatedMeasures(),
  ]
}
