// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Datasets
import Foundation
import NeuralNetworks
import RunStore
import Testing
import TestSupport
import Tensors

@testable import Runs
@testable import Training

/// Private training as a whole: what steps see, what they count, what is refused.
@Suite struct PrivateTrainingTests {
  private func configuration(
    _ optimizer: String, _ change: (inout TrainingConfiguration) -> Void = { _ in }
  ) -> TrainingConfiguration {
    smallConfiguration {
      ($0.optimizer, $0.model) = (optimizer, "mlp:5")
      change(&$0)
    }
  }

  private func weights(_ trainer: Trainer) throws -> [Float] { try trainer.store.values.values() }

  // MARK: - Steps

  /// Without noise a step is the clipped sum over what the sampler drew, divided by what it was expected to draw.
  @Test(arguments: [0.3, 1, 100]) func stepsAgreeWithPlainLoops(_ clip: Double) throws {
    let trainer = try Trainer.make(configuration("dp-sgd:clip=\(clip),noise=0") { ($0.batchSize, $0.lr) = (2, 0.5) })
    var plain = try PlainNetwork(trainer)
    var sampler = try BatchSampler(count: 60, batchSize: 2, seed: 1, sampling: .poisson)
    var sizes: Set<Int> = []
    for step in 1...20 {
      let batch = sampler.next()
      sizes.insert(batch.count)
      var sum = [Double](repeating: 0, count: trainer.store.count)
      for index in batch {
        let input = try trainer.data.train.imageTensor(at: [index]).values(as: Float.self).map(Double.init)
        let own = plain.gradient([input], [trainer.data.labels.assigned[index]]).gradient
        let length = own.reduce(0) { $0 + $1 * $1 }.squareRoot()
        let factor = length > clip ? clip / length : 1
        for place in own.indices { sum[place] += factor * own[place] }
      }
      plain.add(sum, times: -0.5 / 2)
      let record = try trainer.update()
      #expect(record.step == step && record.loss.isNaN == batch.isEmpty)
    }
    #expect(sizes.contains(0) && sizes.count > 3)
    let wrong = zip(try weights(trainer), plain.flat).count { abs(Double($0) - $1) > 2e-6 + 2e-5 * abs($1) }
    #expect(wrong == 0, "\(wrong) parameters differ")
  }

  @Test func stepsWithoutExamplesTakeTheirNoise() throws {
    let trainer = try Trainer.make(configuration("dp-sgd:clip=1,noise=1") { ($0.batchSize, $0.lr) = (1, 0.1) })
    let mean = try #require(trainer.privacy)
    var empty = 0
    for step in 1...20 {
      let before = try weights(trainer)
      if try trainer.update().loss.isNaN { empty += 1 }
      let moved = zip(before, try weights(trainer)).map { Double($1) - Double($0) }
      // Almost no coordinate of a Gaussian is 0.
      #expect(moved.count { $0 != 0 } > moved.count * 99 / 100)
      #expect(mean.steps == step)
    }
    #expect(empty > 0 && empty < 20)
    #expect(mean.accountant?.sampleRate == 1.0 / 60)
  }

  /// A whole run, evaluations and records included, with empty steps and with every kind of update.
  @Test(arguments: ["", "+adam", "+adamw"]) func runs(_ update: String) throws {
    let scratch = try Scratch()
    let run = try startRun(
      configuration("dp-sgd:clip=1,noise=0.8" + update) { ($0.batchSize, $0.lr) = (1, 0.01) }, at: scratch.path("run"))
    #expect(try run.train() == .completed)
    let privacy = try #require(try run.directory.manifest().privacy)
    let accountant = try PrivacyAccountant(noiseMultiplier: 0.8, sampleRate: 1.0 / 60)
    #expect(privacy.epsilon == accountant.epsilon(steps: 20, delta: 1e-5) && privacy.plannedEpsilon == privacy.epsilon)
    #expect(privacy.steps == 20 && privacy.clip == 1 && privacy.noiseMultiplier == 0.8 && privacy.delta == 1e-5)
    #expect(privacy.sampleRate == 1.0 / 60 && privacy.sampler == "poisson" && privacy.targetEpsilon == nil)
    #expect(try run.directory.manifest().optimization?.aggregator == "dp-sgd")
  }

  @Test func theSeedDecidesTheNoise() throws {
    func end(_ seed: UInt64) throws -> [Float] {
      let trainer = try Trainer.make(configuration("dp-sgd:clip=1,noise=1") { $0.seed = seed })
      for _ in 0..<3 { _ = try trainer.update() }
      return try weights(trainer)
    }
    #expect(try end(1) == end(1))
    #expect(try end(1) != end(2))
  }

  // MARK: - Counting

  /// A budget is spent by the planned steps, and how much of it by those made.
  @Test func budgets() throws {
    let scratch = try Scratch()
    let run = try startRun(configuration("dp-sgd:clip=1,epsilon=3,delta=1e-5"), at: scratch.path("run"))
    #expect(try run.train(shouldStop: { run.trainer.step == 7 }) == .interrupted)
    let half = try #require(try run.directory.manifest().privacy)
    let planned = try #require(half.plannedEpsilon)
    #expect(half.steps == 7 && half.targetEpsilon == 3 && planned <= 3 && planned > 2.99)
    #expect(try #require(half.epsilon) < planned)
    let noise = try PrivacyAccountant.noiseMultiplier(epsilon: 3, delta: 1e-5, sampleRate: 1.0 / 6, steps: 20)
    #expect(half.noiseMultiplier == noise)
    // The count goes on.
    let rest = try resumeRun(scratch.path("run"))
    #expect(try rest.train() == .completed)
    let whole = try #require(try rest.directory.manifest().privacy)
    #expect(whole.steps == 20 && whole.epsilon == planned)
    // σ was chosen for 20 steps.
    let text = message {
      _ = try TrainingRun(
        resuming: scratch.path("run"), to: .steps(30), commandLine: ["test"], tool: .init(version: "test"))
    }
    #expect(text.contains("chosen for another number of steps"), "\(text)")
  }

