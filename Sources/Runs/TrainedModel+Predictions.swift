// SPDX-License-Identifier: Apache-2.0

import Datasets
import NeuralNetworks
import RunStore
import Tensors
import Training

extension TrainedModel {
  /// A model of the zoo with the weights of a file, and a split of a data set to look at it with.
  ///
  /// - Parameters:
  ///   - configuration: the model, its weights, the data and how they are read.
  ///   - split: which examples.
  /// - Throws: `TrainingError`, `ModelError` or `DatasetError` that name what does not fit.
  public convenience init(_ configuration: TrainingConfiguration, split: Split) throws {
    try configuration.validate()
    let device = try configuration.prepareRuntime()
    let dataset = try DatasetLoader.load(
      name: configuration.dataset, split: split, directory: configuration.dataDir,
      options: configuration.datasetOptions)
    try self.init(configuration, dataset: dataset, split: split, device: device)
  }

  private convenience init(
    _ configuration: TrainingConfiguration, dataset: Dataset, split: Split, device: Device
  ) throws {
    let specification = try ModelSpecification(configuration.model)
    try specification.check(
      exampleShape: dataset.exampleShape, of: dataset.name, vocabulary: dataset.vocabulary)
    let weights = try configuration.weights.map { try PretrainedWeights(file: $0) }
    if let count = weights?.classCount(of: specification), count != dataset.classCount {
      throw TrainingError(
        .configuration,
        "the weights have \(count) classes, but the data has \(dataset.classCount); give data with the model's classes")
    }
    let model = try Self.build(configuration, for: dataset)
    try weights?.load(into: model, specification)
    self.init(
      configuration, .last, step: 0, model: model, store: try ParameterStore(model, device: device), dataset: dataset,
      labels: dataset.labels, split: split, candidates: Array(dataset.labels.indices),
      linearPolicy: configuration.linearPolicy ?? .native)
  }

  /// The weights of a run, to look at pictures that have no labels.
  ///
  /// - Parameters:
  ///   - places: pictures, folders of them, and lists; see `Pictures`.
  ///   - path: the run directory.
  ///   - selection: which weights.
  ///   - step: the checkpoint's step, for `last` alone; the newest by default.
  ///   - change: what of the run's configuration is to be otherwise, such as the size of images.
  /// - Returns: the model with the pictures as its data set, and the path of each as it was named.
  /// - Throws: as `init(run:)`; `TrainingError` when the run's examples were no colour pictures.
  public static func forPictures(
    _ places: [String], run path: String, _ selection: WeightSelection = .last, step: Int? = nil,
    adapting change: (TrainingConfiguration) -> TrainingConfiguration = { $0 }
  ) throws -> (model: TrainedModel, names: [String]) {
    let run = try RunDirectory.open(at: path)
    let (configuration, dataset, names) = try pictures(places, of: run, adapting: change)
    let device = try configuration.prepareRuntime()
    let (weights, tensors) = try SelectedWeights.read(of: run, selection, step: step)
    let model = try build(configuration, for: dataset)
    let store = try ParameterStore(model, device: device)
    try Checkpoint.load(tensors, into: model, store: store, from: weights.file.name)
    return (
      TrainedModel(
        configuration, selection, step: weights.step, model: model, store: store, dataset: dataset,
        labels: dataset.labels, split: .test, candidates: Array(dataset.labels.indices),
        linearPolicy: TrainingRun.policy(in: try run.manifest()) ?? .native), names
    )
  }

  /// Pictures as examples that a run's model takes, with the names of its classes.
  ///
  /// - Parameters:
  ///   - places: pictures, folders of them, and lists; see `Pictures`.
  ///   - run: the run directory.
  ///   - change: what of the run's configuration is to be otherwise, such as the size of images.
  /// - Returns: how they were read, the pictures, whose labels mean nothing, and the path of each as it was named.
  /// - Throws: `TrainingError` when the run's examples were no colour pictures; `DatasetError` when a picture cannot be
  ///   used.
  public static func pictures(
    _ places: [String], of run: RunDirectory,
    adapting change: (TrainingConfiguration) -> TrainingConfiguration = { $0 }
  ) throws -> (configuration: TrainingConfiguration, dataset: Dataset, names: [String]) {
    var configuration = change(try TrainingConfiguration(of: run))
    let manifest = try run.manifest()
    let entry = try DatasetCatalog.entry(named: configuration.dataset)
    guard entry.format == .folder || entry.exampleShape.count == 3 && entry.exampleShape[0] == 3 else {
      throw TrainingError(
        .configuration,
        "\(run.url.path) was trained on \(configuration.dataset), whose examples are no colour pictures; name a run on a folder of "
          + "pictures or on cifar10")
    }
    if entry.format != .folder {
      // Its own pictures were neither enlarged nor cropped.
      configuration.imageSize = configuration.imageSize ?? entry.exampleShape[1]
      configuration.resize = configuration.resize ?? configuration.imageSize
      configuration.dataset = "folder"
    }
    try configuration.validate()
    let classNames = try run.classes() ?? (0..<(manifest.dataset.classes ?? entry.classNames.count)).map(String.init)
    var (dataset, names) = try Pictures.load(
      places, classNames: classNames, options: configuration.datasetOptions)
    if configuration.normalize == .auto { dataset.normalization = entry.normalization }
    return (configuration, dataset, names)
  }

