// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// The table of runs.
struct RunsPage {
  /// A column: its heading, whether it holds numbers, and whether narrow screens show it.
  private struct Head {
    let title: String
    var isNumber = false
    var isWide = true
  }

  private static let heads = [
    Head(title: "Run", isWide: false), Head(title: "Status", isWide: false), Head(title: "Data set"),
    Head(title: "Model"), Head(title: "Optimizer"), Head(title: "Noise", isNumber: true),
    Head(title: "Seed", isNumber: true), Head(title: "Step", isNumber: true), Head(title: "Train", isNumber: true),
    Head(title: "Test", isNumber: true, isWide: false), Head(title: "α", isNumber: true),
    Head(title: "Started", isNumber: true),
  ]

  /// What there is.
  let snapshot: FolderIndex.Snapshot
  /// The folders that are served.
  let roots: [URL]

  /// The page.
  ///
  /// - Parameter frame: what is around it.
  func html(in frame: SiteFrame) -> String {
    let runs = snapshot.entries(.run)
    guard !runs.isEmpty else {
      let places = roots.map { "<code>\(Wording.code($0.path))</code>" }.joined()
      return frame.page(
        "Runs", in: .runs,
        main: """
          <h1>Runs</h1>
          <div class="empty"><p>No run directory was found in</p>\(places)
          <p>A training writes one; reload this page when it has begun: \
          <code>coherent train --dataset digits --model mlp:256 --out runs/first</code></p></div>
          """)
    }
    let heads = Self.heads.map { head in
      let kind = [head.isNumber ? "n" : "", head.isWide ? "wide" : ""].filter { !$0.isEmpty }.joined(separator: " ")
      return "<th scope=\"col\" class=\"\(kind)\"><button type=\"button\" data-sort>\(head.title)</button></th>"
    }
    let counts = Dictionary(grouping: snapshot.rows.values, by: \.status).mapValues(\.count)
    let chips = RunRow.Status.allCases.filter { counts[$0] != nil }.map { status in
      "<button type=\"button\" class=\"chip\" data-status=\"\(status.rawValue)\" aria-pressed=\"false\">"
        + "<i class=\"dot-mark \(status.rawValue)\"></i>\(status.rawValue) \(Wording.integer(counts[status] ?? 0))</button>"
    }
    let rows = self.rows
    return frame.page(
      "Runs", in: .runs,
      main: """
        <h1>Runs</h1>
        <form action="/compare" class="runs">
        <div class="toolbar"><div class="keys">
        <input type="search" id="filter" placeholder="Filter, such as cifar10 rm3" aria-label="Filter the runs" \
        autocomplete="off" spellcheck="false">
        \(chips.joined())
        <span class="hint" id="shown" aria-live="polite"></span></div>
        <div class="switches"><button type="submit" id="compare" class="primary" disabled>Compare</button></div></div>
        <div class="scroll"><table id="runs" data-refresh="/runs/rows" \
        data-tag="\(Self.tag(rows))"><thead><tr>\
        <th class="pick"><span class="unseen">Compare</span></th>\(heads.joined())</tr></thead><tbody>
        \(rows)
        </tbody></table></div>
        </form>
        <p class="quiet">Accuracies are those of the last evaluation, with the labels trained on and on the test set. \
        α is the coherence of the whole network at the last probe; probes of different sizes are not comparable.</p>
        """)
  }

  /// The rows alone, which an open page asks for again.
  var rows: String {
    snapshot.entries(.run).compactMap { entry in snapshot.rows[entry.id].map { row(entry, $0) } }
      .joined(separator: "\n")
  }

  /// What tells rows from others.
  static func tag(_ rows: String) -> String { FolderIndex.id(rows) }

  private func row(_ entry: FolderIndex.Entry, _ row: RunRow) -> String {
    let link = "<a href=\"/run/\(entry.id)\" title=\"\(Wording.code(entry.name))\">\(SiteFrame.name(entry.name))</a>"
    let status = "<td data-v=\"\(row.status.rawValue)\">\(SiteFrame.status(row))</td>"
    let pick =
      "<td class=\"pick\"><input type=\"checkbox\" name=\"run\" value=\"\(entry.id)\" "
      + "aria-label=\"Compare \(Wording.code(entry.name))\"></td>"
    guard let manifest = row.manifest else {
      return "<tr><td class=\"pick\"></td><th scope=\"row\" data-v=\"\(Wording.code(entry.name))\">"
        + "\(SiteFrame.name(entry.name))</th>\(status)<td class=\"wide problem\" colspan=\"10\">"
        + "\(Wording.html(row.problem ?? ""))</td></tr>"
    }
    let optimizer = manifest.optimizer ?? "–"
    let brief = [manifest.dataset.name, manifest.model, optimizer, Wording.level(manifest.noise.rate) + " noise"]
    let name =
      "<th scope=\"row\" data-v=\"\(Wording.code(entry.name))\">\(link)"
      + "<span class=\"brief\">\(Wording.html(brief.joined(separator: " · ")))</span></th>"
    let texts = [manifest.dataset.name, manifest.model, optimizer].map {
      "<td class=\"wide\">\(Wording.html($0))</td>"
    }
    let step = row.step.map(Wording.integer) ?? "–"
    let planned = manifest.plannedSteps.flatMap { planned in
      row.status != .finished ? " <span class=\"quiet\">of \(Wording.integer(planned))</span>" : nil
    }
    let numbers = [
      Self.number(manifest.noise.rate, Wording.html(Wording.level(manifest.noise.rate))),
      Self.number(Double(manifest.seed), "\(manifest.seed)"),
      Self.number(row.step.map(Double.init), step + (planned ?? "")),
      Self.number(row.train, row.train.map { Wording.html(Wording.percent($0)) } ?? "–"),
      Self.number(row.test, row.test.map { Wording.html(Wording.percent($0)) } ?? "–", isWide: false),
      Self.number(row.alpha, row.alpha.map { String(format: "%.3g", $0) } ?? "–"),
      Self.number(manifest.created.timeIntervalSince1970, SiteFrame.time(manifest.created)),
    ]
    return "<tr>\(pick)\(name)\(status)\(texts.joined())\(numbers.joined())</tr>"
  }

  private static func number(_ value: Double?, _ text: String, isWide: Bool = true) -> String {
    let sorted = value.map { $0.isFinite ? "\($0)" : "" } ?? ""
    return "<td class=\"n\(isWide ? " wide" : "")\" data-v=\"\(sorted)\">\(text)</td>"
  }
}
