// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// The numbers of one Adam or AdamW update (D. Kingma and J. Ba 2015, algorithm 1; I. Loshchilov and F. Hutter 2019,
/// algorithm 2).
public struct AdamUpdate: Sendable {
  /// η
  public var learningRate: Double
  /// β₁, the share that the mean of gradients keeps.
  public var beta1: Double
  /// β₂, the share that the mean of squares keeps.
  public var beta2: Double
  /// ε, added to the root of the mean of squares.
  public var epsilon: Double
  /// λ
  public var weightDecay: Double
  /// Whether λ shrinks the parameters (AdamW) instead of entering the gradient (Adam).
  public var isDecoupled: Bool
  /// t, the number of this update, counted from 1.
  public var number: Int
  /// Whether the update looks if every parameter is finite still, for which the host waits for a GPU; without, it says that
  /// they are.
  public var isChecked: Bool

  /// An update from its numbers.
  public init(
    learningRate: Double, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0,
    isDecoupled: Bool = false, number: Int, isChecked: Bool = true
  ) {
    (self.learningRate, self.beta1, self.beta2, self.epsilon) = (learningRate, beta1, beta2, epsilon)
    (self.weightDecay, self.isDecoupled, self.number) = (weightDecay, isDecoupled, number)
    self.isChecked = isChecked
  }

  var native: ct_adam_options {
    ct_adam_options(
      learning_rate: learningRate, beta1: beta1, beta2: beta2, epsilon: epsilon, weight_decay: weightDecay,
      decoupled: isDecoupled, update: Int64(number), unchecked: !isChecked)
  }
}

extension Tensor {
  /// One Adam or AdamW update of a flat parameter buffer, in one pass over memory: g ← g + λw (Adam); m ← β₁m + (1 − β₁)g;
  /// v ← β₂v + (1 − β₂)g²; w ← w(1 − ηλ) (AdamW); w ← w − η·m̂/(√v̂ + ε) with m̂ = m/(1 − β₁ᵗ) and v̂ = v/(1 − β₂ᵗ).
  ///
  /// - Parameters:
  ///   - gradient: g, of this buffer's shape.
  ///   - firstMoment: m; 0 before the first update.
  ///   - secondMoment: v; 0 before the first update.
  ///   - update: the settings of the update.
  /// - Returns: whether every updated parameter is finite.
  /// - Throws: `TensorError` when the buffers are not alike and contiguous, or the update's number is below 1.
  public func updateAdam(
    gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor, _ update: AdamUpdate
  ) throws -> Bool {
    var finite = true
    try check(
      ct_adam_step(pointer, gradient.pointer, firstMoment.pointer, secondMoment.pointer, update.native, &finite),
      "updateAdam", [self, gradient])
    return finite
  }
}
