// SPDX-License-Identifier: Apache-2.0

import Coherence
import Collectives
import Datasets
import Foundation
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors
import Training

/// A model as a run left it at a checkpoint, or of the zoo with a file of weights, with one split of a data set to look at
/// it with.
public final class TrainedModel {
  /// The run's configuration.
  public let configuration: TrainingConfiguration
  /// Which of the run's weights these are.
  public private(set) var selection: WeightSelection
  /// The step of the weights.
  public private(set) var step: Int
  /// The model.
  public let model: any Module
  /// Its parameters.
  public let store: ParameterStore
  /// The split.
  public let dataset: Dataset
  /// The labels that losses are taken against: those the run was trained on for its own training set, the data set's
  /// otherwise.
  public let labels: [Int]
  /// "train" or "test".
  public let split: Split
  /// The examples that samples are drawn from, by index: those that the run's split file names, or all.
  public let candidates: [Int]
  /// The groups of the run's split file, by index.
  let splitGroups: [Int: String]
  /// Whether the examples are those of the run.
  let isOwnData: Bool
  /// Who computes the products of linear layers, as in the run.
  public let linearPolicy: LinearPolicy
  /// Processes with the same model and data, which share the passes over samples: all of them measure the same. Without
  /// effect where batch norm takes batch statistics.
  public var group: ProcessGroup?

  /// Loads a run's checkpoint.
  ///
  /// - Parameters:
  ///   - path: the run directory.
  ///   - selection: which weights.
  ///   - step: the checkpoint's step, for `last` alone; the newest by default.
  ///   - split: which examples.
  ///   - datasetName: another data set than the run's own.
  ///   - dataDirectory: where its files are, when not where the run found them.
  ///   - threads: threads for the computation; as in the run by default.
  ///   - deviceName: where to compute; as in the run by default.
  ///   - localRank: this process's place among those of its host, which share its GPUs.
  ///   - change: what of the run's configuration is to be otherwise, such as the size of images.
  /// - Throws: `RunStoreError`, `TrainingError` or `DatasetError` that name what does not fit.
  public init(
    run path: String, _ selection: WeightSelection = .last, step: Int? = nil, split: Split = .train,
    datasetName: String? = nil, dataDirectory: String? = nil, threads: Int? = nil, device deviceName: String? = nil,
    localRank: Int = 0,
    adapting change: (TrainingConfiguration) -> TrainingConfiguration = { $0 }
  ) throws {
    let run = try RunDirectory.open(at: path)
    let manifest = try run.manifest()
    configuration = change(try TrainingConfiguration(of: run))
    var runtime = configuration
    if let threads { runtime.threads = threads }
    if let deviceName { runtime.device = deviceName }
    if let datasetName { runtime.dataset = datasetName }
    try runtime.validate()
    let device = try runtime.prepareRuntime(localRank: localRank)
    // Read before the data, which takes time: a training that goes on would have replaced the file by then.
    let (weights, tensors) = try SelectedWeights.read(of: run, selection, step: step)
    self.selection = selection
    self.step = weights.step
    self.split = split

    let name = datasetName ?? configuration.dataset
    isOwnData = datasetName == nil
    let settings = configuration
    var examples: Dataset
    (examples, candidates, splitGroups) = try Self.examples(
      of: split, datasetName == nil ? settings.split : nil, manifest
    ) { split in
      try DatasetLoader.load(
        name: name, split: split, directory: dataDirectory ?? settings.dataDir,
        count: datasetName == nil ? (split == .train ? settings.subset : settings.testSubset) : nil,
        options: settings.datasetOptions)
    }
    if split == .train, name == configuration.dataset {
      let records = try run.labels()
      // What was corrected where no noise is known has its new label as the original one.
      let isCorrected = manifest.dataset.files["corrections"] != nil
      let belongs = zip(records, examples.labels).allSatisfy { record, label in
        record.original == label || isCorrected && record.original == record.assigned
      }
      guard records.count == examples.count, belongs else {
        throw TrainingError(
          .checkpoint,
          "the labels.csv of \(path) does not belong to this training set; give the data that the run started with")
      }
      labels = records.map(\.assigned)
      if isCorrected { examples = try examples.replacingLabels(records.map(\.original)) }
    } else {
      labels = examples.labels
    }
    dataset = examples

    if datasetName == nil, let known = try run.classes() { try Self.check(known, against: dataset.classNames) }
    model = try Self.build(configuration, for: dataset)
    store = try ParameterStore(model, device: device)
    linearPolicy = TrainingRun.policy(in: manifest) ?? .native
    do {
      try Checkpoint.load(tensors, into: model, store: store, from: weights.file.name)
    } catch let problem as TrainingError where !isOwnData {
      throw TrainingError(
        .configuration,
        "a network trained on \(configuration.dataset) does not fit \(name), whose examples have shape "
          + "\(dataset.exampleShape) in \(dataset.classCount) classes: \(problem)")
    }
  }

  /// Numbers of classes mean nothing to a model of other classes.
  private static func check(_ known: [String], against names: [String]) throws {
    guard known != names else { return }
    let place = zip(known, names).enumerated().first { $1.0 != $1.1 }?.offset
    throw TrainingError(
      .configuration,
      "the run and the data differ in their classes: "
        + (place.map { "class \($0) is \"\(known[$0])\" in the run and \"\(names[$0])\" in the data" }
          ?? "\(known.count) in the run, \(names.count) in the data") + "; give data with the classes of the run")
  }

