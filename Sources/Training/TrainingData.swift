// SPDX-License-Identifier: Apache-2.0

import Datasets

/// The examples of a run: which are trained on, with which labels, and which are held out.
public struct TrainingData: Sendable {
  /// The training split, cut to the subset.
  public let train: Dataset
  /// The test split.
  public let test: Dataset
  /// Original and assigned labels of `train`.
  public let labels: NoisyLabels
  /// Indices into `train` that are trained on, ascending.
  public let trainIndices: [Int]
  /// Indices into `train` that are held out, ascending; their labels carry the same noise.
  public let validationIndices: [Int]

  /// What a person should know about how the data was read.
  public var notes: [String] { train.notes + test.notes }

  /// Files of both splits that were left out.
  public var skipped: [SkippedImage] { train.skipped + test.skipped }

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
    test = try DatasetLoader.load(
      name: configuration.dataset, split: .test, directory: configuration.dataDir,
      options: configuration.datasetOptions)
    var assigned: [Int]?
    if let path = configuration.labels {
      assigned = try ExternalLabels.load(from: path, expectedCount: whole.count, classCount: whole.classCount)
    }
    train = try configuration.subset.map { try whole.subset(first: $0) } ?? whole
    if let assigned {
      labels = try NoisyLabels(original: train.labels, assigned: Array(assigned.prefix(train.count)))
    } else if configuration.noise > 0 {
      labels = try LabelNoise(kind: configuration.noiseKind, rate: configuration.noise, seed: configuration.seed)
        .apply(to: train.labels, classCount: train.classCount)
    } else {
      labels = NoisyLabels(clean: train.labels)
    }
    let split = try HoldOut(
      count: train.count, validationCount: configuration.validation, seed: configuration.seed)
    validationIndices = split.validation
    trainIndices = split.training
    guard configuration.batchSize <= trainIndices.count else {
      throw TrainingError(
        .configuration,
        "batch-size \(configuration.batchSize) is larger than the \(trainIndices.count) training examples")
    }
  }
}
