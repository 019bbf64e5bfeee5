// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The block of an embedding: row i holds, at the vectors of the indices that example i looked up, the sum of their δ.
public struct EmbeddingBlock: GradientBlock {
  /// [B, T], int64.
  let indices: Tensor
  /// [B, T, D].
  let delta: Tensor
  /// N.
  let vectorCount: Int

  private var size: Int { delta.size(2) }
  /// The number of examples B.
  public var exampleCount: Int { indices.size(0) }
  /// The number of columns C.
  public var columnCount: Int { vectorCount * size }

  /// From the indices [B, ...], the gradient [B, ..., D] at the output and the number N of vectors.
  ///
  /// - Throws: `TensorError` when the shapes do not fit.
  public init(indices: Tensor, outputGradient: Tensor, vectorCount: Int) throws {
    self.indices = try indices.reshape([indices.size(0), -1])
    self.delta = try outputGradient.reshape([indices.size(0), -1, outputGradient.size(-1)])
    self.vectorCount = vectorCount
    guard self.indices.shape == Array(delta.shape.dropLast()) else {
      throw TensorError(
        kind: .invalid, operation: "EmbeddingBlock", operands: [indices.summary, outputGradient.summary],
        reason: "there must be one output gradient for every index")
    }
  }

  /// ‖rowᵢ‖² without forming a row where that is cheaper: float64 [B].
  public func rowSquaredNorms() throws -> Tensor {
    let positions = indices.size(1)
    // T² numbers an example, some examples at a time.
    let size = max(1, explicitBudget / max(1, positions * positions))
    guard exampleCount <= size else {
      return try Tensor.concatenate(
        stride(from: 0, to: exampleCount, by: size).map {
          try group($0..<min(exampleCount, $0 + size)).rowSquaredNorms()
        })
    }
    // Only positions that looked up the same vector meet.
    let same = try indices.unsqueeze(1).equal(indices.unsqueeze(2)).to(.float64)
    // Rounding must not make a square negative.
    return try (delta.matmul(delta.transpose()).to(.float64) * same).sum([1, 2]).clamp(0, .infinity)
  }

  /// The weight gradient of the batch, with the output gradients scaled by the weights.
  public func columnSum(into target: Tensor, weights: Tensor?, accumulating: Bool) throws {
    let scaled = try weights.map { try delta * $0.reshape([exampleCount, 1, 1]) } ?? delta
    let sum = try scaled.reshape([-1, size]).indexAdd(rows: vectorCount, indices.reshape([-1]))
    try deliver(sum, to: target, accumulating: accumulating)
  }

  /// ⟨rowᵢ, v⟩ without forming a row: [B].
  public func product(_ vector: Tensor) throws -> Tensor {
    let looked = try vector.reshape([vectorCount, size]).embedding(indices)
    return try (looked * delta).sum([1, 2])
  }

  /// Some consecutive examples as a block of their own.
  public func group(_ range: Range<Int>) throws -> any GradientBlock {
    try EmbeddingBlock(
      indices: indices.narrow(0, from: range.lowerBound, length: range.count),
      outputGradient: delta.narrow(0, from: range.lowerBound, length: range.count), vectorCount: vectorCount)
  }

  /// Some rows made explicit: [range.count, C].
  public func rows(_ range: Range<Int>) throws -> Tensor {
    let own = try indices.narrow(0, from: range.lowerBound, length: range.count)
    // As whole numbers: floats of such a size would not be exact.
    let first = try Tensor((0..<range.count).map { $0 * vectorCount }, device: indices.device).unsqueeze(1)
    let places = try (own + first).reshape([-1])
    return try delta.narrow(0, from: range.lowerBound, length: range.count).reshape([-1, size])
      .indexAdd(rows: range.count * vectorCount, places).reshape([range.count, columnCount])
  }
}
