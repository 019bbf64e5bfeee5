// SPDX-License-Identifier: Apache-2.0

import Foundation
import NeuralNetworks
import Tensors
import TestSupport
import Testing

@Suite struct LayerTests {
  private let training = Result { ForwardContext(isTraining: true, generator: try Generator(seed: 5)) }

  @Test func linearByHand() throws {
    let layer = try Linear(inputs: 2, outputs: 3, generator: Generator(seed: 1))
    try withoutGradients {
      try layer.weight.value.copy(from: Tensor([1.0, 2, 3, 4, 5, 6], shape: [3, 2]))
      try #require(layer.bias).value.copy(from: Tensor([0.5, 0, -100]))
    }
    let x = try Tensor([Float(1), 10], shape: [1, 2])
    try expectClose(layer.forward(x, in: .evaluation()), [21.5, 43, -35], shape: [1, 3])
    try expectClose(layer.forward(x, relu: true, in: .evaluation()), [21.5, 43, 0], shape: [1, 3])
    try expectClose(layer.forward(x.reshape([2]), in: .evaluation()), [21.5, 43, -35], shape: [3])
    #expect(try layer.forward(x.expand([4, 5, 2]), in: .evaluation()).shape == [4, 5, 3])
    #expect(try layer.forward(Tensor.zeros([0, 2]), in: .evaluation()).shape == [0, 3])
    #expect(try Linear(inputs: 2, outputs: 3, hasBias: false, generator: Generator(seed: 1)).members.count == 1)
  }

  @Test func theWrongWidthIsAnError() throws {
    let layer = try Linear(inputs: 3, outputs: 2, generator: Generator(seed: 1))
    let model = try ModelSpecification("mlp:4").build(
      exampleShape: [3], classes: 2, initializer: .kaiming, generator: Generator(seed: 1))
    for rule in LinearPolicy.Rule.allCases {
      let context = ForwardContext.evaluation(linearPolicy: LinearPolicy(rule: rule, threshold: 0))
      expectTensorError(.invalid, "linear", operands: ["float32 [1, 4]", "float32 [2, 3]", "float32 [2]"]) {
        try layer.forward(Tensor.zeros([1, 4]), in: context)
      }
      expectTensorError(.invalid, "linear") { try model.forward(Tensor.zeros([2, 2, 2]), in: context) }
    }
    #expect(throws: TensorError.self) { try Linear(inputs: -1, outputs: 2, generator: Generator(seed: 1)) }
    #expect(throws: TensorError.self) { try Linear(inputs: 1 << 40, outputs: 1 << 40, generator: Generator(seed: 1)) }
    #expect(throws: TensorError.self) { try Linear(inputs: .max, outputs: 1, generator: Generator(seed: 1)) }
  }

  @Test func activations() throws {
    let x = try Tensor([-2.0, -0.5, 0, 1, 3])
    let functions: [(Activation.Function, (Double) -> Double)] = [
      (.relu, { max($0, 0) }), (.leakyReLU(slope: 0.1), { $0 > 0 ? $0 : 0.1 * $0 }), (.tanh, { tanh($0) }),
      (.gelu, { $0 * 0.5 * erfc(-$0 / 2.0.squareRoot()) }), (.silu, { $0 / (1 + exp(-$0)) }),
      (.sigmoid, { 1 / (1 + exp(-$0)) }),
    ]
    for (function, reference) in functions {
      let layer = Activation(function)
      #expect(layer.members.isEmpty && layer.parameterCount == 0)
      try expectClose(
        layer.forward(x, in: .evaluation()), [-2.0, -0.5, 0, 1, 3].map(reference), shape: [5], rtol: 1e-12)
    }
  }

  @Test func dropoutKeepsTheMean() throws {
    let count = 40_000
    let x = try Tensor.ones([count])
    for p in [0.1, 0.5, 0.9] {
      let output: [Double] = try Dropout(probability: p).forward(x, in: training.get()).values()
      let kept = output.filter { $0 != 0 }
      #expect(kept.allSatisfy { abs($0 - 1 / (1 - p)) < 1e-5 })
      // Five standard deviations of a binomial share.
      #expect(abs(Double(kept.count) / Double(count) - (1 - p)) < 5 * (p * (1 - p) / Double(count)).squareRoot())
    }
  }

