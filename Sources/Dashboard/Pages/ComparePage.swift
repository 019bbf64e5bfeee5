// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// Runs on common axes, with what sets them apart.
struct ComparePage {
  /// A run that is compared.
  struct Run: Sendable {
    let entry: FolderIndex.Entry
    let row: RunRow
    let curves: RunCurves
  }

  /// More than this no reader tells apart.
  static let limit = 24

  /// The runs.
  let runs: [Run]
  /// What was left out, and why.
  let notes: [String]

  /// The figures of the runs on common axes.
  var figures: [Figure] {
    RunFigures.figures(
      comparing: zip(runs, zip(labels, shades)).map {
        RunFigures.Compared(label: $1.0, shade: $1.1, curves: $0.curves)
      })
  }

  private var shades: [Shade] { runs.indices.map { Palette.categorical[$0 % Palette.categorical.count] } }

  /// The page.
  ///
  /// - Parameter frame: what is around it.
  func html(in frame: SiteFrame) -> String {
    let (labels, shades, figures) = (self.labels, self.shades, self.figures)
    let query = runs.map { "run=\($0.entry.id)" }.joined(separator: "&amp;")
    let keys = zip(labels, shades).enumerated().map { index, key in
      """
      <button type="button" class="key" data-run="\(index)" aria-pressed="true" title="Show or hide this run">\
      <i class="swatch" style="--light:\(key.1.light);--dark:\(key.1.dark)"></i>\(Wording.html(key.0))</button>
      """
    }
    return frame.page(
      "Comparison", in: .runs,
      main: """
        <p class="eyebrow">Comparison</p>
        <h1>\(runs.count) runs</h1>
        \(notes.map(SiteFrame.notice).joined())
        <div class="toolbar"><div class="keys" role="group" aria-label="Runs">\(keys.joined())</div>
        <div class="switches" data-figures="/compare/figures?\(query)">\(PageFrame.zoomButton)
        <button type="button" id="log" aria-pressed="false" title="Logarithmic step axis">log step</button></div></div>
        \(PageFrame.sections(of: figures))
        \(table(labels, shades))
        """, figures: figures, runs: Array(zip(labels, shades)).map { (label: $0.0, shade: $0.1) })
  }

  /// The shortest names that differ: those of the folders, with what lies above them where two have the same.
  private var labels: [String] {
    let names = runs.map { $0.entry.name.split(separator: "/").map(String.init) }
    let longest = names.map(\.count).max() ?? 1
    for depth in 1...max(1, longest) {
      let labels = names.map { $0.suffix(depth).joined(separator: "/") }
      if Set(labels).count == labels.count { return labels }
    }
    return zip(names, 1...).map { $0.joined(separator: "/") + " (\($1))" }
  }

  private func table(_ labels: [String], _ shades: [Shade]) -> String {
    let differences = RunSettings.differences(runs.map { RunSettings($0.entry.url, $0.row.manifest) })
    let heads = differences.map { "<th scope=\"col\">\(Wording.html($0.key))</th>" }.joined()
    let rows = runs.indices.map { index in
      let run = runs[index]
      let swatch =
        "<i class=\"swatch\" style=\"--light:\(shades[index].light);--dark:\(shades[index].dark)\"></i>"
      let cells = differences.map { "<td>\(Wording.html($0.values[index]))</td>" }.joined()
      let accuracy = [run.row.train, run.row.test].map { value in
        "<td class=\"n\">\(value.map { Wording.html(Wording.percent($0)) } ?? "–")</td>"
      }
      return "<tr><th scope=\"row\"><a href=\"/run/\(run.entry.id)\">\(swatch)\(Wording.html(labels[index]))</a></th>"
        + "\(accuracy.joined())\(cells)</tr>"
    }
    let note =
      differences.isEmpty
      ? "These runs have the same configuration." : "Only what differs is shown; all other settings are the same."
    return """
      <section><h2>What sets them apart</h2><div class="scroll"><table class="plain"><thead><tr><th scope="col">Run</th>\
      <th scope="col" class="n">Train</th><th scope="col" class="n">Test</th>\(heads)</tr></thead><tbody>
      \(rows.joined(separator: "\n"))
      </tbody></table></div><p class="quiet">\(note)</p></section>
      """
  }
}
