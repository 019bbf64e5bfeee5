// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Tensors
import TestSupport
import Testing

@testable import Runs
@testable import Training

@Suite struct CheckpointTests {
  static let configuration = smallConfiguration {
    $0.momentum = 0.9
    $0.checkpointEvery = 4
  }

  /// A run stopped at step 10, with checkpoints of steps 8 and 10, and the way an uninterrupted one ends.
  private func stoppedRun(_ scratch: Scratch) throws -> (path: String, folder: URL, reference: String) {
    let (path, reference) = (scratch.path("run"), scratch.path("reference"))
    _ = try startRun(Self.configuration, at: reference).train()
    let run = try startRun(Self.configuration, at: path)
    _ = try run.train(shouldStop: { run.trainer.step == 10 })
    return (path, run.directory.checkpoints, reference)
  }

  enum Damage: String, CaseIterable { case flipFirst, flipMiddle, flipLast, truncate, empty, delete, extend }

  private func damage(_ url: URL, _ damage: Damage) throws {
    var data = try Data(contentsOf: url)
    switch damage {
    case .flipFirst: data[0] ^= 0x01
    case .flipMiddle: data[data.count / 2] ^= 0x01
    case .flipLast: data[data.count - 1] ^= 0x01
    case .truncate: data = data.dropLast(data.count / 3)
    case .empty: data = Data()
    case .delete: return try FileManager.default.removeItem(at: url)
    case .extend: data.append(Data("{}".utf8))
    }
    try data.write(to: url)
  }

  /// Damage is an error that names the file; its remedy leads to the checkpoint before, and to the same end.
  @Test(arguments: Damage.allCases, [".safetensors", ".state.safetensors", ".json"])
  func damagedFiles(_ kind: Damage, _ ending: String) throws {
    let scratch = try Scratch()
    let (path, folder, reference) = try stoppedRun(scratch)
    try damage(folder.appendingPathComponent("step-000000010" + ending), kind)
    if ending == ".json", kind == .delete {
      #expect(try resumeRun(path).trainer.step == 8)
    } else {
      expectError(.checkpoint, "step-000000010\(ending)", "delete", "to continue from the previous one") {
        _ = try resumeRun(path)
      }
      try FileManager.default.removeItem(at: folder.appendingPathComponent("step-000000010.json"))
    }
    let resumed = try resumeRun(path)
    #expect(resumed.trainer.step == 8)
    _ = try resumed.train()
    try expectSameEnd(reference, path)
  }

  /// Both kinds of time go on from where the attempt before was.
  @Test func timeIsThatOfAllAttempts() throws {
    let scratch = try Scratch()
    let (path, folder, _) = try stoppedRun(scratch)
    var checkpoint = try #require(try Checkpoint.latest(in: folder))
    let counted = try #require(checkpoint.processorSeconds)
    #expect(counted > 0 && counted < 600)
    (checkpoint.seconds, checkpoint.processorSeconds) = (5000, 3000)
    try checkpoint.write(in: folder)
    let run = try resumeRun(path)
    _ = try run.train()
    let summary = try #require(try run.directory.manifest().summary)
    #expect(try #require(summary.wallSeconds) > 5000)
    let processor = try #require(summary.processorSeconds)
    #expect(processor > 3000 && processor < 3600)
    // An attempt that did not count processors leaves the sum unknown.
    #expect(RunClock(after: TimeSpent(wall: 1, processor: nil)).spent.processor == nil)
  }

