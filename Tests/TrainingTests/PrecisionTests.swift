// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import RunStore
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// `--precision bf16`: trainings whose products are in bfloat16, and everything else in float32.
@Suite struct PrecisionTests {
  private static let isPossible = ProductPrecision.bfloat16.problem(on: .cpu) == nil

  private static func losses(_ configuration: TrainingConfiguration) throws -> (losses: [Double], weights: [Float]) {
    let trainer = try Trainer.make(configuration)
    var losses: [Double] = []
    _ = try trainer.run(shouldStop: { false }) { if case .stepped(let record) = $0 { losses.append(record.loss) } }
    #expect(try trainer.store.values.dtype == .float32)
    return (losses, try trainer.store.values.values())
  }

  @Test(.enabled(if: isPossible), arguments: ["sgd", "m3", "winsorized:s=1", "rm3+adamw"])
  func learnsAsInSinglePrecision(_ optimizer: String) throws {
    func configuration(_ precision: ProductPrecision) -> TrainingConfiguration {
      smallConfiguration {
        ($0.model, $0.noise, $0.steps, $0.optimizer, $0.precision) = ("mlp:24,16", 0, 60, optimizer, precision)
        if optimizer.hasSuffix("adamw") { $0.lr = 0.003 }
      }
    }
    let (reduced, single) = try (Self.losses(configuration(.bfloat16)), Self.losses(configuration(.float32)))
    func end(_ losses: [Double]) -> Double { losses.suffix(6).reduce(0, +) / 6 }
    #expect(end(single.losses) < 0.7 * single.losses[0], "it learns something")
    #expect(abs(end(reduced.losses) / end(single.losses) - 1) < 0.15)
    #expect(reduced.weights != single.weights && reduced.weights.allSatisfy(\.isFinite))
    // The same again, to the bit.
    #expect(try Self.losses(configuration(.bfloat16)).weights == reduced.weights)
  }

  /// Residual networks with their batch normalisation, and transformers.
  @Test(
    .enabled(if: isPossible),
    arguments: [("resnet8", "digits"), ("transformer:layers=1,width=16,heads=2", "modular:7")])
  func otherNetworks(_ model: String, _ dataset: String) throws {
    let (losses, weights) = try Self.losses(
      smallConfiguration {
        ($0.model, $0.dataset, $0.dataDir, $0.noise, $0.steps, $0.precision) = (model, dataset, nil, 0, 12, .bfloat16)
        if dataset != "digits" { ($0.subset, $0.testSubset, $0.batchSize) = (nil, nil, 9) }
        ($0.probe, $0.lr) = (["coherence:m=12@every:6"], 0.05)
      })
    #expect(losses.allSatisfy(\.isFinite) && weights.allSatisfy(\.isFinite))
    #expect(losses.suffix(3).reduce(0, +) < losses.prefix(3).reduce(0, +))
  }

  @Test(.enabled(if: isPossible)) func runsGoOnAsTheyBegan() throws {
    let scratch = try Scratch()
    func configuration(_ steps: Int) -> TrainingConfiguration {
      smallConfiguration { ($0.model, $0.steps, $0.precision, $0.checkpointEvery) = ("mlp:12", steps, .bfloat16, 4) }
    }
    let whole = try startRun(configuration(12), at: scratch.path("whole"))
    _ = try whole.train()
    #expect(try whole.directory.manifest().numerics["precision"] == "bf16")
    let part = try startRun(configuration(12), at: scratch.path("part"))
    _ = try part.train(shouldStop: { part.trainer.step == 7 }) { _ in }
    let resumed = try resumeRun(scratch.path("part"))
    #expect(resumed.trainer.linearPolicy.precision == .bfloat16)
    _ = try resumed.train()
    #expect(
      try resumed.trainer.store.values.values(as: Float.self) == whole.trainer.store.values.values(as: Float.self))
    // What is measured of it afterwards computes as it did.
    #expect(try TrainedModel(run: scratch.path("whole")).linearPolicy.precision == .bfloat16)
  }

  /// Ranks, networks that go layer by layer, and layers without a rule of their own.
  @Test(.enabled(if: isPossible), arguments: ["sgd", "m3"]) func ranksAndConvolutions(_ optimizer: String) throws {
    let configuration = smallConfiguration {
      ($0.model, $0.norm, $0.optimizer, $0.precision) = ("resnet8", "group:8", optimizer, .bfloat16)
      ($0.batchSize, $0.steps, $0.noise, $0.dropLast) = (12, 3, 0, true)
    }
    let alone = try Self.losses(configuration)
    let ranks = try asRanks(3) { group -> [Float] in
      let trainer = try ConfiguredTraining(configuration, group: group).trainer
      _ = try trainer.run(shouldStop: { false }) { _ in }
      return try trainer.store.values.values()
    }
    for weights in ranks {
      #expect(weights == ranks[0])
      let (distance, length) = zip(weights, alone.weights).reduce((0.0, 0.0)) { sums, pair in
        (sums.0 + Double((pair.0 - pair.1) * (pair.0 - pair.1)), sums.1 + Double(pair.1 * pair.1))
      }
      #expect((distance / length).squareRoot() < 0.01)
    }
  }

  @Test func settingsThatGoTogether() throws {
    expectError(.configuration, "leave linear out") {
      try smallConfiguration { ($0.precision, $0.linear) = (.bfloat16, "onednn") }.validate()
    }
    // Runs of earlier versions do not name it.
    let scratch = try Scratch()
    let run = try startRun(smallConfiguration { $0.steps = 2 }, at: scratch.path("run"))
    _ = try run.train()
    var manifest = try run.directory.manifest()
    #expect(manifest.numerics["precision"] == "float32")
    manifest.numerics["precision"] = nil
    #expect(TrainingRun.policy(in: manifest)?.precision == .float32)
  }

  @Test(.disabled(if: isPossible)) func refusedWithAReason() throws {
    expectError(.configuration, "no instructions for bfloat16") {
      _ = try Trainer.make(smallConfiguration { $0.precision = .bfloat16 })
    }
  }
}
