// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore
import TestSupport
import Testing

@testable import Dashboard

/// What the pages show, and what an open page of a run hears.
@Suite struct PageTests {
  @Test func theTableOfRuns() async throws {
    let scratch = try Scratch()
    try scratch.run("runs/one", seed: 11)
    try scratch.run("runs/<two>", seed: 12, status: .diverged, dataset: "<script>alert(1)</script>")
    try scratch.write("no JSON", "broken/manifest.json")
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let page = try await dashboard.get("/").body
    #expect(page.contains("52.0\u{A0}%") && page.contains("finished 1") && page.contains("diverged 1"))
    #expect(page.contains("&lt;two&gt;") && !page.contains("<script>alert"))
    #expect(page.contains("manifest.json cannot be read"))
    let rows = try await dashboard.get("/runs/rows")
    #expect(rows.body.components(separatedBy: "<tr>").count == 4)
    let tag = try #require(rows.headers["etag"])
    #expect(try await dashboard.get("/runs/rows", headers: ["If-None-Match": tag]).status == 304)
  }

  /// A quote with an accent on it is one character to a reader and ends an attribute to a browser.
  @Test func textIsEscapedByScalars() {
    #expect(Wording.code("a\"\u{308}b<\u{301}&") == "a&quot;\u{308}b&lt;\u{301}&amp;")
    #expect(Wording.html("5 % of 10 % and x % \"%\" %") == "5\u{A0}% of 10\u{A0}% and x % &quot;%&quot; %")
    #expect(Wording.html("plain") == "plain" && Wording.html("") == "")
  }

  @Test func nothingToShow() async throws {
    let scratch = try Scratch()
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    #expect(try await dashboard.get("/").body.contains("No run directory was found"))
    #expect(try await dashboard.get("/studies").body.contains("No study was found"))
    #expect(try await dashboard.get("/audits").body.contains("No audit of labels was found"))
    for path in ["/run/0123", "/study/1", "/audit/1", "/nothing", "/assets/none.js", "/run"] {
      let answer = try await dashboard.get(path)
      #expect(answer.status == 404 && answer.body.contains("There is nothing at this address."), "\(path)")
    }
    let compared = try await dashboard.get("/compare?run=1")
    #expect(compared.status == 400 && compared.body.contains("Choose runs to compare"))
  }

