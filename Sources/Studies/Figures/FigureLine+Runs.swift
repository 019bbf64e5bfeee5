// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// What the horizontal axis of curves along training shows.
enum HorizontalAxis {
  case steps, evenSteps, epochs

  var axis: FigureAxis {
    switch self {
    case .steps: .steps
    case .evenSteps: .linearSteps
    case .epochs: FigureAxis("Epoch")
    }
  }

  func place(_ step: Int, in run: RunHistory) -> Double {
    self == .epochs ? Double(step) * run.epochsPerStep : Double(step)
  }
}

/// The mean of values, with their range where there are several.
struct SeedRange {
  let mean: Double
  let low, high: Double?

  /// Nil without finite values.
  init?(_ values: [Double]) {
    let finite = values.filter(\.isFinite)
    guard !finite.isEmpty else { return nil }
    mean = finite.reduce(0, +) / Double(finite.count)
    low = finite.count > 1 ? finite.min() : nil
    high = finite.count > 1 ? finite.max() : nil
  }
}

extension FigureLine {
  /// The mean over runs of a curve, with their range, at the steps that all of them have: a mean over other runs at
  /// every step would jump. Runs without the curve do not count.
  init(
    _ series: String, measure: String? = nil, of runs: [RunHistory], along axis: HorizontalAxis,
    _ curve: (RunHistory) -> Curve
  ) {
    let all = runs.map { (run: $0, curve: curve($0)) }.filter { !$0.curve.isEmpty }
    guard let first = all.first else {
      self.init(series, measure: measure, points: [])
      return
    }
    let points = first.curve.points.compactMap { point -> FigurePoint? in
      let values = all.compactMap { $0.curve[point.step] }
      guard values.count == all.count, let range = SeedRange(values) else { return nil }
      return FigurePoint(x: axis.place(point.step, in: first.run), y: range.mean, low: range.low, high: range.high)
    }
    self.init(series, measure: measure, points: points)
  }

  /// One value for each place, with its range over seeds.
  init(_ series: String, measure: String? = nil, values: [(x: Double, values: [Double])]) {
    let points = values.sorted { $0.x < $1.x }.compactMap { x, values in
      SeedRange(values).map { FigurePoint(x: x, y: $0.mean, low: $0.low, high: $0.high) }
    }
    self.init(series, measure: measure, points: points)
  }
}
