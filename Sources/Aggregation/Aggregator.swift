// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors

/// Why gradients cannot be aggregated: a sentence with the remedy.
public struct AggregationError: Error, CustomStringConvertible, Sendable, Equatable {
  /// What was wrong, and what to do.
  public let description: String
  /// An error with its sentence.
  public init(_ description: String) { self.description = description }
}

/// What came of a step's gradients.
public enum Aggregate {
  /// No update in this step: there are not gradients enough yet. The store's gradient is remembered, and where weight decay
  /// enters every gradient (`decays`) the optimizer adds it to this one too.
  case none(decays: Bool = false)
  /// The store's gradient, which now holds the aggregate.
  case gradient
  /// An aggregate that is not formed yet, as an update can form it in its own pass over memory.
  case fused(any FusedAggregate)
}

/// An aggregate of the store's gradient and others that its aggregator remembers, to be formed by the update.
public protocol FusedAggregate {
  /// The update of SGD by the aggregate, in one pass over memory. The buffers may be parts of the flat ones, cut by `part`.
  ///
  /// - Returns: whether every updated parameter is finite.
  func updateSGD(
    _ values: Tensor, gradient: Tensor, velocity: Tensor?, _ update: SGDUpdate, part: (Tensor) throws -> Tensor
  ) throws -> Bool

  /// The aggregate as a tensor of its own, for updates without such a pass: [P]. The store's gradient stays as it is.
  func formed(_ gradient: Tensor) throws -> Tensor
}

/// What an aggregator may need to know of a run before its first step.
public struct AggregatedRun: Sendable {
  /// n, the examples that are trained on.
  public var exampleCount: Int
  /// B, those that a step is expected to see.
  public var batchSize: Int
  /// The steps of the whole run.
  public var plannedSteps: Int
  /// Of what the aggregator draws by chance.
  public var seed: UInt64

  /// A run of so many examples and steps.
  public init(exampleCount: Int, batchSize: Int, plannedSteps: Int, seed: UInt64) {
    (self.exampleCount, self.batchSize, self.plannedSteps) = (exampleCount, batchSize, plannedSteps)
    self.seed = seed
  }
}

/// Turns the gradients of a step into one: from the gradient of the mini-batch (`BatchMeanAggregator`) or from every
/// example's own (`GradientMatrixAggregator`). An aggregator of one's own conforms to one of the two.
///
/// An aggregator knows nothing of learning rates or momentum: those are the optimizer's. Some remember earlier steps;
/// `state` is what a checkpoint needs of that. Its description is its name in records, such as "winsorized:c=2".
public protocol Aggregator: AnyObject, CustomStringConvertible {
  /// The fewest examples that a mini-batch, the last of an epoch included, can have; 1 by default.
  var minimumBatchSize: Int { get }

  /// Whether its aggregate may be used with momentum without the user insisting; true by default.
  var supportsMomentum: Bool { get }

  /// Gradients of the whole model that it keeps in memory beside the store's.
  var rememberedGradients: Int { get }

  /// Whether the weights are to promise something about every single example; false by default. Mini-batches are then drawn
  /// example by example, each with probability B/n, so that they have any number of them, also none; and what is
  /// learned of examples on the way may not decide about the run. What it promises is recorded of `PrivateMean` alone.
  var isPrivate: Bool { get }

  /// Called before the first step with what depends on the run; nothing by default.
  ///
  /// - Parameters:
  ///   - run: what it needs to know.
  /// - Throws: `AggregationError` when it does not suit the run; `TensorError`.
  func prepare(for run: AggregatedRun) throws

  /// The aggregate of a mini-batch without examples; by default no update.
  func aggregateNothing(_ store: ParameterStore) throws -> Aggregate

  /// The arrays that a checkpoint needs after a step; none by default.
  var state: [(name: String, tensor: Tensor)] { get }

