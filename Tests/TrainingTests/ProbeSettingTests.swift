// SPDX-License-Identifier: Apache-2.0

import Foundation
import GradientMatrix
import NeuralNetworks
import RunStore
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// Settings of probes beside m, and epochs without their rest.
@Suite struct ProbeSettingTests {
  @Test func settingsAreReadAndWritten() throws {
    let word = "contributions:m=50,bn=batch,nulls=999@dense:0-2,log"
    let probe = try #require(try ProbeSpecification.parse(word).first)
    #expect(probe.sampleSize == 50 && probe.normPolicy == .batch && probe.nullCount == 999)
    #expect(probe.description == word)
    #expect(try ProbeSpecification.parse("coherence:bn=running").first?.description == "coherence:bn=running@log")
    #expect(try ProbeSpecification.parse("coherence:heads=yes,m=9").first?.description == "coherence:m=9,heads=yes@log")
    #expect(try ProbeSpecification.parse("coherence:heads=no").first?.description == "coherence@log")
    for bad in [
      "coherence:heads=3", "coherence:heads=yes,heads=no", "measures:heads=yes", "coherence:m=2,m=3",
      "coherence:bn=none", "coherence:nulls=20", "contributions:nulls=1", "coherence:",
      "coherence:m",
      "coherence:m=1", "coherence:m=4,", "contributions:nulls=10000",
    ] {
      expectError(.configuration, "is not known; write m=N") { _ = try ProbeSpecification.parse(bad) }
    }
  }

  /// Heads are measures of their own; a model without any has none to measure.
  @Test func everyHeadByItself() throws {
    let scratch = try Scratch()
    func configuration(_ model: String, _ dataset: String) -> TrainingConfiguration {
      smallConfiguration {
        ($0.model, $0.dataset, $0.noise, $0.steps) = (model, dataset, 0, 2)
        if dataset != "digits" { ($0.subset, $0.testSubset, $0.validation) = (nil, nil, 0) }
        $0.probe = ["coherence:m=12,heads=yes@every:2"]
      }
    }
    let run = try startRun(configuration("transformer:layers=1,width=8,heads=2", "modular:7"), at: scratch.path("run"))
    _ = try run.train()
    let measures = try run.directory.log(MeasureRecord.self).filter { $0.step == 2 && $0.split == "train" }
    let names = measures.map(\.measure).filter { $0.contains("head_") }
    let attention = "encoder.layers.encoder_layer_0.self_attention"
    #expect(
      names == (0..<2).flatMap { head in ["alpha", "m_coherence"].map { "\($0):\(attention).head_\(head)" } })
    let layers = try run.directory.log(CoherenceRecord.self).map(\.layer)
    #expect(layers.contains(attention) && !layers.contains { $0.contains("head_") })
    expectError(.configuration, "no layer of heads") { _ = try Trainer.make(configuration("mlp:8", "digits")) }
  }

  /// The length of the weights at each moment, which neither examples nor gradients are needed for.
  @Test func theLengthOfTheWeights() throws {
    let trainer = try Trainer.make(smallConfiguration { ($0.steps, $0.probe) = (6, ["weights@every:3"]) })
    var found: [(record: MeasureRecord, norm: Double)] = []
    _ = try trainer.run(shouldStop: { false }) { event in
      guard case .measured(let results) = event else { return }
      let square = try trainer.weights().reduce(0.0) { sum, entry in
        try entry.tensor.to(.float64).reshape([entry.tensor.count]).values(as: Double.self).reduce(sum) { $0 + $1 * $1 }
      }
      found += results[MeasureRecord.self].map { ($0, square.squareRoot()) }
    }
    #expect(found.map(\.record.step) == [0, 3, 6] && found.allSatisfy { $0.record.measure == "weight_norm" })
    for (record, norm) in found { #expect(abs(record.value / norm - 1) < 1e-6) }
    #expect(Set(found.map(\.norm)).count == 3)
    for word in ["weights:m=5", "weights:bn=batch"] {
      expectError(.configuration, "needs no examples") { _ = try ProbeSpecification.parse(word) }
    }
  }

  /// Both treatments of batch normalisation at the same weights: that of the batch is what a pass over whole mini-batches
  /// gives, and only the first one has intervals.
  @Test func twoTreatmentsSideBySide() throws {
    let scratch = try Scratch()
    let run = try startRun(
      smallConfiguration {
        ($0.model, $0.batchSize, $0.steps, $0.noise) = ("resnet20", 20, 1, 0)
        $0.probe = ["coherence:m=60@every:1", "coherence:m=60,bn=batch@every:1"]
      }, at: scratch.path("run"))
    _ = try run.train()
    let records = try run.directory.log(CoherenceRecord.self).filter {
      $0.layer == "all" && $0.split == "train" && $0.step == 1
    }
    #expect(records.map(\.batchNormPolicy) == ["running", "batch"])
    let trainer = run.trainer
    let plan = try GradientPlan(
      trainer.model, store: trainer.store, batchNormPolicy: .batch, linearPolicy: trainer.linearPolicy)
    var sample = try ProbeSample(
      of: trainer.data.train, labels: trainer.data.labels.assigned, candidates: trainer.data.trainIndices,
      split: "train", count: 60, seed: trainer.settings.seed)
    sample.chunkSize = 20
    let expected = try sample.coherence(plan, groupCount: 0).network.coherence.mCoherence
    #expect(records.last?.mCoherence == expected && records.first?.mCoherence != expected)
    #expect(try Set(run.directory.log(CoherenceIntervalRecord.self).map(\.step)) == [0, 1])
    #expect(
      try run.directory.log(MeasureRecord.self).filter { $0.measure == "gradient_norm2" && $0.split == "train" }.count
        == 2)
  }

  @Test func asManyNullWorldsAsAsked() throws {
    let scratch = try Scratch()
    let run = try startRun(
      smallConfiguration { $0.probe = ["contributions:m=40,nulls=33@every:20"] }, at: scratch.path("run"))
    _ = try run.train()
    let worlds = try Set(run.directory.log(ContributionRecord.self).map(\.world))
    #expect(worlds == Set(0...33))
  }

  @Test func theRestOfAnEpochIsLeftOut() throws {
    func trainer(_ dropsLast: Bool) throws -> Trainer {
      try Trainer.make(
        smallConfiguration {
          ($0.batchSize, $0.steps, $0.epochs, $0.dropLast) = (25, nil, 3, dropsLast)
        })
    }
    let (whole, dropped) = (try trainer(false), try trainer(true))
    #expect(whole.steps == 9 && dropped.steps == 6)
    #expect(whole.stepsPerEpoch == 3 && dropped.stepsPerEpoch == 2)
    while !dropped.isFinished { _ = try dropped.update() }
    // A rest too small for three groups is no reason to refuse when it is left out.
    func groups(_ dropsLast: Bool) throws {
      _ = try Trainer.make(smallConfiguration { ($0.batchSize, $0.optimizer, $0.dropLast) = (29, "m3", dropsLast) })
    }
    expectError(.configuration, "m3 needs at least 3 examples", "--drop-last") { try groups(false) }
    try groups(true)
  }
}
