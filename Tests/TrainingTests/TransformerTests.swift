// SPDX-License-Identifier: Apache-2.0

import Foundation
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors
import TestSupport
import Testing

@testable import Runs
@testable import Training

/// Trainings of transformers on sums modulo a number, as the command line starts them.
@Suite struct TransformerTrainingTests {
  private func configuration(_ change: (inout TrainingConfiguration) -> Void = { _ in }) -> TrainingConfiguration {
    smallConfiguration {
      ($0.dataset, $0.dataDir, $0.subset) = ("modular:7", nil, nil)
      $0.model = "transformer:layers=1,width=8,heads=2"
      ($0.optimizer, $0.lr, $0.batchSize, $0.noise) = ("adamw", 0.01, 13, 0.2)
      change(&$0)
    }
  }

  @Test(arguments: ["adamw", "winsorized:s=2+adamw", "m3+adamw", "rm3+adamw", "and-mask:t=0.2+adamw"])
  func everyAverageLearns(_ word: String) throws {
    let trainer = try Trainer.make(configuration { ($0.optimizer, $0.noise) = (word, 0) })
    #expect(trainer.data.train.count == 39 && trainer.data.test.count == 10)
    let before = try #require(try trainer.evaluate().first)
    for _ in 0..<60 { _ = try trainer.update() }
    let after = try #require(try trainer.evaluate().first)
    #expect(after.loss < 0.99 * before.loss, "\(word): \(before.loss) to \(after.loss)")
  }

  @Test func aRunIsMeasuredByLayerAndGoesOnToTheBit() throws {
    let scratch = try Scratch()
    let settings = configuration {
      $0.probe = [
        "coherence:m=20@every:5", "measures:m=20@every:10", "contributions:m=20@every:10", "examples:m=10@every:20",
      ]
      ($0.checkpointEvery, $0.testFraction, $0.seed) = (7, 0.4, 3)
    }
    let whole = try startRun(settings, at: scratch.path("whole"))
    #expect(try whole.train() == .completed)
    let layers = Set(
      try String(contentsOfFile: scratch.path("whole/coherence.csv"), encoding: .utf8).split(separator: "\n").map {
        String($0.split(separator: ",")[2])
      })
    for name in ["all", "embedding", "encoder", "encoder.layers.encoder_layer_0.self_attention", "encoder.ln", "head"] {
      #expect(layers.contains(name), "\(layers.sorted())")
    }
    let manifest = try whole.directory.manifest()
    #expect(manifest.dataset.testFraction == 0.4 && manifest.dataset.classes == 7 && manifest.noise.realisedRate != 0)
    #expect(manifest.dataset.files.keys.sorted() == ["test content", "train content"])
    // Stopped and resumed.
    let part = try startRun(settings, at: scratch.path("part"))
    var steps = 0
    _ = try part.train(shouldStop: {
      steps += 1
      return steps > 9
    })
    #expect(try resumeRun(scratch.path("part")).train() == .completed)
    try expectSameEnd(scratch.path("whole"), scratch.path("part"))
  }

  /// The noise scale of layer normalisation alone is that of the rows' columns that belong to it.
  @Test func noiseScalesAreThoseOfTheExplicitRows() throws {
    let trainer = try Trainer.make(configuration { $0.noise = 0 })
    for _ in 0..<3 { _ = try trainer.update() }
    let plan = try GradientPlan(trainer.model, store: trainer.store)
    let sample = try trainer.setup(plan).trainSample(30)
    let images = try trainer.data.train.imageTensor(at: sample.indices)
    let targets = try Tensor(sample.indices.map { trainer.data.train.labels[$0] })
    let rows = try plan.exampleGradients(input: images) { try $0.crossEntropy(targets: targets) }.to(.float64)
    func noiseScale(_ ranges: [Range<Int>]) throws -> Double {
      let own = try Tensor.concatenate(
        ranges.map { try rows.narrow(1, from: $0.lowerBound, length: $0.count) }, dimension: 1)
      let (sum, m) = (try own.sum([0]), 30.0)
      let (square, all) = try (sum.dot(sum), own.rowSquaredNorms().sum().item())
      let trace = (all - square / m) / (m - 1)
      return trace / (square / (m * m) - trace / m)
    }
    let norms = trainer.store.entries.filter { $0.name.contains(".ln") }.map(\.range)
    let measures = Dictionary(
      try sample.relatedMeasures(plan).values.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    for (name, expected) in [
      ("noise_scale", try noiseScale([0..<trainer.store.count])), ("noise_scale_layer_norm", try noiseScale(norms)),
    ] {
      let value = measures[name] ?? nil
      // Of a difference that is not positive there is none.
      #expect(expected > 0 ? abs((value ?? 0) / expected - 1) < 1e-2 : value == nil, "\(name): \(expected)")
    }
  }

  @Test func aTrainedModelIsMeasuredAgain() throws {
    let scratch = try Scratch()
    _ = try startRun(configuration { $0.steps = 3 }, at: scratch.path("run")).train()
    let model = try TrainedModel(run: scratch.path("run"))
    #expect(try model.coherence(examples: 20).network.coherence.m == 20)
    #expect(try model.predictions().classCount == 7)
  }

  @Test func tiedTablesAreTrained() throws {
    let trainer = try Trainer.make(
      configuration { ($0.model, $0.noise) = ("transformer:layers=1,width=8,heads=2,tied=yes", 0) })
    let before = try #require(try trainer.evaluate().first)
    for _ in 0..<60 { _ = try trainer.update() }
    let after = try #require(try trainer.evaluate().first)
    #expect(after.loss < 0.99 * before.loss, "\(before.loss) to \(after.loss)")
  }

  @Test func whatDoesNotFitIsRefused() {
    for (change, part): ((inout TrainingConfiguration) -> Void, String) in [
      ({ $0.model = "mlp:8" }, "are tokens"), ({ $0.model = "vit_tiny" }, "are tokens"),
      ({ ($0.dataset, $0.dataDir) = ("mnist", SmallData.folder) }, "needs examples of tokens"),
      ({ $0.subset = 40 }, "between 1 and 39"),
    ] {
      #expect(message { _ = try Trainer.make(configuration(change)) }.contains(part))
    }
  }
}