  @Test func givenNoiseMayGoOnForLonger() throws {
    let scratch = try Scratch()
    let run = try startRun(configuration("dp-sgd:clip=1,noise=2"), at: scratch.path("run"))
    #expect(try run.train() == .completed)
    let before = try #require(try run.directory.manifest().privacy?.epsilon)
    let more = try TrainingRun(
      resuming: scratch.path("run"), to: .steps(30), commandLine: ["test"], tool: .init(version: "test"))
    #expect(try more.train() == .completed)
    let privacy = try #require(try more.directory.manifest().privacy)
    #expect(privacy.steps == 30 && privacy.epsilon == privacy.plannedEpsilon)
    #expect(try #require(privacy.epsilon) > before)
  }

  /// The manifest is ahead of the weights that are kept, never behind: who is killed has broken no promise.
  @Test func whatIsKeptIsAccountedFor() throws {
    let scratch = try Scratch()
    let run = try startRun(
      configuration("dp-sgd:clip=1,noise=1") { ($0.steps, $0.checkpointEvery) = (12, 4) }, at: scratch.path("run"))
    struct Killed: Error {}
    #expect(throws: Killed.self) {
      try run.train(shouldStop: { false }) { event in
        if case .completedStep(9) = event { throw Killed() }
      }
    }
    let privacy = try #require(try run.directory.manifest().privacy)
    #expect(privacy.steps >= 8, "\(privacy.steps)")
    #expect(try #require(privacy.epsilon) > 0)
  }

  @Test func notesSayWhatIsNotPromised() throws {
    let noiseless = try Trainer.make(configuration("dp-sgd:clip=1,noise=0"))
    #expect(noiseless.notes.contains { $0.contains("promise no privacy") })
    let large = try Trainer.make(configuration("dp-sgd:clip=1,noise=1,delta=0.1"))
    #expect(large.notes.contains { $0.contains("one in the 60 training examples") })
    let guessable = try Trainer.make(configuration("dp-sgd:clip=1,noise=1"))
    #expect(guessable.notes.count == 1 && guessable.notes[0].contains("follows from the seed"))
    #expect(try Trainer.make(configuration("dp-sgd:clip=1,noise=1") { $0.seed = 0x5ec2_e700_0000_0001 }).notes.isEmpty)
  }

  // MARK: - Refusals

  /// What tells about examples past the noise.
  @Test func whatBreaksThePromiseIsRefused() {
    let cases: [(String, (inout TrainingConfiguration) -> Void)] = [
      ("drop-last", { $0.dropLast = true }), ("stop-accuracy", { $0.stopAccuracy = 0.5 }),
      ("stop", { $0.stop = "label-wave" }), ("bn-groups", { $0.bnGroups = 2 }), ("elr", { $0.loss = "elr:3,0.7" }),
    ]
    for (part, change) in cases {
      let text = message { _ = try Trainer.make(configuration("dp-sgd:clip=1,noise=1", change)) }
      #expect(text.contains(part), "\(part): \(text)")
      #expect(message { _ = try Trainer.make(configuration("sgd", change)) }.isEmpty, "\(part)")
    }
    let text = message { _ = try Trainer.make(configuration("dp-sgd:clip=1,epsilon=1e-4,delta=1e-5")) }
    #expect(text.contains("no noise keeps 20 steps within epsilon"), "\(text)")
  }

  private static func convolutional(_ norm: any Module) throws -> Trainer {
    let generator = try Generator(seed: 5)
    let model = try Sequential(
      Conv2d(inputs: 1, outputs: 6, kernel: 5, stride: 3, generator: generator), norm, Activation(.relu), Flatten(),
      Dropout(probability: 0.25), Linear(inputs: 6 * 8 * 8, outputs: 10, generator: generator))
    return try Trainer(
      model: model, data: TrainingData(smallConfiguration()),
      aggregator: PrivateMean(clip: 1, noise: .multiplier(1)), optimizer: SGD(), learningRate: LearningRate(0.1),
      settings: TrainingSettings(steps: 4, batchSize: 6, augmentation: Augmentation("crop")))
  }

  @Test func batchNormIsRefusedAndGroupNormIsNot() throws {
    expectError(.configuration, "1 layers normalise by statistics of the mini-batch", "--norm group:8") {
      _ = try Self.convolutional(BatchNorm2d(channels: 6))
    }
    let trainer = try Self.convolutional(GroupNorm(groups: 2, channels: 6))
    #expect(try trainer.run() == .completed)
    #expect(try weights(trainer).allSatisfy(\.isFinite))
  }

  @Test func ranksAreRefused() throws {
    let fixed = configuration("dp-sgd:clip=1,noise=1")
    let found = try asRanks(2) { group in message { _ = try ConfiguredTraining(fixed, group: group) } }
    #expect(found.allSatisfy { $0.contains("is not divided among 2 ranks; start one process") }, "\(found)")
  }

  /// Steps that saw every example in turn cannot be counted as if they had drawn them.
  @Test func shuffledStepsAreNotCountedAsDrawn() throws {
    let words = ["sgd", "dp-sgd:clip=1,noise=1"]
    for (from, into) in zip(words, words.reversed()) {
      let trainer = try Trainer.make(configuration(from))
      for _ in 0..<2 { _ = try trainer.update() }
      let state = try trainer.state()
      let other = try Trainer.make(configuration(into))
      expectError(.checkpoint, "sampling") { try other.restore(state, from: "state") }
    }
  }
}
