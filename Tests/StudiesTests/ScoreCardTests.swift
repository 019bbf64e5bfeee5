// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Studies

@Suite struct ScoreCardTests {
  @Test func onlyWhatTheRunsSpeakAbout() throws {
    let scratch = try Scratch()
    let lone = try ScoreCard(runs: [SampleRun().write(in: scratch)])
    #expect(lone.verdicts.isEmpty && lone.text.contains("say nothing about the claims"))
    let noisy = try ScoreCard(runs: LabelNoiseTests.paper.flatMap { $0.seeded() }.map { try $0.write(in: scratch) })
    #expect(noisy.verdicts.map(\.claim.id) == ["CG-1", "CG-2", "CG-3", "CG-4", "CG-11"])
    #expect(noisy.verdicts.allSatisfy { $0.outcome == .held && $0.runs.count == 15 && $0.seeds == [1, 2, 3] })
    #expect(
      noisy.text.contains("CG-1  held") && noisy.text.contains("5 held, 0 did not hold, 0 inconclusive, 0 not tested"))
    #expect(noisy.verdicts[0].scale.contains("mnist, 60000 training examples, mlp:2048, sgd, lr 0.1, batch 100"))
    #expect(noisy.verdicts[0].scale.contains("(paper: MNIST, one hidden layer of 2048"))
  }

  /// Asked for by name, every claim gets a verdict, from any runs or none.
  @Test func everyClaimCanBeAskedFor() throws {
    let scratch = try Scratch()
    let run = try SampleRun().write(in: scratch)
    for runs in [[], [run]] {
      let card = try ScoreCard(runs: runs, claims: ScoreCard.claims.map { $0.id.lowercased() })
      #expect(card.verdicts.map(\.claim.id) == ScoreCard.claims.map(\.id))
      #expect(card.verdicts.allSatisfy { !$0.missing.isEmpty || !$0.explanation.isEmpty })
      #expect(card.verdicts.filter { $0.outcome == .inconclusive }.allSatisfy { !$0.missing.isEmpty }, "\(card.text)")
      #expect(!card.verdicts.contains { $0.outcome == .held })
    }
    #expect(throws: StudyError.self) { try ScoreCard(runs: [run], claims: ["XX-1"]) }
  }

  /// Runs of another model are a matter of their own; a run named twice counts once.
  @Test func runsAreMatched() throws {
    let scratch = try Scratch()
    let runs = try LabelNoiseTests.paper.flatMap { $0.seeded() }.map { try $0.write(in: scratch) }
    let other = try LabelNoiseTests.paper.prefix(2).flatMap { $0.seeded() }.map { run in
      try run.with { $0.model = "mlp:8" }.write(in: scratch)
    }
    let card = try ScoreCard(runs: runs + other + [runs[0]], claims: ["CG-1"])
    #expect(card.verdicts.map(\.outcome) == [.held, .inconclusive])
    #expect(
      card.verdicts[0].runs.count == 15
        && card.verdicts[1].missing == [50, 75, 100].map { "3 seeds, \($0) % noise" })
  }

  @Test func jsonReadsBack() throws {
    let scratch = try Scratch()
    let card = try ScoreCard(runs: LabelNoiseTests.paper.map { try $0.write(in: scratch) })
    let file = scratch.url.appendingPathComponent("card.json")
    try card.write(to: file)
    let data = try Data(contentsOf: file)
    #expect(try JSONDecoder().decode(ScoreCard.self, from: data) == card)
    #expect(String(decoding: data, as: UTF8.self).contains("\"outcome\" : \"held\""))
    #expect(throws: RunStoreError.self) { try card.write(to: file.appendingPathComponent("x.json")) }
  }

  @Test func words() {
    #expect(
      OptimizerDescription("winsorized:c=2").clippedPercentile == 2
        && OptimizerDescription("SGD").clippedPercentile == 0)
    #expect(
      OptimizerDescription("winsorized").clippedPercentile == nil
        && OptimizerDescription("rm3").clippedPercentile == nil)
    #expect(OptimizerDescription("rm3:decay=after+adamw").name != "rm3" && !OptimizerDescription("sgd+adamw").isSGD)
    #expect(
      !OptimizerDescription("adamw").isSGD
        && OptimizerDescription("winsorized:c=2+adam:beta2=0.9").clippedPercentile == nil)
    #expect(
      OptimizerDescription("").clippedPercentile == nil
        && OptimizerDescription("winsorized:c=x,=").clippedPercentile == nil)
    #expect(Level.text(0.25) == "25 % noise" && Level.text(0.125) == "12.5 % noise")
    #expect(Set(ScoreCard.claims.map(\.id)).count == ScoreCard.claims.count)
    #expect(NamedValue("x", values: [1, 3]).text == "x: 2 (1 to 3)")
    #expect(NamedValue("steps", 12345).text == "steps: 12345")
  }

  @Test func curves() throws {
    let curve = Curve([(10, 1.0), (0, 0), (20, .nan), (10, 2), (30, 3)])
    #expect(curve.points.map(\.step) == [0, 10, 30] && curve[10] == 2 && curve[20] == nil)
    #expect(curve.firstStep(reaching: 2) == 10 && curve.firstStep(reaching: 4) == nil)
    let line = Curve((0...10).map { ($0, 2 * Double($0) + 1) })
    let zero = Curve((0...10).map { ($0, 0.0) })
    let level = try #require(Curve((0...10).map { ($0, 3.0) }).logarithmicMean(against: zero, -))
    #expect(abs(level - 3) < 1e-12)
    #expect(line.logarithmicMean(against: Curve([(0, 1.0)]), -) == nil)
    let sparse = Curve([(0, 1.0), (3, 3), (8, 0)])
    #expect(abs((sparse.value(at: 1) ?? 0) - 2) < 1e-12 && sparse.value(at: 3) == 3 && sparse.value(at: 9) == nil)
    #expect(sparse.firstStep(downTo: 0.5) == 8 && sparse.firstStep(downTo: -1) == nil)
    // Where one of the curves is not positive, there is no ratio.
    let twice = Curve((0...10).map { ($0, $0 == 2 ? 0 : 2.0) })
    let ratio = try #require(twice.meanRatio(to: Curve((0...10).map { ($0, 0.5) }), from: 1))
    #expect(abs(ratio - 4) < 1e-12 && twice.meanRatio(to: zero) == nil)
  }
}
