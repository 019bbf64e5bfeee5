// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors

/// A soft AND-mask: the mean of the gradients times max(0, tanh(k·(|(1/B) Σᵢ sign gᵢⱼ| − t)/σⱼ²)), where σⱼ² is the
/// variance over the examples, Σᵢ (gᵢⱼ − ḡⱼ)²/(B − 1); each layer's part is divided by the mean of its masks (Shahtalebi et
/// al., SAND-mask, 2021, §3, with examples in place of environments, as in the authors' code).
///
/// Where nothing of a layer is kept, its part is 0.
public final class SandMask: GradientMatrixAggregator {
  /// The agreement t from which a coordinate counts, from 0 to 1.
  public let threshold: Double
  /// k, above 0: how sharp the mask is.
  public let sharpness: Double
  private var buffers: (votes: Tensor, squares: Tensor)?

  /// The sharpness where none is given.
  public static let usualSharpness = 1.0

  /// - Throws: `AggregationError` unless 0 ≤ t ≤ 1 and k > 0.
  public init(threshold: Double, sharpness: Double = usualSharpness) throws {
    guard (0...1).contains(threshold) else {
      throw AggregationError("the threshold of a mask must be from 0 to 1, not \(threshold)")
    }
    guard sharpness > 0, sharpness.isFinite else {
      throw AggregationError("the sharpness k of a mask must be a number above 0, not \(sharpness)")
    }
    (self.threshold, self.sharpness) = (threshold, sharpness)
  }

  /// Such as "sand-mask:t=0.2".
  public var description: String {
    "sand-mask:t=\(shortest(threshold))" + (sharpness == Self.usualSharpness ? "" : ":k=\(shortest(sharpness))")
  }

  /// A variance needs two.
  public var minimumBatchSize: Int { 2 }
  /// Layer by layer, for the mean of the masks.
  public var isLayerwise: Bool { true }
  /// Votes and squares.
  public var rememberedGradients: Int { 2 }

  /// A layer's masks.
  public var sumsOverShards: Bool { true }

  /// The softly masked mean of the rows.
  public func aggregate(_ matrix: GradientMatrix, _ store: ParameterStore) throws {
    let (gradient, count) = (store.gradient, Double(matrix.exampleCount))
    let (dtype, device) = try (gradient.dtype, gradient.device)
    func buffer() throws -> Tensor { try Tensor.zeros([store.count], dtype: dtype, device: device) }
    let (votes, squares) = try buffers ?? (buffer(), buffer())
    buffers = (votes, squares)
    try matrix.signSum(into: votes)
    try matrix.columnSquareSum(into: squares)
    try matrix.columnSum(
      into: gradient, weights: Tensor.full([matrix.exampleCount], 1 / count, dtype: dtype, device: device))
    for layer in matrix.layers {
      let parts = try layer.parts(of: gradient)
      let total = try zip(parts, zip(layer.parts(of: votes), layer.parts(of: squares))).reduce(0) { total, own in
        try total
          + own.0.maskSoftly(
            byVotes: own.1.0, squares: own.1.1, count: matrix.exampleCount, threshold: threshold, sharpness: sharpness)
      }
      let sums = try matrix.sumOverShards([total, Double(layer.columnCount)])
      for part in parts { try part.multiply(by: sums[0] > 0 ? sums[1] / sums[0] : 0) }
    }
  }
}
