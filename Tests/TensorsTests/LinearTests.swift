// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Tensors

extension LinearPlan {
  /// oneDNN forward, the tiled kernel for weight gradients.
  static let tiled = LinearPlan(forward: .onednn, weightGradient: .tiled, inputGradient: .onednn)

  /// Every combination that is on offer.
  static let all: [LinearPlan] = [.native, .onednn].flatMap { forward in
    ProductBackend.allCases.flatMap { weight in
      [.native, .onednn].map { LinearPlan(forward: forward, weightGradient: weight, inputGradient: $0) }
    }
  }
}

/// A linear layer's products in plain Swift and double.
struct LinearReference {
  var output: [Double]
  var input: [Double]
  var weight: [Double]
  var bias: [Double]

  /// The layer and its gradients for Σ upstream·output.
  init(
    x: [Double], w: [Double], b: [Double]?, upstream: [Double], batch: Int, inputs: Int, outputs: Int, relu: Bool
  ) {
    output = [Double](repeating: 0, count: batch * outputs)
    input = [Double](repeating: 0, count: x.count)
    weight = [Double](repeating: 0, count: w.count)
    bias = [Double](repeating: 0, count: outputs)
    x.withUnsafeBufferPointer { x in
      w.withUnsafeBufferPointer { w in
        for row in 0..<batch {
          for out in 0..<outputs {
            var sum = b?[out] ?? 0
            for k in 0..<inputs { sum += x[row * inputs + k] * w[out * inputs + k] }
            let open = !relu || sum > 0
            output[row * outputs + out] = open ? sum : 0
            let delta = open ? upstream[row * outputs + out] : 0
            bias[out] += delta
            for k in 0..<inputs {
              input[row * inputs + k] += delta * w[out * inputs + k]
              weight[out * inputs + k] += delta * x[row * inputs + k]
            }
          }
        }
      }
    }
  }
}

@Suite struct LinearTests {
  /// Float32 sums of up to 784 products of numbers below 1: a few hundred roundings of 2⁻²⁴ at most.
  static let rtol = 2e-5
  static let atol = 1e-4

  /// Batch, inputs, outputs.
  static let shapes: [[Int]] = [
    [1, 1, 1], [1, 7, 3], [5, 784, 10], [100, 33, 17], [3, 49, 65], [2, 23, 47], [2, 24, 48], [2, 25, 49], [4, 63, 6],
    [4, 64, 7], [4, 65, 5], [7, 47, 9], [1, 49, 8], [257, 17, 13], [6, 128, 96],
  ]

  @Test(arguments: shapes) func agreesWithTheReference(_ shape: [Int]) throws {
    let (batch, inputs, outputs) = (shape[0], shape[1], shape[2])
    let x = try randomTensor([batch, inputs], seed: 1)
    let w = try randomTensor([outputs, inputs], seed: 2)
    let b = try randomTensor([outputs], seed: 3)
    let upstream = try randomTensor([batch, outputs], seed: 4)
    for hasBias in [false, true] {
      for relu in [false, true] {
        let reference = try LinearReference(
          x: x.values(), w: w.values(), b: hasBias ? b.values() : nil, upstream: upstream.values(), batch: batch,
          inputs: inputs, outputs: outputs, relu: relu)
        for plan in LinearPlan.all {
          for hasSinks in [false, true] {
            try check(
              plan, reference, x: x, w: w, b: hasBias ? b : nil, upstream: upstream, relu: relu, hasSinks: hasSinks)
          }
        }
      }
    }
  }

