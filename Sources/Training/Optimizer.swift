// SPDX-License-Identifier: Apache-2.0

import Aggregation
import NeuralNetworks
import Tensors

/// Updates the parameters by what came of a step's gradients, whichever aggregator made it.
///
/// Parameters that the store has frozen keep their bits: neither gradient nor weight decay reaches them.
///
/// An optimizer of one's own needs nothing but `step`, and `state` with `restore` where it remembers anything.
public protocol Optimizer: AnyObject, CustomStringConvertible {
  /// Buffers of the size of the parameters that it keeps.
  var bufferCount: Int { get }

  /// Whether it forms an aggregate that is left to the update (`Aggregate.fused`) in its own pass over memory; false by
  /// default.
  var formsAggregates: Bool { get }

  /// Makes what it keeps, before the first step.
  ///
  /// - Throws: `TensorError` when memory runs out.
  func prepare(_ store: ParameterStore) throws

  /// One update.
  ///
  /// - Returns: whether every parameter is still finite; true where the store says not to look (`checksUpdates`).
  /// - Throws: `TensorError`.
  func step(_ store: ParameterStore, _ aggregate: Aggregate, learningRate: Double) throws -> Bool

  /// The arrays that a checkpoint needs.
  func state() throws -> [(name: String, tensor: Tensor)]

  /// Continues from the arrays saved after `steps` steps.
  ///
  /// - Throws: `TrainingError` when an array is missing or of another size.
  func restore(_ arrays: [String: Tensor], afterSteps steps: Int, _ store: ParameterStore) throws
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Optimizer {
  /// The name of its type.
  public var description: String { String(describing: type(of: self)) }
  public var bufferCount: Int { 0 }
  public var formsAggregates: Bool { false }
  public func prepare(_ store: ParameterStore) throws {}
  public func state() throws -> [(name: String, tensor: Tensor)] { [] }
  public func restore(_ arrays: [String: Tensor], afterSteps steps: Int, _ store: ParameterStore) throws {}

  /// One update by the gradient that the store holds.
  public func step(_ store: ParameterStore, learningRate: Double) throws -> Bool {
    try step(store, .gradient, learningRate: learningRate)
  }
}

extension ParameterStore {
  /// Calls `body` for every range of parameters that is trained, with what cuts it out of a flat buffer: once, and with
  /// the buffers as they are, where nothing is frozen.
  ///
  /// - Returns: whether `body` said so of every range.
  func forTrained(_ body: ((Tensor) throws -> Tensor) throws -> Bool) throws -> Bool {
    guard frozenCount > 0 else { return try body { $0 } }
    var isFinite = true
    for range in trainedRanges {
      let isPartFinite = try body { try $0.narrow(0, from: range.lowerBound, length: range.count) }
      isFinite = isFinite && isPartFinite
    }
    return isFinite
  }
}

/// Stochastic gradient descent with momentum, Nesterov's look-ahead and weight decay, over flat buffers.
///
/// d = g + λw; v ← μv + d (v starts as d); w ← w − η·(v, or d + μv with Nesterov). Without momentum w ← w − ηd.
public final class SGD: Optimizer {
  /// μ
  public let momentum: Double
  /// Whether the step looks ahead along the velocity.
  public let nesterov: Bool
  /// λ
  public let weightDecay: Double
  /// v, [P]; nil without momentum, and before the first update or `prepare`.
  public private(set) var velocity: Tensor?
  private var hasStarted = false
  /// v.
  public var bufferCount: Int { momentum > 0 ? 1 : 0 }
  /// The median or mean of three gradients.
  public var formsAggregates: Bool { true }
  /// "sgd".
  public var description: String { "sgd" }

  /// - Throws: `TrainingError` unless 0 ≤ μ < 1 and λ ≥ 0, or for Nesterov's look-ahead without momentum.
  public init(momentum: Double = 0, nesterov: Bool = false, weightDecay: Double = 0) throws {
    guard momentum >= 0, momentum < 1 else {
      throw TrainingError(.configuration, "momentum must be at least 0 and below 1, not \(momentum)")
    }
    guard !nesterov || momentum > 0 else { throw TrainingError(.configuration, "nesterov needs a momentum above 0") }
    try checkWeightDecay(weightDecay)
    (self.momentum, self.nesterov, self.weightDecay) = (momentum, nesterov, weightDecay)
  }

  /// Makes the velocity.
  ///
  /// - Throws: `TensorError` when memory runs out.
  public func prepare(_ store: ParameterStore) throws {
    guard momentum > 0, velocity == nil else { return }
    let values = store.values
    velocity = try Tensor.zeros([values.count], dtype: values.dtype, device: values.device)
  }

  /// One update from what came of the step's gradients.
  ///
  /// - Returns: whether every parameter is still finite.
  public func step(_ store: ParameterStore, _ aggregate: Aggregate, learningRate: Double) throws -> Bool {
    try prepare(store)
    let update = SGDUpdate(
      learningRate: learningRate, momentum: momentum, weightDecay: weightDecay, nesterov: nesterov,
      isFirst: !hasStarted, isChecked: store.checksUpdates)
    switch aggregate {
    case .none(let decays):
      guard decays, weightDecay > 0 else { return true }
      return try store.forTrained { part in
        try part(store.gradient).add(part(store.values), scale: weightDecay)
        return true
      }
    case .gradient:
      hasStarted = true
      return try store.forTrained { part in
        try part(store.values).updateSGD(gradient: part(store.gradient), velocity: velocity.map(part), update)
      }
    case .fused(let fused):
      hasStarted = true
      return try store.forTrained { part in
        try fused.updateSGD(
          part(store.values), gradient: part(store.gradient), velocity: velocity.map(part), update, part: part)
      }
    }
  }

  /// The velocity, and whether it has started.
  public func state() throws -> [(name: String, tensor: Tensor)] {
    guard let velocity else { return [] }
    // An aggregator may withhold the first updates, so the number of steps does not tell whether the velocity is there.
    return [("velocity", velocity), ("started", try Tensor([hasStarted ? 1 : 0]))]
  }

  /// Continues from the arrays saved after `steps` steps.
  ///
  /// - Throws: `TrainingError` when an array is missing or of another size.
  public func restore(_ arrays: [String: Tensor], afterSteps steps: Int, _ store: ParameterStore) throws {
    try prepare(store)
    hasStarted = try arrays["started"].map { try $0.itemInteger() != 0 } ?? (steps > 0)
    guard let velocity else { return }
    guard let saved = arrays["velocity"], saved.shape == velocity.shape else {
      throw TrainingError(.checkpoint, "the checkpoint holds no velocity for this model: it was made without momentum")
    }
    try velocity.copy(from: saved)
  }
}

func checkWeightDecay(_ value: Double) throws {
  guard value >= 0, value.isFinite else {
    throw TrainingError(.configuration, "weight-decay must be at least 0, not \(value)")
  }
}
