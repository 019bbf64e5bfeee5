// SPDX-License-Identifier: Apache-2.0

import Datasets
import NeuralNetworks

/// What a training is beside its objects: sizes, lengths and the seed.
public struct TrainingSettings: Sendable, Equatable {
  /// Updates in the whole run.
  public var steps = 1000
  /// Examples in a mini-batch.
  public var batchSize = 100
  /// Whether the examples that are left at the end of an epoch, too few for a mini-batch, are not trained on then.
  public var dropsLast = false
  /// How training images are changed at random.
  public var augmentation = Augmentation.none
  /// The seed of the order of the examples, of dropout, of samples and of augmentation.
  public var seed: UInt64 = 1
  /// Steps between evaluations of everything; nil to follow `evaluationPolicy`.
  public var evaluationDistance: Int?
  /// How evaluations are spread over the run otherwise.
  public var evaluationPolicy = EvaluationPolicy.auto
  /// The accuracy on all training examples at which the run is complete, from the first evaluation on that reaches it.
  public var stopAccuracy: Double?
  /// When the run is complete before its last step, judged without held-out labels; nil to go on to that step.
  public var stop: StoppingRule?
  /// The length that the aggregate of a step may have, C; nil for any.
  public var clipNorm: Double?
  /// The groups of consecutive examples of a mini-batch that batch normalisation takes its statistics over, G, each by
  /// itself; nil for the whole mini-batch. Several ranks have whole groups, so their number changes no result.
  public var batchNormGroups: Int?
  /// D of the running mean of the weights that is evaluated and kept in place of the last ones; nil for those. See
  /// `WeightAverage`.
  public var averagingDecay: Double?
  /// What is minimised; evaluations report the cross entropy in any case.
  public var loss = ClassificationLoss.crossEntropy

  /// Settings from those that are not the usual ones.
  public init(
    steps: Int = 1000, batchSize: Int = 100, dropsLast: Bool = false, augmentation: Augmentation = .none,
    seed: UInt64 = 1, evaluationDistance: Int? = nil, evaluationPolicy: EvaluationPolicy = .auto,
    stopAccuracy: Double? = nil, stop: StoppingRule? = nil, clipNorm: Double? = nil, batchNormGroups: Int? = nil,
    averagingDecay: Double? = nil, loss: ClassificationLoss = .crossEntropy
  ) {
    (self.steps, self.batchSize, self.dropsLast) = (steps, batchSize, dropsLast)
    (self.augmentation, self.seed, self.evaluationDistance) = (augmentation, seed, evaluationDistance)
    (self.evaluationPolicy, self.stopAccuracy, self.stop) = (evaluationPolicy, stopAccuracy, stop)
    (self.clipNorm, self.batchNormGroups, self.loss) = (clipNorm, batchNormGroups, loss)
    self.averagingDecay = averagingDecay
  }

  /// Updates that a run can have at most.
  public static let maximumSteps = 1_000_000_000

  /// - Throws: `TrainingError` that names what is impossible.
  public func validate() throws {
    func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
      if !condition { throw TrainingError(.configuration, message()) }
    }
    try require(batchSize >= 1, "batch-size must be at least 1, not \(batchSize)")
    try require(steps >= 1 && steps <= Self.maximumSteps, "steps must be from 1 to \(Self.maximumSteps), not \(steps)")
    try require(
      stopAccuracy.map { $0 > 0 && $0 <= 1 } ?? true,
      "stop-accuracy must be above 0 and at most 1, not \(stopAccuracy ?? 0)")
    try Self.check(clipNorm: clipNorm)
    try stop?.makeProbe().check(trainingExamples: nil, batchSize: batchSize)
    try Self.check(batchNormGroups: batchNormGroups)
    try Self.check(averagingDecay: averagingDecay)
    if let problem = loss.problem { throw TrainingError(.configuration, "loss: \(problem)") }
    try require((evaluationDistance ?? 1) >= 1, "eval-every must be at least 1, not \(evaluationDistance ?? 0)")
  }

  /// - Throws: `TrainingError` unless a decay is above 0 and below 1.
  package static func check(averagingDecay: Double?) throws {
    guard let averagingDecay, !(averagingDecay > 0 && averagingDecay < 1) else { return }
    throw TrainingError(.configuration, "ema must be above 0 and below 1, such as 0.999, not \(averagingDecay)")
  }

  /// - Throws: `TrainingError` for a number of groups that cannot be.
  package static func check(batchNormGroups: Int?) throws {
    guard let batchNormGroups, batchNormGroups < 1 else { return }
    throw TrainingError(.configuration, "bn-groups must be at least 1, not \(batchNormGroups)")
  }

  /// - Throws: `TrainingError` unless a length is above 0.
  package static func check(clipNorm: Double?) throws {
    guard let clipNorm, !(clipNorm > 0 && clipNorm.isFinite) else { return }
    throw TrainingError(.configuration, "clip-norm must be a number above 0, not \(clipNorm)")
  }
}
