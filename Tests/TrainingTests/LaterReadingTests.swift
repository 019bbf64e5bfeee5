// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Datasets
import NeuralNetworks
import RunStore
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// Steps that are read after the next one has begun, as on a GPU, find what others find.
@Suite struct LaterReadingTests {
  @Test func eventsComeInOrderAndLateOnlyWhereNothingIsDue() throws {
    let trainer = try Trainer.make(
      smallConfiguration {
        $0.evalEvery = 8
        $0.probe = ["coherence:m=10@every:5"]
      })
    trainer.readsLater = true
    trainer.isStateWanted = { $0 == 3 }
    var (stepped, completed, behind, stateful): ([Int], [Int], [Int], [Int]) = ([], [], [], [])
    let outcome = try trainer.run(observe: { event in
      switch event {
      case .stepped(let record):
        stepped.append(record.step)
        if trainer.step > record.step { behind.append(record.step) }
      case .completedStep(let step):
        completed.append(step)
        if trainer.hasState { stateful.append(step) }
      case .evaluated, .measured: #expect(trainer.step == stepped.last ?? 0)
      }
    })
    #expect(outcome == .completed)
    #expect(stepped == Array(1...20) && completed == Array(0...20))
    let due = [3, 5, 8, 10, 15, 16, 20]
    #expect(behind == (1...20).filter { !due.contains($0) })
    #expect(stateful == [0] + due)
  }

  @Test func aStateThatWasNotAskedForIsRefused() throws {
    let trainer = try Trainer.make(smallConfiguration())
    trainer.readsLater = true
    expectError(.checkpoint, "was not asked for", "isStateWanted") {
      _ = try trainer.run(observe: { event in
        if case .completedStep(2) = event { _ = try trainer.state() }
      })
    }
    #expect(!trainer.hasState && trainer.step == 3)
    // What was left is read by the next call.
    #expect(try trainer.run() == .completed && trainer.hasState)
  }

  /// Every file of a run is the same, also after a stop.
  @Test(arguments: ResumeTests.variants.indices)
  func runsEndInTheSameBits(_ index: Int) throws {
    let scratch = try Scratch()
    let reference = scratch.path("reference")
    #expect(try startRun(ResumeTests.variants[index], at: reference).train() == .completed)
    for stop in [nil, 1, 4, 9, 14] as [Int?] {
      let path = scratch.path("later-\(stop ?? 0)")
      let run = try startRun(ResumeTests.variants[index], at: path)
      run.trainer.readsLater = true
      let outcome = try run.train(shouldStop: { run.trainer.step == stop })
      #expect(outcome == (stop == nil ? .completed : .interrupted))
      if let stop {
        #expect(try Checkpoint.latest(in: run.directory.checkpoints)?.step == stop)
        let resumed = try resumeRun(path)
        resumed.trainer.readsLater = true
        #expect(try resumed.train() == .completed)
      }
      try expectSameEnd(reference, path)
    }
  }

  /// Nor do the files of a run that diverges, in steps and words, whether something is due after the step or not.
  @Test(arguments: [1, 3, 20]) func divergenceIsToldOfTheStepThatHadIt(_ distance: Int) throws {
    let scratch = try Scratch()
    func end(_ readsLater: Bool) throws -> [String] {
      let run = try startRun(
        smallConfiguration {
          ($0.lr, $0.schedule, $0.evalEvery, $0.checkpointEvery) = (1e12, "constant", distance, distance)
          $0.optimizer = "rm3"
        }, at: scratch.path("\(readsLater)"))
      run.trainer.readsLater = readsLater
      let sentence = message { _ = try run.train() }
      let manifest = try run.directory.manifest()
      #expect(manifest.status == .diverged && sentence.contains("diverged at step"), "\(sentence)")
      return [sentence, "\(manifest.summary?.steps ?? -1)"]
        + (try run.directory.events().map { "\($0.kind) \($0.step ?? -1) \($0.message ?? "")" })
    }
    #expect(try end(true) == end(false))
  }