  /// Continues from the arrays saved after so many steps.
  ///
  /// - Throws: `AggregationError` when an array is missing or of another size.
  func restore(_ arrays: [String: Tensor], afterSteps steps: Int, _ store: ParameterStore) throws
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Aggregator {
  /// The name of its type.
  public var description: String { String(describing: type(of: self)) }
  public var minimumBatchSize: Int { 1 }
  public var supportsMomentum: Bool { true }
  public var rememberedGradients: Int { 0 }
  public var isPrivate: Bool { false }
  public func prepare(for run: AggregatedRun) throws {}
  public func aggregateNothing(_ store: ParameterStore) throws -> Aggregate { .none() }
  public var state: [(name: String, tensor: Tensor)] { [] }
  public func restore(_ arrays: [String: Tensor], afterSteps steps: Int, _ store: ParameterStore) throws {}

  /// Mini-batches to a step, all at the same weights; 1 but for successive micro-batches.
  public var batchesPerStep: Int { (self as? any BatchMeanAggregator)?.batchCount ?? 1 }

  /// Whether its aggregate is left to the update (`Aggregate.fused`); an optimizer without such a pass needs a buffer more.
  public var isFormedByUpdate: Bool { (self as? any BatchMeanAggregator)?.leavesAggregateToUpdate ?? false }
}

/// An aggregator of the gradients of whole mini-batches, ∇ of each one's mean loss, [P].
public protocol BatchMeanAggregator: Aggregator {
  /// Mini-batches to a step, all at the same weights; 1 by default.
  var batchCount: Int { get }

  /// Whether `aggregate` returns `Aggregate.fused`; false by default.
  var leavesAggregateToUpdate: Bool { get }

  /// From the gradient of a mini-batch, which the store holds; by default that gradient as it is.
  func aggregate(_ store: ParameterStore) throws -> Aggregate

  /// Called once the optimizer has used the aggregate, or there was none.
  func didStep(_ store: ParameterStore) throws
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension BatchMeanAggregator {
  public var batchCount: Int { 1 }
  public var leavesAggregateToUpdate: Bool { false }
  public func aggregate(_ store: ParameterStore) throws -> Aggregate { .gradient }
  public func didStep(_ store: ParameterStore) throws {}
}

/// An aggregator of the gradients of a mini-batch's examples, or of the means of its groups.
public protocol GradientMatrixAggregator: Aggregator {
  /// k where it takes the means of k groups of the mini-batch, over each of which batch statistics are taken too; nil,
  /// the default, where it takes the examples' own gradients.
  var groupCount: Int? { get }

  /// Whether each layer's part of the aggregate depends on that layer alone: then `aggregate` is called with some layers
  /// at a time, as the backward pass comes by them. False by default.
  var isLayerwise: Bool { get }

  /// Whether it takes sums over all columns (`GradientMatrix.sumOverShards`), which several processes add up together:
  /// once, or for every layer where it goes layer by layer. False by default.
  var sumsOverShards: Bool { get }

  /// From the gradient matrix into the store's gradient.
  func aggregate(_ matrix: GradientMatrix, _ store: ParameterStore) throws
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension GradientMatrixAggregator {
  public var groupCount: Int? { nil }
  public var isLayerwise: Bool { false }
  public var sumsOverShards: Bool { false }
  /// The group means, where there are any.
  public var rememberedGradients: Int { groupCount ?? 0 }

  /// From one forward and one backward pass over a mini-batch into the store's gradient: layer by layer during the
  /// backward pass where layers do not depend on each other.
  ///
  /// - Returns: the model's output, and each example's own loss.
  /// - Throws: `GradientMatrixError`, `AggregationError`, `TensorError`.
  public func aggregate(
    _ plan: GradientPlan, input: Tensor, training: TrainingPass, losses: @escaping (Tensor) throws -> Tensor
  ) throws -> (output: Tensor, losses: Tensor) {
    var training = training
    if let groupCount { training.groups = try GradientMatrix.groups(of: input.size(0), count: groupCount) }
    guard isLayerwise else {
      let matrix = try GradientMatrix(plan, input: input, training: training, losses: losses)
      try aggregate(matrix, plan.store)
      return (matrix.output, matrix.losses)
    }
    return try GradientMatrix.visit(plan, input: input, training: training, losses: losses) {
      try self.aggregate($0, plan.store)
    }
  }
}

/// A number in its shortest form: 2, not 2.0.
func shortest(_ value: Double) -> String {
  value == value.rounded() && abs(value) < 1e15 ? String(Int(exactly: value) ?? 0) : "\(value)"
}
