// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import RunStore
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

@Suite struct FreezingTests {
  private func values(_ trainer: Trainer) throws -> [String: [Float]] {
    Dictionary(
      uniqueKeysWithValues: try trainer.store.entries.map { ($0.name, try $0.parameter.value.values(as: Float.self)) })
  }

  /// With every optimizer, momentum and weight decay: what is frozen keeps its bits, all else moves.
  @Test(arguments: RobustTrainingTests.words + ["sgd"], [0, 0.9])
  func frozenParametersKeepTheirBits(_ word: String, _ momentum: Double) throws {
    let trainer = try Trainer.make(
      smallConfiguration {
        ($0.optimizer, $0.model) = (word, "mlp:8,6")
        ($0.momentum, $0.allowMomentum, $0.nesterov, $0.weightDecay) = (momentum, true, momentum > 0, 0.05)
        $0.freeze = ["fc1.weight", "fc2", "fc3.bias"]
      })
    let before = try values(trainer)
    for _ in 0..<9 { _ = try trainer.update() }
    let after = try values(trainer)
    for (name, value) in before {
      #expect((after[name] == value) == ["fc1.weight", "fc2.weight", "fc2.bias", "fc3.bias"].contains(name), "\(name)")
    }
  }

  /// A step of what is trained is that of a run in which nothing is frozen, to the bit.
  @Test(arguments: ["sgd", "m3", "m3:successive", "winsorized:s=2", "sum-sign"])
  func theRestMovesAsEver(_ word: String) throws {
    func step(_ freeze: [String]) throws -> [String: [Float]] {
      let trainer = try Trainer.make(
        smallConfiguration { ($0.optimizer, $0.weightDecay, $0.freeze) = (word, 0.05, freeze) })
      _ = try trainer.update()
      return try values(trainer)
    }
    let (frozen, plain) = (try step(["fc1.weight"]), try step([]))
    for name in ["fc1.bias", "fc2.weight", "fc2.bias"] { #expect(frozen[name] == plain[name], "\(name)") }
    #expect(frozen["fc1.weight"] != plain["fc1.weight"])
  }

  /// Parameters of batch norm are frozen like all others; its statistics go on following the batches.
  @Test func batchNormStatisticsAreNotParameters() throws {
    let trainer = try Trainer.make(
      smallConfiguration { ($0.model, $0.steps, $0.freeze) = ("resnet20", 1, ["conv1", "bn1", "layer1"]) })
    func statistics() throws -> [Float] {
      try #require(trainer.model.namedBuffers.first { $0.name == "bn1.running_mean" }).buffer.value.values()
    }
    let (before, parameters) = (try statistics(), try values(trainer))
    _ = try trainer.update()
    let after = try values(trainer)
    #expect(try statistics() != before)
    #expect(after["bn1.weight"] == parameters["bn1.weight"] && after["fc.weight"] != parameters["fc.weight"])
  }

  @Test func manifestAndErrors() throws {
    let scratch = try Scratch()
    let run = try startRun(smallConfiguration { $0.freeze = ["fc2", "*.bias"] }, at: scratch.path("run"))
    let extra = try run.directory.manifest().extra
    #expect(extra["freeze"] == "fc2 *.bias" && extra["frozen_parameters"] == "98")
    #expect(
      message { _ = try Trainer.make(smallConfiguration { $0.freeze = ["fc3"] }) }.contains("did you mean \"fc1\"?"))
    #expect(message { _ = try Trainer.make(smallConfiguration { $0.freeze = ["fc*"] }) }.contains("nothing to train"))
  }
}
