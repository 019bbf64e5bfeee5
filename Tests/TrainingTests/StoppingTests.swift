// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Datasets
import Foundation
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// The end of a training without held-out labels.
@Suite struct StoppingTests {
  /// Passes over four examples, given as what is predicted for each.
  private func wave(window: Int, _ passes: [[Int]]) -> LabelWave {
    let wave = LabelWave(window: window)
    wave.prepare(count: 4, stepsPerEpoch: 1)
    for pass in passes {
      for (index, predicted) in pass.enumerated() { wave.observe(index, predicted: predicted) }
      wave.endPass()
    }
    return wave
  }

  @Test func countsWhatChangesFromPassToPass() {
    let seen = wave(window: 2, [[0, 1, 2, 3], [0, 1, 0, 0], [0, 1, 0, 1], [0, 1, 0, 1]])
    #expect(seen.turn.values == [0.5, 0.25, 0])
    #expect(seen.turn.averages == [0.375, 0.125])
    // An example that a pass leaves out is compared with its last visit.
    let partial = LabelWave(window: 1)
    partial.prepare(count: 2, stepsPerEpoch: 1)
    for (index, predicted) in [(0, 1), (1, 1)] { partial.observe(index, predicted: predicted) }
    partial.endPass()
    partial.observe(0, predicted: 1)
    partial.endPass()
    partial.observe(1, predicted: 0)
    partial.endPass()
    #expect(partial.turn.values == [0, 1])
    partial.observe(7, predicted: 0)
  }

