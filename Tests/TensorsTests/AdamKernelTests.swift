// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Tensors

@Suite struct UpdateAdamTests {
  struct Rule: Sendable, CustomTestStringConvertible {
    var beta1 = 0.9
    var beta2 = 0.999
    var epsilon = 1e-8
    var decay = 0.0
    var isDecoupled = false
    var testDescription: String { "β \(beta1) \(beta2), ε \(epsilon), λ \(decay), decoupled \(isDecoupled)" }
  }

  static let rules = [
    Rule(), Rule(decay: 0.1), Rule(decay: 0.1, isDecoupled: true), Rule(beta1: 0, beta2: 0.9),
    Rule(beta1: 0.5, beta2: 0, epsilon: 0.1, decay: 0.02),
  ]

  /// Four updates against plain loops in double precision.
  @Test(arguments: rules, [DType.float32, .float64]) func agreesWithTheFormula(_ rule: Rule, _ dtype: DType) throws {
    for count in [0, 1, 31, 32_767, 32_769, 100_003] {
      let parameters = try randomTensor([count], seed: 1, dtype: dtype)
      let (first, second) = try (Tensor.zeros([count], dtype: dtype), Tensor.zeros([count], dtype: dtype))
      var w: [Double] = try parameters.values()
      var (m, v) = ([Double](repeating: 0, count: count), [Double](repeating: 0, count: count))
      for step in 1...4 {
        let gradient = try randomTensor([count], seed: UInt64(1 + step), dtype: dtype)
        let g: [Double] = try gradient.values()
        for index in 0..<count {
          let d = g[index] + (rule.isDecoupled ? 0 : rule.decay * w[index])
          if rule.isDecoupled { w[index] -= 0.05 * rule.decay * w[index] }
          m[index] = rule.beta1 * m[index] + (1 - rule.beta1) * d
          v[index] = rule.beta2 * v[index] + (1 - rule.beta2) * d * d
          let (mean, square) = (
            m[index] / (1 - pow(rule.beta1, Double(step))), v[index] / (1 - pow(rule.beta2, Double(step)))
          )
          w[index] -= 0.05 * mean / (square.squareRoot() + rule.epsilon)
        }
        let update = AdamUpdate(
          learningRate: 0.05, beta1: rule.beta1, beta2: rule.beta2, epsilon: rule.epsilon, weightDecay: rule.decay,
          isDecoupled: rule.isDecoupled, number: step)
        #expect(try parameters.updateAdam(gradient: gradient, firstMoment: first, secondMoment: second, update))
      }
      let tolerance = dtype == .float32 ? 1e-5 : 1e-13
      try expectClose(parameters, w, shape: [count], dtype: dtype, rtol: tolerance, atol: tolerance)
      try expectClose(first, m, shape: [count], dtype: dtype, rtol: tolerance, atol: tolerance)
      try expectClose(second, v, shape: [count], dtype: dtype, rtol: tolerance, atol: tolerance)
    }
  }

  @Test func otherTypesTakeTheGeneralPath() throws {
    let parameters = try Tensor([1.0, 2]).to(.bfloat16)
    let (first, second) = try (Tensor.zeros([2], dtype: .bfloat16), Tensor.zeros([2], dtype: .bfloat16))
    let update = AdamUpdate(learningRate: 0.5, number: 1)
    // The first update is η·sign g.
    #expect(
      try parameters.updateAdam(
        gradient: Tensor([4.0, -2]).to(.bfloat16), firstMoment: first, secondMoment: second, update))
    try expectClose(parameters, [0.5, 2.5], shape: [2], dtype: .bfloat16, rtol: 0.01, atol: 0.01)
  }

  @Test func numbersThatAreNoneAreReported() throws {
    for (count, place) in [(70_001, 65_536), (5, 0), (40_000, 39_999)] {
      let gradient = try Tensor.zeros([count])
      try gradient.select(0, place).fill(.nan)
      #expect(
        try !Tensor.ones([count]).updateAdam(
          gradient: gradient, firstMoment: .zeros([count]), secondMoment: .zeros([count]),
          AdamUpdate(learningRate: 0.1, number: 1)))
      // Nobody looked.
      #expect(
        try Tensor.ones([count]).updateAdam(
          gradient: gradient, firstMoment: .zeros([count]), secondMoment: .zeros([count]),
          AdamUpdate(learningRate: 0.1, number: 1, isChecked: false)))
    }
  }

  @Test func theNumberOfThreadsDoesNotMatter() throws {
    let threads = Runtime.threadCount
    defer { try? Runtime.setThreadCount(threads) }
    let results = try [1, 2].map { count in
      try Runtime.setThreadCount(count)
      let parameters = try randomTensor([100_003], seed: 1)
      _ = try parameters.updateAdam(
        gradient: randomTensor([100_003], seed: 3), firstMoment: .zeros([100_003]), secondMoment: .zeros([100_003]),
        AdamUpdate(learningRate: 0.1, weightDecay: 0.01, isDecoupled: true, number: 1))
      return parameters
    }
    try expectIdentical(results[0], results[1])
  }

  @Test func whatDoesNotFitIsAnError() throws {
    let w = try Tensor.zeros([4])
    func step(_ shapes: [Int], dtype: DType = .float32, number: Int = 1) throws {
      _ = try w.updateAdam(
        gradient: .zeros([shapes[0]], dtype: dtype), firstMoment: .zeros([shapes[1]]),
        secondMoment: .zeros([shapes[2]]), AdamUpdate(learningRate: 1, number: number))
    }
    for shapes in [[3, 4, 4], [4, 3, 4], [4, 4, 5]] {
      expectTensorError(.invalid, "updateAdam", containing: "alike") { try step(shapes) }
    }
    expectTensorError(.invalid, "updateAdam", containing: "alike") { try step([4, 4, 4], dtype: .float64) }
    expectTensorError(.invalid, "updateAdam", containing: "counted from 1") { try step([4, 4, 4], number: 0) }
  }
}