  /// A model from its parts.
  init(
    _ configuration: TrainingConfiguration, _ selection: WeightSelection, step: Int, model: any Module,
    store: ParameterStore, dataset: Dataset, labels: [Int], split: Split, candidates: [Int], linearPolicy: LinearPolicy
  ) {
    (self.configuration, self.selection, self.step) = (configuration, selection, step)
    (self.model, self.store, self.dataset, self.labels) = (model, store, dataset, labels)
    (self.split, self.candidates, self.linearPolicy) = (split, candidates, linearPolicy)
    (splitGroups, isOwnData) = ([:], false)
  }

  /// The examples of a split as the run had them, and which of them to draw from.
  private static func examples(
    of split: Split, _ file: String?, _ manifest: RunManifest, load: (Split) throws -> Dataset
  ) throws -> (Dataset, [Int], groups: [Int: String]) {
    guard let file else {
      let dataset = try load(split)
      return (dataset, Array(dataset.labels.indices), [:])
    }
    let train = try load(.train)
    let chosen = try ExampleSplit(path: file, count: train.count)
    try TrainingRun.checkSplit(chosen, against: manifest)
    if split == .train { return (train, chosen.train, chosen.groups) }
    guard !chosen.test.isEmpty else {
      let dataset = try load(.test)
      return (dataset, Array(dataset.labels.indices), [:])
    }
    let groups = chosen.test.enumerated().compactMap { place, index in chosen.groups[index].map { (place, $0) } }
    return (
      try train.subset(indices: chosen.test), Array(chosen.test.indices), Dictionary(uniqueKeysWithValues: groups)
    )
  }

  /// Measures the coherence of a sample of the split.
  ///
  /// - Parameters:
  ///   - count: m; every example by default.
  ///   - policy: what batch normalisation does.
  ///   - groupCount: groups for the confidence intervals; 0 for none.
  ///   - chunkSize: examples in a pass; by default 150, or fewer when the model takes much memory.
  /// - Throws: `TrainingError` when there are not so many examples; `GradientMatrixError` when a layer has no rule;
  ///   `CoherenceError` when a gradient is not finite.
  public func coherence(
    examples count: Int? = nil, policy: BatchNormPolicy = .running, groupCount: Int = 10, chunkSize: Int? = nil
  ) throws -> CoherenceResult {
    try sample(count, chunkSize: chunkSize).coherence(plan(policy), groupCount: groupCount)
  }

  /// The same with how the gradient of every example stands to the mean: twice the work.
  ///
  /// - Throws: as `coherence`.
  public func exampleGradients(
    examples count: Int? = nil, policy: BatchNormPolicy = .running, groupCount: Int = 10, chunkSize: Int? = nil
  ) throws -> (examples: ExampleGradients, coherence: CoherenceResult) {
    try sample(count, chunkSize: chunkSize).exampleGradients(plan(policy), groupCount: groupCount)
  }

  /// The measures related to coherence on a sample of the split.
  ///
  /// - Parameters:
  ///   - count: m; by default 400, or all when there are fewer.
  ///   - policy: what batch normalisation does.
  /// - Throws: as `coherence`, and `TrainingError` for more than 2000 examples.
  public func relatedMeasures(examples count: Int? = nil, policy: BatchNormPolicy = .running) throws -> RelatedMeasures
  { try sample(count ?? min(RelatedMeasures.defaultSample, candidates.count)).relatedMeasures(plan(policy)) }

  /// Has the model go on with other weights of its run.
  ///
  /// - Parameter weights: which.
  /// - Throws: `TrainingError` of kind checkpoint when they are damaged or of another model; some may be taken over then.
  public func take(_ weights: SelectedWeights) throws {
    try Checkpoint.load(
      Checkpoint.read(weights.file, in: weights.url.deletingLastPathComponent()), into: model, store: store,
      from: weights.file.name)
    (selection, step) = (weights.selection, weights.step)
  }

  /// As many examples as a run's probes take at once.
  private func usualChunkSize() throws -> Int {
    guard store.values.device == .cpu else { return ProbeSample.usualChunkSize }
    return try ActivationMemory(
      of: model, store: store, exampleShape: dataset.exampleShape, linearPolicy: linearPolicy
    ).trainingChunk(maximum: ProbeSample.usualChunkSize)
  }

  /// The run's loss, whose gradients are measured.
  func loss() throws -> ClassificationLoss { try ClassificationLoss(configuration.loss) }

  func plan(_ policy: BatchNormPolicy) throws -> GradientPlan {
    try GradientPlan(model, store: store, batchNormPolicy: policy, linearPolicy: linearPolicy)
  }

  func sample(_ count: Int?, chunkSize: Int? = nil) throws -> ProbeSample {
    var probe = try ProbeSample(
      of: dataset, labels: labels, candidates: candidates, split: split.rawValue,
      count: count ?? candidates.count, seed: configuration.seed)
    (probe.chunkSize, probe.loss) = (max(1, try chunkSize ?? usualChunkSize()), try loss())
    probe.group = group
    return probe
  }
}
