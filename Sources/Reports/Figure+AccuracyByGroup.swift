// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// Pristine, corrupt, training and test accuracy of one run in one chart: the order of learning at a glance.
struct AccuracyByGroup: FigureBuilder {
  /// More charts than this would say less than the learning curves.
  private static let maximumRuns = 6

  func figures(for runs: [RunData]) -> [Figure] {
    guard runs.count <= Self.maximumRuns else { return [] }
    let ends = AccuracyAxis.ends(for: runs)
    return runs.enumerated().compactMap { index, run in
      figure(for: run, number: index + 1, isOnly: runs.count == 1, ends: ends)
    }
  }

  private func figure(for run: RunData, number: Int, isOnly: Bool, ends: ClosedRange<Double>) -> Figure? {
    let measures: [(String, Shade, [Point])] = [
      ("pristine", Palette.pristine, run.pristineAccuracy), ("corrupt", Palette.corrupt, run.corruptAccuracy),
      ("training", Palette.neutral, run.accuracy("train")), ("test", Palette.test, run.accuracy("test")),
    ]
    let shown = measures.compactMap { name, shade, points in
      Series(run: run.label, measure: name, points: points).map { (name, shade, $0) }
    }
    guard !run.corruptAccuracy.isEmpty, shown.count > 1 else { return nil }
    let title = "Accuracy by group" + (isOnly ? "" : ": \(run.label)")
    let id = "accuracy-by-group-\(number)"
    let frame: JSON = [
      "title": .string(title), "width": 400, "height": 260, "data": ["name": .string(id)],
      "usermeta": AccuracyAxis.mark,
    ]
    let encoding: JSON = [
      "x": ChartStyle.stepAxis, "y": AccuracyAxis.encoding(title: "Accuracy", ends: ends),
      "color": [
        "field": "measure", "type": "nominal",
        "scale": ["domain": .strings(shown.map(\.0)), "range": .strings(shown.map(\.1.light))],
        "legend": ["title": nil, "orient": "top", "symbolType": "stroke", "columnPadding": 12, "offset": 4],
      ],
    ]
    return Figure(
      id: id, title: title,
      caption: "Training accuracy on pristine and on corrupt examples, each against the label trained with, beside "
        + "accuracy on the whole training set and on the test set." + AccuracyAxis.note(ends)
        + RunData.poolingNote([run]) + RunData.sampleNote([run]),
      section: "Pristine against corrupt examples", isComposite: false,
      chart: frame.merging(
        members: ChartStyle.curves(encoding, series: shown.map(\.2), isClipped: ends != AccuracyAxis.whole)),
      data: [FigureData(name: id, series: shown.map(\.2))])
  }
}
