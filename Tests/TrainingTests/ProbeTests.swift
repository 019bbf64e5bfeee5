// SPDX-License-Identifier: Apache-2.0

import Coherence
import Foundation
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

@Suite struct ProbeTests {
  @Test func schedules() throws {
    func steps(_ text: String, of count: Int = 120, stepsPerEpoch: Int = 50) throws -> [Int] {
      let schedule = try ProbeSchedule(text)
      return (0...count).filter { schedule.contains($0, steps: count, stepsPerEpoch: stepsPerEpoch) }
    }
    #expect(try steps("every:40") == [0, 40, 80, 120])
    #expect(try steps("epoch") == [0, 50, 100])
    #expect(try steps("dense:3-5,every:100") == [0, 3, 4, 5, 100])
    #expect(try steps("log") == [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 63, 79, 100, 120])
  }

  @Test(arguments: [
    "", "coherence@", "coherence@sometimes", "coherence@every:0", "coherence@every:x", "coherence@dense:5-1",
    "coherence@dense:-3", "coherence:m=1@log", "coherence:n=5@log", "coherence:m=99999999999999999999@log",
    "entropy@log", "coherence@log,", "Economy", "measures:m=2001@log", "stability@dense:1-9", "examples:m=0",
    "median:m=9@log",
  ])
  func badWords(_ word: String) throws {
    var configuration = smallConfiguration { _ in }
    configuration.probe = [word]
    #expect(throws: TrainingError.self) { try configuration.validate() }
  }

  @Test func presetsAreProbes() throws {
    for preset in ProbeSpecification.presets.keys { #expect(try !ProbeSpecification.parse(preset).isEmpty) }
  }

  /// A preset takes what there is.
  @Test func presetOnAFewExamples() throws {
    let scratch = try Scratch()
    let run = try startRun(smallConfiguration { $0.probe = ["full"] }, at: scratch.path("run"))
    _ = try run.train()
    #expect(Set(try run.directory.log(CoherenceRecord.self).map(\.m)) == [60, 200])
    #expect(try !run.directory.log(MeasureRecord.self).isEmpty && !run.directory.log(ContributionRecord.self).isEmpty)
  }

  @Test func sampleLargerThanTheDataSet() throws {
    let configuration = smallConfiguration { $0.probe = ["coherence:m=5000@log"] }
    expectError(.configuration, "5000", "train examples", "request 1 to") { _ = try Trainer.make(configuration) }
  }

  @Test func measuresAndLeavesTheTrainingAlone() throws {
    let scratch = try Scratch()
    let plain = smallConfiguration { _ in }
    let probed = smallConfiguration { $0.probe = ["coherence:m=40@every:5", "contributions:m=40@dense:0-10"] }
    let (without, with) = (try startRun(plain, at: scratch.path("a")), try startRun(probed, at: scratch.path("b")))
    #expect(try without.train() == .completed)
    #expect(try with.train() == .completed)
    let (expected, actual): ([Float], [Float]) = try (
      without.trainer.store.values.values(), with.trainer.store.values.values()
    )
    #expect(expected == actual)

    let coherence = try with.directory.log(CoherenceRecord.self)
    #expect(Set(coherence.map(\.split)) == ["train", "test"])
    let layers = with.trainer.model.namedModules.filter { $0.module is Linear }.map(\.name)
    #expect(Set(coherence.map(\.layer)) == Set(layers + ["all"]))
    for record in coherence {
      let (alpha, r) = (try #require(record.alpha), try #require(record.mCoherence))
      #expect(alpha >= 0 && alpha <= 1 + 1e-6 && abs(r - alpha * Double(record.m)) < 1e-9 * max(r, 1))
      #expect(record.batchNormPolicy == "running")
    }
    for record in try with.directory.log(ContributionRecord.self) {
      let (pristine, corrupt) = (try #require(record.pristineShare), try #require(record.corruptShare))
      #expect(abs(pristine + corrupt - 1) < 1e-3)
    }
    let worlds = try with.directory.log(ContributionRecord.self).filter { $0.step == 0 && $0.sample == "population" }
      .map(\.world)
    #expect(worlds == Array(0...20))
  }

  /// The streamed, sampled way and the plain one agree.
  @Test func agreesWithExplicitRows() throws {
    let trainer = try Trainer.make(smallConfiguration { _ in })
    _ = try trainer.update()
    let plan = try GradientPlan(trainer.model, store: trainer.store)
    var probe = try ProbeSample(
      of: trainer.data.train, labels: trainer.data.labels.assigned, candidates: trainer.data.trainIndices,
      split: "train", count: 31, seed: 5)
    let whole = try probe.coherence(plan).network.coherence
    probe.chunkSize = 7
    let chunked = try probe.coherence(plan).network.coherence
    #expect(abs(whole.sumSquaredNorm / chunked.sumSquaredNorm - 1) < 1e-5)
    let targets = try Tensor(probe.indices.map { trainer.data.labels.assigned[$0] })
    let rows = try plan.exampleGradients(input: trainer.data.train.imageTensor(at: probe.indices)) {
      try $0.crossEntropy(targets: targets)
    }.to(.float64)
    let sum = try rows.sum([0])
    #expect(abs(whole.sumSquaredNorm / (try sum.dot(sum)) - 1) < 1e-4)
    #expect(abs(whole.squaredNormSum / (try rows.dot(rows)) - 1) < 1e-4)
  }
}
