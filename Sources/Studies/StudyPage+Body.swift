// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

extension StudyPage {
  var body: String {
    """
    <header>
    <p class="eyebrow">Coherent Gradients · study \(Wording.html(id))</p>
    <h1>\(Wording.html(title))</h1>
    <section class="finding" aria-label="Question">
    <p class="headline">\(Wording.html(question))</p>
    <p class="quiet">\(Wording.html(paper)), \(Wording.html(section)).<br>\
    Profile <b>\(Wording.html(profile))</b>: \(Wording.html(scale))</p>
    </section>
    </header>
    <main>
    <div class="toolbar"><div class="keys"><b>\(Wording.html(tally))</b></div>\
    <div class="switches">\(PageFrame.zoomButton)\(PageFrame.themeButton)</div></div>
    \(scoreCard)
    \(PageFrame.sections(of: figures, more: links))
    \(cellTable)
    \(commands)
    </main>
    \(provenance)
    <noscript><p class="quiet">The figures need JavaScript; they are also in figures/, with their data.</p></noscript>
    """
  }

  private var scoreCard: String {
    let cards = verdicts.indices.map { index in
      let verdict = verdicts[index]
      let word = verdict.outcome.rawValue
      let mark = Self.mark(verdict.outcome)
      let numbers = verdict.numbers.map { "<li>\(Wording.html($0.text))</li>" }.joined()
      let missing = verdict.missing.map { "<li>\(Wording.html($0))</li>" }.joined()
      return """
        <article class="verdict \(mark)" id="\(anchor(ofVerdict: index))">
        <h3>\(Wording.html(verdict.claim.id)) · <span class="outcome">\(word)</span></h3>
        <p>\(Wording.html(verdict.claim.sentence)) <span class="quiet">\
        \(Wording.html("\(verdict.claim.paper), \(verdict.claim.section)"))</span></p>
        \(verdict.parts.isEmpty ? "<p><b>\(Wording.html(verdict.explanation))</b></p>" : Self.parts(verdict.parts))
        \(numbers.isEmpty ? "" : "<details open><summary>Numbers</summary><ul>\(numbers)</ul></details>")
        \(missing.isEmpty ? "" : "<details open><summary>Missing</summary><ul>\(missing)</ul></details>")
        \(verdict.scale.isEmpty ? "" : "<p class=\"quiet\">\(Wording.html(verdict.scale))</p>")
        \(evidence(for: verdict))
        \(Self.history(Rules.history(of: verdict.claim.id)))
        </article>
        """
    }
    let none = "<p class=\"quiet\">No claim has been judged yet.</p>"
    return "<section><h2>Score card</h2>\(cards.isEmpty ? none : cards.joined(separator: "\n"))</section>"
  }

  /// The style of an outcome.
  private static func mark(_ outcome: Outcome) -> String { outcome.rawValue.replacingOccurrences(of: " ", with: "-") }

  private static func parts(_ parts: [Verdict.Part]) -> String {
    let lines = parts.map { part in
      "<li class=\"\(mark(part.outcome))\">\(Wording.html(part.id)) <span class=\"outcome\">"
        + "\(part.outcome.rawValue)</span> \(Wording.html(part.sentence)) <b>\(Wording.html(part.explanation))</b></li>"
    }
    return "<ul class=\"parts\">\(lines.joined())</ul>"
  }

  private static func history(_ lines: [String]) -> String {
    guard !lines.isEmpty else { return "" }
    let texts = lines.map { "<p class=\"quiet\">\(Wording.html($0))</p>" }.joined()
    return "<details><summary>How it is judged, and was before</summary>\(texts)</details>"
  }

  /// Links from a verdict to what it rests on.
  private func evidence(for verdict: Verdict) -> String {
    let shown = figures(for: verdict).compactMap { id in figures.first { $0.id == id } }
    let links = shown.map { "<a href=\"#\(Wording.html($0.id))\">\(Wording.html($0.title))</a>" }
    let names = verdict.runs.map { $0.split(separator: "/").last.map(String.init) ?? $0 } + verdict.measurements
    let runs = names.map { name in
      guard let cell = cells.first(where: { $0.name == name || $0.path == name }) else { return Wording.html(name) }
      return "<a href=\"#cell-\(Self.anchor(cell.name))\">\(Wording.html(cell.name))</a>"
    }
    var text = ""
    if !links.isEmpty { text += "<p class=\"quiet\">Figures: \(links.joined(separator: " · "))</p>" }
    guard !runs.isEmpty else { return text }
    let list = "<p class=\"quiet\">\(runs.joined(separator: " · "))</p>"
    guard runs.count > 8 else { return text + "<p class=\"quiet\">Runs: \(runs.joined(separator: " · "))</p>" }
    return text + "<details><summary>\(runs.count) runs</summary>\(list)</details>"
  }

