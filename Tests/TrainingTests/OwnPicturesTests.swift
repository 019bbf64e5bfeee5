// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import TestSupport
import Testing

@testable import Runs
@testable import Training

/// Runs on pictures that nobody has divided into splits, and at the size that a model was made for.
@Suite struct OwnPicturesTests {
  let scratch: Scratch

  init() throws {
    scratch = try Scratch()
    try PictureFixtures.load().writeFolder(at: scratch.path("pictures"))
    try FileManager.default.removeItem(atPath: scratch.path("pictures/val"))
  }

  func configuration(_ change: (inout TrainingConfiguration) -> Void = { _ in }) -> TrainingConfiguration {
    smallConfiguration {
      ($0.dataset, $0.dataDir, $0.subset) = ("folder", scratch.path("pictures"), nil)
      ($0.imageSize, $0.batchSize, $0.lr, $0.steps, $0.evalEvery, $0.noise) = (12, 5, 0.01, 8, 4, 0.5)
      $0.checkpointEvery = 3
      change(&$0)
    }
  }

  func files(_ data: Dataset) -> [String] { (0..<data.count).compactMap { data.file(at: $0) } }

  @Test func aFifthIsHeldOutAndSaid() throws {
    let run = try startRun(configuration(), at: scratch.path("run"))
    let data = run.trainer.data
    #expect(data.train.count == 10 && data.test.count == 2 && data.test.labels == [0, 1])
    #expect(run.warnings.count == 1 && run.warnings[0].contains("20 % of every class, 2 of 12 pictures"))
    let dataset = try run.directory.manifest().dataset
    #expect(dataset.testFraction == 0.2 && dataset.trainExamples == 10 && dataset.testExamples == 2)
    #expect(dataset.files.keys.sorted() == ["test (paths and sizes)", "train (paths and sizes)"])
    #expect(try run.directory.config().contains("test-fraction: 0.2\n"))
    // Noise is drawn on what is trained on.
    let labels = try run.directory.labels()
    #expect(labels.count == 10 && labels.map(\.file) == files(data.train))
    #expect(labels.contains(where: \.isCorrupt) && data.test.labels == [0, 1])
    #expect(try run.directory.classes() == ["cat", "dog"])
    _ = try run.train()
    #expect(try run.directory.examples().map(\.file) == files(data.train))
  }

  @Test func theSamePicturesForEveryOptimizerAndAfterwards() throws {
    let settings = { (optimizer: String) in
      configuration { ($0.testFraction, $0.optimizer, $0.validation, $0.seed) = (0.34, optimizer, 2, 3) }
    }
    let run = try startRun(settings("sgd"), at: scratch.path("run"))
    let test = files(run.trainer.data.test)
    #expect(test.count == 4 && run.trainer.data.validationIndices.count == 2)
    #expect(try files(Trainer.make(settings("rm3")).data.test) == test)
    #expect(try files(Trainer.make(configuration { ($0.testFraction, $0.seed) = (0.34, 4) }).data.test) != test)
    _ = try run.train()
    let measured = try TrainedModel(run: scratch.path("run"), split: .test)
    #expect(files(measured.dataset) == test)
    let records = try TrainedModel(run: scratch.path("run")).exampleGradients(groupCount: 0).examples
    #expect(records.files == files(run.trainer.data.train))
    let lines = records.csv.split(separator: "\n").map(String.init)
    #expect(lines[0] == "index,label,is_corrupt,dot,squared_norm,cosine,loss,margin,correct,file")
    let first = try #require(records.files?.first)
    #expect(lines.count == 9 && lines[1].hasSuffix("," + first))
  }

  @Test func resumesToTheSameBits() throws {
    _ = try startRun(configuration(), at: scratch.path("whole")).train()
    let run = try startRun(configuration(), at: scratch.path("run"))
    #expect(try run.train(shouldStop: { run.trainer.step == 4 }) == .interrupted)
    _ = try resumeRun(scratch.path("run")).train()
    try expectSameEnd(scratch.path("whole"), scratch.path("run"))
    try edit(scratch.path("run/config.yaml"), "test-fraction: 0.2", "test-fraction: 0.5")
    expectError(.checkpoint, "(paths and sizes) is not the one the run started with") {
      _ = try resumeRun(scratch.path("run"))
    }
  }

