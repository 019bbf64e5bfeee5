// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import TestSupport
import Testing

@testable import Runs
@testable import Training

/// Runs on a folder of small pictures.
@Suite struct ImageFolderTests {
  let scratch: Scratch

  init() throws {
    scratch = try Scratch()
    try PictureFixtures.load().writeFolder(at: scratch.path("pictures"))
  }

  func configuration(_ change: (inout TrainingConfiguration) -> Void = { _ in }) -> TrainingConfiguration {
    smallConfiguration {
      $0.dataset = "folder"
      $0.dataDir = scratch.path("pictures")
      $0.subset = nil
      $0.imageSize = 12
      $0.batchSize = 5
      $0.lr = 0.01
      $0.steps = 12
      $0.evalEvery = 6
      $0.noise = 0.25
      change(&$0)
    }
  }

  @discardableResult
  func train(_ name: String, _ change: (inout TrainingConfiguration) -> Void) throws -> String {
    let path = scratch.path(name)
    _ = try startRun(configuration(change), at: path).train()
    return path
  }

  /// The number of threads that decode changes nothing that is computed, only what config.yaml says of them.
  @Test(arguments: ["none", "random-resized-crop+flip"]) func workersChangeNothing(augment: String) throws {
    let one = try lastingFiles(train("one") { ($0.augment, $0.workers, $0.prefetch) = (augment, 1, 0) })
    for workers in [2, 5] {
      let other = try lastingFiles(train("\(workers)") { ($0.augment, $0.workers) = (augment, workers) })
      for (name, data) in one where name != "config.yaml" { #expect(other[name] == data, "\(name) differs") }
    }
  }

  @Test(arguments: ["flip", "flip+crop", "random-resized-crop+flip"])
  func resumesToTheSameBits(augment: String) throws {
    let whole = try train("whole") { ($0.augment, $0.checkpointEvery) = (augment, 4) }
    let path = scratch.path("stopped")
    let run = try startRun(configuration { ($0.augment, $0.checkpointEvery) = (augment, 4) }, at: path)
    var steps = 0
    let outcome = try run.train(shouldStop: {
      steps += 1
      return steps > 7
    })
    #expect(outcome == .interrupted)
    _ = try resumeRun(path).train()
    try expectSameEnd(whole, path)
  }

  /// Random changes touch the training alone: at rate zero nothing that is measured moves.
  @Test func evaluationIsNotAugmented() throws {
    let plain = try Trainer.make(configuration()).evaluate()
    let augmented = try Trainer.make(configuration { $0.augment = "random-resized-crop+flip" }).evaluate()
    #expect(plain == augmented)
  }

  @Test func skippedFilesAreListedAndCounted() throws {
    let fixtures = try PictureFixtures.load()
    try PictureFixtures.write(fixtures.data("gif"), scratch.path("pictures/train/cat/aa.jpg"))
    try PictureFixtures.write(fixtures.data("truncated"), scratch.path("pictures/val/dog/z.jpg"))
    #expect(message { _ = try Trainer.make(configuration()) }.contains("train/cat/aa.jpg cannot be used: it is a GIF"))
    let run = try startRun(configuration { $0.skipBad = true }, at: scratch.path("run"))
    #expect(run.warnings.count == 2 && run.warnings[0].contains("aa.jpg"))
    let directory = run.directory
    #expect(try directory.skipped().map(\.path) == ["train/cat/aa.jpg", "val/dog/z.jpg"])
    #expect(try directory.skipped()[0].reason == "it is a GIF, neither JPEG nor PNG")
    let dataset = try directory.manifest().dataset
    #expect(dataset.skippedExamples == 2 && dataset.trainExamples == 12 && dataset.testExamples == 4)
    #expect(dataset.files.keys.sorted() == ["test (paths and sizes)", "train (paths and sizes)"])
    #expect(try directory.labels().count == 12)
    _ = try run.train()
    #expect(try directory.examples().count == 12)
    let measured = try TrainedModel(run: scratch.path("run"))
    #expect(try measured.coherence().network.coherence.m == 12)
    try PictureFixtures.write(fixtures.data("grey"), scratch.path("pictures/train/cat/new.jpg"))
    expectError(.checkpoint, "train (paths and sizes)") { _ = try resumeRun(scratch.path("run")) }
  }

  @Test func labelsFromAFile() throws {
    let labels = try scratch.write("label\n" + String(repeating: "1\n", count: 12), "labels.csv")
    let data = try Trainer.make(configuration { ($0.noise, $0.labels) = (0, labels) }).data
    #expect(data.labels.assigned == Array(repeating: 1, count: 12) && data.labels.realisedRate == 0.5)
    #expect(
      message {
        _ = try Trainer.make(
          configuration { ($0.noise, $0.labels, $0.subset) = (0, try? scratch.write("label\n1\n", "s.csv"), nil) })
      }.contains("12"))
  }

  @Test func settingsThatMakeNoSense() throws {
    func refused(_ parts: String, _ change: (inout TrainingConfiguration) -> Void) {
      expectError(.configuration, parts) { try configuration(change).validate() }
    }
    refused("workers must be from 1 to 256, not 0") { $0.workers = 0 }
    refused("prefetch must be from 0") { $0.prefetch = -1 }
    refused("resize and skip-bad are for image folders, not for mnist") { ($0.dataset, $0.resize) = ("mnist", 300) }
    refused("resize and skip-bad are for image folders, not for mnist") { ($0.dataset, $0.skipBad) = ("mnist", true) }
    refused("test-subset must be at least 1, not 0") { $0.testSubset = 0 }
    refused("norm frozen keeps the statistics that weights come with") { ($0.model, $0.norm) = ("resnet20", "frozen") }
    refused("random-resized-crop needs the pictures") {
      ($0.dataset, $0.imageSize, $0.augment) = ("cifar10", nil, "random-resized-crop")
    }
    for (word, change) in [
      ("image-size must be", { $0.imageSize = 0 }), ("resize must be", { $0.resize = 5 }),
      ("augment must be", { $0.augment = "turn" }),
    ] as [(String, (inout TrainingConfiguration) -> Void)] {
      #expect(message { try configuration(change).validate() }.contains(word))
    }
  }

  @Test func settingsOfTheWrongKind() throws {
    expectError(.configuration, "x, line 1: workers must be a whole number") {
      _ = try TrainingConfiguration(yaml: "workers: many", source: "x")
    }
    expectError(.configuration, "normalize must be one of auto, none") {
      _ = try TrainingConfiguration(yaml: "normalize: yes", source: "x")
    }
  }
}
