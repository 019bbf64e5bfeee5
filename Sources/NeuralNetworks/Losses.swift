// SPDX-License-Identifier: Apache-2.0

import Tensors

/// How per-example losses become one number.
public enum Reduction: Sendable {
  /// Left per example.
  case none
  /// Their mean over the batch.
  case mean
  /// Their sum.
  case sum
}

/// Softmax cross entropy −ln softmax(z)[y] of logits z [B, K] and targets y [B] (int64).
///
/// - Throws: `TensorError` when shapes do not fit or a target is outside 0..<K.
public func crossEntropy(_ logits: Tensor, _ targets: Tensor, reduction: Reduction = .mean) throws -> Tensor {
  let losses = try logits.crossEntropy(targets: targets)
  switch reduction {
  case .none: return losses
  case .mean: return try losses.mean()
  case .sum: return try losses.sum()
  }
}

/// The loss of one example of a classifier, from its logits z and its label y, with p = softmax(z).
///
/// Each example's loss depends on its own logits alone, so that its gradient is a row of the gradient matrix.
public enum ClassificationLoss: Sendable, Equatable, CustomStringConvertible {
  /// −ln p_y.
  case crossEntropy
  /// (1 − ε)·(−ln p_y) + ε·(1/K) Σₖ −ln pₖ (Szegedy et al., Rethinking the Inception Architecture, 2016, §7).
  case smoothed(Double)
  /// (1 − p_y^q)/q: the cross entropy as q → 0, the mean absolute error at q = 1 (Zhang and Sabuncu, Generalized Cross
  /// Entropy Loss, 2018, §3.2).
  case generalized(q: Double)
  /// α·(−ln p_y) + β·4·(1 − p_y): cross entropy and reverse cross entropy with ln 0 taken as −4 (Wang et al., Symmetric
  /// Cross Entropy, 2019, §3).
  case symmetric(alpha: Double, beta: Double)
  /// −ln p_y + λ·ln(1 − ⟨p, t⟩), where t is the running mean of the example's own past predictions: t ← βt + (1 − β)p
  /// (Liu et al., Early-Learning Regularization, 2020, §4). Without t, as in measurements, the cross entropy.
  case earlyLearning(lambda: Double, beta: Double)

  /// A word such as "gce:0.7".
  public var description: String {
    switch self {
    case .crossEntropy: "ce"
    case .smoothed(let share): "smooth:\(share)"
    case .generalized(let q): "gce:\(q)"
    case .symmetric(let alpha, let beta): "sce:\(alpha),\(beta)"
    case .earlyLearning(let lambda, let beta): "elr:\(lambda),\(beta)"
    }
  }

  /// What is out of range; nil when nothing is.
  public var problem: String? {
    func positive(_ value: Double) -> Bool { value >= 0 && value.isFinite }
    switch self {
    case .crossEntropy: return nil
    case .smoothed(let share): return share >= 0 && share < 1 ? nil : "its share must be at least 0 and below 1"
    case .generalized(let q): return q > 0 && q <= 1 ? nil : "q must be above 0 and at most 1"
    case .symmetric(let alpha, let beta):
      return positive(alpha) && positive(beta) && alpha + beta > 0
        ? nil : "alpha and beta must be at least 0, and not both 0"
    case .earlyLearning(let lambda, let beta):
      return positive(lambda) && beta >= 0 && beta < 1 ? nil : "lambda must be at least 0, and beta from 0 to below 1"
    }
  }

  /// The losses of logits [B, K] against targets [B]: [B].
  ///
  /// - Parameters:
  ///   - logits: z, [B, K].
  ///   - targets: y, [B].
  ///   - memory: t of each example, [B, K], a constant; for `earlyLearning` alone.
  /// - Throws: `TensorError` when shapes do not fit or a target is outside 0..<K.
  public func losses(_ logits: Tensor, targets: Tensor, memory: Tensor? = nil) throws -> Tensor {
    let own = try logits.crossEntropy(targets: targets)
    switch self {
    case .crossEntropy: return own
    case .smoothed(let share):
      let others = try logits.logSoftmax().mean([1]).negated()
      return try own * (1 - share) + others * share
    case .generalized(let q):
      // p^q = exp(−q·CE).
      return try ((own * -q).exponential().negated() + 1) * (1 / q)
    case .symmetric(let alpha, let beta):
      return try own * alpha + (own.negated().exponential().negated() + 1) * (4 * beta)
    case .earlyLearning(let lambda, _):
      guard let memory else { return own }
      let product = try (Self.bounded(logits) * memory).sum([1])
      return try own + (product.negated() + 1).logarithm() * lambda
    }
  }

  /// p kept off 0 and 1, as in the authors' code, so that no logarithm is of 0.
  private static func bounded(_ logits: Tensor) throws -> Tensor { try logits.softmax().clamp(1e-4, 1 - 1e-4) }

  /// t after another look at examples: βt + (1 − β)p, p kept off 0 and 1 and of sum 1; both [B, K]. Not recorded.
  public static func remembered(_ memory: Tensor, _ logits: Tensor, beta: Double) throws -> Tensor {
    try withoutGradients {
      let p = try bounded(logits.detach())
      return try memory * beta + p / p.sum([1]).unsqueeze(1) * (1 - beta)
    }
  }
}
