// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import GradientMatrix
import NeuralNetworks
import Runs
import Tensors
import TestSupport
import Testing

@testable import Aggregation

/// Private SGD's mean against explicit rows.
@Suite struct PrivateMeanTests {
  private static func length(_ row: [Double]) -> Double { row.reduce(0) { $0 + $1 * $1 }.squareRoot() }

  /// Σᵢ gᵢ·min(1, C/‖gᵢ‖), divided by B, by plain loops.
  private static func reference(_ rows: [[Double]], clip: Double, expected: Int) -> [Double] {
    var sum = [Double](repeating: 0, count: rows[0].count)
    for row in rows {
      let length = length(row)
      let factor = length > clip ? clip / length : 1
      for column in row.indices { sum[column] += factor * row[column] }
    }
    return sum.map { $0 / Double(expected) }
  }

  private static func mean(clip: Double, noise: Double = 0, expected: Int, seed: UInt64 = 1) throws -> PrivateMean {
    let mean = try PrivateMean(clip: clip, noise: .multiplier(noise))
    try mean.prepare(
      for: AggregatedRun(exampleCount: 100, batchSize: expected, plannedSteps: 10, seed: seed))
    return mean
  }

  /// The divisor is the expected number of examples, whatever the number there is.
  @Test(arguments: [1, 5, 11], [false, true])
  func everyGradientIsShortened(_ batch: Int, _ isConvolutional: Bool) throws {
    for (dtype, tolerance) in [(DType.float64, 1e-10), (.float32, 2e-5)] {
      let network = try Network(batch: batch, dtype: dtype, isConvolutional: isConvolutional)
      let rows = try network.explicit()
      let lengths = rows.map(Self.length).sorted()
      // All are clipped, about half of them, and none.
      for clip in [lengths[0] / 3, lengths[batch / 2] * 0.99, lengths[batch - 1] * 2] {
        try Self.mean(clip: clip, expected: 7).aggregate(network.matrix(), network.store)
        try expectClose(
          network.store.gradient, Self.reference(rows, clip: clip, expected: 7), shape: [network.store.count],
          rtol: tolerance, atol: tolerance)
      }
    }
  }

  private func store(inputs: Int, outputs: Int) throws -> ParameterStore {
    let model = Sequential([
      ("layer", try Linear(inputs: inputs, outputs: outputs, generator: Generator(seed: 1)))
    ])
    return try ParameterStore(model, dtype: .float64)
  }

  private func matrix(_ rows: [[Double]]) throws -> GradientMatrix {
    let columns = rows[0].count
    let block = RowsBlock(try Tensor(rows.flatMap { $0 }, shape: [rows.count, columns]))
    let nothing = try Tensor.zeros([rows.count])
    return GradientMatrix(
      shard: [.init(name: "layer", ranges: [0..<columns], block: block)], exampleCount: rows.count,
      parameterCount: columns, passed: (nothing, nothing), batchNormPolicy: .running, sumOverShards: { $0 })
  }

  /// A gradient of 0 has no direction, one of length C just fits, and a huge one counts C.
  @Test func lengthsAtTheEdges() throws {
    let store = try store(inputs: 3, outputs: 2)
    let zero = [Double](repeating: 0, count: 8)
    let rows = [zero, [3, 4, 0, 0, 0, 0, 0, 0], [0, 0, 3e100, 0, 4e100, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1e-200, 0]]
    try Self.mean(clip: 5, expected: 2).aggregate(matrix(rows), store)
    try expectClose(
      store.gradient, [1.5, 2, 1.5, 0, 2, 0, 5e-201, 0], shape: [8], rtol: 1e-12, atol: 1e-220)
    try Self.mean(clip: 5, expected: 2).aggregate(matrix([zero]), store)
    #expect(try store.gradient.values() as [Double] == zero)
  }

  /// Layers that are not trained have no say in a length.
  @Test func frozenLayersDoNotCount() throws {
    let network = try Network(batch: 6, dtype: .float64)
    try network.store.freeze(["hidden"])
    let trained = network.store.trainedRanges.flatMap(Array.init)
    let rows = try network.explicit().map { row in trained.map { row[$0] } }
    let clip = rows.map(Self.length).sorted()[3]
    try Self.mean(clip: clip, expected: 6).aggregate(network.matrix(), network.store)
    let found: [Double] = try network.store.gradient.values()
    expectClose(trained.map { found[$0] }, Self.reference(rows, clip: clip, expected: 6), rtol: 1e-10, atol: 1e-12)
  }

