// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Charts
@testable import Reports

/// Bands and cross-checks of m-coherence, related measures and the stability bound.
@Suite struct MeasureFigureTests {
  private func report(in scratch: Scratch, levels: [Double] = [0.5], intervals: Bool = true) throws -> Report {
    try Report(
      runs: levels.map {
        try SyntheticRun(noise: $0, examples: 400, isProbed: true, hasIntervals: intervals, hasMeasures: true)
          .write(to: scratch.url, name: "n\(Int($0 * 100))")
      })
  }

  private func figure(_ id: String, of report: Report) throws -> Figure {
    try #require(report.figures().first { $0.id == id })
  }

  private func rows(_ figure: Figure, _ name: String) throws -> [[String: Any]] {
    let parsed = try JSONSerialization.jsonObject(with: Data(figure.specification.utf8)) as? [String: Any]
    return try #require((parsed?["datasets"] as? [String: [[String: Any]]])?[name])
  }

  @Test func intervalsAreBandsInsideTheAxis() throws {
    let scratch = try Scratch()
    let figure = try figure("coherence-by-step", of: report(in: scratch))
    let run = SyntheticRun(noise: 0.5, isProbed: true)
    let band = try rows(figure, "coherence-intervals")
    #expect(Set(band.compactMap { $0["measure"] as? String }) == ["train", "test"])
    // One for each point of the curves, which are joined where probes lie closer than a line can show.
    let drawn = try rows(figure, "coherence-by-step")
    #expect(band.count == drawn.count && band.count < 2 * run.probed.count)
    #expect(band.map { $0["x"] as? Int } == drawn.map { $0["x"] as? Int })
    let ends = band.compactMap { row -> (low: Double, high: Double)? in
      guard let low = row["low"] as? Double, let high = row["high"] as? Double else { return nil }
      return (low, high)
    }
    // The last interval reaches 0 and below, which a logarithmic axis cannot show: it ends at the lower end.
    #expect(ends.count == band.count && ends.allSatisfy { $0.low > 0 && $0.low <= $0.high })
    let curve = try rows(figure, "coherence-by-step")
    let least = try #require(ends.map(\.low).min())
    #expect(least <= 0.8 && curve.allSatisfy { ($0["y"] as? Double ?? 0) > least })
    let checks = try rows(figure, "coherence-from-batches")
    #expect(!checks.isEmpty && checks.allSatisfy { ($0["x"] as? Int ?? 1) % 2 == 0 })
    #expect(figure.specification.contains("\"type\":\"area\"") && figure.specification.contains("\"filled\":false"))
    #expect(figure.caption.contains("95 % intervals") && figure.caption.contains("Hollow points"))
  }

  @Test func severalRunsShowTheBandsOfTraining() throws {
    let scratch = try Scratch()
    let figure = try figure("coherence-by-step", of: report(in: scratch, levels: [0, 1]))
    let band = try rows(figure, "coherence-intervals")
    #expect(Set(band.compactMap { $0["measure"] as? String }) == ["train"])
    #expect(Set(band.compactMap { $0["series"] as? String }) == ["0 % noise", "100 % noise"])
    #expect(figure.caption.contains("of training examples only"))
  }

  @Test func withoutIntervalsThereIsNoBand() throws {
    let scratch = try Scratch()
    let figure = try figure("coherence-by-step", of: report(in: scratch, intervals: false))
    #expect(
      !figure.specification.contains("coherence-intervals") && !figure.specification.contains("\"type\":\"area\""))
    #expect(!figure.caption.contains("95 %") && !figure.caption.contains("Hollow"))
    #expect(figure.specification.contains("\"name\":\"r = 1\"") && !figure.specification.contains("orthogonal: r"))
  }

  @Test func relatedMeasuresAreASection() throws {
    let scratch = try Scratch()
    let report = try report(in: scratch, levels: [0, 1])
    let figures = report.figures().filter { $0.section == "Related measures" }
    #expect(figures.map(\.id) == ["stiffness", "gsnr", "gradient-diversity", "noise-scale"])
    let stiffness = try rows(figures[0], "stiffness")
    #expect(Set(stiffness.compactMap { $0["measure"] as? String }) == ["within a class", "between classes"])
    #expect(stiffness.contains { ($0["y"] as? Double ?? 0) < 0 })
    #expect(figures.allSatisfy { $0.caption.contains("m = 400") })
    let page = try report.html(bundle: scratch.bundle())
    #expect(page.contains("<h2>Related measures</h2>") && page.contains("<h2>Stability bound (qualitative)</h2>"))
    let bound = try figure("stability-bound", of: report)
    #expect(try Set(rows(bound, "stability-bound").compactMap { $0["measure"] as? String }) == ["bound", "sum"])
    #expect(bound.caption.contains("only the order of runs") && bound.specification.contains("~s"))
  }

  @Test func runsWithoutMeasuresShowNone() throws {
    let scratch = try Scratch()
    let plain = try SyntheticRun(examples: 400, isProbed: true).write(to: scratch.url, name: "plain")
    let sections = Set(try Report(runs: [plain]).figures().map(\.section))
    #expect(sections.contains("Coherence") && !sections.contains("Related measures"))
    #expect(!sections.contains { $0.hasPrefix("Stability") })
  }

  /// What cannot be drawn is left out: other measures, values that are not numbers, and 0 on a logarithmic axis.
  @Test func strangeMeasuresAreLeftOut() throws {
    let scratch = try Scratch()
    let run = try SyntheticRun(examples: 400).write(to: scratch.url, name: "run")
    let log = try run.logWriter()
    func record(_ step: Int, _ measure: String, _ value: Double, split: String = "train") -> MeasureRecord {
      MeasureRecord(step: step, split: split, measure: measure, m: 9, value: value)
    }
    try log.append([
      record(0, "noise_scale", 0), record(1, "noise_scale", -3), record(2, "noise_scale", .nan),
      record(3, "noise_scale", 5), record(3, "noise_scale", 6), record(0, "unheard_of", 1),
      record(0, "gsnr_mean", 0.5, split: "test"),
    ])
    try log.close()
    let report = try Report(runs: [run])
    #expect(report.figures().filter { $0.section == "Related measures" }.map(\.id) == ["gsnr", "noise-scale"])
    #expect(try rows(figure("noise-scale", of: report), "noise-scale").map { $0["y"] as? Double } == [6])
  }
}
