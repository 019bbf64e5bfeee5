// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors
import Testing

@testable import Coherence

@Suite("Coherence by head", .serialized)
struct HeadTests {
  /// Two layers with heads of two numbers each; tied tokens, so that some columns are shared between layers.
  private func plan(_ dtype: DType, heads: Int = 3) throws -> GradientPlan {
    let model = try ModelSpecification("transformer:layers=2,width=6,heads=\(heads),tied=yes").build(
      exampleShape: [4], classes: 5, vocabulary: 5, generator: Generator(seed: 1))
    return try GradientPlan(model, store: ParameterStore(model, dtype: dtype))
  }

  private let tokens: [Float] = [0, 1, 2, 3, 4, 4, 1, 0, 2, 2, 2, 2, 3, 0, 1, 1, 4, 3, 0, 2]
  private let labels = [1, 4, 0, 2, 2]

  private func input(_ range: Range<Int>, _ dtype: DType) throws -> Tensor {
    try Tensor(Array(tokens[range.lowerBound * 4..<range.upperBound * 4])).reshape([range.count, 4]).to(dtype)
  }

  private func losses(_ range: Range<Int>) -> (Tensor) throws -> Tensor {
    { [labels] in try $0.crossEntropy(targets: Tensor(Array(labels[range]))) }
  }

  @Test(
    "As batches of one say, parameter by parameter", arguments: [(DType.float64, 1e-11), (.float32, 2e-5)], [1, 3, 6])
  func againstAutograd(_ precision: (DType, Double), _ heads: Int) throws {
    let plan = try plan(precision.0, heads: heads)
    let accumulator = try CoherenceAccumulator(plan, expectedCount: 5, groupCount: 0, dividesLayers: true)
    for range in [0..<2, 2..<5] {
      try accumulator.add(GradientMatrix(plan, input: input(range, precision.0), losses: losses(range)))
    }
    let result = try accumulator.result()
    #expect(result.parts.count == 2 * heads && result.layers.map(\.layer) == plan.layerNames)

    let rows: [Double] = try plan.exampleGradients(input: input(0..<5, precision.0), losses: losses(0..<5))
      .to(.float64).values()
    let count = plan.store.count
    for layer in 0..<2 {
      let attention = "encoder.layers.encoder_layer_\(layer).self_attention"
      func start(_ name: String) throws -> Int {
        try #require(plan.store.entries.first { $0.name == "\(attention).\(name)" }).range.lowerBound
      }
      let (weight, bias) = (try start("in_proj_weight"), try start("in_proj_bias"))
      for head in 0..<heads {
        // The numbers of the head's queries, keys and values, one by one.
        let outputs = (0..<18).filter { $0 % 6 / (6 / heads) == head }
        let columns = outputs.flatMap { output in (0..<6).map { weight + output * 6 + $0 } + [bias + output] }
        let sums = columns.map { column in (0..<5).reduce(0.0) { $0 + rows[$1 * count + column] } }
        let sum = sums.reduce(0) { $0 + $1 * $1 }
        let norms = (0..<5).reduce(0.0) { total, row in
          columns.reduce(total) { $0 + rows[row * count + $1] * rows[row * count + $1] }
        }
        let found = try #require(result.parts.first { $0.layer == "\(attention).head_\(head)" })
        #expect(isClose(found.coherence.sumSquaredNorm, sum, precision.1))
        #expect(isClose(found.coherence.squaredNormSum, norms, precision.1))
        #expect(isClose(found.share, norms / result.network.coherence.squaredNormSum, precision.1))
      }
      // Together the heads are the packed projection.
      let own = result.parts.filter { $0.layer.hasPrefix(attention) }
      let whole = try #require(result.layers.first { $0.layer == attention }).coherence
      #expect(isClose(own.reduce(0) { $0 + $1.coherence.squaredNormSum }, whole.squaredNormSum, precision.1))
      #expect(isClose(own.reduce(0) { $0 + $1.coherence.sumSquaredNorm }, whole.sumSquaredNorm, precision.1))
    }
  }

  @Test("Parts add up, and cost nothing where nobody asked")
  func merged() throws {
    let plan = try plan(.float64)
    let accumulators = try [0..<2, 2..<5].map { range in
      let accumulator = try CoherenceAccumulator(plan, expectedCount: 5, groupCount: 0, dividesLayers: true)
      try accumulator.add(GradientMatrix(plan, input: input(range, .float64), losses: losses(range)))
      return accumulator
    }
    let whole = try CoherenceAccumulator(plan, expectedCount: 5, groupCount: 0, dividesLayers: true)
    let plain = try CoherenceAccumulator(plan, expectedCount: 5, groupCount: 0)
    for accumulator in [whole, plain] {
      try accumulator.add(GradientMatrix(plan, input: input(0..<5, .float64), losses: losses(0..<5)))
    }
    try accumulators[0].merge(accumulators[1])
    let (merged, expected) = (try accumulators[0].result().parts, try whole.result().parts)
    #expect(merged.count == 6)
    for (found, part) in zip(merged, expected) {
      #expect(found.layer == part.layer)
      #expect(isClose(found.coherence.mCoherence, part.coherence.mCoherence ?? .nan, 1e-11))
    }
    #expect(try plain.result().parts.isEmpty && plain.result().layers == whole.result().layers)
    #expect(throws: CoherenceError.self) { try whole.merge(plain) }
    #expect(throws: CoherenceError.self) { try plain.merge(whole) }
  }
}
