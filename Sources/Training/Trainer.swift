// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Coherence
import Datasets
import GradientMatrix
import Foundation
import NeuralNetworks
import RunStore
import Tensors

/// One update as it happened.
public struct StepRecord: Sendable, Equatable {
  /// Updates made, this one included.
  public let step: Int
  /// Mean loss of the mini-batch before the update.
  public let loss: Double
  /// The learning rate of the update.
  public let learningRate: Double
}

/// What happens during training. Everything beside the updates (progress, logs, checkpoints) hangs on these.
public enum TrainingEvent {
  /// An update was made.
  case stepped(StepRecord)
  /// The groups were evaluated.
  case evaluated([MetricRecord])
  /// Probes looked, where they were due.
  case measured(ProbeResults)
  /// Everything that belongs to the present step is done: a checkpoint taken now continues with the next one.
  case completedStep(Int)
}

/// How a training ended.
public enum TrainingOutcome: Sendable, Equatable {
  /// At its last step.
  case completed
  /// Before it, because the caller asked.
  case interrupted
}

/// The training loop: mini-batches, losses, gradients, updates, evaluations. It knows nothing of files.
public final class Trainer {
  /// What is trained and how.
  public let configuration: TrainingConfiguration
  /// The examples.
  public let data: TrainingData
  /// The model.
  public let model: any Module
  /// Its parameters and their gradient.
  public let store: ParameterStore
  /// How the gradients of a step become one.
  public let aggregator: any Aggregator
  /// The optimizer.
  public let optimizer: any Optimizer
  /// Who computes the products of linear layers.
  public let linearPolicy: LinearPolicy
  /// Updates in the whole run.
  public let steps: Int
  /// Updates made.
  public internal(set) var step = 0
  /// The order of the examples.
  public internal(set) var sampler: BatchSampler
  /// When each training example was learned, by index into `data.train`.
  public internal(set) var learning: LearningRecord
  /// Accuracies at the last, the best and the selected evaluation.
  public internal(set) var milestones = Milestones()
  /// The source of dropout masks.
  let generator: Generator
  /// What the last evaluation found of training examples.
  public internal(set) var lastTrainEvaluation: TrainEvaluation?
  /// Whether the evaluation before the first update is made, here or before the checkpoint was taken.
  var hasBegun = false

  /// What is measured along the way.
  private(set) var probes: Probes?

  /// What the run will need of memory; nil on a device of its own memory.
  public let memoryEstimate: MemoryEstimate?

  private let loader: BatchLoader
  let schedule: Schedule
  /// At which steps the run evaluates, and on how many examples.
  public let evaluations: EvaluationSchedule
  /// Which examples they are.
  private(set) lazy var samples = EvaluationSamples(data, evaluations, seed: configuration.seed)
  /// What evaluates, in chunks whose activations take little memory.
  public private(set) var evaluator: Evaluator
  private let context: ForwardContext
  /// For aggregators that look at more than the batch mean.
  private let robustPlan: GradientPlan?
  private let device: Device