  @Test func oneRun() async throws {
    let scratch = try Scratch()
    let run = try scratch.run("run", steps: 40)
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let path = "/run/\(FolderIndex.id(run.url.path))"
    let page = try await dashboard.get(path).body
    for id in ["accuracy", "loss", "alpha-by-step", "alpha-by-layer"] { #expect(page.contains("<figure id=\"\(id)\"")) }
    #expect(page.contains("&lt;b&gt;saved&lt;/b&gt;") && page.contains("<dt>lr</dt><dd>0.1</dd>"))
    #expect(try await dashboard.get(path + "/report").body.contains("Coherent Gradients · training report"))
    // What is damaged is said, and mended it is drawn.
    try scratch.write("epoch,step,split,group,count,loss,acc1,acc5\n0,0,train,all,10,x,0.5,\n", "run/metrics.csv")
    let damaged = try await dashboard.get(path).body
    #expect(damaged.contains("metrics.csv:2: the line holds &quot;x&quot; as loss, not a number."))
    // The folder vanishes.
    try FileManager.default.removeItem(at: run.url)
    try await Task.sleep(for: .milliseconds(1100))
    #expect(try await dashboard.get(path).status == 404)
    #expect(try await dashboard.get(path + "/report").status == 404)
  }

  @Test func comparison() async throws {
    let scratch = try Scratch()
    let runs = [try scratch.run("a/x", seed: 1), try scratch.run("b/x", seed: 2)]
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let query = runs.map { "run=" + FolderIndex.id($0.url.path) }.joined(separator: "&")
    let page = try await dashboard.get("/compare?\(query)&run=gone").body
    #expect(page.contains("<figure id=\"test-accuracy\"") && page.contains("<figure id=\"train-alpha\""))
    #expect(page.contains("<th scope=\"col\">seed</th>") && !page.contains("<th scope=\"col\">lr</th>"))
    #expect(page.contains("a/x</button>") && page.contains("Some of these runs are no longer there."))
  }

  /// Zoomed in, all points of the steps that are seen are there, with one on either side.
  @Test func moreOfFewerSteps() async throws {
    let scratch = try Scratch()
    let run = try scratch.run("run", steps: 6000)
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let id = FolderIndex.id(run.url.path)
    func steps(_ address: String) async throws -> [String: [Int]] {
      let answer = try await dashboard.get(address)
      #expect(answer.status == 200 && answer.headers["content-type"] == "application/json")
      let report = try JSONDecoder().decode(Report.self, from: Data(answer.body.utf8))
      return Dictionary(
        uniqueKeysWithValues: report.figures.compactMap { figure in
          (figure.data[figure.id]?.series?.first?.x).map { (figure.id, $0) }
        })
    }
    let seen = try await steps("/run/\(id)/figures?from=1000.5&to=1100")
    #expect(seen["accuracy"] == Array(1000...1101) && seen["loss"] == Array(1000...1101))
    #expect(seen["alpha-by-step"] == Array(stride(from: 1000, through: 1105, by: 5)))
    #expect(try await steps("/compare/figures?run=\(id)&from=0&to=3")["test-loss"] == Array(0...4))
    let all = try #require(try await steps("/run/\(id)/figures?from=-1e300&to=1e300")["accuracy"])
    #expect(all.count < 3000 && all.first == 0 && all.last == 6000)
    for query in ["", "?from=1", "?from=2&to=1", "?from=nan&to=1", "?from=0&to=inf", "?from=x&to=1"] {
      let answer = try await dashboard.get("/run/\(id)/figures\(query)")
      #expect(answer.status == 400 && answer.body.contains("from=STEP"), "\(query)")
    }
    #expect(try await dashboard.get("/compare/figures?run=gone&from=0&to=1").status == 404)
  }

  private struct Report: Decodable {
    struct Figure: Decodable {
      struct Data: Decodable {
        struct Series: Decodable { let x: [Int] }
        let series: [Series]?
      }
      let id: String
      let data: [String: Data]
    }
    let figures: [Figure]
  }

  @Test func settings() {
    let yaml = "a: 1\n# b: 2\nlist:\n- x\n- y: 3\nempty: []\nmap:\n  inner: \"z\"\nlast:\n"
    let values = RunSettings.lines(of: yaml)
    #expect(values.map(\.key) == ["a", "list", "empty", "map.inner", "last"])
    #expect(values.map(\.value) == ["1", "x, y: 3", "[]", "\"z\"", ""])
  }

  @Test func studies() async throws {
    let scratch = try Scratch()
    try scratch.write("study: gm/coherence\n", "study/study.yaml")
    try scratch.run("study/runs/cell")
    let card = """
      {"study": "gm/coherence", "profile": "smoke", "cells": [{"name": "cell", "title": "A cell", "results": "runs/cell"}],
       "verdicts": [{"claim": {"id": "C-1", "sentence": "It <rises>."}, "outcome": "did not hold", "explanation": "No.",
         "numbers": [{"name": "rise", "value": 0.123456, "low": 0.1, "high": 0.2}]}]}
      """
    try scratch.write(card, "study/scorecard.json")
    try scratch.write("<script>1</script>", "study/report.html")
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    #expect(try await dashboard.get("/studies").body.contains("1 did not hold"))
    let path = "/study/\(FolderIndex.id(scratch.path("study")))"
    let page = try await dashboard.get(path).body
    #expect(page.contains("It &lt;rises&gt;.") && page.contains("rise: 0.1235 (0.1 to 0.2)") && page.contains("A cell"))
    let report = try await dashboard.get(path + "/file/report.html")
    #expect(report.body == "<script>1</script>")
    // It is a file of somebody: its scripts may ask nobody.
    #expect(report.headers["content-security-policy"]?.contains("connect-src") == false)
    try scratch.write("{", "study/scorecard.json")
    #expect(try await dashboard.get(path).body.contains("There is no score card yet"))
  }

  // MARK: - Events

  @Test func aPageHearsOfNewRecords() async throws {
    let scratch = try Scratch()
    let run = try scratch.run("run", status: .running)
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let connection = try Connection(port: dashboard.port)
    try connection.send("GET", "/run/\(FolderIndex.id(run.url.path))/events", headers: dashboard.headers)
    let first = try await connection.read(until: "event: figures")
    #expect(first.contains("text/event-stream") && first.contains("event: facts"))
    let handle = try FileHandle(forWritingTo: run.url.appendingPathComponent("metrics.csv"))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data("3,33,test,all,100,0.125,0.875,\n".utf8))
    #expect(try await connection.read(until: "87.5").contains("87.5"))
    try run.write(manifest: scratch.manifest(status: .completed))
    #expect(try await connection.read(until: "event: end").contains("event: end"))
  }

  @Test func aBrowserThatGoesAway() async throws {
    let scratch = try Scratch()
    let run = try scratch.run("run", status: .running)
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    func descriptors() -> Int { (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0 }
    let before = descriptors()
    for _ in 0..<20 {
      let connection = try Connection(port: dashboard.port)
      try connection.send("GET", "/run/\(FolderIndex.id(run.url.path))/events", headers: dashboard.headers)
      _ = try await connection.read(until: "event: figures")
    }
    for _ in 0..<50 where descriptors() > before { try await Task.sleep(for: .milliseconds(100)) }
    #expect(descriptors() <= before)
  }

  @Test func curvesAreForgottenLongestAgoFirst() async throws {
    let scratch = try Scratch()
    let store = CurveStore(limit: 1200)
    let runs = try (0..<8).map { try scratch.run("run-\($0)") }
    for run in runs { _ = try await store.reading(of: run.url) }
    #expect(await store.count < 8)
    let first = try await store.reading(of: runs[7].url)
    #expect(try await store.reading(of: runs[7].url).revision == first.revision)
  }
}
