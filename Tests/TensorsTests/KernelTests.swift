// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Tensors

@Suite struct WeightGradientTests {
  @Test(arguments: LinearTests.shapes + [[3, 5, 2], [1, 95, 95], [33, 97, 25], [2, 200, 130], [300, 10, 8]])
  func agreesWithTheReferenceOnAnyNumberOfThreads(_ shape: [Int]) throws {
    let (batch, inputs, outputs) = (shape[0], shape[1], shape[2])
    let x = try randomTensor([batch, inputs], seed: 1)
    let delta = try randomTensor([batch, outputs], seed: 2)
    let start = try randomTensor([outputs, inputs], seed: 3)
    let startBias = try randomTensor([outputs], seed: 4)
    let reference = try LinearReference(
      x: x.values(), w: start.values(), b: nil, upstream: delta.values(), batch: batch, inputs: inputs,
      outputs: outputs, relu: false)
    let threads = Runtime.threadCount
    defer { try? Runtime.setThreadCount(threads) }
    for accumulating in [false, true] {
      var results: [(Tensor, Tensor)] = []
      for count in [1, 2] {
        try Runtime.setThreadCount(count)
        let (gradient, bias) = try (start.clone(), startBias.clone())
        try gradient.setWeightGradient(outputGradient: delta, input: x, bias: bias, accumulating: accumulating)
        results.append((gradient, bias))
      }
      try expectIdentical(results[0].0, results[1].0)
      try expectIdentical(results[0].1, results[1].1)
      func plus(_ sums: [Double], _ before: Tensor) throws -> [Double] {
        accumulating ? try zip(sums, before.values(as: Double.self)).map(+) : sums
      }
      try expectClose(
        results[0].0, plus(reference.weight, start), shape: [outputs, inputs], rtol: LinearTests.rtol,
        atol: LinearTests.atol)
      try expectClose(
        results[0].1, plus(reference.bias, startBias), shape: [outputs], rtol: LinearTests.rtol, atol: LinearTests.atol)
    }
    for product in [ProductBackend.tiled, .native] {
      let alone = try Tensor.full([outputs, inputs], .nan)
      try alone.setWeightGradient(outputGradient: delta, input: x, product: product)
      try expectClose(
        alone, reference.weight, shape: [outputs, inputs], rtol: LinearTests.rtol, atol: LinearTests.atol)
    }
    let (twice, bias) = try (Tensor.zeros([outputs, inputs]), Tensor.full([outputs], .nan))
    for accumulating in [false, true] {
      try twice.setWeightGradient(
        outputGradient: delta, input: x, bias: bias, product: .native, accumulating: accumulating)
    }
    try expectClose(
      twice, reference.weight.map { 2 * $0 }, shape: [outputs, inputs], rtol: LinearTests.rtol,
      atol: 2 * LinearTests.atol)
    try expectClose(
      bias, reference.bias.map { 2 * $0 }, shape: [outputs], rtol: LinearTests.rtol, atol: 2 * LinearTests.atol)
  }

  @Test func nothingBesideTheGradientIsTouched() throws {
    let flat = try Tensor.full([7 + 15 + 3 + 7], 42)
    let gradient = try flat.narrow(0, from: 7, length: 15).reshape([3, 5])
    let bias = try flat.narrow(0, from: 22, length: 3)
    try gradient.setWeightGradient(outputGradient: .ones([2, 3]), input: .ones([2, 5]), bias: bias)
    let expected = [Double](repeating: 42, count: 7) + [Double](repeating: 2, count: 18)
    try expectClose(flat, expected + [Double](repeating: 42, count: 7), shape: [32])
  }

  @Test func anEmptyBatchGivesZero() throws {
    let (gradient, bias) = try (Tensor.full([3, 5], .nan), Tensor.full([3], .nan))
    for product in [ProductBackend.native, .tiled] {
      try gradient.fill(.nan)
      try gradient.setWeightGradient(
        outputGradient: .zeros([0, 3]), input: .zeros([0, 5]), bias: bias, product: product)
    }
    try expectClose(gradient, [Double](repeating: 0, count: 15), shape: [3, 5])
    try expectClose(bias, [0, 0, 0], shape: [3])
  }