  /// Loads the data and builds the model.
  ///
  /// - Parameters:
  ///   - linearPolicy: who computes the products of linear layers; by default what suits the processor.
  ///   - loadsWeights: whether the configuration's weights file is read; a checkpoint takes its place.
  ///   - memoryLimit: the bytes that this process can have; nil to start whatever the estimate.
  ///   - parameterLimit: the same for the parameters alone, where what the passes take is only to be estimated.
  /// - Throws: `TrainingError`, `DatasetError`, `ModelError` or `TensorError`.
  public init(
    _ configuration: TrainingConfiguration, linearPolicy: LinearPolicy? = nil, loadsWeights: Bool = true,
    memoryLimit: Int? = nil, parameterLimit: Int? = nil
  ) throws {
    try configuration.validate()
    device = try configuration.prepareRuntime()
    var resolved = configuration
    data = try TrainingData(configuration)
    sampler = try BatchSampler(
      count: data.trainIndices.count, batchSize: configuration.batchSize, seed: configuration.seed,
      dropLast: configuration.dropLast)
    loader = BatchLoader(
      data.train, indices: data.trainIndices, augmentation: try Augmentation(configuration.augment),
      seed: configuration.seed)
    steps = configuration.totalSteps(for: data.trainIndices.count)
    resolved.steps = steps
    resolved.epochs = nil
    resolved.threads = Runtime.threadCount
    resolved.imageSize = configuration.resolvedImageSize
    resolved.testFraction = data.train.testFraction
    // A run started in another folder has to find its files when it is resumed from here.
    resolved.dataDir = configuration.dataDir.map(Self.absolutePath)
    resolved.labels = configuration.labels.map(Self.absolutePath)
    resolved.split = configuration.split.map(Self.absolutePath)
    resolved.weights = try configuration.weightsFile().map(Self.absolutePath)
    resolved.select = nil
    let specification = try ModelSpecification(configuration.model)
    resolved.initializer = configuration.initializer ?? specification.usualInitializer
    try resolved.validate()
    self.configuration = resolved

    var streams = SeededGenerator(seed: configuration.seed, stream: .initialisation)
    let initial = try Generator(seed: streams.next())
    try specification.check(exampleShape: data.train.exampleShape, of: configuration.dataset)
    let before = MemoryLimit.residentBytes() ?? 0
    try Self.checkParameters(
      specification, data.train, base: before, limit: memoryLimit ?? parameterLimit, configuration)
    model = try specification.build(
      exampleShape: data.train.exampleShape, classes: data.train.classCount,
      norm: NormalizationChoice(configuration.norm), initializer: configuration.initializer, generator: initial)
    if let file = resolved.weights, loadsWeights {
      try PretrainedWeights(file: file).load(into: model, specification, head: configuration.weightsHead)
    }
    store = try ParameterStore(model, device: device)
    try store.freeze(configuration.freeze)
    let optimization = try OptimizerSpecification(configuration.optimizer)
    aggregator = try optimization.aggregator.make()
    try Self.checkBatches(of: sampler, for: aggregator, word: configuration.optimizer)
    optimizer = try optimization.makeOptimizer(
      store, momentum: configuration.momentum, nesterov: configuration.nesterov, weightDecay: configuration.weightDecay)
    learning = LearningRecord(count: data.train.count)
    schedule = try Schedule(configuration.schedule)

    let policy = linearPolicy ?? Self.policy(named: configuration.linear)
    self.linearPolicy = policy
    var dropout = SeededGenerator(seed: configuration.seed, stream: .dropout)
    generator = try Generator(seed: dropout.next(), device: device)
    context = ForwardContext(isTraining: true, usesSinks: true, linearPolicy: policy, generator: generator)
    evaluator = Evaluator(linearPolicy: policy, device: device)
    robustPlan =
      aggregator.need == .batchMean ? nil : try GradientPlan(model, store: store, linearPolicy: policy)
    let activations =
      device == .cpu
      ? try Self.activations(of: model, store, data.train, aggregator: aggregator, plan: robustPlan, policy) : nil
    if let activations { evaluator.chunkSize = activations.evaluationChunk(most: evaluator.chunkSize) }
    let batchSize = min(configuration.batchSize, data.trainIndices.count)
    let updateBuffers = try optimization.bufferCount(momentum: configuration.momentum)
    let (parameterBytes, kept, chunkSize) = (
      store.count * 4, updateBuffers + aggregator.rememberedGradients, evaluator.chunkSize
    )
    memoryEstimate = activations.map {
      Self.estimate(
        $0, base: before, parameters: parameterBytes, kept: kept, batchSize: batchSize, chunkSize: chunkSize)
    }
    try memoryEstimate?.check(against: memoryLimit, batchSize: batchSize)
    let perEpoch = Self.stepsPerEpoch(sampler, aggregator)
    evaluations = EvaluationSchedule(
      steps: steps, stepsPerEpoch: perEpoch, examplesPerStep: batchSize * aggregator.batchesPerStep,
      counts: SplitCounts(
        train: data.trainIndices.count, test: data.test.count, validation: data.validationIndices.count),
      every: configuration.evalEvery, policy: configuration.evalSchedule)
    probes = try Probes(
      resolved, data: data, chunkSize: activations?.trainingChunk(most: max(CoherenceProbe.usualChunkSize, batchSize)),
      plan: { try GradientPlan(model, store: store, batchNormPolicy: $0, linearPolicy: policy) }, steps: steps,
      stepsPerEpoch: perEpoch)
  }

