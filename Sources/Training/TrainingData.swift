// SPDX-License-Identifier: Apache-2.0

import Datasets

/// The examples of a run: which are trained on, with which labels, and which are held out.
public struct TrainingData: Sendable {
  /// Some examples of a list under a common name.
  public struct Group: Sendable, Equatable {
    /// The name, from the split file.
    public let name: String
    /// The places of its examples in the list, ascending.
    public let positions: [Int]
  }

  /// The training split, cut to the subset.
  public let train: Dataset
  /// The test examples: the data set's own, or those of `train` that the split file names.
  public let test: Dataset
  /// The labels that probes see on test examples: the original ones, unless they are to be as noisy as the training
  /// labels.
  public let testProbeLabels: [Int]
  /// Original and assigned labels of `train`.
  public let labels: NoisyLabels
  /// Indices into `train` that are trained on, ascending.
  public let trainIndices: [Int]
  /// Indices into `train` that are held out, ascending; their labels carry the same noise.
  public let validationIndices: [Int]
  /// The split file; nil without one.
  public let split: ExampleSplit?
  /// The groups of `trainIndices`, by name; none without a split file.
  public let trainGroups: [Group]
  /// The groups of `validationIndices`, by name.
  public let validationGroups: [Group]
  /// The groups of `test`, by name.
  public let testGroups: [Group]

  /// Whether the test examples are some of `train`.
  private var testsOnTrain: Bool { split.map { !$0.test.isEmpty } ?? false }

  /// What a person should know about how the data was read.
  public var notes: [String] { train.notes + (testsOnTrain ? [] : test.notes) }

  /// Files of both splits that were left out.
  public var skipped: [SkippedImage] { train.skipped + (testsOnTrain ? [] : test.skipped) }

  /// SHA-256 of what was read, by file name; the split file's under "split".
  var checksums: [String: String] {
    var sums = train.sourceChecksums.merging(test.sourceChecksums) { first, _ in first }
    if let split { sums[Self.splitKey] = split.checksum }
    return sums
  }

  /// The split file among the checksums, whatever its name is.
  static let splitKey = "split"

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
    var assigned: [Int]?
    if let path = configuration.labels {
      assigned = try ExternalLabels.load(from: path, expectedCount: whole.count, classCount: whole.classCount)
    }
    train = try configuration.subset.map { try whole.subset(first: $0) } ?? whole
    if let share = configuration.testFraction, train.testFraction == nil {
      throw TrainingError(
        .configuration,
        "test-fraction \(share) is for folders without val and test, but \(configuration.dataDir ?? "") has one; leave "
          + "test-fraction out, or move that folder away")
    }
    // Noise is drawn over the whole set, so that a label is the same whichever examples are chosen.
    if let assigned {
      labels = try NoisyLabels(original: train.labels, assigned: Array(assigned.prefix(train.count)))
    } else if configuration.noise > 0 {
      labels = try LabelNoise(kind: configuration.noiseKind, rate: configuration.noise, seed: configuration.seed)
        .apply(to: train.labels, classCount: train.classCount)
    } else {
      labels = NoisyLabels(clean: train.labels)
    }
    let count = train.count
    let chosen = try configuration.split.map { try ExampleSplit(path: $0, count: count) }
    split = chosen
    test = try Self.test(configuration, train: train, chosen)
    let rows = chosen?.train ?? Array(train.labels.indices)
    let held = try HoldOut(count: rows.count, validationCount: configuration.validation, seed: configuration.seed)
    validationIndices = held.validation.map { rows[$0] }
    trainIndices = held.training.map { rows[$0] }
    testProbeLabels =
      configuration.noisyTestProbes && configuration.noise > 0
      // Another seed than the training labels': the same examples in the same order would be chosen.
      ? try LabelNoise(kind: configuration.noiseKind, rate: configuration.noise, seed: ~configuration.seed)
        .apply(to: test.labels, classCount: test.classCount).assigned : test.labels
    trainGroups = Self.groups(of: trainIndices, chosen)
    validationGroups = Self.groups(of: validationIndices, chosen)
    testGroups = Self.groups(of: chosen?.test ?? [], chosen)
    guard configuration.batchSize <= trainIndices.count else {
      throw TrainingError(
        .configuration,
        "batch-size \(configuration.batchSize) is larger than the \(trainIndices.count) training examples")
    }
  }

  /// The examples to test on: their labels are the original ones.
  static func test(
    _ configuration: TrainingConfiguration, train: Dataset, _ split: ExampleSplit?
  ) throws -> Dataset {
    if let split, !split.test.isEmpty { return try train.subset(indices: split.test) }
    return try DatasetLoader.load(
      name: configuration.dataset, split: .test, directory: configuration.dataDir, count: configuration.testSubset,
      options: configuration.datasetOptions)
  }

  /// The groups of a list of examples, by name.
  private static func groups(of indices: [Int], _ split: ExampleSplit?) -> [Group] {
    guard let split else { return [] }
    var positions: [String: [Int]] = [:]
    for (position, index) in indices.enumerated() {
      if let name = split.groups[index] { positions[name, default: []].append(position) }
    }
    return positions.sorted { $0.key < $1.key }.map { Group(name: $0.key, positions: $0.value) }
  }
}