  @Test func whatDoesNotFitIsAnError() throws {
    let gradient = try Tensor.zeros([3, 5])
    let (delta, x) = try (Tensor.zeros([2, 3]), Tensor.zeros([2, 5]))
    let operands = ["float32 [3, 5]", "float32 [2, 4]", "float32 [2, 5]"]
    expectTensorError(.invalid, "setWeightGradient", operands: operands, containing: "[2, 4]") {
      try gradient.setWeightGradient(outputGradient: .zeros([2, 4]), input: x)
    }
    expectTensorError(.invalid, "setWeightGradient") {
      try gradient.setWeightGradient(outputGradient: .zeros([4, 3]), input: x)
    }
    expectTensorError(.invalid, "setWeightGradient") {
      try gradient.setWeightGradient(outputGradient: .zeros([6]), input: x)
    }
    expectTensorError(.invalid, "setWeightGradient", containing: "float32") {
      try gradient.setWeightGradient(outputGradient: delta.to(.float64), input: x)
    }
    expectTensorError(.invalid, "setWeightGradient", containing: "contiguous") {
      try gradient.setWeightGradient(outputGradient: delta, input: Tensor.zeros([5, 2]).transpose())
    }
    for bias in [try Tensor.zeros([2]), try Tensor.zeros([3], dtype: .float64), try Tensor.zeros([1, 3])] {
      expectTensorError(.invalid, "setWeightGradient", containing: "bias gradient") {
        try gradient.setWeightGradient(outputGradient: delta, input: x, bias: bias)
      }
    }
  }
}

@Suite struct UpdateSGDTests {
  struct Rule: Sendable, CustomTestStringConvertible {
    var momentum = 0.0
    var dampening = 0.0
    var decay = 0.0
    var nesterov = false
    var testDescription: String { "μ \(momentum), dampening \(dampening), λ \(decay), Nesterov \(nesterov)" }
  }

  static let rules = [
    Rule(), Rule(decay: 0.01), Rule(momentum: 0.9), Rule(momentum: 0.9, decay: 0.01),
    Rule(momentum: 0.9, dampening: 0.5), Rule(momentum: 0.8, decay: 0.1, nesterov: true),
    Rule(momentum: 0.8, dampening: 0.25, decay: 0.1, nesterov: true),
  ]

  @Test(arguments: rules, [DType.float32, .float64]) func agreesWithTheFormula(_ rule: Rule, _ dtype: DType) throws {
    for count in [0, 1, 31, 32_767, 32_768, 32_769, 100_003] {
      let parameters = try randomTensor([count], seed: 1, dtype: dtype)
      // The first step must not look at the velocity.
      let velocity = rule.momentum == 0 ? nil : try Tensor.full([count], .nan, dtype: dtype)
      var w: [Double] = try parameters.values()
      var v = [Double](repeating: 0, count: count)
      for step in 0..<3 {
        let gradient = try randomTensor([count], seed: UInt64(2 + step), dtype: dtype)
        let g: [Double] = try gradient.values()
        for index in 0..<count {
          var d = g[index] + rule.decay * w[index]
          if rule.momentum != 0 {
            v[index] = step == 0 ? d : rule.momentum * v[index] + (1 - rule.dampening) * d
            d = rule.nesterov ? d + rule.momentum * v[index] : v[index]
          }
          w[index] -= 0.05 * d
        }
        let update = SGDUpdate(
          learningRate: 0.05, momentum: rule.momentum, dampening: rule.dampening, weightDecay: rule.decay,
          nesterov: rule.nesterov, isFirst: step == 0)
        #expect(try parameters.updateSGD(gradient: gradient, velocity: velocity, update))
      }
      let tolerance = dtype == .float32 ? 2e-6 : 1e-14
      try expectClose(parameters, w, shape: [count], dtype: dtype, rtol: tolerance, atol: tolerance)
      if let velocity { try expectClose(velocity, v, shape: [count], dtype: dtype, rtol: tolerance, atol: tolerance) }
    }
  }

  @Test func halfPrecisionTakesTheGeneralPath() throws {
    let parameters = try Tensor([1.0, 2]).to(.bfloat16)
    let velocity = try Tensor.full([2], .nan, dtype: .bfloat16)
    let update = SGDUpdate(learningRate: 0.5, momentum: 0.5, isFirst: true)
    #expect(try parameters.updateSGD(gradient: Tensor([1.0, -2]).to(.bfloat16), velocity: velocity, update))
    try expectClose(parameters, [0.5, 3], shape: [2], dtype: .bfloat16)
  }

