// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Studies

/// CG-5 and CG-12: every rule says each of the three verdicts.
@Suite struct FirstStepsTests {
  /// ‖g‖² falls with noise, a little differently with each seed, and at a small rate the loss by about η·‖g‖² a step.
  private func slopes(seeds: Int = 3, _ change: (inout SampleRun) -> Void = { _ in }) -> [SampleRun] {
    [0.1, 0.01].flatMap { rate in
      Level.all.flatMap { level in
        SampleRun(noise: level).seeded(seeds).map { run in
          var run = run
          let square = 2 - 1.8 * level + 0.01 * Double(run.seed)
          run.learningRate = rate
          run.measures = ["gradient_norm2": { _ in square }]
          run.loss = { 2.3 - (rate > 0.05 ? 0.4 : 0.9) * rate * square * Double($0) }
          change(&run)
          return run
        }
      }
    }
  }

  @Test func slopeFallsWithNoise() throws {
    try expect(parts: "CG-5", [.held, .held, .held], on: slopes())
    // The first steps are enough, however the run goes on.
    try expect("CG-5", .held, on: slopes { $0.status = .running })
    let slow = slopes { run in run.loss = { 2.3 - 0.001 * Double($0) } }
    try expect(parts: "CG-5", [.held, .held, .didNotHold], on: slow)
    // At a large rate alone the slope is no test of the first order.
    try expect(parts: "CG-5", [.held, .held, .notTested], on: slopes().filter { $0.learningRate > 0.05 })
    let rising = slopes { run in
      let square = 1 + run.noise
      run.measures = ["gradient_norm2": { _ in square }]
    }
    try expect("CG-5", .didNotHold, on: rising, saying: "rises from 0 % noise to 25 % noise")
    let level = slopes { run in
      let seed = Double(run.seed)
      run.measures = ["gradient_norm2": { _ in 1 + 0.01 * seed }]
    }
    try expect("CG-5", .inconclusive, on: level.filter { $0.learningRate > 0.05 }, saying: "same within two standard")
    try expect("CG-5", .inconclusive, on: slopes { $0.probed = [0, 1, 5, 10] }, saying: "every step from 0 to 10")
    try expect("CG-5", .inconclusive, on: slopes { $0.measures = [:] }, saying: "‖g‖²")
    try expect("CG-5", .inconclusive, on: slopes(seeds: 2), saying: "3 seeds of ‖g‖²")
    try expect("CG-5", .inconclusive, on: slopes().filter { $0.noise != 0.5 }, saying: "50 % noise")
  }

  /// The mean over a small sample is longer than the mean over all examples.
  @Test func smallSamplesAreCorrected() throws {
    let runs = slopes { run in
      let square = 2 - 1.8 * run.noise + 0.01 * Double(run.seed)
      run.m = 10
      run.measures = ["gradient_norm2": { _ in square + 0.1 * (50 - square) }, "example_norm2": { _ in 50 }]
    }
    try expect("CG-5", .held, on: runs)
    let uncorrected = runs.map { $0.with { $0.measures["example_norm2"] = nil } }
    try expect("CG-5", .didNotHold, on: uncorrected, saying: "factor of two")
  }

  private func batches(_ change: (inout SampleRun) -> Void = { _ in }) -> [SampleRun] {
    [0.0, 1].flatMap { level in
      [100, 1000].map { size in
        var run = SampleRun(noise: level, batchSize: size)
        run.trainExamples = 1000
        run.train = { min(1, rise($0, at: size == 100 ? 50 : 300)) }
        run.test = { level == 1 ? 0.1 : 0.1 + 0.8 * rise($0, at: size == 100 ? 50 : 300) }
        change(&run)
        return run
      }
    }
  }

  @Test func fullBatchGeneralises() throws {
    try expect("CG-12", .held, on: batches(), saying: "test accuracy is that of mini-batches")
    let alone = batches().filter { $0.batchSize == 1000 }
    try expect("CG-12", .inconclusive, on: alone, saying: "mini-batches, 0 % noise")
    try expect("CG-12", .inconclusive, on: [alone[0]], saying: "full batch, 100 % noise")
    try expect("CG-12", .inconclusive, on: batches().filter { $0.batchSize == 100 }, saying: "full batch")
    let worse = batches { run in
      if run.batchSize == 1000, run.noise == 0 { run.test = { 0.1 + 0.4 * rise($0, at: 300) } }
    }
    try expect("CG-12", .didNotHold, on: worse, saying: "differs from that with mini-batches")
    let none = batches { if $0.batchSize == 1000 { $0.test = { _ in 0.1 } } }
    try expect("CG-12", .didNotHold, on: none, saying: "hardly better than random")
    let slow = batches { if $0.batchSize == 1000, $0.noise == 1 { $0.train = { 0.1 + 0.2 * rise($0, at: 300) } } }
    try expect("CG-12", .inconclusive, on: slow, saying: "half of their training examples")
  }

  /// What the full batch does is no matter of the claims about SGD.
  @Test func fullBatchRunsAreApart() throws {
    let scratch = try Scratch()
    let full = try batches().filter { $0.batchSize == 1000 }.map { try $0.write(in: scratch) }
    #expect(try ScoreCard(runs: full).verdicts.map(\.claim.id) == ["CG-12"])
  }

  /// Other splits, other starting weights and runs stopped early are matters of their own.
  @Test func runsOfOtherKindsAreApart() throws {
    let scratch = try Scratch()
    let runs = try LabelNoiseTests.paper.flatMap { $0.seeded() }.map { try $0.write(in: scratch) }
    let changes: [(inout SampleRun) -> Void] = [
      { $0.extra["split"] = "easy" }, { $0.extra["weights"] = "random.safetensors" }, { $0.stopped = 10 },
    ]
    for change in changes {
      let other = try LabelNoiseTests.paper[0].with { run in
        run.seed = 4
        run.train = { _ in 0 }
        change(&run)
      }.write(in: scratch)
      let card = try ScoreCard(runs: runs + [other], claims: ["CG-1"])
      #expect(card.verdicts.map(\.outcome) == [.held], "\(card.text)")
      #expect(card.verdicts.first?.runs.count == 15)
    }
  }

  @Test func namesAreRelative() throws {
    let scratch = try Scratch()
    let runs = try LabelNoiseTests.paper.flatMap { $0.seeded() }.map { try $0.write(in: scratch) }
    let card = try ScoreCard(runs: runs, claims: ["CG-1"], relativeTo: scratch.url)
    #expect(card.verdicts[0].runs == runs.map(\.url.lastPathComponent))
    let elsewhere = try ScoreCard(
      runs: runs, claims: ["CG-1"], relativeTo: scratch.url.appendingPathComponent("other"))
    #expect(elsewhere.verdicts[0].runs == runs.map(\.url.path))
  }
}
