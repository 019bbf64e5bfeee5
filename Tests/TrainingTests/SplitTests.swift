// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// Training on the rows of a split file.
@Suite struct SplitTests {
  /// Of the sixty examples: 0 to 29 to train on, easy, hard or neither by turns; 30 to 49 to test on; the rest left out.
  private static func rows(tests: Bool = true) -> String {
    let train = (0..<30).map { "\($0),train,\(["easy", "hard", ""][$0 % 3])\n" }
    let test = (30..<50).map { "\($0),test,\($0 % 4 == 0 ? "hard" : "easy")\n" }
    return "index,split,group\n" + (train + (tests ? test : [])).reversed().joined()
  }

  private func configuration(
    _ scratch: Scratch, tests: Bool = true, _ change: (inout TrainingConfiguration) -> Void = { _ in }
  ) throws -> TrainingConfiguration {
    let file = try scratch.write(Self.rows(tests: tests), "easy-first.csv")
    return smallConfiguration {
      $0.split = file
      change(&$0)
    }
  }

  @Test func trainsAndTestsOnItsRows() throws {
    let scratch = try Scratch()
    let run = try startRun(configuration(scratch), at: scratch.path("run"))
    let data = run.trainer.data
    #expect(data.trainIndices == Array(0..<30) && data.validationIndices.isEmpty)
    let whole = try DatasetLoader.load(name: "mnist", split: .train, directory: SmallData.folder)
    #expect(data.test.labels == Array(whole.labels[30..<50]))
    #expect(try data.test.contentChecksum() == whole.subset(indices: Array(30..<50)).contentChecksum())
    #expect(try run.train() == .completed)
    // The noise is that of a run without a split.
    let plain = try startRun(smallConfiguration(), at: scratch.path("plain"))
    #expect(try run.directory.labels() == plain.directory.labels())
    #expect(try run.directory.examples().map(\.index) == data.trainIndices)
    let manifest = try run.directory.manifest()
    #expect(manifest.dataset.trainExamples == 30 && manifest.dataset.testExamples == 20)
    #expect(manifest.extra["split"] == "easy-first")
    #expect(manifest.dataset.files["split"] == data.split?.checksum && manifest.dataset.files.count == 3)
  }

  @Test func everyGroupHasALine() throws {
    let scratch = try Scratch()
    let run = try startRun(configuration(scratch) { $0.validation = 6 }, at: scratch.path("run"))
    _ = try run.train()
    let (data, trainer) = (run.trainer.data, run.trainer)
    #expect(data.trainIndices.count == 24 && data.validationIndices.count == 6)
    #expect(Set(data.trainIndices + data.validationIndices) == Set(0..<30))
    let last = try run.directory.log(MetricRecord.self).filter { $0.step == 20 }
    func count(_ split: String, _ group: String) -> Int? {
      last.first { $0.split == split && $0.group == group }?.count
    }
    #expect(count("test", "all") == 20 && count("test", "hard") == 5 && count("test", "easy") == 15)
    for split in ["train", "validation"] {
      let indices = split == "train" ? data.trainIndices : data.validationIndices
      for (place, group) in ["easy", "hard"].enumerated() {
        let own = indices.count { $0 % 3 == place }
        #expect(count(split, group) ?? 0 == own, "\(split)/\(group)")
      }
    }
    #expect(Set(last.map(\.group)) == ["all", "pristine", "corrupt", "easy", "hard"])
    // A group's line is the evaluation of its examples alone.
    let hard = data.trainIndices.filter { $0 % 3 == 1 }
    let alone = try Evaluator(linearPolicy: trainer.linearPolicy, device: .cpu).evaluate(
      trainer.model, on: data.train, indices: hard, labels: data.labels.assigned
    ).metrics
    let line = try #require(last.first { $0.split == "train" && $0.group == "hard" })
    #expect(line.accuracy1 == alone.accuracy && abs(line.loss - alone.loss) < 1e-6)
  }

  @Test func withoutTestRowsTheDataSetsOwn() throws {
    let scratch = try Scratch()
    let data = try Trainer.make(configuration(scratch, tests: false)).data
    #expect(data.test.count == SmallData.testCount && data.testGroups.isEmpty)
    #expect(data.trainGroups.map(\.name) == ["easy", "hard"])
  }

  @Test func labelFilesKeepTheirMeaning() throws {
    let scratch = try Scratch()
    let original = try DatasetLoader.load(name: "mnist", split: .train, directory: SmallData.folder).labels
    let file = try scratch.write(original.map { "\(($0 + 1) % 10)\n" }.joined(), "labels.csv")
    let data = try Trainer.make(
      configuration(scratch) {
        $0.labels = file
        $0.noise = 0
      }
    ).data
    #expect(data.labels.assigned == original.prefix(60).map { ($0 + 1) % 10 })
    #expect(data.test.labels == Array(original[30..<50]))
  }

