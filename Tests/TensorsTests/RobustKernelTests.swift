// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Tensors

/// Columns that are hard on a selection: ties, zeros of both signs, infinities, NaN.
enum Adversary: String, CaseIterable, Sendable {
  case random, ties, zeros, sparse, infinities, oneSided, nan

  func values(_ count: Int, seed: UInt64) -> [Double] {
    let base = randomNumbers(count, seed: seed).map { Double(Float($0)) }
    let choice = randomNumbers(count, seed: seed &+ 77, low: 0, high: 1)
    return zip(base, choice).map { value, choice in
      switch self {
      case .random: value
      case .ties: (value * 2).rounded()
      case .zeros: choice < 0.5 ? -0.0 : 0
      case .sparse: choice < 0.7 ? 0 : value
      case .infinities: choice < 0.1 ? .infinity : choice < 0.2 ? -.infinity : value
      case .oneSided: choice < 0.5 ? .infinity : abs(value)
      case .nan: choice < 0.02 ? .nan : value
      }
    }
  }
}

/// The clipped sum of one column, straight from the definition.
func clippedSum(_ column: [Double], low: Int, high: Int, kind: Clipping.Kind, scale: Double) -> Double {
  if column.contains(where: \.isNaN) { return .nan }
  let sorted = column.sorted()
  let kept = sorted[low..<sorted.count - high]
  let ends =
    kind == .trimmed
    ? []
    : Array(repeating: sorted[low], count: low) + Array(repeating: sorted[sorted.count - 1 - high], count: high)
  return (Array(kept) + ends).reduce(0, +) * scale
}

@Suite struct ClippedSumTests {
  static let sizes = [
    [1, 1, 0, 0], [3, 1, 1, 1], [5, 17, 2, 1], [33, 70, 4, 4], [100, 31, 1, 1], [100, 33, 8, 8],
    [64, 130, 12, 9], [101, 5, 50, 50], [32, 48, 6, 6], [20, 19, 0, 3],
  ]

  @Test(arguments: sizes, Adversary.allCases)
  func rowsAgreeWithTheDefinition(_ size: [Int], _ adversary: Adversary) throws {
    let (batch, width, low, high) = (size[0], size[1], size[2], size[3])
    let values = adversary.values(batch * width, seed: 3)
    let rows = try Tensor(values.map(Float.init), shape: [batch, width])
    for kind in [Clipping.Kind.winsorized, .trimmed] {
      let expected = (0..<width).map { column in
        clippedSum(
          (0..<batch).map { values[$0 * width + column] }, low: low, high: high, kind: kind, scale: 0.25)
      }
      for dtype in [DType.float32, .float64] {
        let target = try Tensor.full([width], 42, dtype: dtype)
        try target.setClippedSum(
          ofRows: rows.to(dtype), Clipping(low: low, high: high, kind: kind, scale: 0.25))
        try expectClose(target, expected, shape: [width], rtol: 2e-5, atol: 2e-5)
      }
    }
  }

  @Test(
    arguments: [
      [3, 5, 2, 1], [1, 3, 4, 0], [100, 50, 33, 1], [100, 33, 50, 2], [37, 17, 16, 8], [100, 20, 40, 16],
      [99, 31, 10, 49], [64, 10, 100, 4],
    ],
    [Adversary.random, .ties, .sparse, .zeros])
  func outerProductsAgreeWithExplicitRows(_ size: [Int], _ adversary: Adversary) throws {
    let (batch, inputs, outputs, count) = (size[0], size[1], size[2], size[3])
    let a = adversary.values(batch * inputs, seed: 5)
    let d = Adversary.sparse.values(batch * outputs, seed: 6)
    let (input, delta) = try (
      Tensor(a.map(Float.init), shape: [batch, inputs]), Tensor(d.map(Float.init), shape: [batch, outputs])
    )
    let threads = Runtime.threadCount
    defer { try? Runtime.setThreadCount(threads) }
    for kind in [Clipping.Kind.winsorized, .trimmed] {
      let clipping = Clipping(low: count, high: count, kind: kind, scale: 1 / Double(batch))
      var expected: [Double] = []
      for o in 0..<outputs {
        for i in 0..<inputs {
          let column = (0..<batch).map { d[$0 * outputs + o] * a[$0 * inputs + i] }
          expected.append(clippedSum(column, low: count, high: count, kind: kind, scale: clipping.scale))
        }
      }
      var results: [Tensor] = []
      for threads in [1, 2] {
        try Runtime.setThreadCount(threads)
        let (weight, bias) = try (Tensor.full([outputs, inputs], .nan), Tensor.full([outputs], .nan))
        try weight.setClippedSum(outputGradient: delta, input: input, bias: bias, clipping)
        try expectClose(weight, expected, shape: [outputs, inputs], rtol: 2e-5, atol: 2e-6)
        let ofBias = (0..<outputs).map { o in
          clippedSum(
            (0..<batch).map { d[$0 * outputs + o] }, low: count, high: count, kind: kind, scale: clipping.scale)
        }
        try expectClose(bias, ofBias, shape: [outputs], rtol: 2e-5, atol: 2e-6)
        results.append(weight)
      }
      try expectIdentical(results[0], results[1])
    }
  }

