// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Collectives
import Datasets
import Foundation
import GradientMatrix
import NeuralNetworks
import Tensors
import Training

/// A training as a configuration describes it: the words turned into objects.
public struct ConfiguredTraining {
  /// The configuration with what it left open filled in: steps, threads, image size, absolute paths.
  public let configuration: TrainingConfiguration
  /// The loop.
  public let trainer: Trainer
  /// What the run will need of memory; nil on a device of its own memory.
  public let memoryEstimate: MemoryEstimate?

  /// Loads the data and builds the model.
  ///
  /// - Parameters:
  ///   - configuration: what is to be trained and how.
  ///   - linearPolicy: who computes the products of linear layers; by default as configured.
  ///   - loadsWeights: whether the configuration's weights file is read; a checkpoint takes its place.
  ///   - memoryLimit: the bytes that this process can have; nil to start whatever the estimate.
  ///   - parameterLimit: the same for the parameters alone, where what the passes take is only to be estimated.
  ///   - group: the processes that train together; nil for this one alone.
  /// - Throws: `TrainingError`, `DatasetError`, `ModelError` or `TensorError`.
  public init(
    _ configuration: TrainingConfiguration, linearPolicy: LinearPolicy? = nil, loadsWeights: Bool = true,
    memoryLimit: Int? = nil, parameterLimit: Int? = nil, group: ProcessGroup? = nil
  ) throws {
    try configuration.validate()
    let device = try configuration.prepareRuntime(localRank: group?.localRank ?? 0)
    let data = try TrainingData(configuration)
    let specification = try ModelSpecification(configuration.model)
    let optimization = try OptimizerSpecification(configuration.optimizer)
    let resolved = try configuration.resolved(for: data)
    self.configuration = resolved

    let base = MemoryLimit.residentBytes() ?? 0
    let optimizer = try optimization.makeOptimizer(
      momentum: configuration.momentum, nesterov: configuration.nesterov, weightDecay: configuration.weightDecay)
    try Self.checkParameters(
      of: specification, for: data.train, kept: optimizer.bufferCount, base: base, limit: memoryLimit ?? parameterLimit,
      batchSize: configuration.batchSize)
    let model = try configuration.makeModel(
      specification, for: data.train, weights: loadsWeights ? resolved.weights : nil)
    let store = try ParameterStore(model, device: device)
    try store.freeze(configuration.freeze)
    trainer = try Trainer(
      model: model, store: store, data: data, aggregator: optimization.aggregator.make(), optimizer: optimizer,
      learningRate: configuration.learningRate(), probes: configuration.makeProbes(),
      settings: configuration.settings(steps: resolved.steps ?? 1),
      linearPolicy: linearPolicy ?? configuration.linearPolicy, group: group)
    memoryEstimate = trainer.memoryEstimate(base: base)
    try memoryEstimate?.check(against: memoryLimit, batchSize: min(configuration.batchSize, data.trainIndices.count))
  }

  /// Refuses a model whose parameters alone would not fit, before they are made, where its widths are the user's.
  private static func checkParameters(
    of specification: ModelSpecification, for examples: Dataset, kept: Int, base: Int, limit: Int?, batchSize: Int
  ) throws {
    guard
      let count = specification.parameterCount(
        inputs: examples.exampleSize, classes: examples.classCount, vocabulary: examples.vocabulary)
    else { return }
    let bytes = count * 4
    try MemoryEstimate(base: base, parameters: bytes, gradient: bytes, optimizer: bytes * kept).check(
      against: limit, batchSize: batchSize)
  }
}

extension Trainer {
  /// A trainer as a configuration describes it; `ConfiguredTraining` says what else becomes of the words.
  ///
  /// - Throws: `TrainingError`, `DatasetError`, `ModelError` or `TensorError`.
  public static func make(_ configuration: TrainingConfiguration) throws -> Trainer {
    try ConfiguredTraining(configuration).trainer
  }
}

extension TrainingConfiguration {
  /// With what it leaves open filled in.
  fileprivate func resolved(for data: TrainingData) throws -> TrainingConfiguration {
    var resolved = self
    resolved.steps = totalSteps(for: data.trainIndices.count)
    resolved.epochs = nil
    resolved.threads = Runtime.threadCount
    resolved.imageSize = resolvedImageSize
    // 0 is what a person has chosen; the data set itself then has nothing to say.
    resolved.testFraction = data.train.testFraction ?? (testFraction == 0 ? 0 : nil)
    // A run started in another folder has to find its files when it is resumed from here.
    func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
    resolved.dataDir = dataDir.map(absolute)
    resolved.labels = labels.map(absolute)
    resolved.corrections = corrections.map(absolute)
    resolved.split = split.map(absolute)
    resolved.weights = try weightsFile().map(absolute)
    resolved.select = nil
    resolved.initializer = try initializer ?? ModelSpecification(model).usualInitializer
    try resolved.validate()
    return resolved
  }

  /// The model, with the weights of a file if there is one.
  fileprivate func makeModel(
    _ specification: ModelSpecification, for examples: Dataset, weights file: String?
  ) throws -> any Module {
    var streams = SeededGenerator(seed: seed, stream: .initialisation)
    let generator = try Generator(seed: streams.next())
    try specification.check(exampleShape: examples.exampleShape, of: dataset, vocabulary: examples.vocabulary)
    let model = try specification.build(
      exampleShape: examples.exampleShape, classes: examples.classCount, vocabulary: examples.vocabulary,
      predictsAll: examples.predictsAll, norm: NormalizationChoice(norm), initializer: initializer, generator: generator
    )
    if let file { try PretrainedWeights(file: file).load(into: model, specification, head: weightsHead) }
    return model
  }

  func learningRate() throws -> LearningRate { LearningRate(lr, try Schedule(schedule), warmup: warmup) }

  fileprivate func settings(steps: Int) throws -> TrainingSettings {
    TrainingSettings(
      steps: steps, batchSize: batchSize, dropsLast: dropLast, augmentation: try Augmentation(augment), seed: seed,
      evaluationDistance: evalEvery, evaluationPolicy: evalSchedule, stopAccuracy: stopAccuracy,
      stop: try stop.map { try StoppingRule($0) }, clipNorm: clipNorm, batchNormGroups: bnGroups,
      averagingDecay: ema, loss: try ClassificationLoss(loss))
  }

  /// Who computes products, and with which numbers; nil for what suits the processor.
  var linearPolicy: LinearPolicy? {
    switch linear {
    case "native": .native
    case "onednn": LinearPolicy(rule: .onednn)
    default: precision == .float32 ? nil : LinearPolicy(rule: .native, precision: precision)
    }
  }
}
