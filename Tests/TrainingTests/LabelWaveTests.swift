// SPDX-License-Identifier: Apache-2.0

import RunStore
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// The end of a training without held-out labels.
@Suite struct LabelWaveTests {
  /// Passes over four examples, given as what is predicted for each.
  private func wave(window: Int, _ passes: [[Int]]) -> LabelWave {
    var wave = LabelWave(window: window, count: 4)
    for pass in passes {
      for (index, predicted) in pass.enumerated() { wave.observe(index, predicted: predicted) }
      wave.endPass()
    }
    return wave
  }

  @Test func countsWhatChangesFromPassToPass() {
    let seen = wave(window: 2, [[0, 1, 2, 3], [0, 1, 0, 0], [0, 1, 0, 1], [0, 1, 0, 1]])
    #expect(seen.changes == [0.5, 0.25, 0])
    #expect(seen.averages == [0.375, 0.125])
    // An example that a pass leaves out is compared with its last visit.
    var partial = LabelWave(window: 1, count: 2)
    for (index, predicted) in [(0, 1), (1, 1)] { partial.observe(index, predicted: predicted) }
    partial.endPass()
    partial.observe(0, predicted: 1)
    partial.endPass()
    partial.observe(1, predicted: 0)
    partial.endPass()
    #expect(partial.changes == [0, 1])
    partial.observe(7, predicted: 0)
  }

  @Test func turnsOnceTheAverageHasBeenAboveItsLeastForTheWindow() {
    let falling = [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1], [1, 1, 0, 1], [1, 1, 0, 0]]
    #expect(!wave(window: 1, falling).hasTurned)
    #expect(wave(window: 1, falling + [[0, 0, 0, 0]]).hasTurned)
    // Changes of 1, 3/4, 1/2, 1/4: averages of two fall until they have risen twice in a row.
    let rising = falling + [[0, 0, 0, 0], [1, 1, 1, 0]]
    #expect(!wave(window: 2, rising).hasTurned)
    #expect(wave(window: 2, rising + [[0, 0, 0, 1]]).hasTurned)
    #expect(!LabelWave(window: 3, count: 4).hasTurned)
  }

  /// Noisy labels at a high rate: predictions soon change more again.
  private func settings(_ window: Int?, steps: Int = 400) -> TrainingConfiguration {
    smallConfiguration {
      ($0.noise, $0.steps, $0.evalEvery, $0.labelWave, $0.checkpointEvery) = (0.5, steps, 7, window, 3)
      $0.lr = 0.5
    }
  }

  @Test func endsTheRunWithAnEvaluationAndResumesAlike() throws {
    let scratch = try Scratch()
    let whole = try startRun(settings(1), at: scratch.path("whole"))
    #expect(try whole.train() == .completed)
    let step = whole.trainer.step
    #expect(step < 400 && step.isMultiple(of: whole.trainer.stepsPerEpoch) && whole.isComplete)
    #expect(try whole.directory.log(MetricRecord.self).last?.step == step)
    // In the first pass, of which nothing is known yet, and halfway.
    for stop in [2, step / 2] {
      let place = scratch.path("run-\(stop)")
      let run = try startRun(settings(1), at: place)
      #expect(try run.train(shouldStop: { run.trainer.step == stop }) == .interrupted)
      #expect(try resumeRun(place).train() == .completed)
      try expectSameEnd(scratch.path("whole"), place)
      #expect(try resumeRun(place).isComplete)
    }
    expectError(.configuration, "changes of its predictions turned (label-wave 1)") {
      _ = try TrainingRun(
        resuming: scratch.path("whole"), to: .steps(500), commandLine: ["test"], tool: .init(version: "test"))
    }
  }

  @Test func withoutATurnItChangesNothing() throws {
    let (waved, plain) = (
      try Trainer.make(settings(50, steps: 6)), try Trainer.make(settings(nil, steps: 6))
    )
    for trainer in [waved, plain] { #expect(try trainer.run() == .completed && trainer.step == 6) }
    #expect(try waved.store.values.values() as [Float] == plain.store.values.values())
  }

  @Test(arguments: [0, -3])
  func impossibleWindows(_ window: Int) {
    expectError(.configuration, "label-wave must be at least 1") { try settings(window).validate() }
  }
}
