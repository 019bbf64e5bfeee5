// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Collectives
import GradientMatrix
import NeuralNetworks
import Tensors

/// From a mini-batch to the aggregate of its gradients: one forward and one backward pass, of the kind that the
/// aggregator needs. The update is the optimizer's.
public final class TrainingStep {
  /// What the passes compute for the aggregator.
  enum Route {
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
  /// What the optimizer updates: the store, or this rank's shard of it.
  public var updated: ParameterStore { sharing?.shard ?? store }
  let route: Route
  private let linearPolicy: LinearPolicy
  let generator: Generator
  let batchNormGroups: Int?
  private let divider: BatchDivider
  /// With whom the step is made; nil alone.
  let sharing: StepSharing?

  /// - Parameters:
  ///   - model: the model.
  ///   - store: the model's parameters.
  ///   - aggregator: how the gradients of a step become one.
  ///   - linearPolicy: who computes the products of linear layers.
  ///   - generator: the source of dropout masks.
  ///   - batchNormGroups: the groups of a mini-batch that batch statistics are taken over, each by itself; nil for the
  ///     whole mini-batch, or the groups that the aggregator takes means of.
  ///   - group: the processes that make the step together; nil for this one alone.
  /// - Throws: `GradientMatrixError` when a layer has no rule and the aggregator needs one; `AggregationError` for an
  ///   aggregator that says nothing of what it needs; `TrainingError` when groups or ranks do not fit the model.
  public init(
    _ model: any Module, store: ParameterStore, aggregator: any Aggregator, linearPolicy: LinearPolicy,
    generator: Generator, batchNormGroups: Int? = nil, group: ProcessGroup? = nil
  ) throws {
    (self.model, self.store, self.aggregator, self.generator) = (model, store, aggregator, generator)
    (self.linearPolicy, self.batchNormGroups) = (linearPolicy, batchNormGroups)
    let divider = try Self.divider(model, aggregator, batchNormGroups: batchNormGroups, ranks: group?.count ?? 1)
    self.divider = divider
    sharing = try group.flatMap {
      $0.count > 1 ? try StepSharing($0, model: model, store: store, divider: divider) : nil
    }
    switch aggregator {
    case let own as any GradientMatrixAggregator:
      route = .gradientMatrix(own, try GradientPlan(model, store: store, linearPolicy: linearPolicy))
    case let own as any BatchMeanAggregator: route = .batchMean(own)
    default:
      throw AggregationError(
        "\(aggregator) is neither a BatchMeanAggregator nor a GradientMatrixAggregator; conform to one of the two")
    }
  }

  /// How mini-batches are divided.
  static func divider(
    _ model: any Module, _ aggregator: any Aggregator, batchNormGroups: Int?, ranks: Int
  ) throws -> BatchDivider {
    let own = (aggregator as? any GradientMatrixAggregator)?.groupCount
    let isCoupled = !model.coupledLayers.isEmpty
    func refuse(_ reason: String) -> TrainingError { TrainingError(.configuration, reason) }
    guard batchNormGroups == nil || own == nil || batchNormGroups == own else {
      throw refuse(
        "\(aggregator) takes batch statistics over its own \(own ?? 0) groups; leave bn-groups out, or give that number"
      )
    }
    guard ranks == 1 || !aggregator.isPrivate else {
      throw refuse("\(aggregator) is not divided among \(ranks) ranks; start one process")
    }
    guard ranks > 1, isCoupled else {
      return BatchDivider(ranks: ranks, groupCount: own ?? batchNormGroups, keepsGroupsWhole: isCoupled)
    }
    guard let groups = own ?? batchNormGroups else {
      throw refuse(
        "batch normalisation takes its statistics over the whole mini-batch, which \(ranks) ranks do not have; set "
          + "bn-groups to \(ranks) or more for statistics over as many groups of it (the result then does not depend on "
          + "the number of ranks), or normalise by --norm group:8")
    }
    guard groups >= ranks else {
      throw refuse(
        own == nil
          ? "bn-groups is \(groups), but \(ranks) ranks need a group each; set it to \(ranks) or more"
          : "\(aggregator) takes batch statistics over \(groups) groups, so that \(groups) ranks can share a step, not "
            + "\(ranks); start \(groups), or normalise by --norm group:8")
    }
    return BatchDivider(ranks: ranks, groupCount: groups, keepsGroupsWhole: true)
  }

