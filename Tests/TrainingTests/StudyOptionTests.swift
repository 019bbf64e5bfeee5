// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import NeuralNetworks
import RunStore
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// What a grid of runs needs: an end at an accuracy, tags, and runs that nobody else writes.
@Suite struct StudyOptionTests {
  /// Evaluated every third step; fifty steps planned.
  private func stopping(at accuracy: Double, _ change: (inout TrainingConfiguration) -> Void = { _ in })
    -> TrainingConfiguration
  {
    smallConfiguration {
      $0.noise = 0
      $0.steps = 50
      $0.evalEvery = 3
      $0.stopAccuracy = accuracy
      change(&$0)
    }
  }

  @Test func stopsAtTheFirstEvaluationThatReachesTheAccuracy() throws {
    let scratch = try Scratch()
    let run = try startRun(
      stopping(at: 0.5) {
        $0.checkpointEvery = 1000
        $0.probe = ["coherence:m=20@log"]
      }, at: scratch.path("run"))
    #expect(try run.train() == .completed)
    #expect(run.isComplete)
    let step = run.trainer.step
    #expect(step > 0 && step < 50 && step % 3 == 0)
    let manifest = try run.directory.manifest()
    #expect(manifest.status == .completed && manifest.summary?.steps == step && manifest.plannedSteps == 50)
    let curve = try run.directory.log(MetricRecord.self).filter { $0.split == "train" && $0.group == "all" }
    #expect(curve.last?.step == step && curve.allSatisfy { ($0.accuracy1 >= 0.5) == ($0.step == step) })
    #expect(try run.directory.examples().allSatisfy { $0.finalLoss != nil })
    #expect(try Checkpoint.latest(in: run.directory.checkpoints)?.step == step)
    // Its last step is the last one that probes look at.
    #expect(try run.directory.log(CoherenceRecord.self).last?.step == step)
    let again = try resumeRun(scratch.path("run"))
    #expect(again.isComplete && again.trainer.step == step)
  }

  @Test func stoppedBeforeAndResumedItEndsAlike() throws {
    let scratch = try Scratch()
    let settings = stopping(at: 0.5) { $0.checkpointEvery = 4 }
    _ = try startRun(settings, at: scratch.path("whole")).train()
    let run = try startRun(settings, at: scratch.path("run"))
    #expect(try run.train(shouldStop: { run.trainer.step == 2 }) == .interrupted)
    #expect(try resumeRun(scratch.path("run")).train() == .completed)
    try expectSameEnd(scratch.path("whole"), scratch.path("run"))
  }

