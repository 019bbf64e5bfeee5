// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import Testing
import TestSupport

@testable import Runs
@testable import Training

@Suite struct TrainingRunTests {
  @Test func aRunLeavesItsFiles() throws {
    let scratch = try Scratch()
    let run = try startRun(smallConfiguration { $0.validation = 5 }, at: scratch.path("run"))
    #expect(!run.isComplete)
    #expect(try run.train() == .completed)
    #expect(run.isComplete)
    let directory = try RunDirectory.open(at: scratch.path("run"))
    let manifest = try directory.manifest()
    #expect(manifest.status == .completed)
    #expect(manifest.dataset.trainExamples == 55)
    #expect(manifest.summary?.steps == 20)
    #expect(manifest.summary?.last?.step == 20)
    #expect(manifest.summary?.validationSelected != nil)
    #expect(manifest.numerics["linear_rule"] != nil)
    #expect(manifest.dataset.files.count == 4)
    #expect(try directory.events().map(\.kind) == ["started", "completed"])
    #expect(try directory.labels().count == 60)
    let examples = try directory.examples()
    #expect(examples.map(\.index) == run.trainer.data.trainIndices)
    #expect(examples.allSatisfy { $0.finalLoss != nil && $0.finalCorrect != nil })
    let last = try #require(try directory.log(MetricRecord.self).last { $0.split == "train" && $0.group == "all" })
    let right = examples.count { $0.finalCorrect == true }
    #expect(Double(right) / 55 == last.accuracy1)
    #expect(try TrainingConfiguration(yaml: directory.config(), source: "") == run.configuration)
  }

  @Test func anExistingRunIsRefusedAndReplacedWithForce() throws {
    let scratch = try Scratch()
    let path = scratch.path("run")
    _ = try startRun(smallConfiguration(), at: path).train()
    let before = try lastingFiles(path)
    let refusal = message { _ = try startRun(smallConfiguration { $0.seed = 2 }, at: path) }
    #expect(refusal.contains("--resume") && refusal.contains("--force"))
    // A configuration that cannot run must not cost the earlier run.
    #expect(message { _ = try startRun(smallConfiguration { $0.subset = 9999 }, at: path, existing: .replace) } != "")
    #expect(try lastingFiles(path) == before)
    let fresh = try startRun(smallConfiguration { $0.seed = 2 }, at: path, existing: .replace)
    #expect(try Checkpoint.latest(in: fresh.directory.checkpoints) == nil)
    _ = try fresh.train()
    #expect(try lastingFiles(path) != before)
  }

  @Test func aFolderThatIsNoRunIsRefusedEvenWithForce() throws {
    let scratch = try Scratch()
    try scratch.write("mine", "thesis.tex")
    for policy in [ExistingRunPolicy.refuse, .replace] {
      #expect(message { _ = try startRun(smallConfiguration(), at: scratch.url.path, existing: policy) } != "")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.url.path) == ["thesis.tex"])
    #expect(
      message { _ = try startRun(smallConfiguration(), at: scratch.path("thesis.tex/run")) }.contains("is a file"))
  }

  /// A configuration that someone wrote by hand into the folder is not the leftover of a killed start.
  @Test func aConfigurationByHandIsNotOverwritten() throws {
    let scratch = try Scratch()
    try scratch.write("# my notes\nlr: 0.1\n", "config.yaml")
    #expect(message { _ = try startRun(smallConfiguration(), at: scratch.url.path) }.contains("already holds files"))
    #expect(try String(contentsOfFile: scratch.path("config.yaml"), encoding: .utf8).hasPrefix("# my notes"))
  }

