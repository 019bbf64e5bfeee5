// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import Charts
@testable import Studies

/// The page of a study: from verdict to figure to table to command.
@Suite struct StudyPageTests {
  private func figure() throws -> Figure {
    try #require(
      FigureGrid(
        id: "winsorized-grid", title: "Accuracy <b>", caption: "ta & va", section: "Curves",
        panels: [
          FigurePanel(
            x: .steps, y: .accuracy(), lines: [FigureLine("sgd", points: [FigurePoint(x: 0, y: 0.5)])])
        ]
      ).figure())
  }

  private func verdict(
    _ id: String, _ sentence: String, _ outcome: Outcome, _ explanation: String, missing: [String] = [],
    measurements: [String] = []
  ) -> Verdict {
    Verdict(
      claim: Claim(id: id, sentence: sentence, paper: "A paper", section: "§3.3", setting: ""), version: 2,
      outcome: outcome, explanation: explanation, parts: [], numbers: [NamedValue("slope", 0.1)], runs: [],
      measurements: measurements, seeds: [], scale: "", missing: missing)
  }

  private func page(_ name: String = "sgd/1") throws -> StudyPage {
    StudyPage(
      id: "cg/winsorized", title: "Robust <means>", question: "Is a < b?", paper: "A paper", section: "§3",
      profile: "small", scale: "a tenth of the paper’s steps",
      verdicts: [
        verdict(
          "CG-8", "Slower & slower.", .didNotHold, "<script>alert(1)</script>", missing: ["50 % noise"],
          measurements: [name, "elsewhere"])
      ], figures: [try figure()],
      cells: [
        .init(
          name: name, purpose: "SGD", status: "completed", steps: 60_000, trainAccuracy: 0.9876, testAccuracy: 0.5,
          seconds: 65, path: "runs/a b", report: "runs/a b/report.html", command: ["coherent", "train", "--out", "a b"])
      ], machine: [("Processor", "A <fast> one")], command: ["coherent", "study", "run", "cg/winsorized"])
  }

  @Test func leadsFromVerdictToFigureToTableToCommand() throws {
    let scratch = try Scratch()
    let html = try page().html(bundle: scratch.bundle())
    let own = try figure()
    #expect(html.contains("class=\"verdict did-not-hold\"") && html.contains(">did not hold</span>"))
    #expect(html.contains("<a href=\"#winsorized-grid\">") && html.contains("<figure id=\"winsorized-grid\""))
    #expect(html.contains("base64," + Data(own.csv.utf8).base64EncodedString()))
    #expect(html.contains("figures/winsorized-grid.svg") && !html.contains("figures/winsorized-grid.pdf"))
    #expect(html.contains("figures/winsorized-grid.csv") && html.contains("data-save=\"png\""))
    #expect(html.contains("href=\"#cell-sgd_2f1\"") && html.contains("<tr id=\"cell-sgd_2f1\">"))
    #expect(html.contains("href=\"#command-sgd_2f1\"") && html.contains("<dt id=\"command-sgd_2f1\">"))
    #expect(html.contains("coherent train --out &#39;a b&#39;") && html.contains("coherent study run cg/winsorized"))
    #expect(html.contains("runs/a%20b/report.html") && html.contains("98.76\u{A0}%") && html.contains("1 min 05 s"))
    #expect(html.contains("1 did not hold") && html.contains("href=\"#claim-CG-8\"") && html.contains("elsewhere"))
  }

  @Test func textOfUsersIsEscaped() throws {
    let scratch = try Scratch()
    let html = try page("<i>\" onclick=\"x").html(bundle: scratch.bundle())
    for raw in ["<means>", "a < b", "<script>alert", "<fast>", "Accuracy <b>", "<i>\"", "href=\"#cell-<"] {
      #expect(!html.contains(raw), "\(raw)")
    }
    #expect(html.contains("Robust &lt;means&gt;") && html.contains("Slower &amp; slower."))
    #expect(html.contains("default-src 'none'") && !html.contains("http://"))
  }

  @Test func aClaimJudgedTwiceHasTwoTargets() throws {
    let scratch = try Scratch()
    let verdict = verdict("CG-8", "x", .held, "x")
    let html = try StudyPage(
      id: "x", title: "x", question: "x", paper: "x", section: "x", profile: "smoke", scale: "x",
      verdicts: [verdict, verdict], figures: [try figure()], cells: [], machine: [], command: []
    ).html(bundle: scratch.bundle())
    for target in ["claim-CG-8", "claim-CG-8-2"] {
      #expect(html.contains("id=\"\(target)\"") && html.contains("href=\"#\(target)\""))
    }
  }

  @Test func pathsCannotBecomeOtherSchemes() {
    #expect(!StudyPage.link("javascript:alert(1)").contains(":"))
    #expect(StudyPage.link("runs/50% \"x\"") == "runs/50%25%20%22x%22")
  }

  @Test func anEmptyStudyHasAPage() throws {
    let scratch = try Scratch()
    let empty = StudyPage(
      id: "x", title: "x", question: "x", paper: "x", section: "x", profile: "smoke", scale: "x", verdicts: [],
      figures: [], cells: [], machine: [], command: [])
    let html = try empty.html(bundle: scratch.bundle())
    #expect(html.contains("No verdict yet") && html.contains("No claim has been judged yet."))
    let file = scratch.url.appendingPathComponent("report.html")
    try empty.write(to: file, bundle: scratch.bundle())
    #expect(try String(contentsOf: file, encoding: .utf8) == html)
    #expect(throws: ChartError.self) { try empty.html(bundle: scratch.url.appendingPathComponent("none.js")) }
  }
}
