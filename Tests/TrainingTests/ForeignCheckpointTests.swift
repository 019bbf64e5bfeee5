// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Synchronization
import Tensors
import TestSupport
import Testing

@testable import Runs
@testable import Training

/// Checkpoints that were edited and whose checksums were put right, and trainings that go on while somebody looks.
@Suite struct ForeignCheckpointTests {
  private func stoppedRun(_ scratch: Scratch) throws -> (path: String, folder: URL) {
    let run = try startRun(smallConfiguration { $0.checkpointEvery = 4 }, at: scratch.path("run"))
    _ = try run.train(shouldStop: { run.trainer.step == 10 })
    return (scratch.path("run"), run.directory.checkpoints)
  }

  @Test(arguments: ["step", "seconds", "processor", "nan", "epoch", "log", "milestone"])
  func numbersThatCannotBe(_ what: String) throws {
    let scratch = try Scratch()
    let (path, folder) = try stoppedRun(scratch)
    var checkpoint = try #require(try Checkpoint.latest(in: folder))
    switch what {
    case "step": checkpoint.step = .max
    case "seconds": checkpoint.seconds = 1e300
    case "processor": checkpoint.processorSeconds = -1
    case "nan": checkpoint.seconds = -1
    case "log": checkpoint.logs = RunLogOffsets(bytes: checkpoint.logs.bytes.mapValues { _ in .max })
    case "milestone":
      let text = #"{"last":{"step":9223372036854775807,"train_accuracy":1e300}}"#
      checkpoint.milestones = try JSONDecoder().decode(Milestones.self, from: Data(text.utf8))
    default:
      let sampler = try JSONEncoder().encode(checkpoint.sampler)
      let text = String(decoding: sampler, as: UTF8.self)
      let edited = text.replacing(/"epoch":\d+/, with: "\"epoch\":9223372036854775807")
      checkpoint.sampler = try JSONDecoder().decode(type(of: checkpoint.sampler), from: Data(edited.utf8))
    }
    try checkpoint.write(in: folder)
    expectError(.checkpoint, "step-", ".json holds a step, a size or a time that cannot be") {
      _ = try resumeRun(path)
    }
  }

  /// Counts that the next observation would overflow, and arrays that are damaged, are named with their file.
  @Test(arguments: ["learning.forgetting", "learning.first", "generator"]) func arraysAreChecked(_ name: String) throws
  {
    let scratch = try Scratch()
    let (path, folder) = try stoppedRun(scratch)
    var checkpoint = try #require(try Checkpoint.latest(in: folder))
    var arrays = try Checkpoint.read(checkpoint.state, in: folder)
    let old = try #require(arrays[name])
    arrays[name] =
      name == "generator"
      ? try Tensor([UInt8](repeating: 7, count: 3)) : try Tensor([Int](repeating: .max, count: old.count))
    checkpoint.state = try Checkpoint.write(
      arrays.map { ($0.key, $0.value) }, as: checkpoint.state.name, in: folder)
    try checkpoint.write(in: folder)
    expectError(.checkpoint, checkpoint.state.name) { _ = try resumeRun(path) }
  }

  @Test func dynamicsOfImpossibleSizeAreRefused() throws {
    var tensors: [String: Tensor] = [:]
    for (name, tensor) in try TrainingDynamics(indices: [0, 1], labels: [0, 1], classCount: 2).tensors() {
      tensors[name] = tensor
    }
    #expect(try TrainingDynamics(tensors).count == 2)
    for (name, value) in [("class_count", Int.max), ("moments", Int.max), ("moments", -1)] {
      var changed = tensors
      changed[name] = try Tensor([value])
      #expect(throws: TrainingError.self, "\(name)") { _ = try TrainingDynamics(changed) }
    }
    for name in ["visits", "wrong", "forgetting", "streak", "first_streak"] {
      var changed = tensors
      changed[name] = try Tensor([Int.max, 0])
      #expect(throws: TrainingError.self, "\(name)") { _ = try TrainingDynamics(changed) }
    }
  }

  /// A training replaces its checkpoints while others read: they get the newest, and no advice to delete one.
  @Test func aTrainingThatGoesOnDoesNotDisturbReaders() throws {
    let scratch = try Scratch()
    let path = scratch.path("run")
    let run = try startRun(
      smallConfiguration {
        $0.checkpointEvery = 1
        $0.steps = 400
        $0.evalEvery = 400
      }, at: path)
    _ = try run.train(shouldStop: { run.trainer.step == 2 })
    let directory = try RunDirectory.open(at: path)
    let state = Mutex((count: 0, failure: "", isOver: false))
    let end = DispatchSemaphore(value: 0)
    // A thread of its own: a task would wait for a free one where tests run beside each other.
    Thread.detachNewThread {
      defer { end.signal() }
      while !state.withLock({ $0.isOver || !$0.failure.isEmpty }) {
        do {
          let (weights, tensors) = try SelectedWeights.read(of: directory, .last, step: nil)
          if weights.step >= 2, !tensors.isEmpty { state.withLock { $0.count += 1 } }
        } catch { state.withLock { $0.failure = "\(error)" } }
      }
    }
    _ = try resumeRun(path).train()
    state.withLock { $0.isOver = true }
    end.wait()
    let (count, failure, _) = state.withLock { $0 }
    #expect(failure.isEmpty && count > 10, "\(count) \(failure)")
  }

  /// A link to nowhere in a description's place is damage, not one that was just deleted.
  @Test func aLinkToNowhereIsDamage() throws {
    let scratch = try Scratch()
    let (path, folder) = try stoppedRun(scratch)
    #expect(symlink("nowhere", folder.appendingPathComponent("step-000000011.json").path) == 0)
    expectError(.checkpoint, "step-000000011.json is damaged") { _ = try resumeRun(path) }
  }
}