  @Test(arguments: [DType.float32, .float64]) func numbersThatAreNoneAreReported(_ dtype: DType) throws {
    let count = 70_001
    for bad in [Double.nan, .infinity, -.infinity] {
      for place in [0, 1, 17, 32_767, 32_768, 65_536, count - 1] {
        let gradient = try Tensor.zeros([count], dtype: dtype)
        try gradient.select(0, place).fill(bad)
        for momentum in [0, 0.9] {
          let velocity = try momentum == 0 ? nil : Tensor.zeros([count], dtype: dtype)
          let update = SGDUpdate(learningRate: 0.1, momentum: momentum)
          #expect(
            try !Tensor.ones([count], dtype: dtype).updateSGD(gradient: gradient, velocity: velocity, update),
            "\(bad) at \(place)")
        }
      }
    }
    let large = try Tensor.full([3], dtype == .float32 ? 3e38 : 1e308, dtype: dtype)
    #expect(try large.updateSGD(gradient: .zeros([3], dtype: dtype), velocity: nil, SGDUpdate(learningRate: 1)))
    #expect(try !large.updateSGD(gradient: large.clone(), velocity: nil, SGDUpdate(learningRate: -1)))
    // Nobody looked.
    let unchecked = SGDUpdate(learningRate: -1, isChecked: false)
    #expect(try large.updateSGD(gradient: large.clone(), velocity: nil, unchecked))
    #expect(
      try large.updateFromThree(
        current: large.clone(), previous: (large, large), velocity: nil, isMedian: true, decaysBefore: false, unchecked)
    )
    #expect(try large.isFinite().all().itemInteger() == 0)
  }

  @Test func updatesOfOtherTypesNeedNotBeLookedAt() throws {
    let bad = try Tensor([Float.nan, 1]).to(.bfloat16)
    #expect(try !bad.clone().updateSGD(gradient: bad, velocity: nil, SGDUpdate(learningRate: 1)))
    #expect(try bad.clone().updateSGD(gradient: bad, velocity: nil, SGDUpdate(learningRate: 1, isChecked: false)))
  }

  @Test func theNumberOfThreadsDoesNotMatter() throws {
    let threads = Runtime.threadCount
    defer { try? Runtime.setThreadCount(threads) }
    let results = try [1, 2].map { count in
      try Runtime.setThreadCount(count)
      let parameters = try randomTensor([100_003], seed: 1)
      let velocity = try randomTensor([100_003], seed: 2)
      let update = SGDUpdate(learningRate: 0.1, momentum: 0.9, weightDecay: 0.01, nesterov: true)
      _ = try parameters.updateSGD(gradient: randomTensor([100_003], seed: 3), velocity: velocity, update)
      return parameters
    }
    try expectIdentical(results[0], results[1])
  }

  @Test func whatDoesNotFitIsAnError() throws {
    let w = try Tensor.zeros([4])
    let plain = SGDUpdate(learningRate: 1)
    let momentum = SGDUpdate(learningRate: 1, momentum: 0.9)
    expectTensorError(.invalid, "updateSGD", operands: ["float32 [4]", "float32 [3]"]) {
      try w.updateSGD(gradient: .zeros([3]), velocity: nil, plain)
    }
    expectTensorError(.invalid, "updateSGD") {
      try w.updateSGD(gradient: .zeros([4], dtype: .float64), velocity: nil, plain)
    }
    expectTensorError(.invalid, "updateSGD", containing: "velocity") {
      try w.updateSGD(gradient: .zeros([4]), velocity: nil, momentum)
    }
    for velocity in [
      try Tensor.zeros([3]), try Tensor.zeros([4], dtype: .float64), try Tensor.zeros([1]).expand([4]),
    ] {
      expectTensorError(.invalid, "updateSGD", containing: "velocity") {
        try w.updateSGD(gradient: .zeros([4]), velocity: velocity, momentum)
      }
    }
  }
}

@Suite struct ClassificationTests {
  private func reference(_ row: [Double], _ target: Int) -> (loss: Double, margin: Double, rank: Int) {
    let others = row.indices.filter { $0 != target }.map { row[$0] }
    let top = row.max() ?? 0
    return (
      log(row.reduce(0) { $0 + exp($1 - top) }) + top - row[target],
      row[target] - (others.max() ?? -.infinity), others.filter { $0 >= row[target] }.count
    )
  }