  @Test func aSplitFileSaysItItself() throws {
    let rows = (0..<12).map { "\($0),\($0 % 3 == 0 ? "test" : "train"),\n" }.joined()
    let file = try scratch.write("index,split,group\n" + rows, "split.csv")
    let run = try startRun(configuration { $0.split = file }, at: scratch.path("run"))
    #expect(run.trainer.data.train.count == 12 && run.trainer.data.test.count == 4 && run.warnings.isEmpty)
    #expect(try run.directory.manifest().dataset.testFraction == nil)
    _ = try run.train()
    #expect(try TrainedModel(run: scratch.path("run"), split: .test).dataset.count == 4)
    try scratch.write("index,split,group\n0,train,\n7,train,\n", "split.csv")
    #expect(
      message { _ = try Trainer.make(configuration { $0.split = file }) }.contains("split is test to the split file"))
  }

  @Test func aShareWhereThereAreTestPictures() throws {
    let fixtures = try PictureFixtures.load()
    for name in ["cat", "dog"] {
      try PictureFixtures.write(fixtures.data("grey"), scratch.path("pictures/val/\(name)/1"))
    }
    expectError(.configuration, "test-fraction 0.2 is for folders without val and test", scratch.path("pictures")) {
      _ = try Trainer.make(configuration { $0.testFraction = 0.2 })
    }
    #expect(try ConfiguredTraining(configuration()).configuration.testFraction == nil)
  }

  // MARK: - The size of images

  @Test func everyModelHasItsSize() throws {
    func size(_ model: String, _ change: (inout TrainingConfiguration) -> Void = { _ in }) -> Int? {
      configuration {
        ($0.model, $0.imageSize) = (model, nil)
        change(&$0)
      }.resolvedImageSize
    }
    let sizes = [
      "resnet20": 32, "resnet56": 32, "resnet18-32": 32, "resnet18": 224, "vgg11_bn": 224, "alexnet": 224,
      "inception_v3": 299, "efficientnet_b0": 224, "efficientnet_b1": 240, "efficientnet_b4": 380,
      "efficientnet_b7": 600, "mlp:8": 224, "linear": 224,
    ]
    for (model, expected) in sizes { #expect(size(model) == expected, "\(model)") }
    #expect(size("resnet20") { $0.imageSize = 64 } == 64)
    #expect(size("resnet18") { $0.dataset = "cifar10" } == nil)
    let training = try ConfiguredTraining(configuration { ($0.model, $0.imageSize) = ("resnet20", nil) })
    #expect(training.trainer.data.train.exampleShape == [3, 32, 32] && training.configuration.imageSize == 32)
  }

  /// A run of an earlier version, whose file has no image-size, goes on at 224 with whatever model.
  @Test func runsOfEarlierVersionsKeepTheirSize() throws {
    let old = {
      configuration {
        ($0.model, $0.imageSize, $0.steps) = ("resnet20", 224, 2)
        ($0.subset, $0.testSubset, $0.batchSize) = (4, 2, 2)
      }
    }
    _ = try startRun(old(), at: scratch.path("whole")).train()
    let run = try startRun(old(), at: scratch.path("run"))
    #expect(try run.train(shouldStop: { run.trainer.step == 1 }) == .interrupted)
    for (line, rest) in [("image-size: 224\n", ""), ("warmup: 0\n", ""), ("freeze: []\n", "")] {
      try edit(scratch.path("run/config.yaml"), line, rest)
    }
    // Nor did labels.csv name files, or classes.csv exist.
    let labels = try run.directory.labels().map {
      LabelRecord(index: $0.index, original: $0.original, assigned: $0.assigned)
    }
    try run.directory.write(labels: labels)
    try FileManager.default.removeItem(atPath: scratch.path("run/classes.csv"))
    #expect(try TrainedModel(run: scratch.path("run")).dataset.exampleShape == [3, 224, 224])
    let resumed = try resumeRun(scratch.path("run"))
    #expect(try resumed.trainer.data.train.exampleShape == [3, 224, 224] && resumed.directory.classes() == nil)
    _ = try resumed.train()
    for name in ["metrics.csv", "checkpoints/step-000000002.safetensors"] {
      let bytes = try ["whole", "run"].map {
        try Data(contentsOf: URL(fileURLWithPath: scratch.path("\($0)/\(name)")))
      }
      #expect(bytes[0] == bytes[1], "\(name)")
    }
  }
}
