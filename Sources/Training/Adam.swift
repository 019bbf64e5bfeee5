// SPDX-License-Identifier: Apache-2.0

import Aggregation
import NeuralNetworks
import Tensors

/// Adam (D. Kingma and J. Ba 2015, algorithm 1) and AdamW (I. Loshchilov and F. Hutter 2019, algorithm 2), over flat
/// buffers and the gradient of any aggregator.
///
/// g ← g + λw (Adam); m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; w ← (1 − ηλ)w (AdamW);
/// w ← w − η·m̂/(√v̂ + ε), with m̂ = m/(1 − β₁ᵗ) and v̂ = v/(1 − β₂ᵗ) after t updates. Steps in which an aggregator has no
/// gradient yet are no updates. Weight decay enters after aggregation, whatever the aggregator does for SGD.
public final class Adam: Optimizer {
  /// What is chosen beside learning rate and weight decay.
  public struct Settings: Sendable, Equatable {
    /// β₁, at least 0 and below 1.
    public var beta1: Double
    /// β₂, at least 0 and below 1.
    public var beta2: Double
    /// ε, above 0.
    public var epsilon: Double
    /// Whether λ shrinks the parameters instead of entering the gradient: AdamW.
    public var isDecoupled: Bool

    /// Settings from their parts.
    public init(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, isDecoupled: Bool = false) {
      (self.beta1, self.beta2, self.epsilon, self.isDecoupled) = (beta1, beta2, epsilon, isDecoupled)
    }

    /// AdamW's usual settings.
    public static let adamW = Settings(isDecoupled: true)

    /// What is out of range; nil when nothing is.
    public var problem: String? {
      guard beta1 >= 0, beta1 < 1, beta2 >= 0, beta2 < 1 else {
        return "beta1 and beta2 must be at least 0 and below 1, not \(beta1) and \(beta2)"
      }
      return epsilon > 0 && epsilon.isFinite ? nil : "epsilon must be a number above 0, not \(epsilon)"
    }
  }

  /// β₁, β₂, ε and which of the two it is.
  public let settings: Settings
  /// λ
  public let weightDecay: Double
  /// m and v, each [P]; nil before the first update or `prepare`.
  public private(set) var moments: (first: Tensor, second: Tensor)?
  /// t, the updates made.
  public private(set) var updates = 0
  /// m and v.
  public var bufferCount: Int { 2 }

  /// - Throws: `TrainingError` unless 0 ≤ β < 1 and ε > 0, and λ is at least 0.
  public init(_ settings: Settings = Settings(), weightDecay: Double = 0) throws {
    if let problem = settings.problem { throw TrainingError(.configuration, problem) }
    try checkWeightDecay(weightDecay)
    self.settings = settings
    self.weightDecay = weightDecay
  }

  /// Such as "adamw" or "adam:beta2=0.99".
  public var description: String {
    let usual = Settings()
    let changed = [
      ("beta1", settings.beta1, usual.beta1), ("beta2", settings.beta2, usual.beta2),
      ("epsilon", settings.epsilon, usual.epsilon),
    ].filter { $0.1 != $0.2 }.map { "\($0.0)=\($0.1)" }
    return (settings.isDecoupled ? "adamw" : "adam") + (changed.isEmpty ? "" : ":" + changed.joined(separator: ","))
  }

  /// Makes the moments, which start at 0.
  ///
  /// - Throws: `TensorError` when memory runs out.
  public func prepare(_ store: ParameterStore) throws { _ = try moments(for: store) }

  private func moments(for store: ParameterStore) throws -> (first: Tensor, second: Tensor) {
    if let moments { return moments }
    let values = store.values
    let made = try (
      first: Tensor.zeros([values.count], dtype: values.dtype, device: values.device),
      second: Tensor.zeros([values.count], dtype: values.dtype, device: values.device)
    )
    moments = made
    return made
  }

  /// One update from what came of the step's gradients.
  ///
  /// - Returns: whether every parameter is still finite.
  public func step(_ store: ParameterStore, _ aggregate: Aggregate, learningRate: Double) throws -> Bool {
    let gradient: Tensor
    switch aggregate {
    case .none: return true
    case .gradient: gradient = store.gradient
    case .fused(let fused): gradient = try fused.formed(store.gradient)
    }
    let moments = try moments(for: store)
    updates += 1
    let update = AdamUpdate(
      learningRate: learningRate, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon,
      weightDecay: weightDecay, isDecoupled: settings.isDecoupled, number: updates,
      isChecked: store.checksUpdates)
    return try store.forTrained { part in
      try part(store.values).updateAdam(
        gradient: part(gradient), firstMoment: part(moments.first), secondMoment: part(moments.second), update)
    }
  }

  /// Both moments, and the number of updates; none before `prepare`.
  public func state() throws -> [(name: String, tensor: Tensor)] {
    guard let moments else { return [] }
    return [
      ("first_moment", moments.first), ("second_moment", moments.second), ("updates", try Tensor([updates])),
    ]
  }

  /// Continues from the arrays saved after `steps` steps.
  ///
  /// - Throws: `TrainingError` when an array is missing or of another size.
  public func restore(_ arrays: [String: Tensor], afterSteps steps: Int, _ store: ParameterStore) throws {
    let moments = try moments(for: store)
    guard let first = arrays["first_moment"], let second = arrays["second_moment"], let count = arrays["updates"],
      first.shape == moments.first.shape, second.shape == moments.second.shape, count.count == 1
    else {
      throw TrainingError(.checkpoint, "the checkpoint holds no moments for this model: it was not made with Adam")
    }
    try moments.first.copy(from: first)
    try moments.second.copy(from: second)
    updates = try max(0, count.itemInteger())
  }
}
