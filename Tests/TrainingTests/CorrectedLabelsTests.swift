// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import Testing
import TestSupport

@testable import Runs
@testable import Training

@Suite struct CorrectedLabelsTests {
  private let header = "index,file,given,decision,label,time\n"

  /// Corrections of three examples of a run with noise.
  private func corrections(_ data: TrainingData, in scratch: Scratch) throws -> String {
    func given(_ index: Int) -> Int { data.labels.assigned[index] }
    let text =
      header + "3,,\(given(3)),drop,,\n" + "5,,\(given(5)),relabel,\(data.labels.original[5]),\n"
      + "7,,\(given(7)),drop,,\n" + "7,,\(given(7)),undo,,\n" + "8,,\(given(8)),keep,,\n"
    return try scratch.write(text, "corrections.csv")
  }

  @Test(arguments: [false, true]) func labelsChangeAndExamplesAreLeftOut(asLabels: Bool) throws {
    let scratch = try Scratch()
    let configuration = smallConfiguration { $0.noise = asLabels ? 0 : 0.5 }
    let before = try TrainingData(configuration)
    var changed = configuration
    let path = try corrections(before, in: scratch)
    if asLabels { changed.labels = path } else { changed.corrections = path }
    let data = try TrainingData(changed)
    #expect(data.trainIndices == before.trainIndices.filter { $0 != 3 })
    var expected = before.labels.assigned
    expected[5] = before.labels.original[5]
    #expect(data.labels.assigned == expected && data.labels.original == before.labels.original)
    #expect(!data.labels.isCorrupt(5) && data.labels.rate == before.labels.rate)
    #expect(data.checksums["corrections"] == data.corrections?.checksum && data.corrections?.dropped == [3])
  }

  @Test func aRunGoesOnOnlyWithTheSame() throws {
    let scratch = try Scratch()
    var configuration = smallConfiguration { $0.noise = 0.5 }
    configuration.corrections = try corrections(TrainingData(configuration), in: scratch)
    let run = try startRun(configuration, at: scratch.path("run"))
    var done = 0
    _ = try run.train(shouldStop: { done >= 5 }) { if case .stepped = $0 { done += 1 } }
    let text = try scratch.text("corrections.csv")
    try scratch.write(
      text.replacingOccurrences(of: "8,", with: "8,").replacingOccurrences(of: "keep", with: "drop"), "corrections.csv")
    expectError(.checkpoint, "corrections") { _ = try resumeRun(scratch.path("run")) }
    try scratch.write(text, "corrections.csv")
    #expect(try resumeRun(scratch.path("run")).train() == .completed)
  }

