// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Charts
@testable import Reports

/// Several runs drawn as one.
@Suite struct PoolingTests {
  private func runs(_ levels: [Double], seeds: [UInt64], in scratch: Scratch) throws -> [RunDirectory] {
    try levels.flatMap { level in
      try seeds.map { seed in
        try SyntheticRun(noise: level, steps: 1000, examples: 400, seed: seed, isProbed: true).write(
          to: scratch.url, name: "noise-\(Int(level * 100))-seed-\(seed)")
      }
    }
  }

  private func rows(_ figure: Figure) throws -> [[String: Any]] {
    let object = try #require(JSONSerialization.jsonObject(with: Data(figure.specification.utf8)) as? [String: Any])
    return try #require((object["datasets"] as? [String: [[String: Any]]])?[figure.id])
  }

  /// A run whose test accuracy is given, step by step.
  private func run(_ name: String, seed: UInt64, test: [Int: Double], in scratch: Scratch) throws -> RunDirectory {
    let run = try SyntheticRun(noise: 0, seed: seed, status: .running, until: -1).write(to: scratch.url, name: name)
    let log = try run.logWriter()
    for (step, accuracy) in test.sorted(by: { $0.key < $1.key }) {
      for split in ["train", "test"] {
        try log.append([
          MetricRecord(epoch: 0, step: step, split: split, group: "all", count: 9, loss: 1, accuracy1: accuracy)
        ])
      }
    }
    try log.close()
    return run
  }

  @Test func runsThatDifferOnlyInSeedBecomeMeanAndBand() throws {
    let scratch = try Scratch()
    let three = try [
      run("a", seed: 1, test: [0: 0.1, 10: 0.5, 20: 0.6], in: scratch),
      run("b", seed: 2, test: [0: 0.2, 10: 0.7, 20: 0.9], in: scratch),
      run("c", seed: 3, test: [0: 0.3, 10: 0.6], in: scratch),
    ]
    let report = try Report(runs: three, pooling: [.seed])
    #expect(report.runs.count == 1 && report.runs[0].label == "0 % noise")
    let points = report.runs[0].accuracy("test")
    // At the steps that all of them have.
    #expect(points.map(\.step) == [0, 10])
    #expect(zip(points.map(\.value), [0.2, 0.6]).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(points.map(\.low) == [0.1, 0.5] && points.map(\.high) == [0.3, 0.7])
    let figure = try #require(report.figures().first { $0.id == "test-accuracy" })
    #expect(figure.caption.hasSuffix("Line: mean of n = 3 runs; band: from the least to the greatest of them."))
    #expect(figure.specification.contains("\"type\":\"area\""))
    #expect(try rows(figure).map { $0["high"] as? Double } == [0.3, 0.7])
    #expect(figure.csv.contains("test-accuracy,0 % noise,10,0.6") && figure.csv.contains(",0.5,0.7\n"))
    let sentences = report.findings().runs[0].sentences
    #expect(
      sentences.first == "Mean of 3 runs (seeds 1, 2, 3)."
        && sentences.last == "3 of these runs did not end as planned.")
  }

  @Test func groupsKeepTheirNamesAndEveryRunItsRow() throws {
    let scratch = try Scratch()
    let report = try Report(runs: runs([0.5, 0], seeds: [1, 2], in: scratch), pooling: [.seed])
    #expect(report.runs.map(\.label) == ["0 % noise", "50 % noise"])
    #expect(report.runs.map(\.members.count) == [2, 2])
    let page = try report.html(bundle: scratch.bundle())
    for name in ["0\u{A0}% noise, seed 1", "50\u{A0}% noise, seed 2"] { #expect(page.contains(name), "\(name)") }
    #expect(page.contains("<dt>Seeds</dt><dd>1; 2</dd>"))
    // Probes too, and what is no curve.
    let figures = report.figures()
    let coherence = try #require(figures.first { $0.id == "coherence-by-step" })
    #expect(coherence.caption.contains("mean of n = 2 runs") && !coherence.caption.contains(CurveBins.note))
    #expect(try rows(coherence).allSatisfy { $0["low"] != nil })
    #expect(try #require(figures.first { $0.id == "coherence-by-layer-2" }).caption.contains("Means over 2 runs."))
    #expect(try #require(figures.first { $0.id == "contributions-paper-2" }).caption.contains("with seed 1."))
    #expect(try #require(figures.first { $0.id == "first-learned-2" }).caption.contains("of 2 runs together"))
  }

  @Test func runsOfAKindOfTheirOwnStayAsTheyAre() throws {
    let scratch = try Scratch()
    let all = try runs([0.5], seeds: [1, 2], in: scratch) + runs([1], seeds: [1], in: scratch)
    let report = try Report(runs: all, pooling: [.seed])
    #expect(report.runs.map(\.members.count) == [2, 0])
    #expect(try Report(runs: all, pooling: [.seed, .noise]).runs.map(\.members.count) == [3])
  }

  @Test func withoutTwoOfAKindTheReasonIsGiven() throws {
    let scratch = try Scratch()
    let all = try runs([0.5, 1], seeds: [1], in: scratch)
    func problem(_ runs: [RunDirectory]) -> String {
      do {
        _ = try Report(runs: runs, pooling: [.seed])
      } catch {
        return "\(error)"
      }
      return ""
    }
    #expect(problem(all).contains("No two of the 2 runs differ in seed alone: they differ in noise."))
    #expect(problem([all[0]]).contains("only one run"))
  }
}
