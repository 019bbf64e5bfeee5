// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import GradientMatrix
import NeuralNetworks
import Tensors
import Testing

/// Inner products between the examples of two batches, against autograd on batches of one.
@Suite("Pairs of batches", .serialized)
struct PairTests {
  @Test("With the whole batch and with a part of it, prepared or not", arguments: Problem.all, RuleTests.tolerances)
  func products(_ problem: Problem, _ precision: (DType, Double)) throws {
    let solved = try Solved(problem, dtype: precision.0)
    let count = solved.matrix.exampleCount
    let some = count / 3..<max(count / 3 + 1, count - 1)
    let prepared = try solved.matrix.prepared()
    #expect(prepared.exampleCount == count && prepared.layers.map(\.ranges) == solved.matrix.layers.map(\.ranges))
    let grams = try (plain: solved.matrix.gram(with: solved.matrix), prepared: solved.matrix.gram(with: prepared))
    for (place, layer) in solved.matrix.layers.enumerated() {
      let own = try solved.oracle(layer)
      let expected = try own.matmul(own.transpose())
      try expectClose(grams.plain[place], expected, precision.1, "with itself in \(layer.name)")
      try expectClose(grams.prepared[place], expected, precision.1, "with the prepared in \(layer.name)")
      let part = try own.narrow(0, from: some.lowerBound, length: some.count)
      let block = prepared.layers[place].block
      try expectClose(
        block.gram(with: layer.block.group(some)), own.matmul(part.transpose()), precision.1, "a part of \(layer.name)")
      try expectClose(
        layer.block.group(some).gram(with: block), part.matmul(own.transpose()), precision.1,
        "of a part of \(layer.name)")
      try expectClose(block.rows(some), part, precision.1, "prepared rows of \(layer.name)")
    }
  }

  @Test("What is explicit once prepared: everything but plain linear layers")
  func explicitCount() throws {
    let generator = try Generator(seed: 3)
    let linear = try Linear(inputs: 4, outputs: 3, initializer: .pytorch, generator: generator)
    let convolution = try Conv2d(
      inputs: 1, outputs: 2, geometry: ConvolutionGeometry(kernel: [2, 2]), initializer: .pytorch, generator: generator)
    let model = Custom([("convolution", convolution), ("linear", linear)]) { input, context in
      let planes = try convolution.forward(input.reshape([-1, 1, 3, 3]), in: context)
      return try linear.forward(planes.narrow(1, from: 0, length: 1).reshape([-1, 4]), in: context)
    }
    let plan = try GradientPlan(model, store: ParameterStore(model))
    let matrix = try GradientMatrix(plan, input: .normal([5, 9], generator: generator), losses: quadraticLosses)
    #expect(try matrix.explicitCount == 0 && matrix.prepared().explicitCount == 5 * 10)
  }

  @Test("Batches of different models")
  func differentModels() throws {
    let (one, other) = try (Solved(Problem.linear[0], dtype: .float64), Solved(Problem.convolution[0], dtype: .float64))
    #expect(throws: GradientMatrixError.self) { try one.matrix.gram(with: other.matrix) }
  }
}
