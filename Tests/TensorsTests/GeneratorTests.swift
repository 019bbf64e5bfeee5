// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Tensors

@Suite struct GeneratorTests {
  @Test func theSeedDecides() throws {
    let a = try Tensor.normal([101], generator: Generator(seed: 7))
    try expectIdentical(Tensor.normal([101], generator: Generator(seed: 7)), a)
    #expect(try bytes(of: Tensor.normal([101], generator: Generator(seed: 8))) != bytes(of: a))
    let extreme = try Tensor.uniform([3], generator: Generator(seed: .max))
    try expectIdentical(Tensor.uniform([3], generator: Generator(seed: .max)), extreme)
  }

  /// PyTorch's names for the standard distributions: their moments, and the seed alone decides.
  @Test func randAndRandn() throws {
    let count = 200_000
    let normal = try Tensor.randn([count / 2, 2], dtype: .float64, generator: Generator(seed: 3))
    #expect(normal.shape == [count / 2, 2])
    try expectIdentical(Tensor.randn([count / 2, 2], dtype: .float64, generator: Generator(seed: 3)), normal)
    #expect(
      try bytes(of: Tensor.randn([3], generator: Generator(seed: 4))) != bytes(of: normal.narrow(0, from: 0, length: 3))
    )
    func moments(_ values: [Double]) -> (mean: Double, variance: Double) {
      let mean = values.reduce(0, +) / Double(values.count)
      return (mean, values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count))
    }
    // Five standard errors: 1/√n of the mean, √(2/n) of the variance.
    let (mean, variance) = try moments(normal.values())
    #expect(abs(mean) < 5 / Double(count).squareRoot())
    #expect(abs(variance - 1) < 5 * (2 / Double(count)).squareRoot())
    let uniform: [Double] = try Tensor.rand([count], generator: Generator(seed: 3)).values()
    #expect(uniform.allSatisfy { $0 >= 0 && $0 < 1 })
    let (middle, spread) = moments(uniform)
    #expect(abs(middle - 0.5) < 5 * (1.0 / 12 / Double(count)).squareRoot())
    #expect(abs(spread - 1.0 / 12) < 1e-3)
    #expect(throws: TensorError.self) { try Tensor.randn([-1], generator: Generator(seed: 1)) }
  }

  @Test func aSavedStateContinues() throws {
    let generator = try Generator(seed: 1)
    _ = try Tensor.normal([33], generator: generator)
    let state = try generator.state()
    let expected = try Tensor.normal([1000], generator: generator)
    try generator.restore(state: state)
    try expectIdentical(Tensor.normal([1000], generator: generator), expected)
    let other = try Generator(seed: 99)
    try other.restore(state: state)
    try expectIdentical(Tensor.normal([1000], generator: other), expected)
  }

  @Test func statesThatAreNoneAreRefused() throws {
    let generator = try Generator(seed: 1)
    let state = try generator.state()
    let expected = try Tensor.uniform([5], generator: Generator(seed: 1))
    let zeros = [UInt8](repeating: 0, count: state.count)
    for garbage: [UInt8] in [[], [1, 2, 3], zeros, Array(state.dropLast()), state + [0]] {
      #expect(throws: TensorError.self) { try generator.restore(state: garbage) }
    }
    // The counters of the state, at bytes 8 and 16, contradict each other: what they say would be read past the words.
    var damaged = state
    damaged[8] = 100
    damaged[9] = 2
    damaged[16] = 100
    damaged[17] = 2
    expectTensorError(.invalid, "Generator.restore", containing: "damaged") { try generator.restore(state: damaged) }
    try expectIdentical(Tensor.uniform([5], generator: generator), expected)
  }

  @Test func damagedStatesNeverTrap() throws {
    let good = try Generator(seed: 3).state()
    var random = SplitMix64(seed: 4)
    for _ in 0..<200 {
      var state = good
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        state[Int.random(in: 0..<min(state.count, 64), using: &random)] = .random(in: 0...255, using: &random)
      }
      let generator = try Generator(seed: 5)
      do {
        try generator.restore(state: state)
        _ = try Tensor.uniform([700], generator: generator)
      } catch is TensorError {}
    }
  }

  @Test func distributions() throws {
    let generator = try Generator(seed: 11)
    let count = 40_000
    func moments(_ values: [Double]) -> (mean: Double, deviation: Double) {
      let mean = values.reduce(0, +) / Double(values.count)
      return (mean, (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot())
    }
    let uniform: [Double] = try Tensor.uniform([count], -2, 4, generator: generator).values()
    #expect(uniform.allSatisfy { $0 >= -2 && $0 < 4 })
    #expect(abs(moments(uniform).mean - 1) < 0.05 && abs(moments(uniform).deviation - 3.0.squareRoot()) < 0.03)
    let normal: [Double] = try Tensor.normal(
      [count], mean: 3, standardDeviation: 0.5, dtype: .float64, generator: generator
    ).values()
    #expect(abs(moments(normal).mean - 3) < 0.02 && abs(moments(normal).deviation - 0.5) < 0.01)
    let coins: [Double] = try Tensor.bernoulli([count], probability: 0.3, generator: generator).values()
    #expect(coins.allSatisfy { $0 == 0 || $0 == 1 })
    #expect(abs(moments(coins).mean - 0.3) < 0.015)
    #expect(try Tensor.uniform([0, 3], generator: generator).shape == [0, 3])
  }

  @Test func impossibleDistributionsAreErrors() throws {
    let generator = try Generator(seed: 1)
    expectTensorError(.invalid, "uniform") { try Tensor.uniform([2], 1, 0, generator: generator) }
    expectTensorError(.invalid, "normal") { try Tensor.normal([2], standardDeviation: -1, generator: generator) }
    expectTensorError(.invalid, "bernoulli") { try Tensor.bernoulli([2], probability: 1.5, generator: generator) }
    expectTensorError(.invalid, "normal") { try Tensor.normal([-1], generator: generator) }
    #expect(throws: TensorError.self) { try Tensor.normal([2], dtype: .int64, generator: generator) }
  }
}