  @Test func dropoutIsTheIdentityOutsideTraining() throws {
    let x = try randomTensor([3, 4], seed: 1)
    let layer = try Dropout(probability: 0.5)
    try expectIdentical(layer.forward(x, in: .evaluation()), x)
    try expectIdentical(Dropout(probability: 0).forward(x, in: ForwardContext(isTraining: true)), x)
    expectTensorError(.invalid, "Dropout", containing: "generator") {
      try layer.forward(x, in: ForwardContext(isTraining: true))
    }
    for p in [-0.1, 1, 1.5, .nan, .infinity] {
      expectTensorError(.invalid, "Dropout", containing: "\(p)") { try Dropout(probability: p) }
    }
  }

  @Test func dropoutRepeatsWithItsGenerator() throws {
    let x = try Tensor.ones([100])
    let layer = try Dropout(probability: 0.5)
    func draw(_ seed: UInt64) throws -> Tensor {
      try layer.forward(x, in: ForwardContext(isTraining: true, generator: Generator(seed: seed)))
    }
    try expectIdentical(draw(1), draw(1))
    #expect(try bytes(of: draw(1)) != bytes(of: draw(2)))
    // The gradient passes where the element passed.
    let input = try leaf(x, dtype: .float32)
    let output = try layer.forward(input, in: training.get())
    let gradient = try #require(output.sum().gradients(withRespectTo: [input])[0])
    try expectIdentical(gradient, output.detach())
  }

  @Test func flattening() throws {
    let shapes: [([Int], [Int])] = [
      ([2, 1, 3, 4], [2, 12]), ([5], [5, 1]), ([2, 3], [2, 3]), ([0, 1, 28, 28], [0, 784]), ([2, 0, 3], [2, 0]),
    ]
    for (shape, result) in shapes {
      #expect(try Flatten().forward(Tensor.zeros(shape), in: .evaluation()).shape == result)
    }
    expectTensorError(.invalid, "Flatten") { try Flatten().forward(Tensor(1), in: .evaluation()) }
  }

  @Test(arguments: LinearPolicy.Rule.allCases) func theFusedReLUIsTheSame(_ rule: LinearPolicy.Rule) throws {
    let first = try Linear(inputs: 7, outputs: 9, generator: Generator(seed: 1))
    let second = try Linear(inputs: 9, outputs: 4, hasBias: false, generator: Generator(seed: 2))
    let fused = Sequential(first, Activation(.relu), second, Activation(.relu), Activation(.tanh))
    let context = ForwardContext(isTraining: true, linearPolicy: LinearPolicy(rule: rule, threshold: 0))
    let x = try leaf(randomTensor([6, 7], seed: 3), dtype: .float32)
    let output = try fused.forward(x, in: context)
    let apart = try second.forward(first.forward(x, in: context).relu(), in: context).relu().tanh()
    try expectClose(output, apart, rtol: 1e-6, atol: 1e-7)
    let operands = [x] + fused.namedParameters.map(\.parameter.value)
    let gradients = try output.sum().gradients(withRespectTo: operands)
    let expected = try apart.sum().gradients(withRespectTo: operands)
    for (one, other) in zip(gradients, expected) {
      try expectClose(#require(one), #require(other), rtol: 1e-5, atol: 1e-6)
    }
    let empty = Sequential()
    try expectIdentical(empty.forward(x, in: context), x)
    let leaky = Sequential(first, Activation(.leakyReLU(slope: 0.5)))
    try expectClose(leaky.forward(x, in: context), first.forward(x, in: context).leakyReLU(slope: 0.5), rtol: 1e-6)
  }

  @Test func losses() throws {
    let logits = try randomTensor([3, 4], seed: 1, dtype: .float64)
    let targets = try Tensor([1, 0, 3])
    let rows: [Double] = try logits.logSoftmax().values()
    let each = [-rows[1], -rows[4], -rows[11]]
    try expectClose(crossEntropy(logits, targets, reduction: .none), each, shape: [3], rtol: 1e-12)
    try expectClose(crossEntropy(logits, targets, reduction: .sum), [each.reduce(0, +)], shape: [], rtol: 1e-12)
    try expectClose(crossEntropy(logits, targets), [each.reduce(0, +) / 3], shape: [], rtol: 1e-12)
    expectTensorError(.index, "crossEntropy") { try crossEntropy(logits, Tensor([1, 0, 4])) }
  }
}