  // MARK: - Noise

  /// Mean, variance and kurtosis of 100 000 draws, each within five standard errors.
  @Test func theNoiseIsGaussianOfTheRightSize() throws {
    let store = try store(inputs: 99, outputs: 100)
    let mean = try Self.mean(clip: 2, noise: 1.5, expected: 4, seed: 9)
    var draws: [Double] = []
    for _ in 0..<10 {
      _ = try mean.aggregateNothing(store)
      draws += try store.gradient.values(as: Double.self)
    }
    let (count, deviation) = (Double(draws.count), 1.5 * 2 / 4)
    func moment(_ power: Int) -> Double {
      draws.reduce(0) { sum, draw in sum + (0..<power).reduce(1) { value, _ in value * draw / deviation } } / count
    }
    #expect(abs(moment(1)) < 5 / count.squareRoot())
    #expect(abs(moment(2) - 1) < 5 * (2 / count).squareRoot())
    #expect(abs(moment(4) - 3) < 5 * (96 / count).squareRoot())
    // Steps are independent of each other.
    let width = store.count
    let product = (0..<width).reduce(0) { $0 + draws[$1] * draws[$1 + width] } / (deviation * deviation)
    #expect(abs(product) < 5 * Double(width).squareRoot())
    #expect(mean.steps == 10)
  }

  @Test func theNoiseIsAddedToTheSum() throws {
    let network = try Network(batch: 5, dtype: .float64)
    let (noisy, alone) = (try Self.mean(clip: 1, noise: 2, expected: 5), try Self.mean(clip: 1, noise: 2, expected: 5))
    _ = try alone.aggregateNothing(network.store)
    let noise: [Double] = try network.store.gradient.values()
    try noisy.aggregate(network.matrix(), network.store)
    let expected = zip(Self.reference(try network.explicit(), clip: 1, expected: 5), noise).map { $0 + $1 }
    try expectClose(network.store.gradient, expected, shape: [network.store.count], rtol: 1e-10, atol: 1e-12)
  }

  /// From its state another one counts and draws on.
  @Test func goesOnFromItsState() throws {
    let store = try store(inputs: 9, outputs: 7)
    let mean = try Self.mean(clip: 1, noise: 1, expected: 4)
    for _ in 0..<3 { _ = try mean.aggregateNothing(store) }
    let state = Dictionary(uniqueKeysWithValues: try mean.state.map { ($0.name, try $0.tensor.clone()) })
    _ = try mean.aggregateNothing(store)
    let next: [Double] = try store.gradient.values()
    let other = try Self.mean(clip: 1, noise: 1, expected: 4, seed: 77)
    try other.restore(state, afterSteps: 3, store)
    #expect(other.steps == 3 && other.epsilon() < mean.epsilon())
    _ = try other.aggregateNothing(store)
    #expect(try store.gradient.values() as [Double] == next)
    #expect(other.steps == 4 && other.epsilon() == mean.epsilon())

    func expect(_ part: String, _ mean: PrivateMean, _ arrays: [String: Tensor], afterSteps steps: Int = 3) {
      #expect { try mean.restore(arrays, afterSteps: steps, store) } throws: { "\($0)".contains(part) }
    }
    expect("another optimizer", other, [:])
    expect("another optimizer", other, state, afterSteps: 4)
    expect("with the noise 1.0, not 2.0", try Self.mean(clip: 1, noise: 2, expected: 4), state)
    expect("with the clip 1.0, not 3.0", try Self.mean(clip: 3, noise: 1, expected: 4), state)
    expect("with the share", try Self.mean(clip: 1, noise: 1, expected: 5), state)
  }

