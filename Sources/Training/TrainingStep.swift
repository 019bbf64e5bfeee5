// SPDX-License-Identifier: Apache-2.0

import Aggregation
import GradientMatrix
import NeuralNetworks
import Tensors

/// From a mini-batch to the aggregate of its gradients: one forward and one backward pass, of the kind that the
/// aggregator needs. The update is the optimizer's.
public final class TrainingStep {
  /// What the passes compute for the aggregator.
  private enum Route {
    case batchMean(any BatchMeanAggregator)
    case gradientMatrix(any GradientMatrixAggregator, GradientPlan)
  }

  /// What came of a mini-batch.
  public struct Result {
    /// For the optimizer.
    public let aggregate: Aggregate
    /// The model's output, [B, ...].
    public let output: Tensor
    /// Each example's own loss before the update, [B].
    public let losses: Tensor
  }

  /// The model.
  public let model: any Module
  /// Its parameters and their gradient.
  public let store: ParameterStore
  /// How the gradients of a step become one.
  public let aggregator: any Aggregator
  private let route: Route
  private let context: ForwardContext
  private let generator: Generator

  /// - Parameters:
  ///   - model: the model.
  ///   - store: the model's parameters.
  ///   - aggregator: how the gradients of a step become one.
  ///   - linearPolicy: who computes the products of linear layers.
  ///   - generator: the source of dropout masks.
  /// - Throws: `GradientMatrixError` when a layer has no rule and the aggregator needs one; `AggregationError` for an
  ///   aggregator that says nothing of what it needs.
  public init(
    _ model: any Module, store: ParameterStore, aggregator: any Aggregator, linearPolicy: LinearPolicy,
    generator: Generator
  ) throws {
    (self.model, self.store, self.aggregator, self.generator) = (model, store, aggregator, generator)
    context = ForwardContext(
      isTraining: true, usesGradientViews: true, linearPolicy: linearPolicy, generator: generator)
    switch aggregator {
    case let own as any GradientMatrixAggregator:
      route = .gradientMatrix(own, try GradientPlan(model, store: store, linearPolicy: linearPolicy))
    case let own as any BatchMeanAggregator: route = .batchMean(own)
    default:
      throw AggregationError(
        "\(aggregator) is neither a BatchMeanAggregator nor a GradientMatrixAggregator; conform to one of the two")
    }
  }

  /// Both passes over a mini-batch, and what the aggregator makes of their gradients.
  ///
  /// - Parameters:
  ///   - input: the mini-batch, [B, ...].
  ///   - losses: each example's own loss from the model's output, [B].
  /// - Throws: `GradientMatrixError`, `AggregationError`, `TensorError`.
  public func aggregate(_ input: Tensor, losses: @escaping (Tensor) throws -> Tensor) throws -> Result {
    switch route {
    case .batchMean(let aggregator):
      let output = try model.forward(input, in: context)
      let own = try losses(output)
      let count = input.size(0)
      try store.backward(own, weights: Tensor.full([count], 1 / Double(count), device: input.device))
      return Result(aggregate: try aggregator.aggregate(store), output: output, losses: own)
    case .gradientMatrix(let aggregator, let plan):
      let passed = try aggregator.aggregate(
        plan, input: input, training: TrainingPass(generator: generator), losses: losses)
      return Result(aggregate: .gradient, output: passed.output, losses: passed.losses)
    }
  }

  /// Called once the optimizer has used the aggregate.
  public func didStep() throws { if case .batchMean(let aggregator) = route { try aggregator.didStep(store) } }

  /// The memory of the passes, measured on the CPU.
  ///
  /// - Throws: `TensorError` when the model does not take the examples.
  public func activationMemory(exampleShape: [Int], linearPolicy: LinearPolicy) throws -> ActivationMemory {
    guard case .gradientMatrix(let aggregator, let plan) = route else {
      return try ActivationMemory(of: model, store: store, exampleShape: exampleShape, linearPolicy: linearPolicy)
    }
    return try ActivationMemory(
      of: model, store: store, exampleShape: exampleShape, linearPolicy: linearPolicy,
      minimumBatch: 2 * (aggregator.groupCount ?? 1),
      backward: { input, context in
        var pass = TrainingPass(generator: context.generator)
        if let count = aggregator.groupCount {
          pass.groups = try GradientMatrix.groups(of: input.size(0), count: count)
        }
        let targets = try Tensor(Array(repeating: 0, count: input.size(0)))
        let losses = { (logits: Tensor) in try logits.crossEntropy(targets: targets) }
        if aggregator.isLayerwise {
          // As in a step, in which convolutions' factors are used up on the way.
          _ = try GradientMatrix.visit(plan, input: input, training: pass, losses: losses) { _ in }
        } else {
          _ = try GradientMatrix(plan, input: input, training: pass, losses: losses)
        }
      })
  }
}
