// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// Stopped anywhere and resumed, a run ends in the same bytes as one that was never stopped.
@Suite struct ResumeTests {
  private struct Killed: Error {}

  static let variants: [TrainingConfiguration] = [
    // 53 examples: a short last batch in every epoch.
    smallConfiguration {
      $0.momentum = 0.9
      $0.validation = 7
      $0.checkpointEvery = 4
    },
    smallConfiguration {
      $0.momentum = 0.5
      $0.nesterov = true
      $0.weightDecay = 0.01
      $0.schedule = "cosine"
      $0.checkpointEvery = 6
      $0.noiseKind = .uniform
      $0.lr = 1.0 / 30
    },
    smallConfiguration {
      $0.noise = 0
      $0.evalEvery = 3
      $0.checkpointEvery = 1000
      $0.initializer = .pytorch
    },
    // Two of the four parameters frozen, the first steps at a rising rate.
    smallConfiguration {
      ($0.freeze, $0.warmup, $0.checkpointEvery) = (["fc1.weight", "fc2.bias"], 9, 5)
      ($0.momentum, $0.weightDecay, $0.optimizer, $0.allowMomentum) = (0.5, 0.01, "rm3", true)
      $0.noiseKind = .asymmetric
    },
    smallConfiguration {
      ($0.optimizer, $0.lr, $0.weightDecay, $0.checkpointEvery) = ("m3+adamw", 0.01, 0.1, 7)
      $0.noiseKind = .instance
    },
    // No update in the first two steps, which Adam does not count.
    smallConfiguration {
      ($0.optimizer, $0.lr, $0.weightDecay, $0.checkpointEvery) = ("rm3+adam:beta2=0.99", 0.01, 0.1, 1)
      $0.freeze = ["fc1.weight"]
    },
    // Mini-batches of any size, some empty, and noise that goes on where it was.
    smallConfiguration {
      ($0.optimizer, $0.batchSize, $0.lr, $0.checkpointEvery) = ("dp-sgd:clip=0.5,noise=1+adam", 2, 0.01, 4)
      $0.probe = ["dynamics"]
    },
    // Changes are counted from the predictions before the stop on.
    smallConfiguration { ($0.checkpointEvery, $0.probe) = (4, ["changes:m=40@every:3"]) },
    // The cumulative contributions go on from where they were.
    smallConfiguration {
      $0.checkpointEvery = 4
      $0.probe = ["coherence:m=20@every:3", "contributions:m=30@dense:0-6,log"]
    },
    // Every kind of probe, and a learning rate of its own at each step for the stability bound.
    smallConfiguration {
      $0.checkpointEvery = 4
      $0.schedule = "cosine"
      $0.probe = [
        "coherence:m=20@every:3", "contributions:m=30@every:5", "examples@epoch", "examples:m=9@dense:3-4",
        "measures:m=12@every:4", "stability:m=15@every:3",
      ]
    },
  ]

  private func reference(_ index: Int, _ scratch: Scratch) throws -> String {
    let path = scratch.path("reference")
    #expect(try startRun(Self.variants[index], at: path).train() == .completed)
    return path
  }

  @Test(arguments: variants.indices)
  func interruptedAtEveryStep(_ index: Int) throws {
    let scratch = try Scratch()
    let reference = try reference(index, scratch)
    for stop in 0..<20 {
      let path = scratch.path("stopped-\(stop)")
      let run = try startRun(Self.variants[index], at: path)
      #expect(try run.train(shouldStop: { run.trainer.step == stop }) == .interrupted)
      #expect(try run.directory.manifest().status == .interrupted)
      #expect(try Checkpoint.latest(in: run.directory.checkpoints)?.step == stop)
      let resumed = try resumeRun(path)
      #expect(resumed.trainer.step == stop)
      #expect(try resumed.train() == .completed)
      try expectSameEnd(reference, path)
      #expect(try resumed.directory.manifest().status == .completed)
      #expect(try resumed.directory.events().map(\.kind) == ["started", "resumed", "completed"])
    }
  }

