// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Tensors

@Suite struct MaskKernelTests {
  private static let sizes = [0, 1, 31, 32_768, 32_769, 70_001]

  /// Whole numbers from −b to b, as votes are.
  private func votes(_ count: Int, of examples: Int, dtype: DType) throws -> Tensor {
    let values = (0..<count).map { Double(($0 * 7919 + 3) % (2 * examples + 1) - examples) }
    return try Tensor(values).to(dtype)
  }

  @Test(arguments: [DType.float32, .float64]) func whatDisagreesBecomesZero(_ dtype: DType) throws {
    for count in Self.sizes {
      let gradient = try randomTensor([count], seed: 1, dtype: dtype)
      let votes = try votes(count, of: 10, dtype: dtype)
      let (before, own): ([Double], [Double]) = try (gradient.to(.float64).values(), votes.to(.float64).values())
      let kept = try gradient.mask(byVotes: votes, above: 3.5)
      let expected = zip(before, own).map { abs($1) > 3.5 ? $0 : 0 }
      #expect(try gradient.to(.float64).values() as [Double] == expected)
      #expect(kept == own.count { abs($0) > 3.5 })
    }
  }

  @Test(arguments: [DType.float32, .float64]) func softMasksAgreeWithTheFormula(_ dtype: DType) throws {
    for count in Self.sizes {
      let gradient = try randomTensor([count], seed: 2, dtype: dtype)
      let votes = try votes(count, of: 12, dtype: dtype)
      let before: [Double] = try gradient.to(.float64).values()
      // Variances of 0, of rounding below it, and ordinary ones.
      let squares = try Tensor(
        before.enumerated().map { place, mean in
          12 * mean * mean + (place % 5 == 0 ? 0 : place % 7 == 0 ? -1e-9 : Double(place % 11))
        }
      ).to(dtype)
      let (own, sums): ([Double], [Double]) = try (votes.to(.float64).values(), squares.to(.float64).values())
      let total = try gradient.maskSoftly(byVotes: votes, squares: squares, count: 12, threshold: 0.25, sharpness: 0.5)
      var (expected, sum): ([Double], Double) = ([], 0)
      for place in before.indices {
        let variance = max(0, sums[place] / 12 - before[place] * before[place]) * 12 / 11
        let mask = max(0, tanh(min(1e6, 0.5 * (abs(own[place]) / 12 - 0.25) / (variance + 1e-300))))
        expected.append(before[place] * mask)
        sum += mask
      }
      let tolerance = dtype == .float32 ? 1e-6 : 1e-12
      try expectClose(gradient, expected, shape: [count], dtype: dtype, rtol: tolerance, atol: tolerance)
      #expect(abs(total - sum) <= 1e-9 * max(1, sum))
    }
  }

  @Test func otherTypesTakeTheGeneralPath() throws {
    let gradient = try Tensor([1.0, -2, 3]).to(.bfloat16)
    let votes = try Tensor([4.0, -1, -4]).to(.bfloat16)
    #expect(try gradient.mask(byVotes: votes, above: 2.5) == 2)
    try expectClose(gradient, [1, 0, 3], shape: [3], dtype: .bfloat16, rtol: 0, atol: 0)
    let total = try gradient.maskSoftly(
      byVotes: votes, squares: Tensor([4.0, 0, 36]).to(.bfloat16), count: 4, threshold: 0.5, sharpness: 1)
    try expectClose(gradient, [1, 0, 3], shape: [3], dtype: .bfloat16, rtol: 0.3, atol: 0)
    #expect(total > 1 && total <= 2)
  }

  /// The update has to hear of them.
  @Test(arguments: [DType.float32, .float64, .bfloat16]) func numbersThatAreNoneStay(_ dtype: DType) throws {
    func gradient() throws -> Tensor { try Tensor([Double.nan, .infinity, 1, 2]).to(dtype) }
    let votes = try Tensor([Double.nan, 1, 1, 5]).to(dtype)
    let hard = try gradient()
    _ = try hard.mask(byVotes: votes, above: 2.5)
    let soft = try gradient()
    _ = try soft.maskSoftly(
      byVotes: votes, squares: Tensor([Double.nan, .infinity, 9, 9]).to(dtype), count: 5, threshold: 0.5, sharpness: 1)
    for masked in [hard, soft] {
      let found: [Double] = try masked.to(.float64).values()
      #expect(!found[0].isFinite && !found[1].isFinite && found[2] == 0 && found[3] > 0)
    }
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let gradient = try Tensor.zeros([4])
    #expect(throws: TensorError.self) { _ = try gradient.mask(byVotes: Tensor.zeros([3]), above: 1) }
    #expect(throws: TensorError.self) { _ = try gradient.mask(byVotes: Tensor.zeros([4], dtype: .float64), above: 1) }
    #expect(throws: TensorError.self) {
      _ = try gradient.maskSoftly(
        byVotes: gradient, squares: Tensor.zeros([4]), count: 1, threshold: 0.2, sharpness: 1)
    }
  }
}