  /// Every mini-batch, the last of an epoch too, must be large enough.
  private static func checkBatches(of sampler: BatchSampler, for aggregator: any Aggregator, word: String) throws {
    let rest = sampler.dropLast ? 0 : sampler.count % sampler.batchSize
    let least = min(sampler.batchSize, rest > 0 ? rest : sampler.count)
    guard least < aggregator.leastBatch else { return }
    let which = rest > 0 && least == rest ? "the last mini-batch of an epoch has" : "the mini-batches have"
    throw TrainingError(
      .configuration,
      "\(word) needs at least \(aggregator.leastBatch) examples in every mini-batch, but \(which) \(least); choose "
        + "another --batch-size, such as a divisor of \(sampler.count), "
        + (rest > 0 ? "leave the rest out with --drop-last, " : "") + "or take an optimizer that needs fewer")
  }

  /// Steps to one pass over the training examples.
  var stepsPerEpoch: Int { Self.stepsPerEpoch(sampler, aggregator) }

  private static func stepsPerEpoch(_ sampler: BatchSampler, _ aggregator: any Aggregator) -> Int {
    (sampler.batchesPerEpoch + aggregator.batchesPerStep - 1) / aggregator.batchesPerStep
  }

  private static func absolutePath(_ path: String) -> String {
    URL(fileURLWithPath: path).standardizedFileURL.path
  }

  private static func policy(named name: String) -> LinearPolicy {
    switch name {
    case "native": .native
    case "onednn": LinearPolicy(rule: .onednn)
    default: .suited(toVendor: Processor.current.vendor)
    }
  }

  /// Steps between checkpoints.
  public var checkpointDistance: Int {
    configuration.checkpointEvery ?? max(1, max(stepsPerEpoch, steps / 20))
  }

  /// Trains from the present step to the last.
  ///
  /// - Parameters:
  ///   - shouldStop: asked after every step; true ends the run early with a completed step.
  ///   - observe: called for every event; what it throws ends the training.
  /// - Throws: `TrainingError` of kind divergence when loss or parameters stop being finite, or a mini-batch has a loss above
  ///   a million times that of a uniform guess; `TensorError`.
  public func run(
    shouldStop: () -> Bool = { false }, observe: (TrainingEvent) throws -> Void = { _ in }
  ) throws -> TrainingOutcome {
    if step == 0, !hasBegun {
      try observe(.evaluated(evaluateAsPlanned(evaluations.extent(at: 0) ?? .whole)))
      try probe(observe)
      hasBegun = true
      try observe(.completedStep(0))
    }
    while !isFinished {
      if shouldStop() { return .interrupted }
      let record = try update()
      try probes?.note(record)
      try observe(.stepped(record))
      if let extent = evaluations.extent(at: step) { try observe(.evaluated(evaluateAsPlanned(extent))) }
      try probe(observe)
      try observe(.completedStep(step))
    }
    return .completed
  }

  /// Whether the last step is made, or the accuracy reached at which the run is complete.
  public var isFinished: Bool {
    if step >= steps { return true }
    guard let last = milestones.last, last.step == step else { return false }
    return isAccurateEnough(last.trainAccuracy)
  }

  private func probe(_ observe: (TrainingEvent) throws -> Void) throws {
    let found: ProbeResults?
    do {
      found = try probes?.measure(step: step, isLast: isFinished)
    } catch let error as CoherenceError where error.isDivergence {
      // The loss of the mini-batch may still have been finite.
      throw divergence(error.description, rate: rate, at: step)
    }
    guard let found, !found.isEmpty else { return }
    try observe(.measured(found))
  }

  /// The learning rate of the next update.
  private var rate: Double {
    configuration.lr * schedule.factor(at: step, of: steps, warmup: configuration.warmup)
  }

  /// One update, from one mini-batch or as many as the aggregator takes.
  public func update() throws -> StepRecord {
    let rate = self.rate
    var (total, count) = (0.0, 0)
    for _ in 0..<aggregator.batchesPerStep {
      let batch = try loader.next(&sampler, device: device)
      let aggregate = try gradients(of: batch, rate: rate) { losses in
        total += losses
        count += batch.indices.count
      }
      guard try optimizer.step(store, aggregate, learningRate: rate) else {
        throw divergence("a parameter is no longer a finite number", rate: rate)
      }
      try aggregator.finish(store)
    }
    step += 1
    return StepRecord(step: step, loss: total / Double(count), learningRate: rate)
  }

