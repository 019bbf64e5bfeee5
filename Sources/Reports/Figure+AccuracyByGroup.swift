// SPDX-License-Identifier: Apache-2.0

import Charts
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
      FigureLine(run.label, measure: name, points: points).map { (name: name, shade: shade, line: $0) }
    }
    guard !run.corruptAccuracy.isEmpty, shown.count > 1 else { return nil }
    return FigureCard(
      id: "accuracy-by-group-\(number)", title: ["Accuracy by group" + (isOnly ? "" : ": \(run.label)")],
      caption: "Training accuracy on pristine and on corrupt examples, each against the label trained with, beside "
        + "accuracy on the whole training set and on the test set." + AccuracyAxis.note(ends)
        + RunData.poolingNote([run]) + RunData.sampleNote([run]),
      section: "Pristine against corrupt examples",
      panel: FigurePanel(x: .linearSteps, y: .accuracy(ends: ends), lines: shown.map(\.line)),
      colors: FigureColoring(by: .measure, shown.map { ($0.name, $0.shade) })
    ).figure()
  }
}