  /// σ follows from the planned steps, and cannot follow from others later.
  @Test func aBudgetDecidesTheNoise() throws {
    let store = try store(inputs: 9, outputs: 7)
    func budget(_ steps: Int) throws -> PrivateMean {
      let mean = try PrivateMean(clip: 1, noise: .budget(epsilon: 3), delta: 1e-5)
      try mean.prepare(for: AggregatedRun(exampleCount: 1000, batchSize: 10, plannedSteps: steps, seed: 1))
      return mean
    }
    let mean = try budget(500)
    #expect(mean.epsilon(steps: 500) <= 3 && mean.epsilon(steps: 500) > 2.99)
    _ = try mean.aggregateNothing(store)
    let state = Dictionary(uniqueKeysWithValues: mean.state.map { ($0.name, $0.tensor) })
    try budget(500).restore(state, afterSteps: 1, store)
    let other = try budget(600)
    #expect { try other.restore(state, afterSteps: 1, store) } throws: { "\($0)".contains("another number of steps") }
  }

  @Test func itNeedsToKnowTheRun() throws {
    let mean = try PrivateMean(clip: 1, noise: .multiplier(1))
    #expect(mean.state.isEmpty && mean.epsilon() == .infinity)
    let store = try store(inputs: 9, outputs: 7)
    #expect { _ = try mean.aggregateNothing(store) } throws: { "\($0)".contains("call prepare") }
  }

  @Test func nothingIsLeaked() throws {
    try withLeakCheck {
      let network = try Network(batch: 5, dtype: .float32)
      let mean = try Self.mean(clip: 1, noise: 1, expected: 5)
      for _ in 0..<3 { try mean.aggregate(network.matrix(), network.store) }
    }
  }

  // MARK: - Words

  @Test func numbersThatCannotBe() {
    let cases: [(Double, PrivateMean.Noise, Double, String)] = [
      (.nan, .multiplier(1), 0.1, "above 0"), (.infinity, .multiplier(1), 0.1, "above 0"),
      (1, .multiplier(.nan), 0.1, "at least 0"), (1, .multiplier(.infinity), 0.1, "at least 0"),
      (1, .budget(epsilon: .nan), 0.1, "epsilon must be"), (1, .budget(epsilon: .infinity), 0.1, "epsilon must be"),
      (1, .multiplier(1), .nan, "below 1"),
    ]
    for (clip, noise, delta, part) in cases {
      #expect { _ = try PrivateMean(clip: clip, noise: noise, delta: delta) } throws: { "\($0)".contains(part) }
    }
  }

  @Test func wordsAndTheirMistakes() throws {
    for word in [
      "dp-sgd:clip=1,noise=1.1", "dp-sgd:clip=0.5,noise=0", "dp-sgd:clip=1,noise=2,delta=1e-06",
      "dp-sgd:clip=1,epsilon=3,delta=1e-05",
    ] {
      #expect(try AggregatorSpecification(word).make().description == word)
      #expect(try AggregatorSpecification(word.replacing(",", with: ":")).make().description == word)
    }
    for (word, part) in [
      ("dp-sgd", "clip is missing"), ("dp-sgd:noise=1", "clip is missing"),
      ("dp-sgd:clip=1", "noise or epsilon is missing"),
      ("dp-sgd:clip=1,noise=1,epsilon=3,delta=1e-5", "noise and epsilon decide the same"),
      ("dp-sgd:clip=1,epsilon=3", "epsilon needs a delta"), ("dp-sgd:clip=0,noise=1", "above 0"),
      ("dp-sgd:clip=-1,noise=1", "above 0"), ("dp-sgd:clip=nan,noise=1", "not a valid value"),
      ("dp-sgd:clip=inf,noise=1", "not a valid value"), ("dp-sgd:clip=1,noise=-1", "at least 0"),
      ("dp-sgd:clip=1,noise=nan", "not a valid value"), ("dp-sgd:clip=1,epsilon=0,delta=1e-5", "epsilon must be"),
      ("dp-sgd:clip=1,epsilon=nan,delta=1e-5", "not a valid value"), ("dp-sgd:clip=1,epsilon=1,delta=1", "below 1"),
      ("dp-sgd:clip=1,epsilon=1,delta=0", "above 0"), ("dp-sgd:clip=1,noise=1,delta=nan", "not a valid value"),
      ("dp-sgd:clip=x,noise=1", "not a valid value for clip"), ("dp-sgd:clip=1,noise=1,q=1", "not understood"),
      ("dp-sgd:clip=1,clip=1,noise=1", "not understood"), ("dp-sgd:clip=1,,noise=1", "not understood"),
    ] {
      #expect { _ = try AggregatorSpecification(word) } throws: { "\($0)".contains(part) }
    }
  }
}