  /// The figure's files and table, and the way back to the claims.
  private func links(of figure: Figure) -> String {
    let table = Data(figure.csv.utf8).base64EncodedString()
    let id = Wording.html(figure.id)
    let path = "figures/" + Self.link(figure.id)
    let files = (formats.map(\.rawValue) + ["csv"]).map { "<a href=\"\(path).\($0)\">\($0)</a>" }
    let claims = verdicts.indices.filter { figures(for: verdicts[$0]).contains(figure.id) }.map { index in
      "<a href=\"#\(anchor(ofVerdict: index))\">\(Wording.html(verdicts[index].claim.id))</a>"
    }
    return
      "<span class=\"links\"><a download=\"\(id).csv\" href=\"data:text/csv;charset=utf-8;base64,\(table)\">CSV</a>"
      + " · files: \(files.joined(separator: " "))"
      + (claims.isEmpty ? "" : " · \(claims.joined(separator: " "))") + "</span>"
  }

  private var cellTable: String {
    guard !cells.isEmpty else { return "" }
    let rows = cells.map { cell in
      let files = [
        cell.path.map { "<a href=\"\(Self.link($0))\">folder</a>" },
        cell.report.map { "<a href=\"\(Self.link($0))\">report</a>" },
        cell.command.isEmpty ? nil : "<a href=\"#command-\(Self.anchor(cell.name))\">command</a>",
      ]
      let numbers = [
        cell.steps.map(Wording.integer), cell.trainAccuracy.map { Wording.percent($0, digits: 2) },
        cell.testAccuracy.map { Wording.percent($0, digits: 2) }, cell.seconds.map(Wording.duration),
      ]
      return "<tr id=\"cell-\(Self.anchor(cell.name))\"><th scope=\"row\">\(Wording.html(cell.name))</th>"
        + "<td>\(Wording.html(cell.purpose))</td><td>\(Wording.html(cell.status))</td>"
        + numbers.map { "<td class=\"n\">\($0.map(Wording.html) ?? "–")</td>" }.joined()
        + "<td>\(files.compactMap { $0 }.joined(separator: " · "))</td></tr>"
    }
    return """
      <section><h2>Cells</h2>
      <div class="scroll"><table class="cells"><thead><tr><th scope="col">Cell</th><th scope="col">What it is</th>\
      <th scope="col">Status</th><th scope="col" class="n">Steps</th><th scope="col" class="n">Train</th>\
      <th scope="col" class="n">Test</th><th scope="col" class="n">Time</th><th scope="col">Files</th></tr></thead><tbody>
      \(rows.joined(separator: "\n"))
      </tbody></table></div>
      <p class="quiet">Train and test are accuracies at the last evaluation.</p></section>
      """
  }

  private var commands: String {
    let whole = command.isEmpty ? [] : [("The whole study", "study", command)]
    let own = cells.filter { !$0.command.isEmpty }.map { ($0.name, "command-" + Self.anchor($0.name), $0.command) }
    guard !(whole + own).isEmpty else { return "" }
    let lines = (whole + own).map { name, id, words in
      """
      <dt id="\(id)">\(Wording.html(name))</dt><dd><code>\(Wording.code(Wording.shell(words)))</code></dd>
      """
    }
    return "<section><h2>How to reproduce it</h2><dl>\(lines.joined(separator: "\n"))</dl></section>"
  }

  private var provenance: String {
    guard !machine.isEmpty else { return "" }
    let items = machine.map { "<dt>\(Wording.html($0.name))</dt><dd>\(Wording.html($0.value))</dd>" }
    return "<footer><h2>Machine</h2><dl class=\"facts\">\(items.joined())</dl></footer>"
  }

  /// A claim can be judged for several sets of runs; each verdict has its own target.
  private func anchor(ofVerdict index: Int) -> String {
    let name = "claim-" + Self.anchor(verdicts[index].claim.id)
    let before = verdicts[..<index].count { $0.claim.id == verdicts[index].claim.id }
    return before == 0 ? name : "\(name)-\(before + 1)"
  }

  /// A name as the target of a link: letters, digits and hyphens; anything else by its number.
  static func anchor(_ name: String) -> String {
    name.unicodeScalars.map { scalar in
      let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "-")
      return isPlain ? String(scalar) : "_" + String(scalar.value, radix: 16)
    }.joined()
  }

  /// A relative path as the address of a link.
  static func link(_ path: String) -> String {
    let plain = CharacterSet.urlPathAllowed.subtracting(CharacterSet(charactersIn: ":"))
    return Wording.html(path.addingPercentEncoding(withAllowedCharacters: plain) ?? "")
  }
}
