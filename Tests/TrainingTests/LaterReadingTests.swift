// SPDX-License-Identifier: Apache-2.0

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
    // What was given up is no burden for what comes after.
    #expect(trainer.hasState)
    #expect(try trainer.run() == .completed)
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

  @Test func divergenceIsToldOfTheStepThatHadIt() throws {
    func description(_ readsLater: Bool) throws -> String {
      let trainer = try Trainer.make(smallConfiguration { $0.lr = 1e30 })
      trainer.readsLater = readsLater
      return message { _ = try trainer.run() }
    }
    #expect(try description(true) == description(false))
    #expect(try description(true).contains("diverged at step"))
  }

  /// A rule that may end the run early sees every step before the next is made.
  @Test func rulesThatStopAreNotLate() throws {
    let trainer = try Trainer.make(
      smallConfiguration { ($0.stop, $0.steps, $0.evalEvery, $0.lr) = ("label-wave", 400, 6, 0.5) })
    trainer.readsLater = true
    trainer.isStateWanted = { _ in false }
    _ = try trainer.run(observe: { event in
      if case .stepped(let record) = event { #expect(trainer.step == record.step) }
    })
  }
}
