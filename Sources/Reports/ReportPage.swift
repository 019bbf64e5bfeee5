// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// The HTML of a report.
struct ReportPage {
  let title: String
  let runs: [RunData]
  let figures: [Figure]
  /// The folder the page is written to, which links are relative to.
  let folder: URL?

  func html(bundle: String) -> String {
    let shown = figures.filter { !$0.isComposite }
    let policy =
      "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <meta http-equiv="Content-Security-Policy" content="\(policy)">
      <title>\(Wording.html(title)) · Coherent Gradients</title>
      <style>\(ReportStyle.css)</style>
      </head>
      <body>
      \(header)
      <main>
      \(shown.isEmpty ? "<p class=\"quiet\">No evaluations yet: the figures appear with the first one.</p>" : toolbar)
      \(sections(of: shown))
      \(table)
      \(commands)
      </main>
      \(provenance)
      <noscript><p class="quiet">The figures need JavaScript; the numbers are in metrics.csv of each run.</p></noscript>
      <script>\(Self.escaped(bundle))</script>
      <script>const REPORT = \(payload(shown).text);</script>
      <script>\(ReportScript.javascript)</script>
      </body>
      </html>

      """
  }

  /// Script text that cannot end its element early.
  static func escaped(_ script: String) -> String {
    script.replacingOccurrences(of: "</script", with: "<\\/script", options: .caseInsensitive)
      .replacingOccurrences(of: "<!--", with: "<\\!--")
  }

  private var header: String {
    let items = runs.map { run in
      """
      <li><span class="run"><i class="swatch" style="\(Self.style(run.shade))"></i>\(Wording.html(run.label))</span>\
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
      <div class="keys" role="group" aria-label="Runs">\(buttons.joined())</div>
      <div class="switches">
      <button type="button" id="log" aria-pressed="false" title="Logarithmic step axis">log step</button>
      <button type="button" id="theme" title="Switch between light and dark">light / dark</button>
      </div>
      </div>
      """
  }

  private func sections(of figures: [Figure]) -> String {
    var names: [String] = []
    for figure in figures where !names.contains(figure.section) { names.append(figure.section) }
    return names.map { name in
      let cards = figures.filter { $0.section == name }.map { figure in
        """
        <figure id="\(figure.id)">
        <div class="chart" role="img" aria-label="\(Wording.html(figure.title + ". " + figure.caption))"></div>
        <figcaption>\(Wording.html(figure.caption))\
         <span class="save"><button type="button" data-save="svg">SVG</button>\
        <button type="button" data-save="png">PNG</button></span></figcaption>
        </figure>
        """
      }
      return
        "<section><h2>\(Wording.html(name))</h2><div class=\"grid\">\(cards.joined(separator: "\n"))</div></section>"
    }.joined(separator: "\n")
  }

  /// What the script needs: the charts without data, the data packed, and the looks.
  private func payload(_ figures: [Figure]) -> JSON {
    let shades = runs.map(\.shade) + [Palette.pristine, Palette.corrupt, Palette.test, Palette.neutral]
    return .object([
      "runs": .strings(runs.map(\.label)),
      "shades": .array(shades.map { .strings([$0.light, $0.dark]) }),
      "light": ChartStyle.lightConfig, "dark": ChartStyle.darkConfig,
      "figures": .array(
        figures.map { figure in
          .object([
            "id": .string(figure.id), "chart": figure.chart,
            "data": .object(figure.data.map { JSON.Member(key: $0.name, value: $0.compact) }),
          ])
        }),
    ])
  }

  static func style(_ shade: Shade) -> String { "--light:\(shade.light);--dark:\(shade.dark)" }
}
