// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// The page of a study: the question, what became of each claim, the figures, the runs behind them and the commands
/// that repeat them, as one HTML file that needs no network.
///
/// It lies in the folder of the study: links go to `figures/ID.svg` (or what formats there are), `.csv` and to the folders of the cells.
struct StudyPage {
  /// One run or computation of the study.
  struct Cell {
    let name, purpose, status: String
    var steps: Int?
    /// Accuracies at the end.
    var trainAccuracy, testAccuracy, seconds: Double?
    /// Its folder or file and its own report, relative to the page.
    var path, report: String?
    let command: [String]
  }

  let id, title, question: String
  let paper, section: String
  let profile, scale: String
  let verdicts: [Verdict]
  let figures: [Figure]
  let cells: [Cell]
  /// Facts about machine and program.
  let machine: [(name: String, value: String)]
  let command: [String]
  /// The formats that the figures lie in beside the page, in `figures/`.
  var formats: [FigureFormat] = [.svg]

  /// The page as HTML with the JavaScript bundle inside.
  ///
  /// - Throws: `ChartError` when the bundle cannot be read.
  func html(bundle: URL) throws -> String {
    try PageFrame.document(
      title: title, body: body, figures: figures,
      runs: unique(figures.flatMap(\.series)).map { ($0, Palette.neutral) }, bundle: bundle)
  }

  /// Writes the page, all at once or not at all.
  ///
  /// - Throws: `ChartError` when the bundle is missing, `RunStoreError` when the file cannot be written.
  func write(to url: URL, bundle: URL? = nil) throws {
    try writeAtomically(Data(html(bundle: bundle ?? ChartAssets.locate().bundle).utf8), to: url)
  }

  /// The tally of the score card, such as `3 held, 1 did not hold`.
  var tally: String {
    let parts = Outcome.allCases.compactMap { outcome -> String? in
      let count = verdicts.count { $0.outcome == outcome }
      return count > 0 ? "\(count) \(outcome.rawValue)" : nil
    }
    return parts.isEmpty ? "No verdict yet" : parts.joined(separator: ", ")
  }

  /// The figures to look at for a verdict.
  func figures(for verdict: Verdict) -> [String] { StudyFigures.figures(about: verdict.claim.id, among: figures) }
}