  /// No digit of a description can change unnoticed.
  @Test func everyByteOfTheDescriptionCounts() throws {
    let scratch = try Scratch()
    let (_, folder, _) = try stoppedRun(scratch)
    let url = folder.appendingPathComponent("step-000000010.json")
    let good = try Data(contentsOf: url)
    let newest = try #require(try Checkpoint.latest(in: folder))
    for index in good.indices {
      var bad = good
      bad[index] ^= 0x01
      try bad.write(to: url)
      // What still reads must mean the same (an escaped letter, for example).
      if let read = try? Checkpoint.latest(in: folder) { #expect(read == newest) }
    }
  }

  /// What was recorded is worth more than a fresh start: nothing is replaced without a word.
  @Test(arguments: ["files", "folder", "edited"])
  func withoutAnyCheckpointNothingIsStartedOver(_ loss: String) throws {
    let scratch = try Scratch()
    let (path, folder, _) = try stoppedRun(scratch)
    if loss == "folder" {
      try FileManager.default.removeItem(at: folder)
    } else {
      for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
        try FileManager.default.removeItem(at: folder.appendingPathComponent(name))
      }
    }
    if loss == "edited" { try edit(path + "/config.yaml", "lr: 0.1", "lr: 0.2") }
    let before = try lastingFiles(path)
    expectError(.checkpoint, "holds no checkpoint", "has recorded 10 steps", "--config \(path)/config.yaml") {
      _ = try resumeRun(path)
    }
    #expect(try lastingFiles(path) == before)
  }

