// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// How a sum over examples is clipped, coordinate by coordinate.
public struct Clipping: Sendable, Equatable {
  /// What happens to the extremes.
  public enum Kind: Sendable {
    /// They become the nearest entry that is kept.
    case winsorized
    /// They are left out.
    case trimmed
  }

  /// How many of the smallest entries are clipped.
  public var low: Int
  /// How many of the largest entries are clipped.
  public var high: Int
  /// What happens to them.
  public var kind: Kind
  /// What the sum is multiplied by, such as 1/B for a mean.
  public var scale: Double

  /// A clipping from its parts.
  public init(low: Int, high: Int, kind: Kind = .winsorized, scale: Double = 1) {
    (self.low, self.high, self.kind, self.scale) = (low, high, kind, scale)
  }

  var native: ct_clip { ct_clip(low: Int64(low), high: Int64(high), trims: kind == .trimmed, scale: scale) }
}

extension ct_range {
  init(_ range: Range<Int>) { self.init(start: Int64(range.lowerBound), end: Int64(range.upperBound)) }
}

extension Tensor {
  /// Overwrites this tensor [P] with the clipped sum of the rows [B, P]; a coordinate with a NaN becomes NaN.
  ///
  /// - Throws: `TensorError` when shapes or types do not fit, or there are no more than low + high rows.
  public func setClippedSum(ofRows rows: Tensor, _ clipping: Clipping) throws {
    try check(ct_clipped_row_sum(pointer, rows.pointer, clipping.native), "setClippedSum", [self, rows])
  }

  /// Overwrites this tensor [out, in] with the clipped sum over examples b of δ_b ⊗ a_b, and `bias` [out] with that of
  /// δ_b, for δ [B, out] and a [B, in]. The B×out×in products are never held.
  ///
  /// - Throws: `TensorError` when shapes or types do not fit, or there are no more than low + high examples.
  public func setClippedSum(outputGradient: Tensor, input: Tensor, bias: Tensor? = nil, _ clipping: Clipping) throws {
    try check(
      ct_clipped_outer_sum(pointer, bias?.pointer, outputGradient.pointer, input.pointer, clipping.native),
      "setClippedSum", [self, outputGradient, input])
  }

  /// Overwrites this tensor [out, in] with the sum over examples b of sign(δ_b) ⊗ sign(a_b), and `bias` [out] with that of
  /// sign(δ_b), for δ [B, out] and a [B, in]: contiguous float32 on the CPU. Exact up to 2²⁴ examples; NaN where a factor is.
  ///
  /// - Throws: `TensorError` when shapes, types or layouts do not fit.
  public func setSignSum(outputGradient: Tensor, input: Tensor, bias: Tensor? = nil) throws {
    try check(
      ct_weight_sign_sum(pointer, bias?.pointer, outputGradient.pointer, input.pointer), "setSignSum",
      [self, outputGradient, input])
  }

  /// Overwrites this tensor [out, in] with the median over groups of consecutive examples of the groups' means of
  /// δ_b ⊗ a_b, and `bias` [out] with that of δ_b: contiguous float32 on the CPU, 3, 5, 7 or 9 groups.
  ///
  /// - Throws: `TensorError` when shapes, types or layouts do not fit, or the groups do not cover the batch.
  public func setMedianWeightGradient(
    outputGradient: Tensor, input: Tensor, bias: Tensor? = nil, groups: [Range<Int>], rowsPerExample: Int = 1
  ) throws {
    try check(
      ct_weight_gradient_median(
        pointer, bias?.pointer, outputGradient.pointer, input.pointer, Int64(rowsPerExample), groups.map(ct_range.init),
        Int64(groups.count)),
      "setMedianWeightGradient", [self, outputGradient, input])
  }

  /// Overwrites this tensor [P] with the median of the rows [k, P], k odd; a coordinate with a NaN becomes NaN.
  ///
  /// - Throws: `TensorError` when shapes or types do not fit, or k is even.
  public func setMedian(ofRows rows: Tensor) throws {
    try check(ct_row_median(pointer, rows.pointer), "setMedian", [self, rows])
  }

  /// Overwrites this tensor [P] with the median of the means of the rows [B, P] over groups of consecutive rows:
  /// contiguous float32 on the CPU, 3, 5, 7 or 9 groups.
  ///
  /// - Throws: `TensorError` when shapes, types or layouts do not fit, or the groups do not cover the rows.
  public func setMedian(ofMeansOver groups: [Range<Int>], rows: Tensor) throws {
    try check(
      ct_group_mean_median(pointer, rows.pointer, groups.map(ct_range.init), Int64(groups.count)),
      "setMedian", [self, rows])
  }

  /// One SGD update of a flat parameter buffer from the median or mean of three gradients, in one pass over memory.
  ///
  /// - Parameters:
  ///   - current: the newest gradient; it becomes g + λw with `decaysBefore`.
  ///   - previous: the two before it.
  ///   - velocity: as in `updateSGD`.
  ///   - isMedian: the coordinate-wise median, or the mean.
  ///   - decaysBefore: whether λw enters each gradient before the median, at the weights it was taken at.
  ///   - update: the settings of the update.
  /// - Returns: whether every updated parameter is finite.
  /// - Throws: `TensorError` when the buffers are not alike and contiguous.
  public func updateFromThree(
    current: Tensor, previous: (Tensor, Tensor), velocity: Tensor?, isMedian: Bool, decaysBefore: Bool,
    _ update: SGDUpdate
  ) throws -> Bool {
    var finite = true
    try check(
      ct_three_gradient_step(
        pointer, current.pointer, previous.0.pointer, previous.1.pointer, velocity?.pointer, update.native, isMedian,
        decaysBefore, &finite),
      "updateFromThree", [self, current])
    return finite
  }
}