  /// As a kill would: the run stops between any two events, without a word, and goes on from the checkpoint before.
  @Test(arguments: variants.indices)
  func killedBetweenAnyTwoEvents(_ index: Int) throws {
    let scratch = try Scratch()
    let reference = try reference(index, scratch)
    for moment in stride(from: 0, to: 60, by: index == 0 ? 3 : 7) {
      let path = scratch.path("killed-\(moment)")
      var events = 0
      do {
        _ = try startRun(Self.variants[index], at: path).train(observe: { _ in
          if events == moment { throw Killed() }
          events += 1
        })
      } catch is Killed {}
      _ = try resumeRun(path).train()
      try expectSameEnd(reference, path)
    }
  }

  @Test func stoppedAgainAndAgain() throws {
    let scratch = try Scratch()
    let reference = try reference(0, scratch)
    let path = scratch.path("run")
    var run = try startRun(Self.variants[0], at: path)
    var rounds = 1
    while true {
      var asked = 0
      let outcome = try run.train(shouldStop: {
        asked += 1
        return asked > 3
      })
      if outcome == .completed { break }
      rounds += 1
      // In the same object, and in a new one.
      if rounds % 2 == 0 { run = try resumeRun(path) }
    }
    #expect(rounds == 7)
    try expectSameEnd(reference, path)
  }

  /// Killed after the last checkpoint but before examples.csv and the manifest.
  @Test func killedAtTheVeryEnd() throws {
    let scratch = try Scratch()
    let reference = try reference(0, scratch)
    let path = scratch.path("run")
    do {
      _ = try startRun(Self.variants[0], at: path).train(observe: { if case .completedStep(20) = $0 { throw Killed() } }
      )
    } catch is Killed {}
    #expect(!FileManager.default.fileExists(atPath: path + "/examples.csv"))
    let resumed = try resumeRun(path)
    #expect(!resumed.isComplete)
    #expect(try resumed.train() == .completed)
    try expectSameEnd(reference, path)
  }

  /// Killed while the directory was set up: after config.yaml, after labels.csv, after the manifest.
  @Test(arguments: [["labels.csv", "manifest.json"], ["manifest.json"], []])
  func killedBeforeTheFirstStep(_ missing: [String]) throws {
    let scratch = try Scratch()
    let reference = try reference(1, scratch)
    let path = scratch.path("run")
    _ = try startRun(Self.variants[1], at: path)
    for name in missing { try FileManager.default.removeItem(atPath: path + "/" + name) }
    _ = try resumeRun(path).train()
    try expectSameEnd(reference, path)
  }

  /// Killed before even that: the same command starts the run again.
  @Test func killedWhileTheFolderWasMade() throws {
    let scratch = try Scratch()
    let path = scratch.path("run")
    try FileManager.default.createDirectory(atPath: path + "/checkpoints", withIntermediateDirectories: true)
    try scratch.write("half", "run/.config.yaml.partial-1")
    #expect(message { _ = try resumeRun(path) }.contains("not a run directory"))
    #expect(try startRun(Self.variants[1], at: path).train() == .completed)
    #expect(!FileManager.default.fileExists(atPath: path + "/.config.yaml.partial-1"))
  }

  @Test func openingACompleteRunChangesNothing() throws {
    let scratch = try Scratch()
    let path = try reference(0, scratch)
    func everything() throws -> [String: Data] {
      let names = try FileManager.default.subpathsOfDirectory(atPath: path)
      return Dictionary(
        uniqueKeysWithValues: names.map { ($0, FileManager.default.contents(atPath: path + "/" + $0) ?? Data()) })
    }
    let before = try everything()
    #expect(try resumeRun(path).isComplete)
    #expect(try everything() == before)
  }

  @Test func lostLogsAreNoticed() throws {
    let scratch = try Scratch()
    let path = scratch.path("run")
    _ = try startRun(Self.variants[0], at: path).train()
    try FileManager.default.removeItem(atPath: path + "/manifest.json")
    #expect(message { _ = try resumeRun(path).train() } == "")
    let run = try startRun(smallConfiguration(), at: scratch.path("other"))
    _ = try run.train(shouldStop: { run.trainer.step == 9 })
    try Data("epoch".utf8).write(to: URL(fileURLWithPath: scratch.path("other/metrics.csv")))
    #expect(message { _ = try resumeRun(scratch.path("other")).train() }.contains("metrics.csv has 5 bytes"))
  }
}
