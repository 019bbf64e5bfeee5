// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// What `coherence-intervals.csv` adds to the figure of r by step: bands for the 95 % intervals, and hollow points for
/// the cross-check from batches. Runs without that file add nothing.
struct CoherenceBands {
  /// More points than this hide the curve.
  private static let maximumPoints = 40

  let marks: [FigureMarks]
  /// What captions say of them.
  let note: String

  init(runs: [RunData], splits: [String]) {
    // Six bands on top of each other would be a fog.
    let only = runs.count > 1 && splits.count > 1 ? splits[0] : nil
    var (bands, checks): ([FigureLine], [FigureLine]) = ([], [])
    for run in runs {
      for split in only.map({ [$0] }) ?? splits {
        let records = run.coherenceIntervals(split)
        bands.append(
          FigureLine(
            run.label, measure: split,
            points: records.map { FigurePoint(x: Double($0.step), from: $0.mCoherenceLow, to: $0.mCoherenceHigh) }))
        let checked = records.filter { $0.mCoherenceFromBatches.map { $0.isFinite && $0 > 0 } ?? false }
        let shown = Set(EarlySteps.thinned(checked.map(\.step), limit: Self.maximumPoints))
        checks.append(
          FigureLine(
            run.label, measure: split,
            points: checked.filter { shown.contains($0.step) }.map {
              FigurePoint(x: Double($0.step), y: $0.mCoherenceFromBatches ?? .nan)
            }))
      }
    }
    marks = [
      FigureMarks("coherence-intervals", lines: bands, opacity: 0.16),
      FigureMarks("coherence-from-batches", lines: checks),
    ].filter { !$0.lines.isEmpty }
    let place = only.map { ", of \(CoherenceByLayer.name($0)) examples only" } ?? ""
    note =
      (marks.contains { $0.opacity != nil } ? "Shaded: 95 % intervals over the examples (jackknife)\(place). " : "")
      + (marks.contains { $0.opacity == nil }
        ? "Hollow points: the same r estimated from the gradients of batches alone, as a cross-check. " : "")
  }
}
