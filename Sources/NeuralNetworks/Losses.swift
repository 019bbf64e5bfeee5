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
