// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors

/// The mean of the gradients that agree with those of other examples: gᵢ counts where ⟨gᵢ, ḡ⟩ > 0 for the mean gradient ḡ
/// of a batch that it does not belong to (Sedova et al., AGRA, 2023, §3, with the threshold 0 and disagreeing examples
/// left out).
///
/// The authors draw a batch of its own for ḡ. Here each half of the mini-batch is the other's: ⌈B/2⌉ examples and the
/// rest, which is as independent, as batches are drawn without replacement, and needs no second pass; but for batch
/// normalisation, whose statistics of the whole mini-batch couple the halves. Where no example agrees, there is no step
/// (a gradient of 0).
public final class IndependentAgreement: GradientMatrixAggregator {
  /// Steps in which no example counted.
  public private(set) var emptySteps = 0
  private var means: [Tensor]?

  /// The rule has no settings.
  public init() {}

  /// "agra".
  public var description: String { "agra" }
  /// A half needs one.
  public var minimumBatchSize: Int { 2 }
  /// The halves' means.
  public var rememberedGradients: Int { 2 }

  /// Inner products.
  public var sumsOverShards: Bool { true }

  /// The mean of the gradients that agree with the other half's.
  public func aggregate(_ matrix: GradientMatrix, _ store: ParameterStore) throws {
    let (gradient, count) = (store.gradient, matrix.exampleCount)
    let (dtype, device) = try (gradient.dtype, gradient.device)
    func weights(_ values: [Double]) throws -> Tensor { try Tensor(values).to(dtype, device: device) }
    let first = (count + 1) / 2
    let means =
      try self.means ?? (0..<2).map { _ in try Tensor.zeros([store.count], dtype: dtype, device: device) }
    self.means = means
    let halves = try [0..<first, first..<count].map { try matrix.group($0) }
    // Only the sign of a product counts, so sums do for means.
    for (half, mean) in zip(halves, means) {
      try half.columnSum(into: mean)
      // Only what is trained agrees or disagrees.
      for range in store.frozenRanges { try mean.narrow(0, from: range.lowerBound, length: range.count).fill(0) }
    }
    let products = try matrix.sumOverShards(halves[0].totalProduct(means[1]) + halves[1].totalProduct(means[0]))
    let kept = products.count { $0 > 0 }
    if kept == 0 { emptySteps += 1 }
    try matrix.columnSum(into: gradient, weights: weights(products.map { $0 > 0 ? 1 / Double(kept) : 0 }))
  }
}
