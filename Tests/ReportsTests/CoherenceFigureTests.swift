// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Charts
@testable import Reports

@Suite struct CoherenceFigureTests {
  private func probedRuns(in scratch: Scratch, levels: [Double] = [0, 0.5]) throws -> [RunDirectory] {
    try levels.map {
      try SyntheticRun(noise: $0, examples: 400, isProbed: true).write(to: scratch.url, name: "n\(Int($0 * 100))")
    }
  }

  private func parsed(_ figure: Figure) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: Data(figure.specification.utf8)) as? [String: Any])
  }

  private func rows(_ figure: Figure, _ name: String) throws -> [[String: Any]] {
    try #require((try parsed(figure)["datasets"] as? [String: [[String: Any]]])?[name])
  }

  private func figure(_ id: String, of report: Report) throws -> Figure {
    try #require(report.figures().first { $0.id == id })
  }

  @Test func figuresAppearWithTheirData() throws {
    let scratch = try Scratch()
    let report = try Report(runs: probedRuns(in: scratch))
    let figures = report.figures().filter { $0.section == "Coherence" }
    #expect(
      figures.map(\.id) == [
        "coherence-by-step", "coherence-by-loss", "coherence-by-layer-1", "coherence-by-layer-2",
        "contributions-paper-2", "contributions-early-paper-2", "contributions-population-2",
        "contributions-early-population-2",
      ])
    for figure in figures {
      let datasets = try #require(try parsed(figure)["datasets"] as? [String: [[String: Any]]])
      #expect(!datasets.isEmpty && datasets.values.allSatisfy { !$0.isEmpty }, "\(figure.id)")
    }
    let page = try report.html(bundle: scratch.bundle())
    #expect(page.contains("<h2>Coherence</h2>") && page.contains("id=\"coherence-by-layer-2\""))
  }

  @Test func runsWithoutProbesShowNothing() throws {
    let scratch = try Scratch()
    let run = try SyntheticRun(examples: 400).write(to: scratch.url, name: "plain")
    #expect(!FileManager.default.fileExists(atPath: run.url.appendingPathComponent("contributions.csv").path))
    let report = try Report(runs: [run])
    #expect(!report.figures().contains { $0.section == "Coherence" })
    let place = scratch.url.appendingPathComponent("report.html")
    try report.write(to: place, bundle: scratch.bundle())
    let page = String(decoding: try Data(contentsOf: place), as: UTF8.self)
    let body = try #require(page.components(separatedBy: "<script>").first)
    #expect(!body.contains("oherence<") && !body.contains("m-coherence") && !body.contains("fᵖ"))
    #expect(!body.contains("coherence.csv") && !body.contains("contributions.csv"))
    // A run from before coherence was logged at all.
    try FileManager.default.removeItem(at: run.url.appendingPathComponent("coherence.csv"))
    #expect(try Report(runs: [run]).figures().map(\.id) == report.figures().map(\.id))
  }

  @Test func byStepShowsEveryProbeWithStepZero() throws {
    let scratch = try Scratch()
    let runs = try probedRuns(in: scratch)
    let report = try Report(runs: runs)
    let figure = try figure("coherence-by-step", of: report)
    let expected = try runs[0].log(CoherenceRecord.self).filter { $0.layer == "all" }
    let table = figure.table
    for record in expected {
      let match = table.first { $0.series == "0 % noise, \(record.split)" && $0.x == "\(record.step)" }
      let value = try #require(match?.y)
      #expect(abs(value / (record.mCoherence ?? 0) - 1) < 1e-9)
    }
    // Fewer points are drawn, which lie on the curve.
    let shown = try rows(figure, "coherence-by-step").filter { $0["series"] as? String == "0 % noise" }
    #expect(shown.count < expected.count && shown.count > expected.count / 2)
    #expect(shown.contains { $0["x"] as? Int == 0 } && shown.allSatisfy { $0["x"] is Int })
    #expect(figure.caption.contains("m = 2000") && figure.specification.contains("\"name\":\"r = m\""))
    #expect(figure.specification.contains("\"type\":\"symlog\""))
    // The switch to logarithmic steps leaves step 0 in these figures.
    for figure in report.figures().map({ $0.logarithmicSteps() }) where figure.id.hasPrefix("co") && !figure.isComposite
    {
      guard figure.section == "Coherence" else { continue }
      let first =
        figure.id.contains("by-loss") ? "\"detail1\":0" : figure.id.contains("by-layer") ? "\"from\":0" : "\"x\":0"
      #expect(figure.specification.contains(first + ","), "\(figure.id)")
    }
  }

  @Test func byLossJoinsEqualStepsAndSaysWhatIsLeftOut() throws {
    let scratch = try Scratch()
    let runs = try probedRuns(in: scratch, levels: [0.5])
    let figure = try figure("coherence-by-loss", of: Report(runs: runs))
    let loss = Dictionary(
      uniqueKeysWithValues: try runs[0].log(MetricRecord.self).filter { $0.split == "train" && $0.group == "all" }
        .map { ($0.step, $0.loss) })
    let probes = try runs[0].log(CoherenceRecord.self).filter { $0.layer == "all" }
    let joined = probes.filter { loss[$0.step] != nil }
    let shown = try rows(figure, "coherence-by-loss")
    #expect(shown.count == joined.count && joined.count < probes.count)
    #expect(figure.caption.contains("(\(probes.count - joined.count) of \(probes.count))"))
    for row in shown {
      let step = try #require(row["detail1"] as? Int)
      let value = try #require(row["x"] as? Double)
      #expect(abs(value / (loss[step] ?? 0) - 1) < 1e-4)
    }
  }

  @Test func layerMapKeepsTheOrderAndTiles() throws {
    let scratch = try Scratch()
    let report = try Report(runs: probedRuns(in: scratch, levels: [0.5]))
    let figure = try figure("coherence-by-layer-1", of: report)
    let layers = SyntheticRun.layers.map { "\"\($0)\"" }.joined(separator: ",")
    #expect(figure.specification.contains("\"domain\":[\"whole network\",\(layers)]"))
    let cells = try rows(figure, "cells")
    #expect(cells.count == SyntheticRun(isProbed: true).probed.count * (SyntheticRun.layers.count + 1))
    let output = cells.filter { $0["row"] as? String == "output" && $0["detail1"] as? String == "300" }
    #expect(output.count == 1 && output[0]["detail4"] as? String == Wording.percent(6.0 / 21))
    let edges = EarlySteps.edges(of: [0, 1, 10])
    #expect(edges.first == 0 && edges.last == 10 && edges.count == 4 && zip(edges, edges.dropFirst()).allSatisfy(<))
    #expect(EarlySteps.thinned(Array(0...100_000), limit: 100).count <= 102)
    #expect(EarlySteps.thinned(Array(0...100_000), limit: 100).last == 100_000)
    #expect(EarlySteps.thinned([0, 5], limit: 100) == [0, 5])
  }

  @Test func undefinedValuesAreLeftOut() throws {
    let scratch = try Scratch()
    let run = try SyntheticRun(examples: 400).write(to: scratch.url, name: "run")
    let log = try run.logWriter()
    func record(_ step: Int, _ r: Double?) -> CoherenceRecord {
      CoherenceRecord(step: step, split: "train", m: 9, alpha: r.map { $0 / 9 }, mCoherence: r, batchNormPolicy: "none")
    }
    try log.append([record(0, nil), record(1, 0), record(2, .nan), record(3, 2), record(3, 4)])
    try log.append([
      ContributionRecord(
        step: 0, sample: "paper", pristineShare: nil, corruptShare: nil, pristineCumulative: nil, corruptCumulative: nil
      )
    ])
    try log.close()
    let report = try Report(runs: [run])
    let figures = report.figures().filter { $0.section == "Coherence" }
    #expect(figures.map(\.id) == ["coherence-by-step"])
    #expect(try rows(figures[0], "coherence-by-step").map { $0["y"] as? Double } == [4])
    #expect(report.findings().runs[0].sentences.contains { $0.contains("m-coherence was 4 at step 3") })
  }

  @Test func contributionsShowThePermutationNulls() throws {
    let scratch = try Scratch()
    let runs = try probedRuns(in: scratch, levels: [0.5])
    let figure = try figure("contributions-paper-1", of: Report(runs: runs))
    let records = try runs[0].log(ContributionRecord.self).filter { $0.sample == "paper" && $0.step == 7 }
    let nulls = records.filter { $0.world > 0 }.compactMap(\.pristineShare).sorted()
    #expect(nulls.count == SyntheticRun.permutationNulls)
    func isNear(_ name: String, _ low: Double, _ high: Double) throws -> Bool {
      let band = try rows(figure, name).first { $0["measure"] as? String == "pristine" && $0["x"] as? Int == 7 }
      return zip(["low", "high"], [low, high]).allSatisfy { abs((band?[$0] as? Double ?? 9) - $1) < 1e-4 }
    }
    #expect(try isNear("contributions-paper-1-nulls-range", nulls[0], nulls[19]))
    let quantiles = (nulls[0] + 0.95 * (nulls[1] - nulls[0]), nulls[18] + 0.05 * (nulls[19] - nulls[18]))
    #expect(try isNear("contributions-paper-1-nulls", quantiles.0, quantiles.1))
    let actual = try rows(figure, "contributions-paper-1").filter { $0["x"] as? Int == 7 }
    let sum = actual.compactMap { $0["y"] as? Double }.reduce(0, +)
    #expect(actual.count == 2 && abs(sum - 1) < 1e-4)
    #expect(figure.caption.contains("examples 20 times") && figure.caption.contains("400 examples"))
    let early = try self.figure("contributions-early-population-1", of: Report(runs: runs))
    let steps = try rows(early, "contributions-early-population-1").compactMap { $0["x"] as? Int }
    #expect(Set(steps) == Set(0...10))
    #expect(early.caption.contains("above all 20 permutations (one-sided permutation p = 0.048)"))
  }

  @Test func findingsFollowTheCurve() throws {
    func curve(_ values: [Double]) -> [Point] { values.enumerated().map { Point(step: $0, value: $1) } }
    #expect(Findings.endOfCrash(curve([100, 20, 5, 6, 4, 9, 30, 2])) == 4)
    #expect(Findings.endOfCrash(curve([1, 2, 3])) == 0)
    #expect(Findings.endOfCrash(curve([9, 5, 2])) == 2)
    #expect(Findings.crossing(curve([0.7, 0.4, 0.6, 0.3, 0.2]))?.step == 3)
    #expect(Findings.crossing(curve([0.7, 0.6, 0.4]))?.step == 2)
    #expect(Findings.crossing(curve([0.3, 0.4, 0.2])) == nil)
    let scratch = try Scratch()
    let findings = try Report(runs: probedRuns(in: scratch, levels: [0, 0.5, 1])).findings()
    let half = findings.runs[1].sentences.joined(separator: " ")
    #expect(half.contains("On the probe of m = 2000 training examples m-coherence fell from 1401 at step 0 to"))
    #expect(half.contains(", then peaked at") && half.contains("above the permutation null’s 5–95 % band"))
    #expect(half.contains("it went below the corrupt examples’ fᶜ at step"))
    #expect(findings.runs[2].sentences.contains { $0.contains("it did not cross the corrupt examples’ fᶜ by step") })
    #expect(!findings.runs[0].sentences.contains { $0.contains("fᵖ") })
  }
}