  @Test func anAccuracyNeverReachedChangesNothing() throws {
    let (stopped, plain) = (
      try Trainer.make(stopping(at: 1) { $0.steps = 6 }),
      try Trainer.make(stopping(at: 1) { ($0.steps, $0.stopAccuracy) = (6, nil) })
    )
    for trainer in [stopped, plain] { #expect(try trainer.run() == .completed && trainer.step == 6) }
    #expect(try stopped.store.values.values() as [Float] == plain.store.values.values())
  }

  @Test(arguments: [0, -0.1, 1.01, Double.nan])
  func impossibleAccuracies(_ accuracy: Double) {
    expectError(.configuration, "stop-accuracy must be above 0 and at most 1") {
      try stopping(at: accuracy).validate()
    }
  }

  @Test func tagsAndSettingsReachTheManifest() throws {
    let scratch = try Scratch()
    let weights = try Trainer.make(smallConfiguration())
    try Safetensors.encode(weights.store.entries.map { ($0.name, $0.parameter.value) })
      .write(to: URL(fileURLWithPath: scratch.path("start.safetensors")))
    let run = try startRun(
      smallConfiguration {
        $0.tags = ["study": "label noise", "profile": "smoke", "cell": "50"]
        $0.weights = scratch.path("start.safetensors")
        ($0.momentum, $0.weightDecay, $0.schedule) = (0.5, 0.01, "cosine")
      }, at: scratch.path("run"))
    let manifest = try run.directory.manifest()
    #expect(manifest.extra["study"] == "label noise" && manifest.extra["cell"] == "50")
    #expect(manifest.extra["profile"] == "smoke" && manifest.extra["weights"] == "start.safetensors")
    #expect(manifest.extra["split"] == nil && manifest.extra["memory_estimate_bytes"] != nil)
    #expect(manifest.momentum == 0.5 && manifest.weightDecay == 0.01 && manifest.schedule == "cosine")
    // What is usual is not said.
    #expect(manifest.extra["norm"] == nil && manifest.extra["augment"] == nil)
    let changed = try startRun(
      smallConfiguration { ($0.model, $0.norm, $0.augment) = ("resnet20", "group:8", "flip") },
      at: scratch.path("other"))
    let extra = try changed.directory.manifest().extra
    #expect(extra["norm"] == "group:8" && extra["augment"] == "flip")
  }

  @Test func tagsInYAML() throws {
    func tags(_ yaml: String) throws -> [String: String] {
      try TrainingConfiguration(yaml: yaml, source: "run.yaml").tags
    }
    #expect(try tags("tags: {study: noise, cell: 50, on: yes}\n") == ["study": "noise", "cell": "50", "on": "yes"])
    for text in ["1e3", "0.50", "true", "null", "~", "a: b", "- x", "'", "#", "07", "0x1F", " b "] {
      var configuration = TrainingConfiguration()
      configuration.tags = ["key": text, "7": "seven"]
      #expect(try TrainingConfiguration(yaml: configuration.yaml(), source: "") == configuration, "\(text)")
    }
    expectError(.configuration, "run.yaml, line 2", "tags must be a map of words") {
      _ = try tags("lr: 0.1\ntags: word\n")
    }
    expectError(.configuration, "run.yaml, line 3", "tag \"cell\" must be a word") {
      _ = try tags("lr: 0.1\ntags:\n  cell: [1]\n")
    }
    expectError(.configuration, "\"tag\"", "did you mean \"tags\"?") { _ = try tags("tag: {a: b}") }
    for (key, value) in [("", "a"), ("a b", "a"), ("a=b", "a"), ("a", ""), ("a", "b\nc"), ("split", "a")] {
      expectError(.configuration, "tag \"\(key)\"") { try smallConfiguration { $0.tags = [key: value] }.validate() }
    }
  }

  @Test func oneWriterAtATime() throws {
    let scratch = try Scratch()
    let path = scratch.path("run")
    let refusal = "Another process is training in \(path)"
    let run = try startRun(smallConfiguration(), at: path)
    for policy in [ExistingRunPolicy.refuse, .replace] {
      #expect(message { _ = try startRun(smallConfiguration(), at: path, existing: policy) }.contains(refusal))
    }
    _ = try run.train(observe: { event throws in
      if case .completedStep(10) = event {
        #expect(message { _ = try resumeRun(path) }.contains(refusal))
        // Looking is free.
        #expect(try RunDirectory.open(at: path).manifest().status == .running)
        #expect(try TrainedModel(run: path).step == 6)
      }
    })
    // Trained, it lets go, and leaves nothing behind.
    #expect(try !FileManager.default.contentsOfDirectory(atPath: path).contains(".lock"))
    #expect(try resumeRun(path).isComplete)
  }

  @Test func orphansNotice() {
    var parent: pid_t = 7
    let watch = ParentProcessMonitor(seconds: 0) { parent }
    #expect(!watch.isGone && !watch.isGone)
    parent = 1
    #expect(watch.isGone)
    parent = 7
    #expect(watch.isGone)
    // Looks are rare.
    var looks = 0
    let rare = ParentProcessMonitor(seconds: 3600) {
      looks += 1
      return 7
    }
    for _ in 0..<1000 { #expect(!rare.isGone) }
    #expect(looks == 1)
    #expect(
      ParentProcessMonitor(environment: [:]) == nil
        && ParentProcessMonitor(environment: [ParentProcessMonitor.variable: "0"]) == nil)
    #expect(ParentProcessMonitor(environment: [ParentProcessMonitor.variable: "1"])?.isGone == false)
    #expect(ParentProcessMonitor(environment: [ParentProcessMonitor.variable: "\(getppid())"])?.isGone == false)
    // The one that started it was gone before it could look.
    #expect(ParentProcessMonitor(environment: [ParentProcessMonitor.variable: "999999999"])?.isGone == true)
  }
}
