// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors

/// The mean of the gradients in the coordinates in whose sign the examples agree, 0 in all others:
/// wherever |(1/B) Σᵢ sign gᵢⱼ| ≥ t, (1/B) Σᵢ gᵢⱼ (Parascandolo et al., Learning Explanations that are Hard to Vary,
/// 2020, §3.2, with examples in place of environments).
///
/// Fewer coordinates make shorter steps; the authors' code makes up for that by dividing each part by the share of its
/// coordinates that are kept, which is `isRescaled` here, by layer.
public final class AndMask: GradientMatrixAggregator {
  /// The agreement t that a coordinate needs: from 0, which keeps all, to 1, all examples of one sign.
  public let threshold: Double
  /// Whether a layer's part is divided by the share of its coordinates that are kept.
  public let isRescaled: Bool
  /// Σᵢ sign gᵢⱼ, [P].
  private var votes: Tensor?

  /// - Throws: `AggregationError` unless the threshold is from 0 to 1.
  public init(threshold: Double, isRescaled: Bool = false) throws {
    guard (0...1).contains(threshold) else {
      throw AggregationError("the threshold of a mask must be from 0 to 1, not \(threshold)")
    }
    (self.threshold, self.isRescaled) = (threshold, isRescaled)
  }

  /// Such as "and-mask:t=0.2".
  public var description: String { "and-mask:t=\(shortest(threshold))" + (isRescaled ? ":rescaled" : "") }

  /// Coordinate by coordinate; rescaled, layer by layer.
  public var isLayerwise: Bool { true }

  /// The votes.
  public var rememberedGradients: Int { 1 }

  /// A layer's kept coordinates, when rescaled.
  public var sumsOverShards: Bool { isRescaled }

  /// The masked mean of the rows.
  public func aggregate(_ matrix: GradientMatrix, _ store: ParameterStore) throws {
    let (gradient, count) = (store.gradient, Double(matrix.exampleCount))
    let (dtype, device) = try (gradient.dtype, gradient.device)
    let votes = try self.votes ?? Tensor.zeros([store.count], dtype: dtype, device: device)
    self.votes = votes
    try matrix.signSum(into: votes)
    try matrix.columnSum(
      into: gradient, weights: Tensor.full([matrix.exampleCount], 1 / count, dtype: dtype, device: device))
    // Votes are whole numbers: half a vote less than the threshold asks for is no rounding.
    let needed = (threshold * count - 1e-6).rounded(.up) - 0.5
    for layer in matrix.layers {
      let parts = try layer.parts(of: gradient)
      let kept = try zip(parts, layer.parts(of: votes)).reduce(0) { try $0 + $1.0.mask(byVotes: $1.1, above: needed) }
      guard isRescaled else { continue }
      let sums = try matrix.sumOverShards([Double(kept), Double(layer.columnCount)])
      for part in parts { try part.multiply(by: sums[0] > 0 ? sums[1] / sums[0] : 0) }
    }
  }
}
