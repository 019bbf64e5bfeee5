// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Charts
@testable import Reports

@Suite struct ReportTests {
  private func threeRuns(in scratch: Scratch) throws -> [RunDirectory] {
    try [1.0, 0, 0.5].map { try SyntheticRun(noise: $0).write(to: scratch.url, name: "noise-\(Int($0 * 100))") }
  }

  private func parsed(_ figure: Figure) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: Data(figure.specification.utf8)) as? [String: Any])
  }

  @Test func runsAreOrderedAndNamedByNoiseLevel() throws {
    let scratch = try Scratch()
    let report = try Report(runs: threeRuns(in: scratch))
    #expect(report.runs.map(\.label) == ["0 % noise", "50 % noise", "100 % noise"])
    #expect(Set(report.runs.map(\.shade.light)).count == 3)
    #expect(report.title == "mnist, mlp:2048")
  }

  @Test func runsOfOneNoiseLevelAreNamedByWhatDiffers() throws {
    let scratch = try Scratch()
    let one = try SyntheticRun(optimizer: "sgd").write(to: scratch.url, name: "a")
    let two = try SyntheticRun(optimizer: "rm3").write(to: scratch.url, name: "b")
    #expect(try Report(runs: [one, two]).runs.map(\.label) == ["sgd", "rm3"])
    #expect(try Report(runs: [one, one]).runs.map(\.label) == ["a", "a (2)"])
    #expect(throws: RunStoreError.self) { _ = try Report(runs: []) }
  }

  @Test func findingsAreAboutTheSelectedEvaluation() throws {
    let scratch = try Scratch()
    let run = try SyntheticRun(noise: 0.5).write(to: scratch.url, name: "run")
    #expect(throws: RunStoreError.self) { _ = try Report(runs: [run], select: .selected) }
    var manifest = try run.manifest()
    var summary = manifest.summary ?? RunSummary()
    summary.validationSelected = .init(step: 300, trainAccuracy: 0.5, testAccuracy: 0.875, validationAccuracy: 0.75)
    manifest.summary = summary
    try run.write(manifest: manifest)
    let sentences = try #require(try Report(runs: [run], select: .selected).findings().runs.first?.sentences)
    let found = "The weights selected by validation are those of step 300: "
    #expect(sentences.contains { $0.hasPrefix(found) && $0.contains("test 87.5 %") }, "\(sentences)")
    #expect(try Report(runs: [run]).findings().runs.first?.sentences.contains { $0.hasPrefix(found) } == false)
  }

  @Test func figuresAreValidJSONWithTheirData() throws {
    let scratch = try Scratch()
    let report = try Report(runs: threeRuns(in: scratch))
    let figures = report.figures()
    let ids = [
      "learning-curves", "train-accuracy", "test-accuracy", "train-loss", "pristine-accuracy", "corrupt-accuracy",
      "overfit", "accuracy-by-group-2", "accuracy-by-group-3", "first-learned-2", "first-learned-3",
    ]
    #expect(figures.map(\.id) == ids)
    for figure in figures {
      let datasets = try #require(try parsed(figure)["datasets"] as? [String: [[String: Any]]])
      #expect(!datasets.isEmpty && datasets.values.allSatisfy { !$0.isEmpty })
    }
    let curve = try #require(figures.first { $0.id == "corrupt-accuracy" })
    let rows = try #require((try parsed(curve)["datasets"] as? [String: [[String: Any]]])?["corrupt-accuracy"])
    #expect(Set(rows.compactMap { $0["series"] as? String }) == Set(report.runs[1...].map(\.label)))
    let expected = SyntheticRun(noise: 0.5).corrupt(3000)
    let value = rows.first { $0["series"] as? String == report.runs[1].label && $0["x"] as? Int == 3000 }?["y"]
    #expect(abs((value as? Double ?? 0) - expected) < 1e-5)
  }

  @Test func figuresOfRunsHaveTablesToo() throws {
    let scratch = try Scratch()
    let run = try SyntheticRun(noise: 0.5, examples: 400, isProbed: true).write(to: scratch.url, name: "run")
    for figure in try Report(runs: [run]).figures() {
      let lines = figure.csv.split(separator: "\n")
      #expect(lines.first == "panel,series,x,y,low,high" && lines.count > 1, "\(figure.id)")
    }
  }

  @Test func logarithmicStepsLeaveOutStepZero() throws {
    let scratch = try Scratch()
    let report = try Report(runs: threeRuns(in: scratch))
    for figure in report.figures().map({ $0.logarithmicSteps() }) {
      let text = figure.specification
      #expect(!figure.data.flatMap(\.lines).contains { $0.line.points.contains { $0.x == 0 } })
      let isOverSteps = figure.data.contains { !$0.lines.isEmpty }
      #expect(isOverSteps == text.contains("\"scale\":{\"type\":\"log\",\"nice\":false}"))
      _ = try parsed(figure)
    }
    #expect(LogarithmicAxis.ticks(from: 0.5, to: 6000) == [1, 10, 100, 1000])
    #expect(LogarithmicAxis.ticks(from: 30, to: 600) == [50, 100, 200, 500])
    // Short axes have labels too.
    #expect(LogarithmicAxis.ticks(from: 11, to: 49) == [20, 30, 40])
    #expect(LogarithmicAxis.ticks(from: 3.1, to: 3.9) == [3.2, 3.4, 3.6, 3.8])
    #expect(LogarithmicAxis.ticks(from: 101, to: 103).count > 1)
  }

  @Test func gapAndOverfitFollowTheirFormulas() throws {
    let scratch = try Scratch()
    let run = try RunData(SyntheticRun(noise: 0.5).write(to: scratch.url, name: "run"))
    let moment = try #require(run.trainAndTest.last)
    let overfit = try #require(run.overfit.last)
    #expect(abs(overfit.value - (moment.train - (0.5 / 10 + 0.5 * moment.test))) < 1e-12)
    #expect(run.gap.last?.value == moment.train - moment.test)
  }

  @Test func runWithoutNoiseHasNoEmptyPanel() throws {
    let scratch = try Scratch()
    let run = try SyntheticRun(noise: 0).write(to: scratch.url, name: "clean")
    let figures = try Report(runs: [run]).figures()
    let ids = figures.map(\.id)
    #expect(!ids.contains("corrupt-accuracy") && !ids.contains("first-learned-1") && ids.contains("overfit"))
    #expect(
      figures.filter { !$0.isComposite }.map { String($0.title.prefix(3)) } == ["(a)", "(b)", "(c)", "(d)", "(e)"])
  }

  @Test func halfFinishedAndEmptyRunsHaveAPage() throws {
    let scratch = try Scratch()
    let half = try SyntheticRun(status: .running, until: 800).write(to: scratch.url, name: "half")
    let report = try Report(runs: [half])
    #expect(report.findings().runs[0].sentences.contains("The run has not ended yet."))
    #expect(try report.html(bundle: scratch.bundle()).contains("running"))
    let empty = try SyntheticRun(status: .running, until: -1).write(to: scratch.url, name: "empty")
    let page = try Report(runs: [empty]).html(bundle: scratch.bundle())
    #expect(page.contains("No evaluations yet"))
    #expect(try Report(runs: [empty]).figures().isEmpty)
  }

  @Test func findingsAreComputedFromTheData() throws {
    let scratch = try Scratch()
    let findings = try Report(runs: threeRuns(in: scratch)).findings()
    #expect(findings.headline == "Pristine examples were learned before corrupt ones in all 2 runs with noise.")
    let run = try RunData(RunDirectory.open(at: scratch.url.appendingPathComponent("noise-50").path))
    let pristine = try #require(Findings.halfway(run.pristineAccuracy))
    let corrupt = try #require(Findings.halfway(run.corruptAccuracy))
    #expect(pristine < corrupt)
    let text = findings.runs[1].sentences.joined(separator: " ")
    #expect(
      text.contains("by step \(Wording.integer(pristine))") && text.contains("by step \(Wording.integer(corrupt))"))
  }

  @Test func findingsSayWhatHappenedWhenItIsUnexpected() throws {
    let scratch = try Scratch()
    func run(_ name: String, _ curves: [(Int, Double, Double)]) throws -> RunDirectory {
      let run = try SyntheticRun(noise: 0.5, status: .running, until: -1).write(to: scratch.url, name: name)
      let log = try run.logWriter()
      for (step, pristine, corrupt) in curves {
        for (group, accuracy) in [("pristine", pristine), ("corrupt", corrupt)] {
          try log.append([
            MetricRecord(epoch: 0, step: step, split: "train", group: group, count: 9, loss: 1, accuracy1: accuracy)
          ])
        }
      }
      try log.close()
      return run
    }
    let reversed = try run("reversed", [(0, 0.1, 0.1), (10, 0.2, 0.7)])
    let tied = try run("tied", [(0, 0.1, 0.1), (10, 0.9, 0.6)])
    let neither = try run("neither", [(0, 0.1, 0.1), (10, 0.4, 0.2)])
    func findings(_ runs: [RunDirectory]) throws -> (headline: String, first: String) {
      let findings = try Report(runs: runs).findings()
      return (findings.headline, findings.runs[0].sentences[0])
    }
    #expect(try findings([reversed]).headline == "Pristine examples were not learned before corrupt ones.")
    #expect(try findings([reversed]).first.contains("only 20.0 % of the pristine ones"))
    #expect(try findings([tied]).headline == "Pristine examples were learned before corrupt ones.")
    #expect(try findings([neither]).first.contains("less than half"))
    #expect(try findings([tied, reversed, neither]).headline.contains("in 1 of 3 runs with noise"))
  }

  @Test func pageNeedsNoNetwork() throws {
    let scratch = try Scratch()
    let page = try Report(runs: threeRuns(in: scratch), title: "a <b> & \"c\"").html(bundle: scratch.bundle())
    for forbidden in ["http://", "https://", "//cdn", "@import", "src=\"", "<link", "url("] {
      #expect(!page.contains(forbidden), "\(forbidden) in the page")
    }
    #expect(page.contains("a &lt;b&gt; &amp; &quot;c&quot;") && !page.contains("a <b>"))
    #expect(page.components(separatedBy: "STAND-IN").count == 2)
    #expect(page.components(separatedBy: "</script>").count == 4)
    #expect(!page.contains("<!-- "))
    #expect(page.contains("--noise 0.5") && page.contains("45.0\u{A0}%"))
  }

  @Test func writtenPageLinksTheNumbers() throws {
    let scratch = try Scratch()
    let runs = try threeRuns(in: scratch)
    let report = try Report(runs: runs)
    let place = scratch.url.appendingPathComponent("report.html")
    try report.write(to: place, bundle: scratch.bundle())
    let page = String(decoding: try Data(contentsOf: place), as: UTF8.self)
    #expect(page.contains("href=\"noise-50/metrics.csv\""))
    try report.write(to: runs[0].report, bundle: scratch.bundle())
    let own = String(decoding: try Data(contentsOf: runs[0].report), as: UTF8.self)
    #expect(own.contains("href=\"metrics.csv\"") && own.contains("href=\"../noise-0/metrics.csv\""))
    let missing = scratch.url.appendingPathComponent("none.js")
    #expect(throws: ChartError.self) { try report.write(to: place, bundle: missing) }
    #expect(throws: RunStoreError.self) {
      try report.write(to: URL(fileURLWithPath: "/dev/null/report.html"), bundle: scratch.bundle())
    }
  }

  @Test func longCurvesAreThinnedButKeepTheirExtremes() {
    var points = (0..<50_000).map { Point(step: $0, value: sin(Double($0) / 3000)) }
    points[31_234].value = 9
    points[31_235].value = -9
    let thin = Downsampling.thinned(points, limit: Downsampling.limit, value: \.value)
    #expect(thin.count <= Downsampling.limit && thin.count > 1000)
    #expect(thin.map(\.value).max() == 9 && thin.map(\.value).min() == -9)
    #expect(thin.first == points.first && thin.last == points.last)
    #expect(zip(thin, thin.dropFirst()).allSatisfy { $0.step < $1.step })
    let short = Array(points.prefix(Downsampling.limit))
    #expect(Downsampling.thinned(short, limit: Downsampling.limit, value: \.value) == short)
  }

  @Test func valuesThatCannotBeDrawnAreLeftOut() {
    let points = [Point(step: 0, value: 1), Point(step: 1, value: .nan), Point(step: 2, value: .infinity)]
    #expect(FigureLine("a", points: points)?.points.count == 1)
    #expect(FigureLine("a", points: Array(points.dropFirst())) == nil)
  }

  @Test func wordingForPeople() {
    #expect(Wording.integer(60_000) == "60\u{202F}000" && Wording.integer(1_234_567) == "1\u{202F}234\u{202F}567")
    #expect(Wording.integer(9999) == "9999" && Wording.integer(100) == "100")
    #expect(Wording.level(0.125) == "12.5 %" && Wording.level(1) == "100 %")
    #expect(Wording.shell(["a", "b c", "it's"]) == "a 'b c' 'it'\\''s'")
    #expect(Wording.rounded(0.123456789) == 0.12346 && Wording.rounded(123_456_789) == 123_460_000)
    #expect(Wording.duration(185) == "3 min 05 s")
  }

  /// Against the decimal that is printed and read again.
  @Test(arguments: [5, 7]) func roundedNumbersAreTheirDecimals(digits: Int) {
    for power in -30...30 {
      for step in 1...99 {
        let value = Double(step).squareRoot() / (step % 2 == 0 ? 7 : -3) * pow(10, Double(power))
        let printed = Double(String(format: "%.\(digits)g", value))
        #expect(Wording.rounded(value, digits: digits) == printed, "\(value)")
      }
    }
  }

  @Test func missingAssetsNameTheRemedy() {
    let nowhere = URL(fileURLWithPath: "/")
    #expect(throws: ChartError.self) { _ = try ChartAssets.locate(named: "/nowhere", near: [nowhere]) }
    do {
      _ = try ChartAssets.locate(named: nil, near: [nowhere])
      Issue.record("expected an error")
    } catch {
      #expect("\(error)".contains("make setup"))
    }
  }

  /// Draws with the installed exporter where `make setup` has run.
  @Test(.enabled(if: (try? ChartAssets.locate()) != nil, "needs make setup"))
  func figuresAreExported() throws {
    let assets = try ChartAssets.locate()
    let scratch = try Scratch()
    let report = try Report(runs: threeRuns(in: scratch))
    let folder = scratch.url.appendingPathComponent("figures")
    let files = try Figure.export(report.figures(), to: folder, formats: FigureFormat.allCases, assets: assets)
    #expect(files.count == report.figures().count * 3)
    let starts = ["svg": "<svg", "png": "\u{FFFD}PNG", "pdf": "%PDF"]
    for file in files {
      let start = String(decoding: try Data(contentsOf: file).prefix(5), as: UTF8.self)
      #expect(start.hasPrefix(starts[file.pathExtension] ?? "?"), "\(file.lastPathComponent)")
    }
    let wrong = folder.appendingPathComponent("figure.png")
    #expect(throws: ChartError.self) {
      try Figure.draw([(report.figures()[0], wrong, .svg)], assets: assets)
    }
  }

  /// Leaves a sample report and figures in the folder that COHERENT_SAMPLE_REPORT names, to look at.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["COHERENT_SAMPLE_REPORT"] != nil, "only on request"))
  func sampleReport() throws {
    let folder = try #require(ProcessInfo.processInfo.environment["COHERENT_SAMPLE_REPORT"])
    let assets = try ChartAssets.locate()
    let place = URL(fileURLWithPath: folder)
    try? FileManager.default.removeItem(at: place)
    let levels = [0, 0.25, 0.5, 0.75, 1.0]
    let runs = try levels.map { level in
      try SyntheticRun(noise: level, isProbed: true).write(to: place, name: "noise-\(Int(level * 100))")
    }
    let report = try Report(runs: runs)
    try report.write(to: place.appendingPathComponent("report.html"), bundle: assets.bundle)
    try Figure.export(
      report.figures(), to: place.appendingPathComponent("figures"), formats: FigureFormat.allCases, assets: assets)
    let logarithmic = place.appendingPathComponent("figures-log")
    try Figure.export(
      report.figures().map { $0.logarithmicSteps() }, to: logarithmic, formats: [.png], assets: assets)
    let one = try Report(runs: [runs[2]])
    try one.write(to: runs[2].report, bundle: assets.bundle)
    let optimizers = try ["sgd", "winsorized:c=2", "rm3"].enumerated().map { index, name in
      try SyntheticRun(noise: 0.5, every: 50 + index, optimizer: name).write(to: place, name: "optimizer-\(index)")
    }
    try Report(runs: optimizers).write(to: place.appendingPathComponent("optimizers.html"), bundle: assets.bundle)
  }
}
