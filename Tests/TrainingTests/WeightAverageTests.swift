// SPDX-License-Identifier: Apache-2.0

import RunStore
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// The running mean of the weights.
@Suite struct WeightAverageTests {
  private func settings(_ change: (inout TrainingConfiguration) -> Void = { _ in }) -> TrainingConfiguration {
    smallConfiguration {
      ($0.ema, $0.steps, $0.checkpointEvery, $0.evalEvery, $0.lr) = (0.8, 23, 5, 4, 0.3)
      change(&$0)
    }
  }

  @Test func itIsTheFormula() throws {
    let trainer = try ConfiguredTraining(settings()).trainer
    var mean: [Double] = try trainer.store.values.to(.float64).values()
    _ = try trainer.run(observe: { event in
      guard case .stepped(let record) = event else { return }
      let present: [Double] = try trainer.store.values.to(.float64).values()
      let decay = min(0.8, Double(1 + record.step) / Double(10 + record.step))
      mean = zip(mean, present).map { decay * $0 + (1 - decay) * $1 }
    })
    let found = try trainer.weights().flatMap {
      try $0.tensor.to(.float64).reshape([$0.tensor.count]).values() as [Double]
    }
    #expect(zip(found, mean).allSatisfy { abs($0 - $1) < 1e-5 })
    let present: [Double] = try trainer.store.values.to(.float64).values()
    #expect(zip(found, present).contains { abs($0 - $1) > 1e-4 })
  }

  /// What does not change is its own mean, however long the average.
  @Test func whatStaysStays() throws {
    let trainer = try ConfiguredTraining(
      settings { ($0.ema, $0.steps, $0.freeze) = (0.99999, 400, ["fc1.weight"]) }
    ).trainer
    let frozen = try #require(trainer.store.entries.first { $0.name == "fc1.weight" })
    let before: [Float] = try frozen.parameter.value.reshape([-1]).values()
    _ = try trainer.run()
    let after: [Float] = try #require(trainer.weights().first { $0.name == "fc1.weight" }).tensor.reshape([-1]).values()
    #expect(before == after)
  }

  /// Training goes on as without; what is evaluated, kept and measured is the mean.
  @Test func itIsWhatIsEvaluatedAndKept() throws {
    let scratch = try Scratch()
    let run = try startRun(settings(), at: scratch.path("run"))
    #expect(try run.train() == .completed)
    let plain = try ConfiguredTraining(settings { $0.ema = nil }).trainer
    _ = try plain.run()
    #expect(try run.trainer.store.values.values() as [Float] == plain.store.values.values())
    let last = try #require(run.directory.log(MetricRecord.self).last { $0.split == "test" })
    let fresh = try ConfiguredTraining(
      settings {
        $0.ema = nil
        $0.weights = scratch.path("run")
      }
    ).trainer
    let again = try #require(fresh.evaluate().last { $0.split == "test" })
    #expect(again.loss == last.loss && again.accuracy1 == last.accuracy1)
    #expect(try plain.evaluate().last { $0.split == "test" }?.loss != last.loss)
    #expect(try run.directory.manifest().extra["ema"] == "0.8")
  }

  @Test func aRunResumesToTheSameBits() throws {
    let scratch = try Scratch()
    #expect(try startRun(settings(), at: scratch.path("whole")).train() == .completed)
    let run = try startRun(settings(), at: scratch.path("run"))
    #expect(try run.train(shouldStop: { run.trainer.step == 12 }) == .interrupted)
    #expect(try resumeRun(scratch.path("run")).train() == .completed)
    try expectSameEnd(scratch.path("whole"), scratch.path("run"))
    // Without the line the means would be taken for the weights to go on from.
    let config = scratch.path("run") + "/config.yaml"
    let text = try String(contentsOfFile: config, encoding: .utf8).replacingOccurrences(of: "ema: 0.8\n", with: "")
    try text.write(toFile: config, atomically: true, encoding: .utf8)
    expectError(.checkpoint, "set ema as it was") { _ = try resumeRun(scratch.path("run")) }
    for bad in [0, 1, -0.5, .nan] {
      expectError(.configuration, "ema must be above 0 and below 1") {
        _ = try ConfiguredTraining(settings { $0.ema = bad })
      }
    }
  }
}
