// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// What `coherence-intervals.csv` adds to the figure of r by step: bands for the 95 % intervals, and hollow points for
/// the cross-check from batches. Runs without that file add nothing.
struct CoherenceBands {
  private static let bandData = "coherence-intervals"
  private static let pointData = "coherence-from-batches"
  /// More points than this hide the curve.
  private static let maximumPoints = 40

  private let runs: [RunData]
  private let bands: [JSON]
  private let checks: [JSON]
  /// The split shown, where it is not every one: six bands on top of each other would be a fog.
  private let only: String?
  /// Run and split of the curves with intervals.
  private let measured: Set<[String]>
  private let splits: [String]

  /// - Parameter range: The ends of the r axis. A band that goes beyond them, as far as to 0, which a logarithmic axis
  ///   cannot show, ends there.
  init(runs: [RunData], splits: [String], range: (low: Double, high: Double)) {
    self.runs = runs
    only = runs.count > 1 && splits.count > 1 ? splits[0] : nil
    let shown = only.map { [$0] } ?? splits
    func number(_ value: Double) -> JSON { .number(Wording.rounded(min(range.high, max(range.low, value)))) }
    var (bands, checks): ([JSON], [JSON]) = ([], [])
    var measured: Set<[String]> = []
    for run in runs {
      for split in shown {
        let records = run.coherenceIntervals(split)
        if !records.isEmpty { measured.insert([run.label, split]) }
        func row(_ record: CoherenceIntervalRecord, _ values: KeyValuePairs<String, JSON?>) -> JSON {
          JSON.object([
            "run": .string(run.label), "measure": .string(split), "step": .number(Double(record.step)),
          ]).merging(values)
        }
        // Both ends as the curve itself is drawn, so that it lies between them.
        func end(_ value: (CoherenceIntervalRecord) -> Double) -> [Point] {
          let points = records.map { Point(step: $0.step, value: min(range.high, max(range.low, value($0)))) }
          return Series(run: run.label, points: points, limit: .max).map {
            EarlySteps.joined($0, scale: .logarithmic).points
          } ?? []
        }
        bands += zip(end(\.mCoherenceLow), end(\.mCoherenceHigh)).map { low, high in
          .object([
            "run": .string(run.label), "measure": .string(split), "step": .number(Double(low.step)),
            "low": number(low.value), "high": number(high.value),
          ])
        }
        let checked = records.filter { record in
          record.mCoherenceFromBatches.map { $0.isFinite && $0 >= range.low && $0 <= range.high } ?? false
        }
        let marked = Set(EarlySteps.thinned(checked.map(\.step), limit: Self.maximumPoints))
        checks += checked.filter { marked.contains($0.step) }.map { record in
          row(record, ["value": record.mCoherenceFromBatches.map(number)])
        }
      }
    }
    (self.bands, self.checks) = (bands, checks)
    (self.measured, self.splits) = (measured, splits)
  }

  /// Whether a curve's intervals are shown.
  func hasIntervals(of series: Series) -> Bool { measured.contains([series.run, series.measure ?? ""]) }

  /// The data sets of the layers below; none without intervals.
  var data: [FigureData] {
    [(Self.bandData, bands), (Self.pointData, checks)].filter { !$0.1.isEmpty }.map {
      FigureData(name: $0.0, rows: $0.1)
    }
  }

  /// What captions say of them.
  var note: String {
    let place = only.map { ", of \(CoherenceByLayer.name($0)) examples only" } ?? ""
    return (bands.isEmpty ? "" : "Shaded: 95 % intervals over the examples (jackknife)\(place). ")
      + (checks.isEmpty
        ? "" : "Hollow points: the same r estimated from the gradients of batches alone, as a cross-check. ")
  }

  /// The bands, to lie below the curves.
  func areas(x: JSON, y: JSON) -> [JSON] {
    guard !bands.isEmpty else { return [] }
    return [
      [
        "data": ["name": .string(Self.bandData)],
        "mark": ["type": "area", "fillOpacity": 0.16, "clip": true, "strokeWidth": 0],
        "encoding": [
          "x": x, "y": y.merging(["field": "low"]), "y2": ["field": "high"],
          "color": ChartStyle.splitColor(runs, splits: splits),
          "detail": ["field": "measure", "type": "nominal"],
        ],
      ]
    ]
  }

  /// The points, to lie above them.
  func points(x: JSON, y: JSON) -> [JSON] {
    guard !checks.isEmpty else { return [] }
    return [
      [
        "data": ["name": .string(Self.pointData)],
        "mark": ["type": "point", "filled": false, "size": 16, "strokeWidth": 1, "opacity": 0.8, "clip": true],
        "encoding": ["x": x, "y": y, "color": ChartStyle.splitColor(runs, splits: splits)],
      ]
    ]
  }
}
