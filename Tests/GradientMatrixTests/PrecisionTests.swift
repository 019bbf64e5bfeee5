// SPDX-License-Identifier: Apache-2.0

import Foundation
import GradientMatrix
import NeuralNetworks
import Tensors
import TestSupport
import Testing

/// Products in bfloat16: forwards against operands rounded by hand, backwards against autograd on batches of one.
@Suite("Products in bfloat16") struct PrecisionTests {
  private static let policy = LinearPolicy(rule: .native, precision: .bfloat16)

  /// Layers whose products are rounded, with an input that none of their sizes divides.
  private static func layers() throws -> [(name: String, model: any Module, input: Tensor)] {
    let source = try Source(dtype: .float32)
    let attention = try MultiheadAttention(width: 12, heads: 3, isCausal: true, generator: source.generator)
    return [
      ("linear", try source.linear(37, 11), try source.normal([5, 37])),
      ("linear without bias, positions", try source.linear(7, 3, bias: false), try source.normal([4, 5, 7])),
      ("convolution", try source.convolution(3, 5, [3, 3], padding: [1, 1]), try source.normal([4, 3, 7, 6])),
      (
        "grouped convolution", try source.convolution(4, 6, [3, 2], stride: [2, 1], groups: 2, bias: false),
        try source.normal([3, 4, 9, 7])
      ),
      ("gated", try GatedLinear(inputs: 9, outputs: 4, generator: source.generator), try source.normal([5, 9])),
      ("attention", attention, try source.normal([3, 5, 12])),
    ]
  }

  /// Half the squared length of each example's output.
  private func losses(_ output: Tensor) throws -> Tensor {
    try output.reshape([output.size(0), -1]).squared().sum([1]) * 0.5
  }

  private func rounded(_ tensor: Tensor) throws -> Tensor { try tensor.to(.bfloat16).to(.float64) }

  @Test func productsOfRoundedOperands() throws {
    let source = try Source(dtype: .float32)
    let context = ForwardContext.evaluation(linearPolicy: Self.policy)
    let (linear, convolution) = try (source.linear(37, 11), source.convolution(3, 5, [3, 3], padding: [1, 1]))
    let (x, images) = try (source.normal([5, 37]), source.normal([4, 3, 7, 6]))
    let found = try withoutGradients { try linear.forward(x, relu: true, in: context) }
    let bias = try #require(linear.bias).value.to(.float64)
    let wanted = try withoutGradients {
      try (rounded(rounded(x).matmul(rounded(linear.weight.value).transpose())) + bias).relu()
    }
    #expect(try found.dtype == .float32)
    // A sum in float32 may round to the neighbour.
    try expectClose(found.to(.float64), wanted, rtol: 1 / 128, atol: 1e-6)
    let maps = try withoutGradients { try convolution.forward(images, in: context) }
    let shifts = try #require(convolution.bias).value.to(.float64).reshape([1, 5, 1, 1])
    let expected = try withoutGradients {
      try rounded(
        rounded(images).convolution(weight: rounded(convolution.weight.value), bias: nil, convolution.geometry))
        + shifts
    }
    try expectClose(maps.to(.float64), expected, rtol: 1 / 128, atol: 1e-6)
    // In double precision nothing is rounded.
    let exact = try Source(dtype: .float64)
    let double = try Linear(
      weight: Parameter(exact.normal([11, 37])), bias: Parameter(exact.normal([11])))
    let input = try exact.normal([5, 37])
    try withoutGradients {
      try expectClose(double.forward(input, in: context), double.forward(input, in: .evaluation()), rtol: 0, atol: 0)
    }
  }

  @Test func rowsAreTheGradientsOfSingleExamples() throws {
    for (name, model, input) in try Self.layers() {
      let store = try ParameterStore(model)
      let plan = try GradientPlan(model, store: store, linearPolicy: Self.policy)
      let matrix = try GradientMatrix(plan, input: input, losses: losses)
      let plain = try GradientMatrix(
        GradientPlan(model, store: store), input: input, losses: losses)
      for example in 0..<input.size(0) {
        let context = ForwardContext(isTraining: true, usesGradientViews: true, linearPolicy: Self.policy)
        let one = try input.narrow(0, from: example, length: 1)
        try store.backward(losses(model.forward(one, in: context)), weights: Tensor.ones([1]))
        let wanted = try store.gradient.clone()
        let row = try matrix.rows(example..<example + 1).reshape([store.count])
        let exact = try plain.rows(example..<example + 1).reshape([store.count])
        func distance(_ other: Tensor) throws -> Double {
          let difference = try row - other
          return try (difference.dot(difference) / other.dot(other)).squareRoot()
        }
        // δ is rounded in the products of a backward pass, and not in a row.
        #expect(try distance(wanted) < 0.01, "\(name), example \(example)")
        let rounding = try distance(exact)
        #expect(rounding > 1e-5 && rounding < 0.05, "\(name), example \(example): \(rounding)")
      }
    }
  }

  @Test func processorsWithoutTheInstructions() throws {
    func processor(_ extensions: [String]) throws -> Processor {
      let text = "{\"vendor\": \"x\", \"model\": \"Some CPU\", \"vectorExtensions\": \(extensions), \"coreCount\": 1}"
      return try JSONDecoder().decode(Processor.self, from: Data(text.utf8))
    }
    let old = try processor(["avx2", "avx512f"])
    #expect(ProductPrecision.bfloat16.problem(on: .cpu, processor: old)?.contains("Some CPU") == true)
    #expect(ProductPrecision.float32.problem(on: .cpu, processor: old) == nil)
    #expect(ProductPrecision.bfloat16.problem(on: .cuda(0), processor: old) == nil)
    for word in ["avx512_bf16", "amx_bf16", "bf16"] {
      #expect(try ProductPrecision.bfloat16.problem(on: .cpu, processor: processor([word])) == nil)
    }
  }
}
