// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The step axis of figures whose story begins at step 0: logarithmic from about step 1 on, with step 0 at its left end.
enum EarlySteps {
  /// Marks a chart whose step axis the switch to logarithmic steps leaves alone.
  static let fixed: JSON = ["steps": "fixed"]

  /// What captions say of the axis.
  static let note = "The step axis is logarithmic and starts at step 0."

  /// The x encoding, with ticks for steps up to `last`.
  static func axis(field: String = "step", last: Int) -> JSON {
    .object([
      "field": .string(field), "type": "quantitative", "title": "Training step",
      "scale": ["type": "symlog", "constant": 1, "nice": false, "zero": false],
      "axis": [
        "labelExpr": .string(ChartStyle.stepLabel), "labelOverlap": true,
        "values": .numbers([0] + LogarithmicAxis.ticks(from: 1, to: Double(max(2, last)))),
      ],
    ])
  }

  /// How many points of a curve fit side by side on a chart of the report, about one every three pixels.
  private static let bins = 130

  /// A curve whose points can be told apart on this axis; see `CurveBins`.
  static func joined(_ series: Series, scale: FigureScale, range: ClosedRange<Double>? = nil) -> Series {
    series.through(CurveBins(count: bins, x: .logarithmicFromZero, y: scale, range: range).joined(series.points))
  }

  /// A step's place on the axis.
  static func place(_ step: Double) -> Double { log1p(step) }

  /// The step at a place on the axis.
  static func step(at place: Double) -> Double { expm1(place) }

  /// At most about `limit` of the steps, spread evenly over the axis, the first and the last among them.
  static func thinned(_ steps: [Int], limit: Int) -> [Int] {
    guard steps.count > limit, let last = steps.last else { return steps }
    let width = place(Double(last)) / Double(limit)
    var bin = -1
    var kept: [Int] = []
    for step in steps {
      let own = Int(place(Double(step)) / width)
      if own > bin {
        kept.append(step)
        bin = own
      }
    }
    return kept.last == last ? kept : kept + [last]
  }
}
