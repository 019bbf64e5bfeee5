// SPDX-License-Identifier: Apache-2.0

import Coherence
import GradientMatrix
import NeuralNetworks
import Tensors
import Testing

/// A 784-16-10 network on 12 examples, against numbers from PyTorch in float64 (Tests/Fixtures/coherence.py).
struct Reference {
  static let count = 12
  static let labels = (0..<count).map { $0 * 3 % 10 }
  let plan: GradientPlan
  let input: Tensor

  /// ((seed + 7919·i + i²) mod 1009)/1009 − 1/2, times scale.
  static func numbers(seed: Int, count: Int, scale: Double) -> [Double] {
    (0..<count).map { index -> Double in
      let wrapped = (seed + 7919 * index + index * index) % 1009
      return (Double(wrapped) / 1009 - 0.5) * scale
    }
  }

  init(dtype: DType) throws {
    let generator = try Generator(seed: 0)
    let model = Sequential(
      try Linear(inputs: 784, outputs: 16, generator: generator), Activation(.relu),
      try Linear(inputs: 16, outputs: 10, generator: generator))
    let store = try ParameterStore(model, dtype: dtype)
    for (index, entry) in store.entries.enumerated() {
      let values = Self.numbers(seed: index + 1, count: entry.range.count, scale: 0.2)
      try store.values.narrow(0, from: entry.range.lowerBound, length: entry.range.count).copy(from: Tensor(values))
    }
    plan = try GradientPlan(model, store: store)
    let pixels = Self.numbers(seed: 100, count: Self.count * 784, scale: 1).map { $0 + 0.5 }
    input = try Tensor(pixels, shape: [Self.count, 784]).to(dtype)
  }

  /// The gradient matrix of some of the examples.
  func matrix(_ range: Range<Int> = 0..<count) throws -> GradientMatrix {
    let targets = try Tensor(Array(Self.labels[range]))
    return try GradientMatrix(plan, input: input.narrow(0, from: range.lowerBound, length: range.count)) {
      try crossEntropy($0, targets, reduction: .none)
    }
  }
}

@Suite("Agreement with PyTorch in float64", .serialized)
struct ReferenceTests {
  @Test("Coherence by layer", arguments: [(DType.float64, 1e-12), (.float32, 1e-5)], [12, 5, 1])
  func coherence(_ precision: (DType, Double), _ chunk: Int) throws {
    let reference = try Reference(dtype: precision.0)
    let accumulator = try CoherenceAccumulator(reference.plan, expectedCount: Reference.count)
    for start in stride(from: 0, to: Reference.count, by: chunk) {
      try accumulator.add(reference.matrix(start..<min(start + chunk, Reference.count)))
    }
    let result = try accumulator.result()
    let expected = [
      ("0", 26.3774443410691, 47.0934054329045, 0.0466757572859641),
      ("2", 402.203507086919, 425.63588626468, 0.0787456133411353),
      ("all", 428.580951427988, 472.729291697584, 0.0755508065882946),
    ]
    for (part, (name, sum, squares, alpha)) in zip(result.layers + [result.network], expected) {
      #expect(part.layer == name && part.coherence.m == 12)
      #expect(isClose(part.coherence.sumSquaredNorm, sum, precision.1))
      #expect(isClose(part.coherence.squaredNormSum, squares, precision.1))
      #expect(isClose(part.coherence.alpha, alpha, precision.1))
    }
  }

  static let losses = [
    2.96695985154, 1.95301857154, 2.35002606154, 2.76938407678, 1.86233186995, 2.708729975, 2.37826418694,
    2.96618102793,
    2.94270238425, 2.50672580392, 2.27581356002, 2.10247926043,
  ]
  static let dots = [
    3.39999615381, 2.31534339086, 3.02648413624, 3.15011749926, 2.57481609585, 3.28119019633, 2.70131327891,
    3.41003571409, 3.73448450632, 2.55486523186, 2.95392849965, 2.61250458249,
  ]
  static let squaredNorms = [
    41.1828771716, 30.8191341132, 39.2146503841, 40.1785695895, 37.602534995, 40.4694718112, 38.9948862055,
    46.0041881775, 50.1567016569, 40.4636422504, 35.3244344798, 32.318200863,
  ]

  @Test("Losses, row norms and products with the mean gradient")
  func rows() throws {
    let matrix = try Reference(dtype: .float64).matrix()
    let mean = try Tensor.zeros([matrix.parameterCount], dtype: .float64)
    try matrix.columnSum(into: mean)
    try mean.multiply(by: 1 / 12)
    let losses: [Double] = try matrix.losses.values()
    let norms = try matrix.rowSquaredNorms().total
    let byLayer = try matrix.product(mean)
    for index in 0..<12 {
      #expect(isClose(losses[index], Self.losses[index], 1e-11))
      #expect(isClose(norms[index], Self.squaredNorms[index], 1e-11))
      #expect(isClose(byLayer.reduce(0) { $0 + $1[index] }, Self.dots[index], 1e-11))
    }
  }
}
