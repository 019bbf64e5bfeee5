// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

/// The list of studies, and the page of one: its score card, its report and its runs.
struct StudyPages {
  /// What there is.
  let snapshot: FolderIndex.Snapshot
  /// The score cards that were read.
  let cards: FileCache<ScoreCardFile?>

  private func card(_ entry: FolderIndex.Entry) -> ScoreCardFile? {
    cards.value(of: [entry.url.appendingPathComponent("scorecard.json")]) { ScoreCardFile(entry.url) }
  }

  /// The list.
  ///
  /// - Parameter frame: what is around it.
  func list(in frame: SiteFrame) -> String {
    let studies = snapshot.entries(.study)
    guard !studies.isEmpty else {
      return frame.page(
        "Studies", in: .studies,
        main: """
          <h1>Studies</h1>
          <div class="empty"><p>No study was found in the folders that are served.</p>
          <p>One is run with <code>coherent study run gm/linear-example --out studies/linear-example</code></p></div>
          """)
    }
    let cards = studies.map { entry in
      let card = card(entry)
      let tally = (card?.tally ?? []).map { outcome, count in
        "<span class=\"outcome \(Self.mark(outcome))\">\(count) \(Wording.html(outcome))</span>"
      }
      let runs = snapshot.entries(.run).count { $0.url.path.hasPrefix(entry.url.path + "/") }
      let facts = [
        card?.profile.map { "profile \($0)" }, runs == 1 ? "1 run" : "\(Wording.integer(runs)) runs",
        Self.hasReport(entry) ? "report" : nil,
      ]
      return """
        <a class="tile" href="/study/\(entry.id)"><span class="above">\(Wording.code(entry.name))</span>
        <strong>\(Wording.html(card?.study ?? entry.url.lastPathComponent))</strong>
        <span class="tally">\(tally.isEmpty ? "<span class=\"quiet\">no score card yet</span>" : tally.joined())</span>
        <span class="quiet">\(Wording.html(facts.compactMap { $0 }.joined(separator: " · ")))</span></a>
        """
    }
    return frame.page(
      "Studies", in: .studies,
      main: "<h1>Studies</h1>\n<div class=\"tiles-grid\">\(cards.joined(separator: "\n"))</div>")
  }

  /// The page of one study.
  ///
  /// - Parameters:
  ///   - entry: the study.
  ///   - frame: what is around it.
  func page(_ entry: FolderIndex.Entry, in frame: SiteFrame) -> String {
    let card = card(entry)
    let title = card?.study ?? entry.url.lastPathComponent
    let report =
      Self.hasReport(entry) ? "<a class=\"button\" href=\"/study/\(entry.id)/file/report.html\">Report</a>" : ""
    let pictures = Self.figures(entry).map {
      "<a href=\"/study/\(entry.id)/file/figures/\(Self.escaped($0))\">\(Wording.code($0))</a>"
    }
    let figures = SiteFrame.menu("Figures", pictures)
    let verdicts = card?.verdicts.map(verdict).joined(separator: "\n")
    let links = report + figures
    let toolbar = links.isEmpty ? "" : "<div class=\"toolbar\"><div class=\"keys\">\(links)</div></div>"
    return frame.page(
      title, in: .studies,
      main: """
        \(SiteFrame.eyebrow(entry.name))
        <h1>\(Wording.html(title))</h1>
        \(toolbar)
        <section><h2>Score card</h2>
        \(verdicts ?? "<p class=\"notice\">There is no score card yet: it is written when the study is judged.</p>")
        </section>
        \(runs(entry, card))
        """)
  }

  private func verdict(_ verdict: ScoreCardFile.Verdict) -> String {
    let parts = (verdict.parts ?? []).map { part in
      "<li><span class=\"outcome \(Self.mark(part.outcome))\">\(Wording.html(part.outcome))</span> "
        + "\(Wording.html(part.sentence ?? part.id)) "
        + "<span class=\"quiet\">\(Wording.html(part.explanation ?? ""))</span></li>"
    }
    let numbers = (verdict.numbers ?? []).map { number in
      let range = number.low.flatMap { low in number.high.map { " (\(Self.text(low)) to \(Self.text($0)))" } } ?? ""
      return "<li>\(Wording.html(number.name)): \(number.value.map(Self.text) ?? "–")\(range)</li>"
    }
    let missing = (verdict.missing ?? []).map { "<li>missing: \(Wording.html($0))</li>" }
    let details =
      numbers.isEmpty && missing.isEmpty
      ? "" : "<details><summary>Numbers</summary><ul>\((numbers + missing).joined())</ul></details>"
    let source = [verdict.claim.paper, verdict.claim.section].compactMap { $0 }.joined(separator: ", ")
    return """
      <article class="verdict \(Self.mark(verdict.outcome))">
      <h3>\(Wording.html(verdict.claim.id)) <span class="outcome">\(Wording.html(verdict.outcome))</span></h3>
      <p>\(Wording.html(verdict.claim.sentence))</p>
      <p class="quiet">\(Wording.html(source))</p>
      <p>\(parts.isEmpty ? Wording.html(verdict.explanation ?? "") : "")</p>
      \(parts.isEmpty ? "" : "<ul class=\"parts\">\(parts.joined())</ul>")
      \(details)
      </article>
      """
  }

  private func runs(_ entry: FolderIndex.Entry, _ card: ScoreCardFile?) -> String {
    let titles = Dictionary(
      (card?.cells ?? []).compactMap { cell in cell.results.map { ($0, cell.title ?? cell.name) } },
      uniquingKeysWith: { first, _ in first })
    let rows = snapshot.entries(.run).filter { $0.url.path.hasPrefix(entry.url.path + "/") }.compactMap { run in
      snapshot.rows[run.id].map { row in
        let path = String(run.url.path.dropFirst(entry.url.path.count + 1))
        let accuracy = [row.train, row.test].map { value in
          "<td class=\"n\">\(value.map { Wording.html(Wording.percent($0)) } ?? "–")</td>"
        }
        return """
          <tr><th scope="row"><a href="/run/\(run.id)">\(Wording.html(titles[path] ?? path))</a></th>\
          <td>\(SiteFrame.status(row))</td>\
          <td class="n">\(row.step.map(Wording.integer) ?? "–")</td>\(accuracy.joined())</tr>
          """
      }
    }
    guard !rows.isEmpty else { return "" }
    return """
      <section><h2>Runs</h2><div class="scroll"><table class="plain"><thead><tr><th scope="col">Run</th>\
      <th scope="col">Status</th><th scope="col" class="n">Step</th><th scope="col" class="n">Train</th>\
      <th scope="col" class="n">Test</th></tr></thead><tbody>
      \(rows.joined(separator: "\n"))
      </tbody></table></div></section>
      """
  }

  private static func hasReport(_ entry: FolderIndex.Entry) -> Bool {
    FileStamp(of: entry.url.appendingPathComponent("report.html")) != nil
  }

  private static func figures(_ entry: FolderIndex.Entry) -> [String] {
    let folder = entry.url.appendingPathComponent("figures").path
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { !$0.hasPrefix(".") && FileSending.kind(of: $0) != nil }.sorted()
  }

  private static func escaped(_ name: String) -> String {
    name.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(.init(charactersIn: "-._~"))) ?? ""
  }

  private static func mark(_ outcome: String) -> String {
    ScoreCardFile.outcomes.contains(outcome) ? outcome.replacingOccurrences(of: " ", with: "-") : "not-tested"
  }

  private static func text(_ value: Double) -> String {
    Wording.html("\(Wording.rounded(value, digits: 4))".replacingOccurrences(of: "-", with: "−"))
  }
}
