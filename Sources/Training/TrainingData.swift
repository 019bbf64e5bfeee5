// SPDX-License-Identifier: Apache-2.0

import Datasets
import Tensors

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
  public private(set) var train: Dataset
  /// The test examples: the data set's own, or those of `train` that the split file names.
  public private(set) var test: Dataset
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
  /// What was decided about single labels; `labels` already follow it. Nil without decisions.
  public let corrections: LabelCorrections?
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
  public var checksums: [String: String] {
    var sums = train.sourceChecksums.merging(test.sourceChecksums) { first, _ in first }
    if let split { sums[Self.splitKey] = split.checksum }
    if let corrections { sums["corrections"] = corrections.checksum }
    return sums
  }

  /// The split file among the checksums, whatever its name is.
  public static let splitKey = "split"

  /// The data of a run from its parts.
  ///
  /// - Parameters:
  ///   - train: the examples to train on and to hold out.
  ///   - test: the examples to test on.
  ///   - labels: original and assigned labels of `train`; clean by default.
  ///   - testProbeLabels: the labels that probes see on test examples; those of `test` by default.
  ///   - split: which examples are trained on, and their groups; all, without groups, by default.
  ///   - corrections: labels to change and examples to leave out.
  ///   - validation: how many of those that are left are held out, drawn by the seed.
  ///   - seed: draws the examples held out.
  /// - Throws: `DatasetError` when the parts do not fit each other.
  public init(
    train: Dataset, test: Dataset, labels: NoisyLabels? = nil, testProbeLabels: [Int]? = nil,
    split: ExampleSplit? = nil, corrections: LabelCorrections? = nil, validation: Int = 0, seed: UInt64 = 1
  ) throws {
    guard test.exampleShape == train.exampleShape, test.classCount == train.classCount else {
      throw DatasetError(
        "\(test.name) (\(test.split.rawValue)) has examples of shape \(test.exampleShape) in \(test.classCount) classes, "
          + "but those to train on have shape \(train.exampleShape) in \(train.classCount) classes.")
    }
    let labels = labels ?? NoisyLabels(clean: train.labels)
    guard labels.assigned.count == train.count, testProbeLabels?.count ?? test.count == test.count else {
      throw DatasetError(
        "There are \(labels.assigned.count) training labels for \(train.count) examples, and "
          + "\(testProbeLabels?.count ?? test.count) test labels for \(test.count).")
    }
    (self.train, self.test, self.split, self.corrections) = (train, test, split, corrections)
    self.labels = try corrections.map { try labels.corrected(by: $0, classCount: train.classCount) } ?? labels
    // Where no noise is known, a corrected label is the data set's own from here on.
    if corrections != nil, self.labels.original != train.labels {
      self.train = try train.replacingLabels(self.labels.original)
    }
    self.testProbeLabels = testProbeLabels ?? test.labels
    let dropped = corrections?.dropped ?? []
    let rows = (split?.train ?? Array(train.labels.indices)).filter { !dropped.contains($0) }
    guard !rows.isEmpty else {
      throw DatasetError(
        "All \(dropped.count) training examples are dropped.", remedy: "Keep some of them in the corrections.")
    }
    let held = try HoldOut(count: rows.count, validationCount: validation, seed: seed)
    validationIndices = held.validation.map { rows[$0] }
    trainIndices = held.training.map { rows[$0] }
    trainGroups = Self.groups(of: trainIndices, split)
    validationGroups = Self.groups(of: validationIndices, split)
    testGroups = Self.groups(of: split?.test ?? [], split)
  }

  /// The same data, whose images in memory are on a device too where there is room.
  ///
  /// - Throws: `TensorError` when the device fails.
  func placed(on device: Device) throws -> TrainingData {
    var placed = self
    (placed.train, placed.test) = try (train.placed(on: device), test.placed(on: device))
    return placed
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
