// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

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

extension FigureLine {
  /// A curve of a run; nil when there is nothing to draw.
  init?(_ run: String, measure: String? = nil, points: [Point]) {
    let drawable = points.filter(\.value.isFinite).map {
      FigurePoint(x: Double($0.step), y: $0.value, low: $0.low, high: $0.high)
    }
    guard !drawable.isEmpty else { return nil }
    self.init(run, measure: measure, points: drawable)
  }
}

extension FigureColoring {
  /// Colour by run, in the order of the report.
  ///
  /// - Parameter group: What a report of one run takes instead of the run's colour, such as that of the test set: it
  ///   then has the same colour in all figures.
  static func runs(_ runs: [RunData], group: Shade? = nil) -> FigureColoring {
    FigureColoring(by: .series, runs.map { ($0.label, runs.count == 1 ? group ?? $0.shade : $0.shade) })
  }

  /// Colour of curves that are told apart by split: by run where there are several, else by split.
  static func splits(_ splits: [String], of runs: [RunData]) -> FigureColoring {
    guard runs.count == 1, splits.count > 1 else { return .runs(runs, group: splits.first.map(Palette.split)) }
    return FigureColoring(by: .measure, splits.map { ($0, Palette.split($0)) })
  }
}

extension AccuracyAxis {
  /// The common ends for all accuracies of a report.
  static func ends(for runs: [RunData]) -> ClosedRange<Double> {
    let curves = runs.flatMap { run in
      [run.accuracy("train"), run.accuracy("test"), run.pristineAccuracy, run.corruptAccuracy].flatMap { points in
        [\Point.value, \Point.lowEnd, \Point.highEnd].map { end in points.map { ($0.step, $0[keyPath: end]) } }
      }
    }
    let last = Double(curves.compactMap(\.last?.0).max() ?? 0)
    return ends(of: curves.map { $0.map { Moment(place: last > 0 ? Double($0.0) / last : 1, value: $0.1) } })
  }
}

extension Point {
  fileprivate var lowEnd: Double { low ?? value }
  fileprivate var highEnd: Double { high ?? value }
}
