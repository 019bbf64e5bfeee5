// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The ends of accuracy axes: 0 and 100 %, or closer where curves would otherwise lie on top of each other at one end.
enum AccuracyAxis {
  static let whole = 0.0...1.0

  /// Marks the charts whose axis shows accuracies, which all have the same ends.
  static let mark: JSON = ["axis": "accuracy"]

  /// Values closer than this are not told apart well on an axis from 0 to 100 %.
  private static let narrowBand = 0.15

  /// A value and its place along the axis of training, from 0 at its start to 1 at its end.
  struct Moment {
    let place, value: Double
  }

  /// The ends for curves that are to be compared: close around their second halves where all of these lie in a narrow
  /// band; what comes before may then lie outside.
  static func ends(of curves: [[Moment]]) -> ClosedRange<Double> {
    let settled = curves.flatMap { curve in
      let late = curve.filter { $0.place >= 0.5 }
      return late.isEmpty ? curve.suffix(1) : late
    }.map(\.value).filter(\.isFinite)
    guard let low = settled.min(), let high = settled.max(), high - low <= narrowBand, low >= 0, high <= 1 else {
      return whole
    }
    let air = max(0.3 * (high - low), 0.005)
    let step = FigureAxis.roundStep(atLeast: (high - low + 2 * air) / 4, factors: [1, 2, 5, 10])
    let start = max(0, floor((low - air) / step) * step)
    // Of a little room above 100 % a line along it needs half its width.
    let end = high + air >= 1 ? 1 + 0.015 * (1 - start) : ceil((high + air) / step) * step
    return end - start > 0.6 ? whole : start...end
  }

  /// The common ends for all accuracies of a report.
  static func ends(for runs: [RunData]) -> ClosedRange<Double> {
    let curves = runs.flatMap { run in
      [run.accuracy("train"), run.accuracy("test"), run.pristineAccuracy, run.corruptAccuracy].flatMap { points in
        [points] + (points.contains { $0.low != nil } ? [points.map(\.lowEnd), points.map(\.highEnd)] : [])
      }
    }
    let last = Double(curves.compactMap(\.last?.step).max() ?? 0)
    return ends(of: curves.map { $0.map { Moment(place: last > 0 ? Double($0.step) / last : 1, value: $0.value) } })
  }

  /// The y encoding of curves of accuracies.
  static func encoding(title: String, ends: ClosedRange<Double>) -> JSON {
    [
      "field": "value", "type": "quantitative", "title": .string(title),
      "scale": ["domain": .numbers([ends.lowerBound, ends.upperBound])], "axis": ChartStyle.shareAxis,
    ]
  }

  /// What captions say of an axis that does not begin at 0.
  static func note(_ ends: ClosedRange<Double>) -> String {
    guard ends != whole else { return "" }
    return ends.lowerBound > 0
      ? " Accuracy axes begin at \(Wording.level(ends.lowerBound)): what lies below is not shown."
      : " Accuracy axes end at \(Wording.level(ends.upperBound))."
  }
}

extension Point {
  fileprivate var lowEnd: Point { Point(step: step, value: low ?? value) }
  fileprivate var highEnd: Point { Point(step: step, value: high ?? value) }
}