  @Test func agreesWithTheDefinitions() throws {
    for (batch, classes) in [(1, 2), (7, 10), (33, 3), (5, 1), (0, 4), (2, 1000)] {
      let logits = try randomTensor([batch, classes], seed: 1, low: -5, high: 5, dtype: .float64)
      let targets = try randomTargets(batch, classes: classes, seed: 2)
      let flat: [Double] = try logits.values()
      let labels: [Int] = try targets.values()
      let expected = labels.indices.map { reference(Array(flat[$0 * classes..<($0 + 1) * classes]), labels[$0]) }
      for view in [logits, try rearranged(logits)] {
        let records = try view.classificationRecords(targets: rearranged(targets))
        expectClose(records.losses, expected.map(\.loss), rtol: 1e-12, atol: 1e-14)
        expectClose(records.margins, expected.map(\.margin), rtol: 1e-12)
        #expect(records.ranks == expected.map(\.rank))
        try expectClose(
          view.crossEntropy(targets: targets), expected.map(\.loss), shape: [batch], dtype: .float64, rtol: 1e-12,
          atol: 1e-14)
      }
      let single = try logits.to(.float32)
      try expectClose(
        single.crossEntropy(targets: targets), expected.map(\.loss), shape: [batch], dtype: .float32, rtol: 1e-5,
        atol: 1e-5)
      expectClose(
        try single.classificationRecords(targets: targets).losses, try single.crossEntropy(targets: targets).values(),
        rtol: 1e-5, atol: 1e-5)
      try expectClose(
        logits.to(.bfloat16).crossEntropy(targets: targets).to(.float64), expected.map(\.loss), shape: [batch],
        rtol: 0.03, atol: 0.05)
    }
  }

  @Test func tiesAndNaNCountAsWrong() throws {
    let nan = Double.nan
    let rows: [([Double], Int, Int, Double)] = [
      ([1, 1, 0], 0, 1, 0), ([1, 1, 1], 2, 2, 0), ([3, 1, 2], 0, 0, 1), ([3, 1, 2], 1, 2, -2),
      ([nan, 1, 0], 0, 2, nan),
      ([0, nan, -1], 0, 1, nan), ([0, -1, nan], 0, 1, nan), ([nan, nan, nan], 1, 2, nan),
      ([.infinity, 0, 0], 0, 0, .infinity), ([-.infinity, 0, 0], 0, 2, -.infinity),
    ]
    for (row, target, rank, margin) in rows {
      let records = try Tensor(row, shape: [1, 3]).classificationRecords(targets: Tensor([target]))
      #expect(records.ranks == [rank], "\(row)")
      expectClose(records.margins, [margin])
      if row.contains(where: \.isNaN) { #expect(records.losses[0].isNaN) }
    }
  }

  @Test func extremeLogitsDoNotOverflow() throws {
    for dtype in [DType.float32, .float64] {
      let logits = try leaf(Tensor([1000.0, -1000, 0, -1000, 1000, 0], shape: [2, 3]), dtype: dtype)
      let losses = try logits.crossEntropy(targets: Tensor([0, 0]))
      try expectClose(losses, [0, 2000], shape: [2], dtype: dtype)
      let gradient = try losses.sum().gradients(withRespectTo: [logits])[0]
      try expectClose(#require(gradient), [0, 0, 0, -1, 1, 0], shape: [2, 3])
    }
  }

  @Test func whatDoesNotFitIsAnError() throws {
    let logits = try Tensor.zeros([2, 3])
    let operands = ["float32 [2, 3]", "int64 [2]"]
    for bad in [3, -1, Int.max, Int.min] {
      let targets = try Tensor([0, bad])
      expectTensorError(.index, "crossEntropy", operands: operands, containing: "target \(bad) of example 1") {
        try logits.crossEntropy(targets: targets)
      }
      expectTensorError(.index, "classificationRecords", operands: operands, containing: "target \(bad)") {
        try logits.classificationRecords(targets: targets)
      }
    }
    expectTensorError(.invalid, "crossEntropy") { try logits.crossEntropy(targets: Tensor([0])) }
    expectTensorError(.invalid, "crossEntropy") { try Tensor.zeros([2]).crossEntropy(targets: Tensor([0, 0])) }
    expectTensorError(.invalid, "crossEntropy") { try Tensor.zeros([2, 0]).crossEntropy(targets: Tensor([0, 0])) }
    expectTensorError(.type, "classificationRecords") {
      try logits.classificationRecords(targets: Tensor([Int32(0), 0]))
    }
  }
}