  @Test func resumesToTheSameBytes() throws {
    let scratch = try Scratch()
    let settings = try configuration(scratch) { $0.probe = ["coherence:m=20@every:5", "median:m=30@every:5"] }
    _ = try startRun(settings, at: scratch.path("whole")).train()
    let run = try startRun(settings, at: scratch.path("run"))
    #expect(try run.train(shouldStop: { run.trainer.step == 7 }) == .interrupted)
    #expect(try resumeRun(scratch.path("run")).train() == .completed)
    try expectSameEnd(scratch.path("whole"), scratch.path("run"))
  }

  @Test func aChangedSplitIsNoticedOnResume() throws {
    let scratch = try Scratch()
    let path = scratch.path("run")
    _ = try startRun(configuration(scratch), at: path).train(shouldStop: { true })
    let file = scratch.path("easy-first.csv")
    try edit(file, "49,test,easy\n", "49,test,hard\n")
    expectError(.checkpoint, file, "is not the one the run started with") { _ = try resumeRun(path) }
    // Another name does not make it another's.
    try FileManager.default.moveItem(atPath: file, toPath: scratch.path("other.csv"))
    #expect(message { _ = try resumeRun(path) }.contains("\(file) does not exist"))
    try edit(path + "/config.yaml", file, scratch.path("other.csv"))
    expectError(.checkpoint, "other.csv is not the one the run started with") { _ = try resumeRun(path) }
    try edit(path + "/config.yaml", "split: ", "# split: ")
    expectError(.checkpoint, "no longer names the split file") { _ = try resumeRun(path) }
    _ = try startRun(smallConfiguration(), at: scratch.path("plain")).train(shouldStop: { true })
    try edit(scratch.path("plain/config.yaml"), "model: ", "split: \(scratch.path("other.csv"))\nmodel: ")
    expectError(.checkpoint, "other.csv is not the one") { _ = try resumeRun(scratch.path("plain")) }
  }

  @Test func sizesThatDoNotFit() throws {
    let scratch = try Scratch()
    expectError(.configuration, "batch-size 31 is larger than the 30 training examples") {
      _ = try Trainer.make(configuration(scratch) { $0.batchSize = 31 })
    }
    #expect(message { _ = try Trainer.make(configuration(scratch) { $0.validation = 30 }) }.contains("held out of 30"))
    // The subset counts first.
    let short = message { _ = try Trainer.make(configuration(scratch) { $0.subset = 40 }) }
    #expect(short.contains("no training example 4") && short.contains("0 to 39") && short.contains("subset"))
    #expect(message { try smallConfiguration { $0.split = "" }.validate() }.contains("split has an empty name"))
  }

  /// What is measured afterwards is what the run trained and tested on.
  @Test func aTrainedModelKnowsItsExamples() throws {
    let scratch = try Scratch()
    let run = try startRun(configuration(scratch) { $0.noise = 0 }, at: scratch.path("run"))
    _ = try run.train()
    let path = scratch.path("run")
    #expect(try TrainedModel(run: path).coherence(groupCount: 0).network.coherence.m == 30)
    let test = try TrainedModel(run: path, split: .test)
    #expect(test.labels == run.trainer.data.test.labels)
    #expect(try test.coherence(groupCount: 0).network.coherence.m == 20)
    try scratch.write("index,split,group\n1,train,\n", "easy-first.csv")
    expectError(.checkpoint, "is not the one the run started with") { _ = try TrainedModel(run: path) }
  }

  /// Probes may see test labels as noisy as the training ones; what is evaluated stays clean.
  @Test(arguments: [NoiseKind.uniform, .instance]) func testProbesAsNoisyAsTraining(_ kind: NoiseKind) throws {
    func data(_ isNoisy: Bool, seed: UInt64 = 1) throws -> TrainingData {
      var configuration = TrainingConfiguration()
      configuration.dataset = "digits"
      (configuration.subset, configuration.testSubset, configuration.batchSize) = (200, 200, 10)
      (configuration.noise, configuration.noiseKind, configuration.seed) = (1, kind, seed)
      configuration.noisyTestProbes = isNoisy
      return try TrainingData(configuration)
    }
    let (clean, noisy) = (try data(false), try data(true))
    #expect(clean.testProbeLabels == clean.test.labels && noisy.test.labels == clean.test.labels)
    let changed = zip(noisy.testProbeLabels, noisy.test.labels).count { $0 != $1 }
    #expect((150...200).contains(changed))
    #expect(try data(true).testProbeLabels == noisy.testProbeLabels)
    #expect(try data(true, seed: 2).testProbeLabels != noisy.testProbeLabels)
  }
}