  /// The fewest examples that a mini-batch can have.
  public var minimumBatchSize: Int { max(aggregator.minimumBatchSize, divider.minimumBatchSize) }

  /// The examples that this process takes of a mini-batch of so many.
  public var part: @Sendable (_ batchCount: Int) -> Range<Int> {
    let (divider, rank) = (divider, sharing?.group.rank)
    // Where a mini-batch does not divide, `aggregate` says so.
    return { count in rank.flatMap { try? divider.division(of: count).parts[$0] } ?? 0..<count }
  }

  /// Both passes over a mini-batch, and what the aggregator makes of their gradients.
  ///
  /// - Parameters:
  ///   - input: this process's part of the mini-batch, [b, ...].
  ///   - batchCount: the examples of the whole mini-batch, B; those of `input` by default.
  ///   - losses: each example's own loss from the model's output, [b].
  /// - Returns: output and losses of the whole mini-batch, with the aggregate of `updated`.
  /// - Throws: `GradientMatrixError`, `AggregationError`, `TensorError`, `ProcessGroupError`.
  public func aggregate(
    _ input: Tensor, ofBatch batchCount: Int? = nil, losses: @escaping (Tensor) throws -> Tensor
  ) throws -> Result {
    let count = batchCount ?? input.size(0)
    guard count > 0 else {
      let nothing = try Tensor.zeros([0], device: store.values.device)
      return Result(aggregate: try aggregator.aggregateNothing(store), output: nothing, losses: nothing)
    }
    let division = try divider.division(of: count)
    var training = TrainingPass(generator: generator)
    if divider.keepsGroupsWhole { training.groups = division.pieces(of: sharing?.group.rank ?? 0).map(\.examples) }
    if let sharing {
      training.part = BatchPart(division.parts[sharing.group.rank], of: count)
      try sharing.willPass()
    }
    let result = try aggregate(input, training, division, batchCount: count, losses: losses)
    guard let sharing else { return result }
    let whole = try sharing.gathered((result.output, result.losses), division)
    return Result(aggregate: result.aggregate, output: whole.output, losses: whole.losses)
  }

  private func aggregate(
    _ input: Tensor, _ training: TrainingPass, _ division: BatchDivision, batchCount: Int,
    losses: @escaping (Tensor) throws -> Tensor
  ) throws -> Result {
    let passed: (output: Tensor, losses: Tensor)
    switch route {
    case .batchMean(let aggregator):
      let context = ForwardContext(
        isTraining: true, usesGradientViews: true, linearPolicy: linearPolicy, generator: generator,
        groups: training.groups, part: training.part)
      let output = try model.forward(input, in: context)
      let own = try context.completed(losses(output))
      try store.backward(own, weights: Tensor.full([input.size(0)], 1 / Double(batchCount), device: input.device))
      try sharing?.sumGradients()
      return Result(aggregate: try aggregator.aggregate(updated), output: output, losses: own)
    case .gradientMatrix(let aggregator, let plan):
      if let sharing {
        passed =
          try aggregator.groupCount == nil
          ? sharing.aggregateRows(aggregator, plan, input: input, training, division, losses: losses)
          : sharing.aggregateGroups(aggregator, plan, input: input, training, division, losses: losses)
      } else {
        passed = try aggregator.aggregate(plan, input: input, training: training, losses: losses)
      }
    }
    return Result(aggregate: .gradient, output: passed.output, losses: passed.losses)
  }

  /// Called once the optimizer has updated what is `updated`: the ranks gather all parameters.
  ///
  /// - Parameter isFinite: whether the updated parameters are.
  /// - Returns: whether all parameters are finite.
  public func didStep(isFinite: Bool) throws -> Bool {
    if case .batchMean(let aggregator) = route { try aggregator.didStep(updated) }
    return try sharing?.gatherParameters(isFinite: isFinite) ?? isFinite
  }

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
