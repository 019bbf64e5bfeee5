// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// The HTML of a report.
struct ReportPage {
  let title: String
  let runs: [RunData]
  let figures: [Figure]
  /// The folder the page is written to, which links are relative to.
  let folder: URL?

  func html(bundle: URL) throws -> String {
    let shown = figures.filter { !$0.isComposite }
    let body = """
      \(header)
      <main>
      \(shown.isEmpty ? "<p class=\"quiet\">No evaluations yet: the figures appear with the first one.</p>" : toolbar)
      \(PageFrame.sections(of: shown))
      \(table)
      \(commands)
      </main>
      \(provenance)
      <noscript><p class="quiet">The figures need JavaScript; the numbers are in metrics.csv of each run.</p></noscript>
      """
    return try PageFrame.document(
      title: title, body: body, figures: shown, runs: runs.map { ($0.label, $0.shade) }, bundle: bundle)
  }

  private var header: String {
    let items = runs.map { run in
      """
      <li><span class="run">\(swatch(run))\(Wording.html(run.label))</span>\
      <span>\(Wording.html(Findings.sentences(for: run).joined(separator: " ")))</span></li>
      """
    }
    return """
      <header>
      <p class="eyebrow">Coherent Gradients · training report</p>
      <h1>\(Wording.html(title))</h1>
      <section class="finding" aria-label="Finding">
      <p class="headline">\(Wording.html(Findings.headline(for: runs)))</p>
      <ul>\(items.joined(separator: "\n"))</ul>
      </section>
      </header>
      """
  }

  private var toolbar: String {
    let buttons = runs.enumerated().map { index, run in
      """
      <button type="button" class="key" data-run="\(index)" aria-pressed="true" title="Show or hide this run">\
      <i class="swatch" style="\(Self.style(run.shade))"></i>\(Wording.html(run.label))</button>
      """
    }
    return """
      <div class="toolbar">
      <div class="keys" role="group" aria-label="Runs">\(runs.count > 1 ? buttons.joined() : "")</div>
      <div class="switches">
      \(PageFrame.zoomButton)
      \(isNarrow ? fullButton : "")
      <button type="button" id="log" aria-pressed="false" title="Logarithmic step axis">log step</button>
      \(PageFrame.themeButton)
      </div>
      </div>
      """
  }

  /// Whether accuracy axes are closer than 0 to 100 %.
  private var isNarrow: Bool { AccuracyAxis.ends(for: runs) != AccuracyAxis.whole }

  private var fullButton: String {
    "<button type=\"button\" id=\"full\" aria-pressed=\"false\" title=\"Accuracy axes from 0 to 100\u{A0}%\">"
      + "0–100\u{A0}%</button>"
  }

  /// The run's colour; a report of one run has none, as its colours are those of groups of examples.
  func swatch(_ run: RunData) -> String {
    runs.count > 1 ? "<i class=\"swatch\" style=\"\(Self.style(run.shade))\"></i>" : ""
  }

  static func style(_ shade: Shade) -> String { "--light:\(shade.light);--dark:\(shade.dark)" }
}
