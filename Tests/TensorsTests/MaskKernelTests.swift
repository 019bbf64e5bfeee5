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

  /// As many votes as the threshold asks for have the mask 0, however it is rounded, and however small the variance is.
  @Test(arguments: [(5, 0.6, 3), (10, 0.3, 3), (10, 0.6, 6), (10, 0.7, 7), (20, 0.6, 12), (200, 0.7, 140)])
  func softMasksBeginAboveTheThreshold(_ count: Int, _ threshold: Double, _ least: Int) throws {
    for (votes, mask) in [(least, 0.0), (-least, 0), (least + 1, 1)] {
      let gradient = try Tensor([1e-9])
      let total = try gradient.maskSoftly(
        byVotes: Tensor([Double(votes)]), squares: Tensor([Double(count) * 2e-18]), count: count,
        threshold: threshold, sharpness: 1)
      #expect(total == mask, "\(votes) of \(count)")
    }
  }

  @Test(arguments: [DType.float32, .float64, .bfloat16]) func signs(_ dtype: DType) throws {
    let special: [Double] = [0, -0.0, 3, -0.5, .nan, .infinity, -.infinity, 1e-30]
    let values = try Tensor(special + randomNumbers(40_001, seed: 5).map { Double(Float($0)) }).to(dtype)
    let own: [Double] = try values.to(.float64).values()
    func sign(_ x: Double) -> Double { x > 0 ? 1 : x < 0 ? -1 : x }
    try expectClose(values.sign(), own.map(sign), shape: [own.count], dtype: dtype, rtol: 0, atol: 0)
    let taken = try values.clone()
    try taken.takeSigns(scale: 0.25)
    try expectClose(taken, own.map { 0.25 * sign($0) }, shape: [own.count], dtype: dtype, rtol: 0, atol: 0)
    // Not contiguous.
    let strided = try values.narrow(0, from: 0, length: 40_000).reshape([200, 200]).transpose()
    let expected: [Double] = try strided.contiguous().to(.float64).values()
    try expectClose(strided.sign(), expected.map(sign), shape: [200, 200], dtype: dtype, rtol: 0, atol: 0)
  }

  /// Products of bytes and of numbers: both count exactly.
  @Test(arguments: [
    [1, 1, 1], [3, 5, 2], [23, 630, 1], [23, 1, 77], [7, 8, 8], [17, 33, 40], [100, 131, 64], [300, 9, 130],
  ])
  func sumsOfSigns(_ size: [Int]) throws {
    let (batch, inputs, outputs) = (size[0], size[1], size[2])
    for hasNaN in [false, true] {
      var (a, d) = (Adversary.sparse.values(batch * inputs, seed: 3), Adversary.sparse.values(batch * outputs, seed: 4))
      a[0] = .infinity
      if hasNaN { d[batch * outputs - 1] = .nan }
      func sign(_ x: Double) -> Double { x > 0 ? 1 : x < 0 ? -1 : x }
      var expected = [Double](repeating: 0, count: outputs * inputs)
      var ofBias = [Double](repeating: 0, count: outputs)
      for b in 0..<batch {
        for o in 0..<outputs {
          ofBias[o] += sign(d[b * outputs + o])
          for i in 0..<inputs { expected[o * inputs + i] += sign(d[b * outputs + o]) * sign(a[b * inputs + i]) }
        }
      }
      let (target, bias) = try (Tensor.full([outputs, inputs], 7), Tensor.full([outputs], 7))
      let (delta, input) = try (
        Tensor(d.map(Float.init), shape: [batch, outputs]), Tensor(a.map(Float.init), shape: [batch, inputs])
      )
      try target.setSignSum(outputGradient: delta, input: input, bias: bias)
      try expectClose(target, expected, shape: [outputs, inputs], rtol: 0, atol: 0)
      try expectClose(bias, ofBias, shape: [outputs], rtol: 0, atol: 0)
      try target.setSignSum(outputGradient: delta, input: input)
      try expectClose(target, expected, shape: [outputs, inputs], rtol: 0, atol: 0)
    }
    #expect(throws: TensorError.self) {
      try Tensor.zeros([2, 3]).setSignSum(outputGradient: .zeros([4, 2]), input: .zeros([5, 3]))
    }
  }

  @Test(arguments: [DType.float32, .float64]) func signsOfARunningMean(_ dtype: DType) throws {
    for count in Self.sizes {
      let average = try Tensor.zeros([count], dtype: dtype)
      var expected = [Double](repeating: 0, count: count)
      for step in 1...3 {
        let gradient = try randomTensor([count], seed: UInt64(step), dtype: dtype)
        let own: [Double] = try gradient.to(.float64).values()
        expected = zip(expected, own).map { 0.9 * $0 + 0.1 * $1 }
        try gradient.takeSigns(ofRunningMean: average, beta: 0.9, scale: 0.5)
        let means: [Double] = try average.to(.float64).values()
        try expectClose(
          gradient, means.map { $0 > 0 ? 0.5 : $0 < 0 ? -0.5 : 0 }, shape: [count], dtype: dtype, rtol: 0, atol: 0)
      }
      try expectClose(average, expected, shape: [count], dtype: dtype, rtol: 1e-6, atol: 1e-7)
    }
    #expect(throws: TensorError.self) { try Tensor.zeros([3]).takeSigns(ofRunningMean: .zeros([4]), scale: 1) }
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