  @Test func turnsOnceTheAverageHasBeenAboveItsLeastForTheWindow() {
    let falling = [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1], [1, 1, 0, 1], [1, 1, 0, 0]]
    #expect(!wave(window: 1, falling).endsTraining)
    #expect(wave(window: 1, falling + [[0, 0, 0, 0]]).endsTraining)
    // Changes of 1, 3/4, 1/2, 1/4: averages of two fall until they have risen twice in a row.
    let rising = falling + [[0, 0, 0, 0], [1, 1, 1, 0]]
    #expect(!wave(window: 2, rising).endsTraining)
    #expect(wave(window: 2, rising + [[0, 0, 0, 1]]).endsTraining)
    #expect(!LabelWave(window: 3).endsTraining)
  }

  @Test func aPassHasTheMedianOfItsCoherence() {
    let coherence = CoherenceTurn(window: 1)
    func pass(_ values: Double?...) {
      for value in values { coherence.observe(value) }
      coherence.endPass()
    }
    pass(2, 50, 3)
    pass(nil, 4, 1)
    // Nothing is known of a pass without gradients.
    pass(nil)
    #expect(coherence.turn.values.map { exp($0) }.elementsEqual([3, 2], by: { abs($0 - $1) < 1e-12 }))
    #expect(!coherence.endsTraining)
    pass(2.5)
    #expect(coherence.endsTraining)
    // Gradients that cancel are the least there is.
    pass(0)
    #expect(!coherence.endsTraining)
  }

  /// Noisy labels at a high rate: predictions soon change more again, and gradients agree again.
  private func settings(_ rule: String?, steps: Int = 400) -> TrainingConfiguration {
    smallConfiguration {
      ($0.noise, $0.steps, $0.evalEvery, $0.stop, $0.checkpointEvery) = (0.5, steps, 7, rule, 3)
      $0.lr = 0.5
    }
  }

  @Test(arguments: [("label-wave:1", "label_wave"), ("coherence:m=20,k=1", "coherence_turn")])
  func endsTheRunWithAnEvaluationAndResumesAlike(_ rule: String, _ measure: String) throws {
    let scratch = try Scratch()
    let whole = try startRun(settings(rule), at: scratch.path("whole"))
    #expect(try whole.train() == .completed)
    let step = whole.trainer.step
    #expect(step < 400 && step.isMultiple(of: whole.trainer.stepsPerEpoch) && whole.isComplete)
    #expect(try whole.directory.log(MetricRecord.self).last?.step == step)
    let reason = try #require(whole.trainer.endReason)
    #expect(reason.hasPrefix("stopped by \(rule.prefix(5))".replacing("-", with: " ")) && reason.hasSuffix("of 400"))
    #expect(try whole.directory.events().last?.message == reason)
    let measures = try whole.directory.log(MeasureRecord.self)
    #expect(measures.last?.step == step && measures.allSatisfy { $0.measure == measure && $0.value >= 0 })
    // In the first pass, of which nothing is known yet, and halfway.
    for stop in [2, step / 2] {
      let place = scratch.path("run-\(stop)")
      let run = try startRun(settings(rule), at: place)
      #expect(try run.train(shouldStop: { run.trainer.step == stop }) == .interrupted)
      #expect(try resumeRun(place).train() == .completed)
      try expectSameEnd(scratch.path("whole"), place)
      #expect(try resumeRun(place).isComplete)
    }
    expectError(.configuration, "what stop \(rule) watches has turned") {
      _ = try TrainingRun(
        resuming: scratch.path("whole"), to: .steps(500), commandLine: ["test"], tool: .init(version: "test"))
    }
  }

  @Test(arguments: ["label-wave:50", "coherence:m=20,k=50"])
  func withoutATurnItChangesNothing(_ rule: String) throws {
    let (watched, plain) = (
      try Trainer.make(settings(rule, steps: 6)), try Trainer.make(settings(nil, steps: 6))
    )
    for trainer in [watched, plain] { #expect(try trainer.run() == .completed && trainer.step == 6) }
    #expect(try watched.store.values.values() as [Float] == plain.store.values.values())
  }

  /// A probe of one's own that ends the training once it has seen a step, or has measured after it.
  private final class Ending: EndingProbe {
    let name = "ending"
    let schedule: ProbeSchedule = .every(1)
    let needsGradients = false
    let (last, decidesInMeasure): (Int, Bool)
    private(set) var endsTraining = false
    private(set) var finishedAt: Int?

    init(after last: Int, inMeasure: Bool = false) { (self.last, decidesInMeasure) = (last, inMeasure) }

    func didStep(_ record: StepRecord) { if !decidesInMeasure, record.step == last { endsTraining = true } }
    func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) {
      if decidesInMeasure, step == last { endsTraining = true }
    }
    func finish(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) { finishedAt = step }
  }

  private func trainer(_ probe: Ending, aggregator: any Aggregator = Mean()) throws -> Trainer {
    let model = Sequential([
      ("flatten", Flatten()), ("fc", try Linear(inputs: 784, outputs: 10, generator: Generator(seed: 1))),
    ])
    let digits = try DatasetLoader.load(name: "digits", split: .train, count: 60)
    return try Trainer(
      model: model, data: TrainingData(train: digits, test: digits), aggregator: aggregator, optimizer: SGD(),
      learningRate: 0.1, probes: [probe],
      settings: TrainingSettings(steps: 50, batchSize: 10, evaluationDistance: 40))
  }

  @Test func aProbeOfOnesOwnEndsTheTraining() throws {
    // What is found by measuring counts from the next step on.
    for (inMeasure, end) in [(false, 7), (true, 8)] {
      let probe = Ending(after: 7, inMeasure: inMeasure)
      let trainer = try trainer(probe)
      #expect(try trainer.run() == .completed)
      #expect(trainer.step == end && trainer.milestones.last?.step == end && probe.finishedAt == end)
    }
  }

  @Test func aPrivateTrainingIsNotEndedByWhatItSaw() throws {
    let mean = try PrivateMean(clip: 1, noise: .multiplier(1))
    let trainer = try trainer(Ending(after: 3), aggregator: mean)
    expectError(.configuration, "which no noise hides") { _ = try trainer.run() }
  }

  @Test func words() throws {
    #expect(
      try StoppingRule("label-wave") == .labelWave(window: 3) && StoppingRule("label-wave:5") == .labelWave(window: 5))
    #expect(try StoppingRule("label-wave:k=2") == .labelWave(window: 2))
    #expect(try StoppingRule("coherence") == .coherence(m: .atMost(1000), window: 3))
    #expect(try StoppingRule("coherence:k=2,m=500") == .coherence(m: 500, window: 2))
    for word in [
      "label-wave:0", "label-wave:-3", "label-wave:", "label-wave:m=3", "label-wave:1,2", "coherence:3",
      "coherence:m=1",
      "coherence:k=99999999999999999999", "coherence:m=10,m=20", "validation", "",
    ] { expectError(.configuration, "stop") { try settings(word).validate() } }
    // More examples than there are.
    expectError(.configuration, "a probe of 5000 train examples") { _ = try Trainer.make(settings("coherence:m=5000")) }
    expectError(.configuration, "at least one pass") { try TrainingSettings(stop: .labelWave(window: 0)).validate() }
  }
}