  private func check(
    _ plan: LinearPlan, _ reference: LinearReference, x: Tensor, w: Tensor, b: Tensor?, upstream: Tensor, relu: Bool,
    hasSinks: Bool
  ) throws {
    let (x, w, b) = try (leaf(x, dtype: .float32), leaf(w, dtype: .float32), b.map { try leaf($0, dtype: .float32) })
    let (rtol, atol) = (Self.rtol, Self.atol)
    let weightView = try hasSinks ? GradientView(destination: .full(w.shape, .nan)) : nil
    let biasView = try hasSinks && b != nil ? GradientView(destination: .full([w.size(0)], .nan)) : nil
    let output = try x.linear(
      weight: w, bias: b, relu: relu, plan: plan, weightView: weightView, biasView: biasView)
    try expectClose(output, reference.output, shape: upstream.shape, dtype: .float32, rtol: rtol, atol: atol)
    let gradients = try output.gradients(withRespectTo: [x, w] + (b.map { [$0] } ?? []), weights: upstream)
    try expectClose(#require(gradients[0]), reference.input, shape: x.shape, dtype: .float32, rtol: rtol, atol: atol)
    if let weightView {
      #expect(gradients[1] == nil && weightView.isWritten)
      try expectClose(weightView.destination, reference.weight, shape: w.shape, rtol: rtol, atol: atol)
    } else {
      try expectClose(#require(gradients[1]), reference.weight, shape: w.shape, dtype: .float32, rtol: rtol, atol: atol)
    }
    guard b != nil else { return }
    if let biasView {
      #expect(gradients[2] == nil && biasView.isWritten)
      try expectClose(biasView.destination, reference.bias, shape: [w.size(0)], rtol: rtol, atol: atol)
    } else {
      try expectClose(#require(gradients[2]), reference.bias, shape: [w.size(0)], rtol: rtol, atol: atol)
    }
  }

  @Test func everyRankOfInput() throws {
    let w = try leaf(randomTensor([5, 3], seed: 1), dtype: .float32)
    let b = try leaf(randomTensor([5], seed: 2), dtype: .float32)
    for leading in [[], [1], [4], [2, 3], [2, 1, 3], [0], [2, 0]] {
      let rows = leading.reduce(1, *)
      let x = try leaf(randomTensor(leading + [3], seed: 3), dtype: .float32)
      let upstream = try randomTensor(leading + [5], seed: 4)
      let reference = try LinearReference(
        x: x.values(), w: w.values(), b: b.values(), upstream: upstream.values(), batch: rows, inputs: 3, outputs: 5,
        relu: true)
      for plan in LinearPlan.all {
        for input in [x, try leaf(rearranged(x), dtype: .float32)] {
          let output = try input.linear(weight: w, bias: b, relu: true, plan: plan)
          try expectClose(output, reference.output, shape: leading + [5], rtol: 1e-5, atol: 1e-6)
          let gradients = try output.gradients(withRespectTo: [input, w, b], weights: upstream)
          try expectClose(#require(gradients[0]), reference.input, shape: x.shape, rtol: 1e-5, atol: 1e-6)
          try expectClose(#require(gradients[1]), reference.weight, shape: [5, 3], rtol: 1e-5, atol: 1e-6)
          try expectClose(#require(gradients[2]), reference.bias, shape: [5], rtol: 1e-5, atol: 1e-6)
        }
      }
    }
  }

  @Test func operandsThatAreNotContiguous() throws {
    let x = try rearranged(randomTensor([6, 5], seed: 1))
    let w = try rearranged(randomTensor([4, 5], seed: 2))
    let b = try rearranged(randomTensor([4], seed: 3))
    try w.setRequiresGradient(true)
    let upstream = try rearranged(randomTensor([6, 4], seed: 4))
    let reference = try LinearReference(
      x: x.values(), w: w.values(), b: b.values(), upstream: upstream.values(), batch: 6, inputs: 5, outputs: 4,
      relu: false)
    for plan in LinearPlan.all {
      let output = try x.linear(weight: w, bias: b, plan: plan)
      try expectClose(output, reference.output, shape: [6, 4], rtol: 1e-5, atol: 1e-6)
      let gradient = try output.gradients(withRespectTo: [w], weights: upstream)[0]
      try expectClose(#require(gradient), reference.weight, shape: [4, 5], rtol: 1e-5, atol: 1e-6)
    }
  }

  @Test func layersWithoutInputsOrOutputs() throws {
    for (inputs, outputs) in [(0, 3), (3, 0), (0, 0)] {
      let x = try leaf(Tensor.ones([2, inputs]), dtype: .float32)
      let w = try leaf(Tensor.ones([outputs, inputs]), dtype: .float32)
      for plan in LinearPlan.all {
        let output = try x.linear(weight: w, bias: nil, relu: true, plan: plan)
        #expect(output.shape == [2, outputs])
        let gradients = try output.sum().gradients(withRespectTo: [x, w])
        #expect(gradients.map { $0?.shape } == [[2, inputs], [outputs, inputs]])
      }
    }
  }

  @Test(arguments: [LinearPlan.native, .tiled]) func gradientsInDouble(_ plan: LinearPlan) throws {
    let operands = try [randomTensor([3, 4], seed: 1), randomTensor([2, 4], seed: 2), randomTensor([2], seed: 3)]
    for relu in [false, true] {
      try expectGradients(at: operands) { try $0[0].linear(weight: $0[1], bias: $0[2], relu: relu, plan: plan) }
      try expectGradients(at: Array(operands.prefix(2))) { try $0[0].linear(weight: $0[1], bias: nil, relu: relu) }
    }
  }

  @Test(arguments: LinearPlan.all) func secondDerivatives(_ plan: LinearPlan) throws {
    // f = Σ (x·Wᵀ + b)³; ∂f/∂W is differentiable again, compared with the same in libtorch's own products.
    for dtype in [DType.float64, .float32] {
      let x = try leaf(randomTensor([3, 4], seed: 1), dtype: dtype)
      let w = try leaf(randomTensor([2, 4], seed: 2), dtype: dtype)
      let b = try leaf(randomTensor([2], seed: 3), dtype: dtype)
      func second(_ layer: () throws -> Tensor) throws -> [Tensor] {
        let inner = try layer().power(3).sum().gradients(withRespectTo: [x, w, b], createGraph: true)
        let parts = try inner.map { try #require($0).squared().sum() }
        return try (parts[0] + parts[1] + parts[2]).gradients(withRespectTo: [x, w, b]).map { try #require($0) }
      }
      for relu in [false, true] {
        let found = try second { try x.linear(weight: w, bias: b, relu: relu, plan: plan) }
        let expected = try second {
          let sums = try x.matmul(w.transpose()) + b
          return relu ? try sums.relu() : sums
        }
        let tolerance = dtype == .float64 ? 1e-12 : 1e-4
        for (one, other) in zip(found, expected) { try expectClose(one, other, rtol: tolerance, atol: tolerance) }
      }
    }
  }

  @Test func sharedWeightsAddUp() throws {
    let w = try leaf(randomTensor([3, 3], seed: 1), dtype: .float32)
    let b = try leaf(randomTensor([3], seed: 2), dtype: .float32)
    let x = try randomTensor([4, 3], seed: 5)
    let expected = try x.linear(weight: w, bias: b, relu: true).linear(weight: w, bias: b).squared().sum()
      .gradients(withRespectTo: [w, b])
    for plan in LinearPlan.all {
      let weightView = try GradientView(destination: .full([3, 3], .nan))
      let biasView = try GradientView(destination: .full([3], .nan))
      func layer(_ x: Tensor, relu: Bool) throws -> Tensor {
        try x.linear(weight: w, bias: b, relu: relu, plan: plan, weightView: weightView, biasView: biasView)
      }
      for _ in 0..<2 {
        weightView.arm()
        biasView.arm()
        try layer(layer(x, relu: true), relu: false).squared().sum().backward()
        try expectClose(weightView.destination, #require(expected[0]), rtol: 1e-5, atol: 1e-5)
        try expectClose(biasView.destination, #require(expected[1]), rtol: 1e-5, atol: 1e-5)
      }
    }
  }

  @Test(arguments: LinearPlan.all) func aFrozenWeightIsLeftAlone(_ plan: LinearPlan) throws {
    let w = try randomTensor([3, 2], seed: 1)
    let b = try leaf(randomTensor([3], seed: 2), dtype: .float32)
    let weightView = try GradientView(destination: .full([3, 2], 42))
    let biasView = try GradientView(destination: .full([3], 42))
    try Tensor.ones([4, 2]).linear(weight: w, bias: b, plan: plan, weightView: weightView, biasView: biasView).sum()
      .backward()
    #expect(!weightView.isWritten && biasView.isWritten)
    try expectClose(weightView.destination, [Double](repeating: 42, count: 6), shape: [3, 2])
    try expectClose(biasView.destination, [4, 4, 4], shape: [3])
  }

  @Test(arguments: LinearPlan.all) func numbersThatAreNoneGetThrough(_ plan: LinearPlan) throws {
    let w = try Tensor([Float(1), 2, 3, 4], shape: [2, 2])
    let x = try Tensor([Float.nan, 1, 1, 1], shape: [2, 2])
    try expectClose(x.linear(weight: w, bias: nil, plan: plan), [.nan, .nan, 3, 7], shape: [2, 2])
    // oneDNN's fused ReLU takes NaN for a shut gate, as the plan's documentation says.
    let first = plan.forward == .onednn ? 0 : Double.nan
    try expectClose(x.linear(weight: w, bias: nil, relu: true, plan: plan), [first, first, 3, 7], shape: [2, 2])
  }

  @Test func whatDoesNotFitIsAnError() throws {
    let x = try Tensor.zeros([2, 3])
    let w = try Tensor.zeros([4, 3])
    expectTensorError(.invalid, "linear", operands: ["float32 [2, 3]", "float32 [4, 5]"], containing: "[4, 5]") {
      try x.linear(weight: .zeros([4, 5]), bias: nil)
    }
    expectTensorError(.invalid, "linear", operands: ["float32 [2, 3]", "float32 [4, 3]", "float32 [3]"]) {
      try x.linear(weight: w, bias: .zeros([3]))
    }
    expectTensorError(.invalid, "linear") { try Tensor(1).linear(weight: w, bias: nil) }
    expectTensorError(.invalid, "linear") { try x.linear(weight: .zeros([3]), bias: nil) }
    #expect(throws: TensorError.self) { try x.linear(weight: w.to(.float64), bias: nil) }
    #expect(throws: TensorError.self) { try x.linear(weight: w, bias: .zeros([4], dtype: .float64), plan: .tiled) }
  }
}
