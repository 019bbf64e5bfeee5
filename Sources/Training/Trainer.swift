// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Coherence
import Collectives
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
  /// Mean loss of the mini-batch before the update; not a number where no example was drawn for it.
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
  /// Everything that belongs to a step is done. Where the trainer `hasState`, it is the present one: a checkpoint taken now
  /// continues with the next.
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
  /// The model.
  public let model: any Module
  /// Its parameters and their gradient.
  public let store: ParameterStore
  /// The examples.
  public let data: TrainingData
  /// How the gradients of a step become one.
  public let aggregator: any Aggregator
  /// The optimizer.
  public let optimizer: any Optimizer
  /// The learning rate of every update.
  public let learningRate: LearningRate
  /// Sizes, lengths and the seed.
  public let settings: TrainingSettings
  /// Who computes the products of linear layers.
  public let linearPolicy: LinearPolicy
  /// At which steps the run evaluates, and on how many examples.
  public let evaluations: EvaluationSchedule
  /// The memory of the model's passes; nil on a device of its own memory.
  public let activationMemory: ActivationMemory?
  /// What evaluates, in chunks whose activations take little memory.
  public internal(set) var evaluator: Evaluator

  /// Updates made.
  public internal(set) var step = 0
  /// The order of the examples.
  public internal(set) var sampler: BatchSampler
  /// When each training example was learned, by index into `data.train`.
  public internal(set) var learning: LearningRecord
  /// Accuracies at the last, the best and the selected evaluation.
  public internal(set) var milestones = Milestones()
  /// What the last evaluation found of training examples.
  public internal(set) var lastTrainEvaluation: TrainEvaluation?
  /// Whether a probe has ended the run, be it with the last step or before.
  public internal(set) var isEndedByProbe = false
  /// Whether the evaluation before the first update is made, here or before the checkpoint was taken.
  var hasBegun = false

  /// What is measured along the way.
  let probes: Probes?
  /// Which examples evaluations see.
  private(set) lazy var samples = EvaluationSamples(data, evaluations, seed: settings.seed)
  /// The source of dropout masks.
  let generator: Generator
  /// From a mini-batch to the aggregate of its gradients.
  public let trainingStep: TrainingStep
  /// What is evaluated in place of the last weights; nil for those.
  let average: WeightAverage?
  /// What the loss remembers of earlier predictions; nil where it remembers nothing.
  let predictions: PredictionMemory?
  let loader: BatchLoader
  /// The processes that train together; nil for this one alone.
  public let group: ProcessGroup?
  /// Whether what a step finds (losses, predictions, whether the parameters are finite) is read while the next one is being
  /// computed, so that a GPU does not wait for the host. Results are the same. The events of a step then come once the next
  /// one has begun, but for those after which there is an evaluation, a probe or a state to be had, and `state()` needs
  /// `isStateWanted`. It has no effect with several ranks, or where a probe may end the training (`EndingProbe`). Nil for
  /// no, but that a `TrainingRun` on a GPU reads later.
  public var readsLater: Bool?
  /// Asked before every update of several ranks, on the first of them, and after one with `readsLater`: whether `state()` will
  /// be wanted after it. Ranks then gather it together.
  public var isStateWanted: (_ step: Int) -> Bool = { _ in false }
  /// What the ranks have gathered of optimizer and aggregator, and after which step.
  var gatheredState: (step: Int, arrays: [(name: String, tensor: Tensor)])?
  /// What rank 0 goes on from, until the others know.
  var restoredState: TrainerState?
  /// Whether the ranks have begun together.
  var isSynchronized = false
  /// The last steps, while what they found is on its way.
  var unread: [UnreadStep] = []

  /// A trainer from its parts.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - store: its parameters, on the device to compute on; made on the CPU by default.
  ///   - data: the examples.
  ///   - aggregator: how the gradients of a step become one.
  ///   - optimizer: what updates the parameters.
  ///   - learningRate: η of every update.
  ///   - probes: what is measured along the way; each belongs to this trainer alone.
  ///   - settings: sizes, lengths and the seed.
  ///   - linearPolicy: who computes the products of linear layers; by default what suits the processor.
  ///   - group: the processes that train together, each with a trainer of the same parts; nil for this one alone.
  /// - Throws: `TrainingError` for settings that do not fit each other or the data; `GradientMatrixError` when a layer has
  ///   no rule and the aggregator or a probe needs one; `TensorError`.
  public init(
    model: any Module, store: ParameterStore? = nil, data: TrainingData, aggregator: any Aggregator = Mean(),
    optimizer: any Optimizer, learningRate: LearningRate, probes: [any Probe] = [],
    settings: TrainingSettings = TrainingSettings(), linearPolicy: LinearPolicy? = nil, group: ProcessGroup? = nil
  ) throws {
    try settings.validate()
    guard learningRate.initial > 0, learningRate.initial.isFinite else {
      throw TrainingError(.configuration, "lr must be a number above 0, not \(learningRate.initial)")
    }
    let store = try store ?? ParameterStore(model)
    let policy = linearPolicy ?? .suited(toVendor: Processor.current.vendor)
    let device = store.values.device
    let data = try data.placed(on: device)
    (self.model, self.store, self.data, self.settings) = (model, store, data, settings)
    (self.aggregator, self.optimizer, self.learningRate) = (aggregator, optimizer, learningRate)
    if let problem = policy.precision.problem(on: store.values.device) {
      throw TrainingError(
        .configuration,
        "precision \(policy.precision.rawValue): \(problem); leave precision out, or continue a run that began with it on a "
          + "machine that has them")
    }
    self.linearPolicy = policy
    sampler = try BatchSampler(
      count: data.trainIndices.count, batchSize: settings.batchSize, seed: settings.seed, dropLast: settings.dropsLast,
      sampling: aggregator.isPrivate ? .poisson : .shuffled)
    if aggregator.isPrivate { try Self.requirePrivacy(of: aggregator, model, settings) }
    var noise = SeededGenerator(seed: settings.seed, stream: .privacyNoise)
    try aggregator.prepare(
      for: AggregatedRun(
        exampleCount: sampler.count, batchSize: sampler.batchSize, plannedSteps: settings.steps, seed: noise.next()))
    learning = LearningRecord(count: data.train.count)
    average = try settings.averagingDecay.map { try WeightAverage(model, store: store, decay: $0) }
    predictions = try PredictionMemory(settings.loss, count: data.train.count, classes: data.train.classCount)
    var dropout = SeededGenerator(seed: settings.seed, stream: .dropout)
    generator = try Generator(seed: dropout.next(), device: device)
    self.group = group.flatMap { $0.count > 1 ? $0 : nil }
    trainingStep = try TrainingStep(
      model, store: store, aggregator: aggregator, linearPolicy: policy, generator: generator,
      batchNormGroups: settings.batchNormGroups, group: group)
    try Self.checkBatches(of: sampler, for: trainingStep)
    loader = BatchLoader(
      data.train, indices: data.trainIndices, augmentation: settings.augmentation, seed: settings.seed,
      part: trainingStep.part)
    try optimizer.prepare(trainingStep.updated)
    activationMemory =
      device == .cpu
      ? try trainingStep.activationMemory(exampleShape: data.train.exampleShape, linearPolicy: policy) : nil
    var evaluator = Evaluator(linearPolicy: policy, device: device)
    if let activationMemory { evaluator.chunkSize = activationMemory.evaluationChunk(maximum: evaluator.chunkSize) }
    self.evaluator = evaluator
    let batchSize = min(settings.batchSize, data.trainIndices.count)
    let perEpoch = Self.stepsPerEpoch(sampler, aggregator)
    evaluations = EvaluationSchedule(
      steps: settings.steps, stepsPerEpoch: perEpoch, examplesPerStep: batchSize * aggregator.batchesPerStep,
      counts: SplitCounts(
        train: data.trainIndices.count, test: data.test.count, validation: data.validationIndices.count),
      every: settings.evaluationDistance, policy: settings.evaluationPolicy)
    self.probes = try Probes(
      probes + [settings.stop?.makeProbe()].compactMap(\.self), data: data, seed: settings.seed,
      batchSize: settings.batchSize,
      chunkSize: activationMemory?.trainingChunk(maximum: max(ProbeSample.usualChunkSize, batchSize)),
      group: group, loss: settings.loss,
      plan: {
        try GradientPlan(
          model, store: store, batchNormPolicy: $0, linearPolicy: policy, unknownLayers: $1)
      },
      steps: settings.steps, stepsPerEpoch: perEpoch)
  }

  /// Every mini-batch, the last of an epoch too, must be large enough.
  private static func checkBatches(of sampler: BatchSampler, for passes: TrainingStep) throws {
    let rest = sampler.dropLast ? 0 : sampler.count % sampler.batchSize
    let least = min(sampler.batchSize, rest > 0 ? rest : sampler.count)
    guard least < passes.minimumBatchSize else { return }
    let isOwn = passes.minimumBatchSize == passes.aggregator.minimumBatchSize
    let who =
      isOwn ? "\(passes.aggregator)" : "a training with \(passes.sharing == nil ? "batch norm groups" : "ranks")"
    let which = rest > 0 && least == rest ? "the last mini-batch of an epoch has" : "the mini-batches have"
    throw TrainingError(
      .configuration,
      "\(who) needs at least \(passes.minimumBatchSize) examples in every mini-batch, but \(which) \(least); "
        + "choose another --batch-size, such as a divisor of \(sampler.count), "
        + (rest > 0 ? "leave the rest out with --drop-last, " : "") + "or take an optimizer that needs fewer")
  }

  /// Updates in the whole run.
  public var steps: Int { settings.steps }

  /// Steps to one pass over the training examples, to the nearest whole one where a step takes several mini-batches.
  public var stepsPerEpoch: Int { Self.stepsPerEpoch(sampler, aggregator) }

  private static func stepsPerEpoch(_ sampler: BatchSampler, _ aggregator: any Aggregator) -> Int {
    max(1, (sampler.batchesPerEpoch + aggregator.batchesPerStep / 2) / aggregator.batchesPerStep)
  }

  /// What a run of this kind needs of memory, beside a base of bytes; nil on a device of its own memory.
  public func memoryEstimate(base: Int) -> MemoryEstimate? {
    activationMemory.map { activations in
      let parameters = store.count * 4
      // Norm clipping forms the aggregate whatever the optimizer could do.
      let isFormed = !optimizer.formsAggregates || settings.clipNorm != nil
      let forming = aggregator.isFormedByUpdate && isFormed ? 1 : 0
      return MemoryEstimate(
        base: base, parameters: parameters, gradient: parameters,
        optimizer: parameters
          * (optimizer.bufferCount + aggregator.rememberedGradients + forming + (average == nil ? 0 : 2))
          + (predictions?.values.count ?? 0) * 4,
        training: activations.trainingBytes(sampler.ampleBatchSize),
        evaluation: activations.evaluationBytes(evaluator.chunkSize))
    }
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
    let moment = RunSummary.Moment(step: step, trainAccuracy: train, testAccuracy: test, validationAccuracy: validation)
    last = moment
    if canBeBest, test > best?.testAccuracy ?? -1 { best = moment }
    if canBeSelected, let validation, validation > selected?.validationAccuracy ?? -1 { selected = moment }
  }
}
