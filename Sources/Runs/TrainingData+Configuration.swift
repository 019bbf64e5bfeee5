// SPDX-License-Identifier: Apache-2.0

import Datasets
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
    var assigned: [Int]?
    if let path = configuration.labels {
      assigned = try ExternalLabels.load(from: path, expectedCount: whole.count, classCount: whole.classCount)
    }
    let train = try configuration.subset.map { try whole.subset(first: $0) } ?? whole
    if let share = configuration.testFraction, train.testFraction == nil {
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
    let test = try Self.test(configuration, train: train, split)
    let testProbeLabels = configuration.noisyTestProbes ? try noise?.forOtherExamples.apply(to: test).assigned : nil
    try self.init(
      train: train, test: test, labels: labels, testProbeLabels: testProbeLabels, split: split,
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
