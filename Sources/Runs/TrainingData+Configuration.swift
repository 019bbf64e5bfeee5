// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import Training

extension TrainingData {
  /// Loads the data sets, draws the noise and the validation examples.
  ///
  /// - Throws: `DatasetError` for files and labels; `TrainingError` when sizes do not fit each other.
  public init(_ configuration: TrainingConfiguration) throws {
    // A label file speaks of the whole set; without one, built-in examples beyond the subset need not be drawn.
    var options = configuration.datasetOptions
    options.augmentation = try Augmentation(configuration.augment)
    let whole = try DatasetLoader.load(
      name: configuration.dataset, split: .train, directory: configuration.dataDir,
      count: configuration.labels == nil ? configuration.subset : nil, options: options)
    var (assigned, corrections): ([Int]?, String?) = (nil, configuration.corrections)
    if let path = configuration.labels, Corrections.isFile(at: URL(fileURLWithPath: path)) {
      corrections = path
    } else if let path = configuration.labels {
      assigned = try ExternalLabels.load(from: path, for: whole)
    }
    var train = try configuration.subset.map { try whole.subset(first: $0) } ?? whole
    if let share = configuration.testFraction, share > 0, train.testFraction == nil {
      throw TrainingError(
        .configuration,
        "test-fraction \(share) is for folders without val and test, but \(configuration.dataDir ?? "") has one; leave "
          + "test-fraction out, or move that folder away")
    }
    // Noise is drawn over the whole set, so that a label is the same whichever examples are chosen.
    let noise =
      configuration.noise > 0
      ? try LabelNoise(kind: configuration.noiseKind, rate: configuration.noise, seed: configuration.seed) : nil
    let labels =
      if let assigned {
        try NoisyLabels(original: train.labels, assigned: Array(assigned.prefix(train.count)))
      } else if let noise {
        try noise.apply(to: train)
      } else {
        NoisyLabels(clean: train.labels)
      }
    let split = try configuration.split.map { try ExampleSplit(path: $0, count: train.count) }
    let decided = try corrections.map { try LabelCorrections.read($0, of: train, labels: labels.assigned) }
    if let decided, decided.foreign > 0 {
      train.notes.append(
        "\(decided.foreign) of the decisions in \(corrections ?? "") are about files that are not among the training examples "
          + "(held out to test on, or in another folder): they change nothing")
    }
    let test = try Self.test(configuration, train: train, split)
    let testProbeLabels = configuration.noisyTestProbes ? try noise?.forOtherExamples.apply(to: test).assigned : nil
    try self.init(
      train: train, test: test, labels: labels, testProbeLabels: testProbeLabels, split: split,
      corrections: decided?.corrections,
      validation: configuration.validation, seed: configuration.seed)
    guard configuration.batchSize <= trainIndices.count else {
      throw TrainingError(
        .configuration,
        "batch-size \(configuration.batchSize) is larger than the \(trainIndices.count) training examples")
    }
  }

  /// The examples to test on: their labels are the original ones.
  private static func test(
    _ configuration: TrainingConfiguration, train: Dataset, _ split: ExampleSplit?
  ) throws -> Dataset {
    if let split, !split.test.isEmpty { return try train.subset(indices: split.test) }
    return try DatasetLoader.load(
      name: configuration.dataset, split: .test, directory: configuration.dataDir, count: configuration.testSubset,
      options: configuration.datasetOptions)
  }
}

extension LabelCorrections {
  /// The decisions of a corrections.csv, such as an audit's.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - dataset: the examples that it is about.
  ///   - labels: their labels before, one for each.
  /// - Returns: the corrections, and how many decisions are about files that are not among the examples.
  /// - Throws: `RunStoreError` that names file, line and column of what is wrong, or says that no decision is about one of
  ///   the examples.
  public static func read(
    _ path: String, of dataset: Dataset, labels: [Int]
  ) throws -> (corrections: LabelCorrections, foreign: Int) {
    guard FileManager.default.fileExists(atPath: path) else {
      throw RunStoreError("There is no file \(path) with corrections.", remedy: "Check the path for a typing error.")
    }
    let files = dataset.file(at: 0).map { _ in labels.indices.map { dataset.file(at: $0) } }
    let examples = LabelledExamples(classes: dataset.classNames, labels: labels, files: files)
    let found = try Corrections.read(URL(fileURLWithPath: path), for: examples, isByFile: true)
    let decided = found.decided
    guard found.foreign == 0 || !decided.isEmpty else {
      let name = dataset.file(at: 0).map { "the first of which is \($0)" } ?? "which have no files"
      throw RunStoreError(
        "None of the \(found.foreign) decisions in \(path) is about a training example of \(dataset.name), \(name).",
        remedy: "Give the data folder that was audited, or change the paths in the column file to those below this one."
      )
    }
    let numbers = Dictionary(zip(dataset.classNames, 0...)) { first, _ in first }
    let corrections = LabelCorrections(
      relabelled: decided.filter { $0.value.decision == .relabel }.compactMapValues { numbers[$0.label] },
      dropped: Set(decided.filter { $0.value.decision == .drop }.keys))
    return (corrections, found.foreign)
  }
}