  @Test func mistakesNameFileLineAndColumn() throws {
    let scratch = try Scratch()
    let configuration = smallConfiguration()
    let labels = try TrainingData(configuration).labels.assigned
    func check(_ rows: [String], _ words: String...) throws {
      var changed = configuration
      changed.corrections = try scratch.write(header + rows.joined(separator: "\n") + "\n", "mistaken.csv")
      let text = message { _ = try TrainingData(changed) }
      for word in words { #expect(text.contains(word), "\(text)") }
    }
    let good = (0..<5).map { "\($0),,\(labels[$0]),keep,," }
    try check(good + ["9,,\(labels[9]),relable,,"], "mistaken.csv:7", "decision", "relable")
    try check(["60,,1,keep,,"], "mistaken.csv:2", "no example 60")
    try check(["4,,\(labels[4]),relabel,horse,"], "unknown class \"horse\"")
    try check(["4,,\((labels[4] + 1) % 10),keep,,"], "given", "another data set")
    var missing = configuration
    missing.corrections = scratch.path("nowhere.csv")
    #expect(message { _ = try TrainingData(missing) }.contains("There is no file"))
    missing.corrections = ""
    expectError(.configuration, "corrections has an empty name") { try missing.validate() }
    var all = configuration
    all.corrections = try scratch.write(
      header + labels.indices.prefix(60).map { "\($0),,\(labels[$0]),drop,,\n" }.joined(), "all.csv")
    #expect(message { _ = try TrainingData(all) }.contains("All 60 training examples are dropped"))
  }

  /// Pictures are known by their files: the part of a folder that is trained on has numbers of its own.
  @Test func picturesAreKnownByTheirFiles() throws {
    let scratch = try Scratch()
    try PictureFixtures.load().writeFolder(at: scratch.path("pictures"))
    var configuration = TrainingConfiguration()
    (configuration.dataset, configuration.dataDir) = ("folder", scratch.path("pictures/train"))
    (configuration.model, configuration.imageSize, configuration.batchSize) = ("mlp:8", 16, 2)
    configuration.testFraction = 0.5
    let before = try TrainingData(configuration)
    let held = try #require(before.test.file(at: 0))
    let (first, second) = (try #require(before.train.file(at: 0)), try #require(before.train.file(at: 1)))
    func given(_ file: String) -> String { file.hasPrefix("cat") ? "cat" : "dog" }
    func quoted(_ file: String) -> String { "\"" + file.replacingOccurrences(of: "\"", with: "\"\"") + "\"" }
    let other = given(second) == "cat" ? "dog" : "cat"
    let rows = [
      "11,\(quoted(held)),\(given(held)),drop,,", "7,\(quoted(first)),\(given(first)),drop,,",
      "9,\(quoted(second)),\(given(second)),relabel,\(other),",
    ]
    configuration.labels = try scratch.write(header + rows.joined(separator: "\n") + "\n", "corrections.csv")
    let data = try TrainingData(configuration)
    #expect(data.trainIndices == Array(before.trainIndices.dropFirst()))
    #expect(data.train.classNames[data.labels.assigned[1]] == other)
    // Nothing is known to be noise: what was corrected is right.
    #expect(!data.labels.isCorrupt(1) && data.labels.original == data.labels.assigned)
    #expect(data.notes.contains { $0.hasPrefix("1 of the decisions in") && $0.contains("change nothing") })
    configuration.labels = try scratch.write(header + rows[0] + "\n", "held.csv")
    let text = message { _ = try TrainingData(configuration) }
    #expect(text.contains("None of the 1 decisions") && text.contains("that was audited"), "\(text)")
    configuration.corrections = configuration.labels
    (configuration.dataset, configuration.dataDir, configuration.labels) = ("digits", nil, nil)
    (configuration.subset, configuration.testFraction, configuration.imageSize) = (20, nil, nil)
    #expect(message { _ = try TrainingData(configuration) }.contains("which have no files"))
  }

  /// What is looked at later has the corrected labels as its own, too: nothing of it is corrupt.
  @Test func aRunOfCorrectedLabelsIsMeasured() throws {
    let scratch = try Scratch()
    var configuration = smallConfiguration { $0.noise = 0 }
    let labels = try TrainingData(configuration).labels.assigned
    let other = (labels[5] + 1) % 10
    let rows = "5,,\(labels[5]),relabel,\(other),\n3,,\(labels[3]),drop,,\n"
    configuration.corrections = try scratch.write(header + rows, "corrections.csv")
    let run = try startRun(configuration, at: scratch.path("run"))
    #expect(try run.train() == .completed)
    let metrics = try run.directory.log(MetricRecord.self)
    #expect(!metrics.isEmpty && metrics.allSatisfy { $0.group != "corrupt" })
    let model = try TrainedModel(run: scratch.path("run"))
    #expect(model.labels[5] == other && model.dataset.labels == model.labels)
    #expect(try run.directory.labels()[5].original == other)
    #expect(try resumeRun(scratch.path("run")).isComplete)
  }

  @Test func labelFilesMayNameClasses() throws {
    let scratch = try Scratch()
    let path = try scratch.write("index,label\n1,dog\n0,cat\n2,0\n", "labels.csv")
    let labels = try ExternalLabels.load(from: path, expectedCount: 3, classCount: 2, classNames: ["cat", "dog"])
    #expect(labels == [0, 1, 0])
    let truth = try scratch.write("index,original,assigned\n0,1,0\n1,1,1\n", "truth.csv")
    #expect(
      try ExternalLabels.load(from: truth, expectedCount: 2, classCount: 2, columns: ["label", "original"]) == [1, 1])
    let text = message {
      _ = try ExternalLabels.load(
        from: scratch.write("label\ncat\nhorse\n", "odd.csv"), expectedCount: 2, classCount: 2,
        classNames: ["cat", "dog"])
    }
    #expect(text.contains("odd.csv, line 3") && text.contains("\"horse\" is not a whole number or the name of a class"))
  }
}
