// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// The page of one run.
struct RunPage {
  /// The run.
  let entry: FolderIndex.Entry
  /// Where it stands.
  let row: RunRow
  /// Its figures.
  let figures: [Figure]
  /// What cannot be drawn, and why; nil unless something is wrong.
  var problem: String?

  /// The page.
  ///
  /// - Parameter frame: what is around it.
  func html(in frame: SiteFrame) -> String {
    let drawn = PageFrame.sections(of: figures)
    let nothing = "<p class=\"notice\">No evaluations yet: the figures appear with the first one.</p>"
    return frame.page(
      entry.url.lastPathComponent, in: .runs,
      main: """
        \(SiteFrame.eyebrow(entry.name))
        <h1>\(Wording.code(entry.url.lastPathComponent))</h1>
        <div id="live" data-live="\(row.status == .running ? "/run/\(entry.id)/events" : "")">\(facts)</div>
        \(problem.map(SiteFrame.notice) ?? "")
        <div class="toolbar"><div class="keys"><a class="button" href="/run/\(entry.id)/report">Full report</a>\
        \(Self.downloads(entry))</div>
        <div class="switches" data-figures="/run/\(entry.id)/figures">\(PageFrame.zoomButton)
        <button type="button" id="log" aria-pressed="false" title="Logarithmic step axis">log step</button></div></div>
        \(figures.isEmpty && problem == nil ? nothing : drawn)
        \(events)
        \(configuration)
        """, figures: figures)
  }

  /// What changes while the run goes on.
  var facts: String {
    guard let manifest = row.manifest else { return SiteFrame.notice(row.problem ?? "") }
    let planned = manifest.plannedSteps.map { " <span class=\"quiet\">of \(Wording.integer($0))</span>" } ?? ""
    let numbers: [(String, String?)] = [
      ("Status", SiteFrame.status(row)),
      ("Step", row.step.map { Wording.integer($0) + (row.status == .finished ? "" : planned) }),
      ("Train accuracy", row.train.map { Wording.html(Wording.percent($0)) }),
      ("Test accuracy", row.test.map { Wording.html(Wording.percent($0)) }),
      ("α", row.alpha.map { String(format: "%.3g", $0) }),
      ("Time", manifest.summary?.wallSeconds.map { Wording.html(Wording.duration($0)) }),
    ]
    let tiles = numbers.compactMap { title, value in value.map { "<div><dt>\(title)</dt><dd>\($0)</dd></div>" } }
    let progress = manifest.plannedSteps.flatMap { planned in
      row.status == .running && planned > 0
        ? "<progress max=\"\(planned)\" value=\"\(min(planned, row.step ?? 0))\">\(row.step ?? 0)</progress>" : nil
    }
    return "<dl class=\"tiles\">\(tiles.joined())</dl>\(progress ?? "")"
  }

  private static let files = [
    "metrics.csv", "coherence.csv", "contributions.csv", "measures.csv", "examples.csv", "labels.csv", "config.yaml",
    "manifest.json",
  ]

  private static func downloads(_ entry: FolderIndex.Entry) -> String {
    let links = files.filter { FileStamp(of: entry.url.appendingPathComponent($0)) != nil }.map {
      "<a href=\"/run/\(entry.id)/file/\($0)\">\($0)</a>"
    }
    return SiteFrame.menu("Files", links)
  }

  private var events: String {
    guard let events = try? RunDirectory.open(at: entry.url.path).events(), !events.isEmpty else { return "" }
    let rows = events.suffix(50).reversed().map { event in
      let message = event.message.map { " <span class=\"quiet\">\(Wording.html($0))</span>" } ?? ""
      return "<tr><td>\(SiteFrame.time(event.time))</td>"
        + "<td class=\"n\">\(event.step.map(Wording.integer) ?? "–")</td>"
        + "<td class=\"long\">\(Wording.html(event.kind))\(message)</td></tr>"
    }
    return """
      <section><h2>Events</h2><div class="scroll"><table class="events"><thead><tr><th scope="col">Time</th>\
      <th scope="col" class="n">Step</th><th scope="col">What</th></tr></thead><tbody>
      \(rows.joined(separator: "\n"))
      </tbody></table></div></section>
      """
  }

  private var configuration: String {
    let settings = RunSettings(entry.url, row.manifest)
    guard !settings.values.isEmpty else { return "" }
    let items = settings.values.map { "<dt>\(Wording.html($0.key))</dt><dd>\(Wording.html($0.value))</dd>" }
    let command = row.manifest.map { manifest in
      manifest.commandLine.isEmpty ? "" : "<code>\(Wording.code(Wording.shell(manifest.commandLine)))</code>"
    }
    return """
      <section><h2>Configuration</h2>\(command ?? "")
      <dl class="facts columns">\(items.joined())</dl></section>
      """
  }
}
