// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors

/// How many examples are clipped at each end.
public enum ClippingLevel: Sendable, Equatable {
  /// Down to the c-th and up to the (100 − c)-th percentile of the batch, nearest rank: c in percent, 0 ≤ c < 50
  /// (Coherent Gradients, §3).
  case percentile(Double)
  /// The s smallest and the s largest (Weak and Strong Gradient Directions).
  case count(Int)

  /// The numbers clipped of `batch` examples. Percentile p is the entry of rank (B − 1)·p/100, rounded to the nearest and
  /// to even between two, counted from 0.
  public func counts(ofBatch batch: Int) -> (low: Int, high: Int) {
    switch self {
    case .count(let count): return (count, count)
    case .percentile(let percent):
      // In range: a percentile of a batch.
      func rank(_ percent: Double) -> Int { Int((Double(max(batch - 1, 0)) * percent / 100).rounded(.toNearestOrEven)) }
      return (rank(percent), max(batch - 1, 0) - rank(100 - percent))
    }
  }
}

/// The winsorized or trimmed mean, coordinate by coordinate: the extremes of the batch become the nearest entry that is
/// kept, or are left out. Directions that few examples share then have no say, however strong.
///
/// Winsorized SGD is that of Coherent Gradients §3 (by percentile) and of Weak and Strong Gradient Directions (by
/// count). With nothing clipped it is the mean.
public final class ClippedMean: GradientMatrixAggregator {
  /// How much is clipped.
  public let level: ClippingLevel
  /// What happens to it.
  public let kind: Clipping.Kind

  /// - Throws: `AggregationError` unless 0 ≤ c < 50 or 0 ≤ s.
  public init(_ level: ClippingLevel, kind: Clipping.Kind) throws {
    switch level {
    case .percentile(let percent):
      guard percent >= 0, percent < 50 else {
        throw AggregationError("the percentile c must be at least 0 and below 50, not \(percent)")
      }
    case .count(let count):
      guard count >= 0, count < 1 << 30 else {
        throw AggregationError(
          "the number s of examples clipped at each end must be at least 0 and at most \((1 << 30) - 1), not \(count)")
      }
    }
    self.level = level
    self.kind = kind
  }

  /// 2s + 1.
  public var minimumBatchSize: Int { if case .count(let count) = level { 2 * count + 1 } else { 1 } }

  /// Such as "winsorized:c=2" or "trimmed:s=4".
  public var description: String {
    let name = kind == .trimmed ? "trimmed" : "winsorized"
    switch level {
    case .percentile(let percent): return "\(name):c=\(shortest(percent))"
    case .count(let count): return "\(name):s=\(count)"
    }
  }

  /// Coordinate by coordinate.
  public var isLayerwise: Bool { true }

  /// The clipped mean of the rows.
  public func aggregate(_ matrix: GradientMatrix, _ store: ParameterStore) throws {
    let (low, high) = level.counts(ofBatch: matrix.exampleCount)
    let divisor = kind == .trimmed ? matrix.exampleCount - low - high : matrix.exampleCount
    if low == 0, high == 0 {
      let dtype = try store.gradient.dtype
      let weights = try Tensor.full([divisor], 1 / Double(divisor), dtype: dtype, device: store.gradient.device)
      return try matrix.columnSum(into: store.gradient, weights: weights)
    }
    try matrix.clippedSum(
      into: store.gradient, Clipping(low: low, high: high, kind: kind, scale: 1 / Double(max(divisor, 1))))
  }
}
