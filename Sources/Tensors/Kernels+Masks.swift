// SPDX-License-Identifier: Apache-2.0

import CLibTorch

extension Tensor {
  /// Sets this gradient to scale · sign g, coordinate by coordinate, in one pass over memory; or, with a running mean m, m to
  /// βm + (1 − β)g first and g to scale · sign m. NaN stays NaN.
  ///
  /// - Parameters:
  ///   - average: m, of this tensor's shape.
  ///   - beta: β.
  ///   - scale: the size of every coordinate.
  /// - Throws: `TensorError` when the two are not alike and contiguous.
  public func takeSigns(ofRunningMean average: Tensor? = nil, beta: Double = 0, scale: Double) throws {
    try check(ct_take_signs(pointer, average?.pointer, beta, scale), "takeSigns", [self])
  }

  /// Sets this gradient to 0 wherever |votes| does not exceed a number, in one pass over memory.
  ///
  /// - Parameters:
  ///   - votes: Σᵢ sign gᵢⱼ of each coordinate, of this tensor's shape.
  ///   - needed: what the votes have to exceed.
  /// - Returns: how many coordinates are kept.
  /// - Throws: `TensorError` when the two are not alike and contiguous.
  public func mask(byVotes votes: Tensor, above needed: Double) throws -> Int {
    var kept: Int64 = 0
    try check(ct_mask_by_votes(pointer, votes.pointer, needed, &kept), "mask", [self, votes])
    return Int(kept)
  }

  /// Multiplies this mean gradient by max(0, tanh(k·(|votes|/B − t)/σ²)), in one pass over memory, with σ² the variance over
  /// the examples, B/(B − 1)·(squares/B − mean²). Where σ² is 0 the mask is 1 or 0.
  ///
  /// - Parameters:
  ///   - votes: Σᵢ sign gᵢⱼ of each coordinate, of this tensor's shape.
  ///   - squares: Σᵢ gᵢⱼ², of this tensor's shape.
  ///   - count: B, at least 2.
  ///   - threshold: t.
  ///   - sharpness: k.
  /// - Returns: the sum of the masks.
  /// - Throws: `TensorError` when the three are not alike and contiguous, or B is below 2.
  public func maskSoftly(
    byVotes votes: Tensor, squares: Tensor, count: Int, threshold: Double, sharpness: Double
  ) throws -> Double {
    var total = 0.0
    let options = ct_soft_mask_options(count: Double(count), threshold: threshold, sharpness: sharpness)
    try check(
      ct_mask_softly(pointer, squares.pointer, votes.pointer, options, &total), "maskSoftly", [self, squares, votes])
    return total
  }
}
