// SPDX-License-Identifier: Apache-2.0

import Aggregation
import GradientMatrix
import NeuralNetworks
import RunStore
import Runs
import TestSupport
import Testing

@testable import Training

/// A table that no target of the project knows.
private struct OwnRecord: LogRecord {
  var step: Int
  var value: Double
  static let schema = CSVSchema<OwnRecord>(
    Column("step", \.step), Column("value", \.value), make: { OwnRecord(step: $0, value: $1) })
  static let log = Log<OwnRecord>("own.log.csv")
}

private final class OwnProbe: Probe {
  let name = "own"
  let schedule = ProbeSchedule.every(5)
  func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    results.add([OwnRecord(step: step, value: try plan.store.values.dot(plan.store.values))])
  }
}

/// Trainers that a program makes.
@Suite struct OwnTrainerTests {
  private func trainer(
    _ aggregator: any Aggregator, rate: Double = 0.1, probes: [any Probe] = []
  ) throws -> Trainer {
    let data = try TrainingData(smallConfiguration())
    let model = Sequential(Flatten(), try Linear(inputs: 784, outputs: 10, generator: .init(seed: 1)))
    return try Trainer(
      model: model, data: data, aggregator: aggregator, optimizer: SGD(), learningRate: LearningRate(rate),
      probes: probes,
      settings: TrainingSettings(steps: 20, batchSize: 10))
  }

  @Test func whatBeganOtherwiseIsRefused() throws {
    let scratch = try Scratch()
    let run = try TrainingRun(trainer(Mean()), at: scratch.path("run"), checkpointEvery: 5)
    _ = try run.train(shouldStop: { run.trainer.step == 8 })
    expectError(.checkpoint, "began with the optimizer sgd", "m3") {
      _ = try TrainingRun(trainer(MedianOfMeans()), at: scratch.path("run"))
    }
    expectError(.checkpoint, "began with the learning rate 0.1", "0.2") {
      _ = try TrainingRun(trainer(Mean(), rate: 0.2), at: scratch.path("run"))
    }
    #expect(try TrainingRun(trainer(Mean()), at: scratch.path("run")).trainer.step == 8)
  }

  @Test func aTableOfItsOwnIsResumed() throws {
    let scratch = try Scratch()
    let (whole, parts) = (scratch.path("whole"), scratch.path("parts"))
    _ = try TrainingRun(trainer(Mean(), probes: [OwnProbe()]), at: whole).train()
    let first = try TrainingRun(trainer(Mean(), probes: [OwnProbe()]), at: parts)
    _ = try first.train(shouldStop: { first.trainer.step == 8 })
    _ = try TrainingRun(trainer(Mean(), probes: [OwnProbe()]), at: parts).train()
    let records = try RunDirectory.open(at: parts).log(OwnRecord.self)
    #expect(records.map(\.step) == [0, 5, 10, 15, 20])
    #expect(try records == RunDirectory.open(at: whole).log(OwnRecord.self))
  }
}