  /// Runs a mini-batch forward and backward, as the aggregator needs it, and notes which examples were right.
  ///
  /// - Parameter observe: called with the sum of the losses.
  private func gradients(of loaded: LoadedBatch, rate: Double, _ observe: (Double) -> Void) throws -> Aggregate {
    let (batch, images) = (loaded.indices, loaded.images)
    let targets = batch.map { data.labels.assigned[$0] }
    let labels = try Tensor(targets, device: device)
    func note(_ logits: Tensor, _ losses: Tensor) throws {
      let sum = try losses.values(as: Float.self).reduce(0.0) { $0 + Double($1) }
      let (loss, limit) = (sum / Double(batch.count), Self.divergentLoss(classes: data.train.classCount))
      guard loss <= limit else {
        let more = loss.isFinite ? ", more than a million times that of a uniform guess" : ""
        throw divergence("the loss is \(loss)\(more)", rate: rate)
      }
      observe(sum)
      let scores = try logits.detach().values(as: Float.self)
      for (position, index) in batch.enumerated() {
        let row = scores[position * data.train.classCount..<(position + 1) * data.train.classCount]
        learning.observe(index, isCorrect: isTop(row, targets[position]), step: step)
      }
    }
    guard let robustPlan else {
      let logits = try model.forward(images, in: context)
      let losses = try logits.crossEntropy(targets: labels)
      try note(logits, losses)
      try store.backward(losses, weights: Tensor.full([batch.count], 1 / Double(batch.count), device: device))
      return try aggregator.aggregate(store)
    }
    var pass = TrainingPass(generator: generator)
    if case .groupMeans(let count) = aggregator.need {
      pass.groups = try GradientMatrix.groups(of: batch.count, count: count)
    }
    let passed = try aggregator.aggregate(robustPlan, input: images, training: pass) {
      try $0.crossEntropy(targets: labels)
    }
    try note(passed.output, passed.losses)
    return .gradient
  }

  /// The mean loss of a mini-batch above which a training has diverged: a million times that of a uniform guess over the
  /// classes, ln K, or of 1 where that is more. No number of the run itself, so that a resumed run ends as the other does.
  static func divergentLoss(classes: Int) -> Double { 1e6 * max(1, log(Double(max(1, classes)))) }

  /// Whether the target's logit is larger than every other; a tie or NaN is a no.
  private func isTop(_ row: ArraySlice<Float>, _ target: Int) -> Bool {
    let own = row[row.startIndex + target]
    for (offset, value) in row.enumerated() where offset != target && !(value < own) { return false }
    return own == own
  }

  private func divergence(_ what: String, rate: Double, at moment: Int? = nil) -> TrainingError {
    TrainingError(
      .divergence,
      "training diverged at step \(moment ?? step + 1): \(what). The learning rate was \(rate); try a smaller --lr")
  }
}

/// Early-stopping bookkeeping: the last evaluation, the best by test accuracy (which uses test data, so it is not
/// available in practice), and the best by validation accuracy (what early stopping would return). The last two are
/// chosen among the evaluations that see as many held-out examples as the last one; the earliest of equals counts.
public struct Milestones: Codable, Sendable, Equatable {
  /// The last evaluation.
  public private(set) var last: RunSummary.Moment?
  /// The best by test accuracy.
  public private(set) var best: RunSummary.Moment?
  /// The best by validation accuracy; nil without validation examples.
  public private(set) var selected: RunSummary.Moment?

  /// No evaluation yet.
  public init() {}

  /// - Parameters:
  ///   - canBeBest: whether the evaluation may become the best by test accuracy.
  ///   - canBeSelected: whether it may become the selected one.
  mutating func note(
    step: Int, train: Double, test: Double, validation: Double?, canBeBest: Bool = true, canBeSelected: Bool = true
  ) {
    let moment = RunSummary.Moment(
      step: step, trainAccuracy: train, testAccuracy: test, validationAccuracy: validation)
    last = moment
    if canBeBest, test > best?.testAccuracy ?? -1 { best = moment }
    if canBeSelected, let validation, validation > selected?.validationAccuracy ?? -1 { selected = moment }
  }
}