  @Test func aNumberThatIsNotFiniteIsNotSkipped() throws {
    let input = try Tensor([Float(0), 1, .infinity, 2, 0, 3], shape: [3, 2])
    let delta = try Tensor([Float(1), 0, 1], shape: [3, 1])
    let weight = try Tensor.zeros([1, 2])
    try weight.setClippedSum(outputGradient: delta, input: input, Clipping(low: 1, high: 1))
    // 0·∞ is NaN in the first column; the second is 1, 0, 3 with its ends moved to 1.
    let values: [Double] = try weight.values()
    #expect(values[0].isNaN && values[1] == 3)
  }

  @Test func moreClippedThanThereAreIsAnError() throws {
    expectTensorError(.invalid, "setClippedSum", containing: "more than 4") {
      try Tensor.zeros([3]).setClippedSum(ofRows: .zeros([4, 3]), Clipping(low: 2, high: 2))
    }
    expectTensorError(.invalid, "setClippedSum", containing: "does not fit") {
      try Tensor.zeros([3, 2]).setClippedSum(
        outputGradient: .zeros([5, 3]), input: .zeros([4, 2]), Clipping(low: 1, high: 1))
    }
  }
}

@Suite struct MedianTests {
  @Test(arguments: [3, 5, 7, 9, 11], Adversary.allCases)
  func rowsAgreeWithTheDefinition(_ count: Int, _ adversary: Adversary) throws {
    let width = 77
    let values = adversary.values(count * width, seed: 9)
    let expected = (0..<width).map { column in
      let entries = (0..<count).map { values[$0 * width + column] }
      return entries.contains(where: \.isNaN) ? .nan : entries.sorted()[count / 2]
    }
    for dtype in [DType.float32, .float64] {
      let target = try Tensor.zeros([width], dtype: dtype)
      try target.setMedian(ofRows: Tensor(values, shape: [count, width]).to(dtype))
      // Exact: a median is one of the entries.
      try expectClose(target, expected, shape: [width], rtol: 0, atol: 0)
    }
  }

  @Test(arguments: [[9, 5, 2, 3], [100, 97, 33, 3], [10, 64, 8, 5], [47, 20, 50, 7], [9, 3, 1, 9]])
  func theWeightGradientIsTheMedianOfTheGroupMeans(_ size: [Int]) throws {
    let (batch, inputs, outputs, count) = (size[0], size[1], size[2], size[3])
    let input = try randomTensor([batch, inputs], seed: 1)
    let delta = try randomTensor([batch, outputs], seed: 2)
    let ends = (1...count).map { $0 * batch / count }
    let groups = ends.enumerated().map { ($0 == 0 ? 0 : ends[$0 - 1])..<$1 }
    let means = try Tensor.concatenate(
      groups.map { range in
        let d = try delta.narrow(0, from: range.lowerBound, length: range.count).to(.float64)
        let a = try input.narrow(0, from: range.lowerBound, length: range.count).to(.float64)
        let mean = try Tensor.concatenate([d.transpose().matmul(a).reshape([-1]), d.sum([0])])
        return try (mean * (1 / Double(range.count))).unsqueeze(0)
      })
    let expected = try Tensor.zeros([outputs * inputs + outputs], dtype: .float64)
    try expected.setMedian(ofRows: means)
    let (weight, bias) = try (Tensor.full([outputs, inputs], .nan), Tensor.full([outputs], .nan))
    try weight.setMedianWeightGradient(outputGradient: delta, input: input, bias: bias, groups: groups)
    try expectClose(
      Tensor.concatenate([weight.reshape([-1]), bias]), expected.values(), shape: expected.shape, rtol: 1e-5,
      atol: 1e-5)
  }