  @Test func divergenceIsRecordedAndKeepsTheLastGoodCheckpoint() throws {
    let scratch = try Scratch()
    let path = scratch.path("run")
    // Fine until step 10, then a hundred orders of magnitude too fast.
    let configuration = smallConfiguration {
      $0.schedule = "step:10:1e30"
      $0.checkpointEvery = 4
    }
    let run = try startRun(configuration, at: path)
    expectError(.divergence, "diverged at step", "The last good checkpoint is from step 8", "--lr") {
      _ = try run.train()
    }
    let directory = run.directory
    #expect(try directory.manifest().status == .diverged)
    let event = try #require(try directory.events().last)
    #expect(event.kind == "diverged" && event.message?.contains("diverged") == true)
    let checkpoint = try #require(try Checkpoint.latest(in: directory.checkpoints))
    #expect(checkpoint.step == 8)
    let weights = try Checkpoint.read(checkpoint.weights, in: directory.checkpoints)
    for tensor in weights.values { #expect(try tensor.values(as: Float.self).allSatisfy(\.isFinite)) }
    // Resumed, it diverges at the same place, and loses nothing.
    expectError(.divergence, "The last good checkpoint is from step 8") { _ = try resumeRun(path).train() }
    #expect(try directory.events().map(\.kind) == ["started", "resumed", "diverged"])
  }

  @Test(arguments: ["npy", "csv", "u8"])
  func labelFilesReachTheRun(_ kind: String) throws {
    let scratch = try Scratch()
    let original = try DatasetLoader.load(name: "mnist", split: .train, directory: SmallData.folder).labels
    var labels = original
    for index in stride(from: 0, to: 60, by: 4) { labels[index] = (labels[index] + 3) % 10 }
    let path = scratch.path("labels.\(kind)")
    switch kind {
    case "csv": try scratch.write("label\n" + labels.map { "\($0)\n" }.joined(), "labels.csv")
    case "u8": try Data(labels.map { UInt8($0) }).write(to: URL(fileURLWithPath: path))
    default:
      let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (\(labels.count),), }"
      let padded = header.padding(toLength: 117, withPad: " ", startingAt: 0) + "\n"
      let bytes = [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0] + Array(padded.utf8) + labels.map { UInt8($0) }
      try Data(bytes).write(to: URL(fileURLWithPath: path))
    }
    let run = try startRun(
      smallConfiguration {
        $0.labels = path
        $0.noise = 0
      }, at: scratch.path("run"))
    _ = try run.train()
    let records = try run.directory.labels()
    #expect(records.map(\.original) == Array(original.prefix(60)))
    #expect(records.map(\.assigned) == Array(labels.prefix(60)))
    #expect(records.filter(\.isCorrupt).map(\.index) == Array(stride(from: 0, to: 60, by: 4)))
    #expect(try run.directory.manifest().noise.kind == "labels")
    #expect(try run.directory.manifest().noise.realisedRate == 0.25)
    // Flips are the corrupt group of every evaluation.
    let corrupt = try run.directory.log(MetricRecord.self).filter { $0.group == "corrupt" }
    #expect(!corrupt.isEmpty && corrupt.allSatisfy { $0.count == 15 })
    // The labels of a run do not change under way.
    labels[1] = (labels[1] + 1) % 10
    try FileManager.default.removeItem(atPath: path)
    try Data(labels.map { UInt8($0) }).write(to: URL(fileURLWithPath: scratch.path("new.u8")))
    #expect(message { _ = try resumeRun(scratch.path("run")) }.contains(path))
    try edit(scratch.path("run/config.yaml"), path, scratch.path("new.u8"))
    expectError(.checkpoint, "no longer gives the labels") { _ = try resumeRun(scratch.path("run")) }
  }

  @Test func badLabelFiles() throws {
    let scratch = try Scratch()
    func start(_ path: String) throws {
      _ = try startRun(
        smallConfiguration {
          $0.noise = 0
          $0.labels = path
        }, at: scratch.path("run"))
    }
    #expect(message { try start(scratch.path("none.npy")) }.contains("none.npy"))
    try scratch.write("1\n2\n", "short.csv")
    #expect(message { try start(scratch.path("short.csv")) }.contains("600"))
    try scratch.write(String(repeating: "11\n", count: 600), "high.csv")
    #expect(message { try start(scratch.path("high.csv")) }.contains("0 to 9"))
    #expect(!FileManager.default.fileExists(atPath: scratch.path("run")))
  }

  @Test(arguments: NoiseKind.allCases, [0, 0.3, 1])
  func noiseReachesLabelsAndManifest(_ kind: NoiseKind, _ rate: Double) throws {
    let scratch = try Scratch()
    let run = try startRun(
      smallConfiguration {
        $0.noise = rate
        $0.noiseKind = kind
      }, at: scratch.path("run"))
    let records = try run.directory.labels()
    let noise = try run.directory.manifest().noise
    #expect(noise.kind == (rate == 0 ? "none" : kind.rawValue))
    #expect(noise.rate == rate)
    #expect(noise.realisedRate == Double(records.count(where: \.isCorrupt)) / 60)
    #expect(noise.classMap == (rate > 0 && kind == .asymmetric ? "mnist" : nil))
    if rate > 0 {
      let dataset = try DatasetLoader.load(name: "mnist", split: .train, directory: SmallData.folder, count: 60)
      let expected = try LabelNoise(kind: kind, rate: rate, seed: 1).apply(to: dataset)
      #expect(records.map(\.original) == expected.original && records.map(\.assigned) == expected.assigned)
    }
  }

  @Test func changedDataIsNoticedOnResume() throws {
    let scratch = try Scratch()
    let data = scratch.path("data")
    try FileManager.default.copyItem(atPath: SmallData.folder, toPath: data)
    let path = scratch.path("run")
    _ = try startRun(smallConfiguration { $0.dataDir = data }, at: path).train(shouldStop: { true })
    try FileManager.default.removeItem(atPath: data)
    #expect(message { _ = try resumeRun(path) }.contains(data))
    for (split, count) in [(Split.train, 600), (.test, 200)] {
      let other = try DatasetLoader.load(name: "digits", split: split, seed: 9, count: count)
      try DatasetLoader.exportIDX(other, to: data)
    }
    expectError(.checkpoint, "is not the one the run started with") { _ = try resumeRun(path) }
  }
}

/// Replaces text in a file.
func edit(_ path: String, _ old: String, _ new: String) throws {
  let text = try String(contentsOfFile: path, encoding: .utf8)
  try #require(text.contains(old))
  try text.replacingOccurrences(of: old, with: new).write(toFile: path, atomically: true, encoding: .utf8)
}
