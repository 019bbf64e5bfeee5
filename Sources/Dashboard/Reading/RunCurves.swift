// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import Reports
import RunStore

/// What a run's logs hold, in columns.
final class RunLogs {
  private let metrics, coherence, contributions: LogColumns

  /// The logs of a run, not read yet.
  ///
  /// - Parameter folder: the run directory.
  init(_ folder: URL) {
    func log(_ name: String, _ keys: [String], _ values: [String]) -> LogColumns {
      LogColumns(folder.appendingPathComponent(name), keys: keys, values: values)
    }
    metrics = log(MetricRecord.log.file, ["split", "group"], ["loss", "acc1"])
    coherence = log(CoherenceRecord.log.file, ["split", "layer", "bn_policy"], ["m", "alpha", "share"])
    contributions = log(ContributionRecord.log.file, ["sample", "world"], ["f_pristine", "f_corrupt"])
  }

  /// How many numbers are held.
  var count: Int { metrics.count + coherence.count + contributions.count }

  /// Reads what was appended; says whether anything was.
  func update() throws -> Bool {
    let changes = [try metrics.update(), try coherence.update(), try contributions.update()]
    return changes.contains(true)
  }

  /// The curves, thinned for the screen.
  ///
  /// - Parameter steps: the steps that are seen, of which more points are kept the fewer they are; nil for all.
  func curves(within steps: ClosedRange<Double>? = nil) -> RunCurves {
    RunCurves(
      loss: evaluations("loss", steps), accuracy: evaluations("acc1", steps), alpha: alpha(steps),
      layers: layers(steps), contributions: shares(steps))
  }

  /// One curve for each split, and for each group where there is more than one in it.
  private func evaluations(_ name: String, _ steps: ClosedRange<Double>?) -> [RunCurves.Curve] {
    let column = metrics.column(name)
    // Without corrupt examples the pristine ones are all.
    let splits = Set(metrics.series.filter { $0.key == ["train", "corrupt"] && !$0.steps.isEmpty }.map { $0.key[0] })
    return metrics.series.compactMap { series in
      let (split, group) = (series.key[0], series.key[1])
      if group == "pristine", !splits.contains(split) { return nil }
      let name = group == "all" ? split : split == "train" ? group : "\(split) \(group)"
      return RunCurves.Curve(name: name, points: Self.points(series, column, steps))
    }
  }

  /// The series under the first treatment of batch normalisation that was measured under.
  private var leading: [LogColumns.Series] {
    coherence.series.filter { $0.key[2] == coherence.series.first?.key[2] }
  }

  private func alpha(_ steps: ClosedRange<Double>?) -> [RunCurves.Curve] {
    leading.filter { $0.key[1] == "all" }.map {
      RunCurves.Curve(name: $0.key[0], points: Self.points($0, coherence.column("alpha"), steps).filter { $0.y > 0 })
    }
  }

  private func layers(_ steps: ClosedRange<Double>?) -> RunCurves.Layers? {
    guard let split = leading.contains(where: { $0.key[0] == "train" }) ? "train" : leading.first?.key[0] else {
      return nil
    }
    let series = leading.filter { $0.key[0] == split && $0.key[1] != "all" }
    let (alpha, share) = (coherence.column("alpha"), coherence.column("share"))
    let cells = series.flatMap { series in
      Self.seen(series.steps, steps).compactMap { index -> RunCurves.Layers.Cell? in
        let value = series.values[alpha][index]
        guard value.isFinite, value > 0, let step = Int(exactly: series.steps[index]) else { return nil }
        return .init(
          layer: series.key[1], step: step, alpha: value, share: series.values[share][index])
      }
    }
    return cells.isEmpty ? nil : RunCurves.Layers(split: split, names: series.map { $0.key[1] }, cells: cells)
  }

  private func shares(_ steps: ClosedRange<Double>?) -> [RunCurves.Shares] {
    unique(contributions.series.map { $0.key[0] }).compactMap { sample in
      let worlds = contributions.series.filter { $0.key[0] == sample }
      guard let actual = worlds.first(where: { $0.key[1] == "0" }) else { return nil }
      let nulls = worlds.filter { $0.key[1] != "0" }
      func curve(_ name: String) -> RunCurves.Curve {
        let column = contributions.column(name)
        var range: [Double: ClosedRange<Double>] = [:]
        for null in nulls {
          for (step, value) in zip(null.steps, null.values[column]) where value.isFinite {
            let known = range[step] ?? value...value
            range[step] = min(known.lowerBound, value)...max(known.upperBound, value)
          }
        }
        let points = Self.points(actual, column, steps).map { point in
          FigurePoint(x: point.x, y: point.y, low: range[point.x]?.lowerBound, high: range[point.x]?.upperBound)
        }
        return RunCurves.Curve(name: name == "f_corrupt" ? "corrupt" : "pristine", points: points)
      }
      let curves = [curve("f_pristine"), curve("f_corrupt")].filter { !$0.points.isEmpty }
      return curves.isEmpty ? nil : RunCurves.Shares(sample: sample, worlds: nulls.count, curves: curves)
    }
  }

  private static func points(
    _ series: LogColumns.Series, _ column: Int, _ steps: ClosedRange<Double>?
  ) -> [FigurePoint] {
    let seen = seen(series.steps, steps)
    let (x, y) = (Array(series.steps[seen]), Array(series.values[column][seen]))
    return Decimation.places(x: x, y: y).map { FigurePoint(x: x[$0], y: y[$0]) }
  }

  /// The places of the steps that are seen, and of one on either side, so that lines leave the plot.
  private static func seen(_ all: [Double], _ steps: ClosedRange<Double>?) -> Range<Int> {
    guard let steps else { return all.indices }
    let (first, end) = (
      all.partitioningIndex { $0 >= steps.lowerBound }, all.partitioningIndex { $0 > steps.upperBound }
    )
    return max(0, first - 1)..<min(all.count, end + 1)
  }
}

/// The curves of one run, thinned for the screen.
struct RunCurves: Sendable {
  /// Values by step.
  struct Curve: Sendable {
    /// What is measured, such as `train`, `corrupt` or `test`.
    let name: String
    /// The points, by step.
    let points: [FigurePoint]
  }

  /// α by layer and step.
  struct Layers: Sendable {
    /// One value.
    struct Cell: Sendable {
      let layer: String
      let step: Int
      let alpha: Double
      /// The layer's share of Σ‖gᵢ‖²; NaN where it was not recorded.
      let share: Double
    }
    /// The split measured.
    let split: String
    /// The layers, in the order of the network.
    let names: [String]
    let cells: [Cell]
  }

  /// What pristine and corrupt examples contribute to the reduction of the loss.
  struct Shares: Sendable {
    /// The sample of examples and weights.
    let sample: String
    /// How many permutation nulls there are.
    let worlds: Int
    /// One for the pristine and one for the corrupt examples.
    let curves: [Curve]
  }

  /// Mean loss by split and group.
  let loss: [Curve]
  /// Accuracy by split and group.
  let accuracy: [Curve]
  /// α of the whole network by split.
  let alpha: [Curve]
  /// α by layer and step; nil where no layer was measured on its own.
  let layers: Layers?
  /// Contributions by sample.
  let contributions: [Shares]

  /// The curve of a name.
  static func named(_ name: String, in curves: [Curve]) -> [FigurePoint] {
    curves.first { $0.name == name }?.points ?? []
  }
}