  @Test func evenAndMissingGroupsAreErrors() throws {
    let (weight, delta, input) = try (Tensor.zeros([2, 3]), Tensor.zeros([4, 2]), Tensor.zeros([4, 3]))
    for groups in [[0..<2, 2..<4], [0..<2, 2..<2, 2..<4], [0..<1, 1..<2, 2..<3]] {
      expectTensorError(.invalid, "setMedianWeightGradient") {
        try weight.setMedianWeightGradient(outputGradient: delta, input: input, groups: groups)
      }
    }
    expectTensorError(.invalid, "setMedian", containing: "odd") {
      try Tensor.zeros([3]).setMedian(ofRows: .zeros([4, 3]))
    }
  }
}

@Suite struct ThreeGradientTests {
  struct Case: Sendable {
    var isMedian: Bool
    var before: Bool
    var momentum = 0.0
    var nesterov = false
  }

  @Test(arguments: [
    Case(isMedian: true, before: true), Case(isMedian: true, before: false), Case(isMedian: false, before: true),
    Case(isMedian: true, before: true, momentum: 0.9),
    Case(isMedian: false, before: false, momentum: 0.5, nesterov: true),
  ])
  func theUpdateAgreesWithTheDefinition(_ rule: Case) throws {
    let count = 40_001
    let (decay, rate) = (0.1, 0.3)
    for (dtype, tolerance) in [(DType.float32, 1e-6), (.float64, 1e-14)] {
      let w = try randomTensor([count], seed: 1).to(dtype)
      let gradients = try (0..<3).map { try randomTensor([count], seed: 2 + UInt64($0)).to(dtype) }
      let velocity = rule.momentum > 0 ? try randomTensor([count], seed: 9).to(dtype) : nil
      let (start, g): ([Double], [[Double]]) = try (w.values(), gradients.map { try $0.values() })
      let v: [Double]? = try velocity?.values()
      let newest = zip(g[0], start).map { rule.before ? $0 + decay * $1 : $0 }
      let expected = (0..<count).map { i in
        let three = [newest[i], g[1][i], g[2][i]]
        var d = rule.isMedian ? three.sorted()[1] : three.reduce(0, +) / 3
        if !rule.before { d += decay * start[i] }
        if let v {
          let next = rule.momentum * v[i] + d
          d = rule.nesterov ? d + rule.momentum * next : next
        }
        return start[i] - rate * d
      }
      let finite = try w.updateFromThree(
        current: gradients[0], previous: (gradients[1], gradients[2]), velocity: velocity, isMedian: rule.isMedian,
        decaysBefore: rule.before,
        SGDUpdate(learningRate: rate, momentum: rule.momentum, weightDecay: decay, nesterov: rule.nesterov))
      #expect(finite)
      try expectClose(w, expected, shape: [count], rtol: tolerance, atol: tolerance)
      try expectClose(gradients[0], newest, shape: [count], rtol: tolerance, atol: tolerance)
    }
  }

  @Test func whatIsNotFiniteIsReported() throws {
    let w = try Tensor.zeros([5])
    let g = try Tensor([Float(0), 0, .nan, 0, 0], shape: [5])
    let finite = try w.updateFromThree(
      current: g, previous: (.zeros([5]), .zeros([5])), velocity: nil, isMedian: true, decaysBefore: true,
      SGDUpdate(learningRate: 1))
    #expect(!finite)
  }
}