  /// A model of the zoo with the weights of a file, to look at pictures that have no labels.
  ///
  /// - Parameters:
  ///   - places: pictures, folders of them, and lists; see `Pictures`.
  ///   - configuration: the model, its weights, and how pictures are read.
  ///   - classNames: the names of its classes; their numbers by default.
  /// - Throws: as the initializer; `TrainingError` when there are not as many names as classes.
  public static func forPictures(
    _ places: [String], _ configuration: TrainingConfiguration, classNames: [String]?
  ) throws -> (model: TrainedModel, names: [String]) {
    try configuration.validate()
    let device = try configuration.prepareRuntime()
    let specification = try ModelSpecification(configuration.model)
    let count = try configuration.weights.flatMap { try PretrainedWeights(file: $0).classCount(of: specification) }
    let words = classNames ?? (0..<(count ?? 1000)).map(String.init)
    guard count == nil || words.count == count else {
      throw TrainingError(
        .configuration,
        "the weights have \(count ?? 0) classes, but \(words.count) names were given; give a name for each")
    }
    var (dataset, names) = try Pictures.load(places, classNames: words, options: configuration.datasetOptions)
    if configuration.normalize == .auto {
      dataset.normalization = try DatasetCatalog.entry(named: configuration.dataset).normalization
    }
    return (try TrainedModel(configuration, dataset: dataset, split: .test, device: device), names)
  }

  static func build(_ configuration: TrainingConfiguration, for dataset: Dataset) throws -> any Module {
    try ModelSpecification(configuration.model).build(
      exampleShape: dataset.exampleShape, classes: dataset.classCount, vocabulary: dataset.vocabulary,
      predictsAll: dataset.predictsAll, norm: NormalizationChoice(configuration.norm),
      initializer: configuration.initializer,
      generator: Generator(seed: 0))
  }

  /// The logits of the model for its examples, in data set order.
  ///
  /// - Throws: `TensorError` when the model does not fit the data; `DatasetError` when a file cannot be read;
  ///   `TrainingError` when a logit is not finite.
  public func predictions() throws -> Predictions {
    var evaluator = Evaluator(linearPolicy: linearPolicy, device: store.values.device)
    if store.values.device == .cpu {
      evaluator.chunkSize = try ActivationMemory(
        of: model, store: store, exampleShape: dataset.exampleShape, linearPolicy: linearPolicy
      ).evaluationChunk(maximum: evaluator.chunkSize)
    }
    let predictions = try evaluator.predictions(model, on: dataset, indices: candidates)
    try predictions.checkFinite()
    return predictions
  }

  /// How predictions fit the labels: of noisy labels on pristine and on corrupt examples too, of training examples on
  /// those held out for validation, and on the groups of the run's split file.
  ///
  /// - Throws: `TrainingError` when predictions and labels do not belong together.
  public func report(_ predictions: Predictions) throws -> ClassificationReport {
    let own = candidates.map { labels[$0] }
    var groups: [(name: String, places: [Int])] = []
    func add(_ name: String, _ isMember: (Int) -> Bool) {
      let places = candidates.indices.filter(isMember)
      if !places.isEmpty, places.count < candidates.count { groups.append((name, places)) }
    }
    add("pristine") { own[$0] == dataset.labels[candidates[$0]] }
    add("corrupt") { own[$0] != dataset.labels[candidates[$0]] }
    if split == .train, isOwnData, configuration.validation > 0 {
      let held = try HoldOut(
        count: candidates.count, validationCount: configuration.validation, seed: configuration.seed)
      let isHeld = Set(held.validation)
      add("trained on") { !isHeld.contains($0) }
      add("validation") { isHeld.contains($0) }
    }
    for name in Set(splitGroups.values).sorted() { add(name) { splitGroups[candidates[$0]] == name } }
    return try ClassificationReport(predictions, labels: own, classNames: dataset.classNames, groups: groups)
  }
}