  private struct Broken: Error {}

  /// What a step does wrong must not hide that the one before it has diverged, nor that it was made.
  @Test func anErrorComesAfterTheStepBefore() throws {
    func outcome(_ lr: Double, after count: Int) throws -> (message: String, completed: [Int]) {
      let data = try TrainingData(smallConfiguration())
      let model = Sequential(Flatten(), try Linear(inputs: 784, outputs: 10, generator: .init(seed: 1)))
      let trainer = try Trainer(
        model: model, data: data, aggregator: Failing(after: count), optimizer: try SGD(),
        learningRate: LearningRate(lr),
        settings: TrainingSettings(steps: 20, batchSize: 10, evaluationDistance: 20))
      trainer.readsLater = true
      var completed: [Int] = []
      let message = message {
        _ = try trainer.run(observe: { if case .completedStep(let step) = $0 { completed.append(step) } })
      }
      return (message, completed)
    }
    let sound = try outcome(0.1, after: 3)
    #expect(sound.message.contains("Broken") && sound.completed == [0, 1, 2, 3])
    #expect(try outcome(1e300, after: 1).message.contains("diverged at step"))
  }

  /// The mean, which fails once it was taken so many times.
  private final class Failing: BatchMeanAggregator {
    let description = "failing"
    private var left: Int
    init(after count: Int) { left = count }
    func aggregate(_ store: ParameterStore) throws -> Aggregate {
      left -= 1
      guard left >= 0 else { throw Broken() }
      return .gradient
    }
  }

  /// What an observer that gives up has left unread is read by the next call.
  @Test func aRunThatWasGivenUpGoesOn() throws {
    func trainer() throws -> Trainer { try Trainer.make(smallConfiguration { $0.evalEvery = 20 }) }
    let (whole, broken) = (try trainer(), try trainer())
    #expect(try whole.run() == .completed)
    broken.readsLater = true
    #expect(throws: Broken.self) {
      try broken.run(observe: { if case .stepped(let record) = $0, record.step == 4 { throw Broken() } })
    }
    #expect(!broken.hasState && broken.step == 5)
    #expect(try broken.run() == .completed && broken.hasState)
    #expect(broken.learning == whole.learning)
    #expect(try broken.store.values.values() as [Float] == whole.store.values.values())
  }

  /// A rule that may end the run early sees every step before the next is made.
  @Test(arguments: ["label-wave:1", "coherence:m=20,k=1"]) func rulesThatStopAreNotLate(_ rule: String) throws {
    func end(_ readsLater: Bool) throws -> (steps: [Int], end: Int, values: [Float]) {
      let trainer = try Trainer.make(
        smallConfiguration { ($0.stop, $0.steps, $0.evalEvery, $0.lr) = (rule, 400, 400, 0.5) })
      trainer.readsLater = readsLater
      var steps: [Int] = []
      let outcome = try trainer.run(observe: { event in
        guard case .stepped(let record) = event else { return }
        #expect(trainer.step == record.step)
        steps.append(record.step)
      })
      #expect(outcome == .completed)
      return (steps, trainer.step, try trainer.store.values.values())
    }
    let (later, usual) = (try end(true), try end(false))
    #expect(later.steps == Array(1...usual.end) && later.end == usual.end && usual.end < 400)
    #expect(later.values == usual.values)
  }

  @Test func aRunKeepsWhatItsTrainerWasTold() throws {
    let scratch = try Scratch()
    for told in [nil, true, false] as [Bool?] {
      let run = try startRun(smallConfiguration(), at: scratch.path("\(told.map { "\($0)" } ?? "nil")"))
      run.trainer.readsLater = told
      #expect(try run.train() == .completed && run.trainer.readsLater == told)
      #expect(run.trainer.store.checksUpdates)
    }
  }
}