  /// A run that was killed in its first evaluation has nothing that could be lost.
  @Test func beforeTheFirstCheckpointTheRunStartsAgain() throws {
    let scratch = try Scratch()
    let reference = scratch.path("reference")
    _ = try startRun(Self.configuration, at: reference).train()
    let path = scratch.path("run")
    struct Kill: Error {}
    #expect(throws: Kill.self) {
      _ = try startRun(Self.configuration, at: path).train(observe: { if case .evaluated = $0 { throw Kill() } })
    }
    let resumed = try resumeRun(path)
    #expect(resumed.trainer.step == 0)
    _ = try resumed.train()
    try expectSameEnd(reference, path)
  }

  @Test func aFolderThatCannotBeListedIsSaid() throws {
    let scratch = try Scratch()
    let file = try scratch.write("a file where the folder should be", "checkpoints")
    expectError(.checkpoint, file, "cannot be listed") { _ = try Checkpoint.list(in: URL(fileURLWithPath: file)) }
  }

  @Test(arguments: [
    ("model: mlp:8", "model: mlp:9", "belongs to model mlp:8"), ("batch-size: 10", "batch-size: 12", "batch size"),
    ("seed: 1", "seed: 2", "labels"), ("noise: 0.5", "noise: 0.4", "labels"), ("steps: 20", "steps: 9", "length"),
    ("subset: 60", "subset: 50", "training examples"), ("validation: 0", "validation: 3", "training examples"),
  ])
  func anotherConfiguration(_ old: String, _ new: String, _ expected: String) throws {
    let scratch = try Scratch()
    let (path, _, _) = try stoppedRun(scratch)
    try edit(path + "/config.yaml", old, new)
    expectError(.checkpoint, expected) { _ = try resumeRun(path) }
  }

  @Test func checkpointsOfAnotherRun() throws {
    let scratch = try Scratch()
    let (path, folder, _) = try stoppedRun(scratch)
    for (name, change) in [
      ("model", { $0.model = "mlp:9" }), ("without momentum", { $0.momentum = 0 }), ("seed", { $0.seed = 3 }),
    ] as [(String, (inout TrainingConfiguration) -> Void)] {
      var configuration = Self.configuration
      change(&configuration)
      let other = try startRun(configuration, at: scratch.path(name))
      _ = try other.train()
      try FileManager.default.removeItem(at: folder)
      try FileManager.default.copyItem(at: other.directory.checkpoints, to: folder)
      expectError(.checkpoint, "checkpoint") { _ = try resumeRun(path) }
    }
  }

  @Test func aFutureFormatIsRefused() throws {
    let scratch = try Scratch()
    let (path, folder, _) = try stoppedRun(scratch)
    var checkpoint = try #require(try Checkpoint.latest(in: folder))
    checkpoint.format = 2
    try checkpoint.write(in: folder)
    expectError(.checkpoint, "format 2") { _ = try resumeRun(path) }
  }

  @Test func tensorsThatAreMissingOrMisshapen() throws {
    let trainer = try Trainer.make(Self.configuration)
    expectError(.checkpoint, "w.safetensors", "fc1.weight", "another model") {
      try Checkpoint.load([:], into: trainer.model, store: trainer.store, from: "w.safetensors")
    }
    let wrong = try Tensor.zeros([2, 3])
    expectError(.checkpoint, "fc1.weight", "[2, 3]", "[8, 784]") {
      try Checkpoint.load(["fc1.weight": wrong], into: trainer.model, store: trainer.store, from: "w.safetensors")
    }
  }

  @Test func theNewestTwoAreKeptUntilTheEndAndForeignFilesStay() throws {
    let scratch = try Scratch()
    var configuration = Self.configuration
    configuration.keep = "last"
    let run = try startRun(configuration, at: scratch.path("run"))
    let folder = run.directory.checkpoints
    let foreign = ["step-000000004-copy.safetensors", "step-best.json", "notes.txt", "step-000000004.txt"]
    for name in foreign { try Data("mine".utf8).write(to: folder.appendingPathComponent(name)) }
    let orphan = folder.appendingPathComponent("step-000000003.state.safetensors")
    try Data("left by a kill".utf8).write(to: orphan)
    func expectCheckpoints(_ steps: [Int]) throws {
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      let expected = steps.map(Checkpoint.name(step:)).flatMap {
        [$0 + ".json", $0 + ".safetensors", $0 + ".state.safetensors"]
      }
      #expect(names.sorted() == (expected + foreign).sorted())
      #expect(try Checkpoint.steps(in: folder) == steps)
    }
    #expect(try run.train(shouldStop: { run.trainer.step == 18 }) == .interrupted)
    try expectCheckpoints([16, 18])
    #expect(try run.train() == .completed)
    try expectCheckpoints([20])
  }

  @Test func whatTakesSecondsToWriteIsWrittenSeldom() {
    var schedule = CheckpointSchedule(distance: 10, isGiven: false)
    #expect(schedule.isDue(20, after: 0.1) && !schedule.isDue(21, after: 59) && schedule.isDue(21, after: 61))
    schedule.cost = 8
    #expect(!schedule.isDue(20, after: 159) && !schedule.isDue(21, after: 159))
    #expect(schedule.isDue(20, after: 161) && schedule.isDue(21, after: 161))
    var given = CheckpointSchedule(distance: 10, isGiven: true)
    given.cost = 8
    #expect(given.isDue(20, after: 0.1) && !given.isDue(21, after: 1000))
  }

  @Test func namesSortByStep() throws {
    let scratch = try Scratch()
    for step in [999_999_999, 1_000_000_000, 5] { try scratch.write("", Checkpoint.name(step: step) + ".json") }
    #expect(
      try Checkpoint.list(in: scratch.url).map(\.lastPathComponent)
        == ["step-000000005.json", "step-999999999.json", "step-1000000000.json"])
  }

  @Test(.enabled(if: SmallDisk.isAvailable, "a small disk can only be mounted by root"))
  func aFullDiskLeavesThePreviousCheckpoint() throws {
    let scratch = try Scratch()
    let reference = scratch.path("reference")
    let configuration = smallConfiguration {
      $0.model = "mlp:64"
      $0.checkpointEvery = 4
    }
    _ = try startRun(configuration, at: reference).train()
    let disk = try SmallDisk(bytes: 4 << 20)
    let path = disk.path + "/run"
    let run = try startRun(configuration, at: path)
    let text = message {
      _ = try run.train(observe: { if case .completedStep(9) = $0 { try disk.fill(leaving: 214_000) } })
    }
    #expect(text.contains("The disk is full") && text.contains("--resume"), "\(text)")
    // Room for one of its files was there; what was written of the failed checkpoint is gone again.
    #expect(try Checkpoint.latest(in: run.directory.checkpoints)?.step == 8)
    let left = try FileManager.default.contentsOfDirectory(atPath: run.directory.checkpoints.path)
    #expect(!left.contains { $0.contains("000000012") }, "\(left)")
    try disk.makeRoom()
    let resumed = try resumeRun(path)
    #expect(resumed.trainer.step == 8)
    _ = try resumed.train()
    try expectSameEnd(reference, path)
  }
}
