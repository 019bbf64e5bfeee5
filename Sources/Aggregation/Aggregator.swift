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

/// What an aggregator is made from; the training loop computes just that.
public enum GradientNeed: Sendable, Equatable {
  /// The gradient of the mini-batch's mean loss, [P].
  case batchMean
  /// The mean gradients of so many groups of the mini-batch.
  case groupMeans(Int)
  /// Every example's own gradient, as an implicit matrix.
  case gradientMatrix
}

/// What came of a step's gradients.
public enum Aggregate {
  /// No update in this step: there are not gradients enough yet.
  case none
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

/// Turns the gradients of a step into one.
///
/// An aggregator knows nothing of learning rates or momentum: those are the optimizer's. Some remember earlier steps;
/// `state` is what a checkpoint needs of that.
public protocol Aggregator: AnyObject {
  /// What it is made from.
  var need: GradientNeed { get }

  /// Mini-batches to a step, all at the same weights; 1 but for successive micro-batches.
  var batchesPerStep: Int { get }

  /// The fewest examples that a mini-batch, the last of an epoch included, can have.
  var leastBatch: Int { get }

  /// Whether its aggregate is used with momentum only if the user insists.
  var distrustsMomentum: Bool { get }

  /// Whether each layer's part of the aggregate depends on that layer alone: then `aggregate` is called with some layers
  /// at a time, as the backward pass comes by them.
  var isLayerwise: Bool { get }

  /// Gradients of the whole model that it keeps in memory beside the store's.
  var rememberedGradients: Int { get }

  /// Whether its aggregate is left to the update (`Aggregate.fused`); one that has no such pass then needs another buffer.
  var isFormedByUpdate: Bool { get }

  /// From the batch mean, which the store's gradient holds.
  func aggregate(_ store: ParameterStore) throws -> Aggregate

  /// From group means or the gradient matrix, into the store's gradient.
  func aggregate(_ matrix: GradientMatrix, _ store: ParameterStore) throws

  /// Called once the optimizer has used the aggregate, or there was none.
  func finish(_ store: ParameterStore) throws

  /// The arrays that a checkpoint needs after a step.
  var state: [(name: String, tensor: Tensor)] { get }

  /// Continues from the arrays saved after so many steps.
  ///
  /// - Throws: `AggregationError` when an array is missing or of another size.
  func restore(_ arrays: [String: Tensor], afterSteps steps: Int, _ store: ParameterStore) throws
}

extension Aggregator {
  /// One.
  public var batchesPerStep: Int { 1 }
  /// One.
  public var leastBatch: Int { 1 }
  /// No.
  public var distrustsMomentum: Bool { false }
  /// No.
  public var isLayerwise: Bool { false }
  /// The group means, where there are any.
  public var rememberedGradients: Int { if case .groupMeans(let count) = need { count } else { 0 } }
  /// The aggregate is there before the update.
  public var isFormedByUpdate: Bool { false }
  /// The store's gradient as it is.
  public func aggregate(_ store: ParameterStore) throws -> Aggregate { .gradient }
  /// The mean of the rows.
  public func aggregate(_ matrix: GradientMatrix, _ store: ParameterStore) throws {
    try matrix.columnSum(into: store.gradient)
    try store.gradient.multiply(by: 1 / Double(matrix.exampleCount))
  }
  /// Nothing to do.
  public func finish(_ store: ParameterStore) throws {}
  /// None.
  public var state: [(name: String, tensor: Tensor)] { [] }
  /// Nothing to do.
  public func restore(_ arrays: [String: Tensor], afterSteps steps: Int, _ store: ParameterStore) throws {}
}

extension Aggregator {
  /// From one forward and one backward pass over a mini-batch into the store's gradient: layer by layer during the
  /// backward pass where layers do not depend on each other.
  ///
  /// - Returns: the model's output, and each example's own loss.
  /// - Throws: `GradientMatrixError`, `AggregationError`, `TensorError`.
  public func aggregate(
    _ plan: GradientPlan, input: Tensor, training: TrainingPass, losses: @escaping (Tensor) throws -> Tensor
  ) throws -> (output: Tensor, losses: Tensor) {
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
