// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import Tensors

/// What a model has predicted of each training example so far: t, [N, K], for `ClassificationLoss.earlyLearning`.
final class PredictionMemory {
  /// t of every training example, by index into the training set; 0 before its first visit.
  let values: Tensor
  private let beta: Double

  /// - Parameters:
  ///   - loss: the loss.
  ///   - count: training examples, N.
  ///   - classes: K.
  /// - Returns: nil for a loss that remembers nothing.
  init?(_ loss: ClassificationLoss, count: Int, classes: Int) throws {
    guard case .earlyLearning(_, let beta) = loss else { return nil }
    self.beta = beta
    values = try Tensor.zeros([count, classes])
  }

  private func rows(_ indices: [Int], like logits: Tensor) throws -> Tensor {
    try values.indexSelect(0, Tensor(indices)).to(logits.dtype, device: logits.device)
  }

  /// t of examples with their present predictions taken in, [B, K]; the memory itself stays as it is.
  func targets(of indices: [Int], _ logits: Tensor) throws -> Tensor {
    try ClassificationLoss.remembered(rows(indices, like: logits), logits, beta: beta)
  }

  /// Takes in the predictions of a mini-batch.
  func didVisit(_ indices: [Int], _ logits: Tensor) throws {
    let rows = try targets(of: indices, logits).to(values.dtype, device: .cpu)
    for (row, index) in indices.enumerated() { try values.select(0, index).copy(from: rows.select(0, row)) }
  }
}
