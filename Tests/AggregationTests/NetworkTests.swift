// SPDX-License-Identifier: Apache-2.0

import Foundation
import GradientBlocks
import GradientMatrix
import NeuralNetworks
import Runs
import Tensors
import TestSupport
import Testing

@testable import Aggregation

/// A whole network with a batch: its explicit gradients come from autograd on batches of one.
struct Network {
  let model: any Module
  let store: ParameterStore
  let plan: GradientPlan
  let input: Tensor
  let targets: Tensor

  /// A transformer of one layer over three tokens.
  init(ofTokens batch: Int, _ settings: String, dtype: DType) throws {
    let generator = try Generator(seed: 4)
    model = try ModelSpecification("transformer:" + settings).build(
      exampleShape: [3], classes: 4, vocabulary: 5, initializer: .xavierScaled, generator: generator)
    store = try ParameterStore(model, dtype: dtype)
    plan = try GradientPlan(model, store: store)
    input = try Tensor((0..<3 * batch).map { $0 * $0 % 7 % 5 }, shape: [batch, 3]).to(.float32)
    targets = try randomTargets(batch, classes: 4, seed: 3)
  }

  init(batch: Int, dtype: DType, isConvolutional: Bool = false, usesBatchNorm: Bool = false) throws {
    let generator = try Generator(seed: 4)
    var layers: [(String, any Module)]
    if isConvolutional {
      layers = [
        (
          "convolution",
          try Conv2d(
            inputs: 2, outputs: 5,
            geometry: ConvolutionGeometry(
              kernel: [3, 3], stride: [2, 2], padding: [1, 1], dilation: [1, 1], groups: 1), generator: generator)
        )
      ]
      layers.append(
        ("norm", usesBatchNorm ? try BatchNorm2d(channels: 5) : try GroupNorm(groups: 1, channels: 5)))
      layers += [
        ("relu", Activation(.relu)), ("flatten", Flatten()),
        ("output", try Linear(inputs: 5 * 3 * 3, outputs: 4, generator: generator)),
      ]
      input = try .normal([batch, 2, 6, 5], dtype: dtype, generator: generator)
    } else {
      layers = [
        ("hidden", try Linear(inputs: 13, outputs: 19, generator: generator)), ("relu", Activation(.relu)),
        ("output", try Linear(inputs: 19, outputs: 4, generator: generator)),
      ]
      input = try Tensor.normal([batch, 13], dtype: dtype, generator: generator).relu()
    }
    model = Sequential(layers)
    store = try ParameterStore(model, dtype: dtype)
    plan = try GradientPlan(model, store: store)
    targets = try randomTargets(batch, classes: 4, seed: 3)
  }

  func matrix(training: TrainingPass? = nil) throws -> GradientMatrix {
    try GradientMatrix(plan, input: input, training: training) { try $0.crossEntropy(targets: targets) }
  }

  func explicit() throws -> [[Double]] {
    let rows = try plan.exampleGradients(input: input) { try $0.crossEntropy(targets: targets) }
    let values: [Double] = try rows.values()
    return (0..<rows.size(0)).map { Array(values[$0 * rows.size(1)..<($0 + 1) * rows.size(1)]) }
  }
}

private func mean(_ rows: some Collection<[Double]>) -> [Double] {
  let width = rows.first?.count ?? 0
  return (0..<width).map { column in rows.reduce(0) { $0 + $1[column] } / Double(rows.count) }
}

@Suite struct WholeNetworkTests {
  /// What a rule makes of explicit rows, straight from its definition.
  static func reference(_ word: String, _ rows: [[Double]]) throws -> [Double] {
    func columns(_ body: ([Double]) -> Double) -> [Double] {
      rows[0].indices.map { column in body(rows.map { $0[column] }) }
    }
    func means(_ count: Int) throws -> [[Double]] {
      try GradientMatrix.groups(of: rows.count, count: count).map { mean(rows[$0]) }
    }
    switch word {
    case "winsorized:s=2", "winsorized:s=3":
      let s = word.hasSuffix("2") ? 2 : 3
      return columns { column in
        let sorted = column.sorted()
        let (low, high) = (sorted[s], sorted[sorted.count - 1 - s])
        return column.reduce(0) { $0 + min(max($1, low), high) } / Double(column.count)
      }
    case "trimmed:s=2":
      return columns { column in
        let kept = column.sorted().dropFirst(2).dropLast(2)
        return kept.reduce(0, +) / Double(kept.count)
      }
    case "m3":
      let three = try means(3)
      return rows[0].indices.map { column in three.map { $0[column] }.sorted()[1] }
    case "mom:k=5":
      let five = try means(5)
      return rows[0].indices.map { column in five.map { $0[column] }.sorted()[2] }
    default: return columns { $0.reduce(0) { $0 + ($1 > 0 ? 1 : $1 < 0 ? -1 : 0) } * 0.001 }
    }
  }

  @Test(arguments: ["winsorized:s=2", "winsorized:s=3", "trimmed:s=2", "m3", "mom:k=5", "sum-sign"], [false, true])
  func everyRuleEqualsTheExplicitComputation(_ word: String, _ isConvolutional: Bool) throws {
    try compare(word) { try Network(batch: 11, dtype: $0, isConvolutional: isConvolutional) }
  }

  private func compare(_ word: String, _ make: (DType) throws -> Network) throws {
    for (dtype, tolerance) in [(DType.float64, 1e-10), (.float32, 2e-5)] {
      let network = try make(dtype)
      let rows = try network.explicit()
      let aggregator = try #require(AggregatorSpecification(word).make() as? any GradientMatrixAggregator)
      try aggregator.aggregate(network.matrix(), network.store)
      try expectClose(
        network.store.gradient, Self.reference(word, rows), shape: [network.store.count], rtol: tolerance,
        atol: tolerance)
    }
  }

  /// But for signs: the gradient of the keys' biases is 0 but for rounding, whose sign is nobody's to say.
  @Test(
    arguments: ["winsorized:s=2", "winsorized:s=3", "trimmed:s=2", "m3", "mom:k=5"],
    ["layers=1,width=6,heads=2", "layers=2,width=4,heads=1,tied=yes"])
  func everyRuleEqualsTheExplicitComputationOfATransformer(_ word: String, _ settings: String) throws {
    try compare(word) { try Network(ofTokens: 11, settings, dtype: $0) }
  }

  @Test func theMedianOfGroupsTakesBatchStatisticsOfEachGroup() throws {
    let network = try Network(batch: 12, dtype: .float64, isConvolutional: true, usesBatchNorm: true)
    let groups = try GradientMatrix.groups(of: 12, count: 3)
    // The same as three mini-batches of four through the network, one after the other.
    let context = ForwardContext(isTraining: true, usesGradientViews: true)
    let separate = try groups.map { range -> [Double] in
      let logits = try network.model.forward(
        network.input.narrow(0, from: range.lowerBound, length: range.count), in: context)
      let losses = try logits.crossEntropy(
        targets: network.targets.narrow(0, from: range.lowerBound, length: range.count))
      try network.store.backward(
        losses, weights: .full([range.count], 1 / Double(range.count), dtype: .float64))
      return try network.store.gradient.values()
    }
    let statistics = try network.model.namedBuffers.map { try $0.buffer.value.values(as: Double.self) }
    for (_, buffer) in network.model.namedBuffers { try buffer.value.fill(0) }

    let fresh = try Network(batch: 12, dtype: .float64, isConvolutional: true, usesBatchNorm: true)
    try MedianOfMeans().aggregate(fresh.matrix(training: TrainingPass(groups: groups)), fresh.store)
    let expected = separate[0].indices.map { column in separate.map { $0[column] }.sorted()[1] }
    try expectClose(fresh.store.gradient, expected, shape: [fresh.store.count], rtol: 1e-9, atol: 1e-10)
    let own = try fresh.model.namedBuffers.map { try $0.buffer.value.values(as: Double.self) }
    for (a, b) in zip(own, statistics) {
      for (x, y) in zip(a, b) { #expect(abs(x - y) < 1e-10) }
    }
  }

  @Test func theGeometricMedianHasTheLeastSumOfDistances() throws {
    let network = try Network(batch: 10, dtype: .float64)
    let aggregator = try GeometricMedian(groupCount: 5, tolerance: 1e-12, maximumIterations: 10_000)
    try aggregator.aggregate(network.matrix(), network.store)
    #expect(aggregator.convergence?.isConverged == true)
    let rows = try network.explicit()
    let points = try GradientMatrix.groups(of: 10, count: 5).map { mean(rows[$0]) }
    func distance(_ a: [Double], _ b: [Double]) -> Double {
      zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
    }
    let found: [Double] = try network.store.gradient.values()
    let best = points.reduce(0) { $0 + distance($1, found) }
    // The pulls of the points balance, and no small move is better.
    let pull = found.indices.map { column in
      points.reduce(0) { $0 + ($1[column] - found[column]) / distance($1, found) }
    }
    #expect(distance(pull, Array(repeating: 0, count: pull.count)) < 1e-5)
    for seed in 1...5 {
      let way = randomNumbers(found.count, seed: UInt64(seed), low: -1e-3, high: 1e-3)
      #expect(points.reduce(0) { $0 + distance($1, zip(found, way).map(+)) } >= best)
    }
  }

  /// What is frozen has no say in the distances: the weights are those of the trained coordinates alone.
  @Test func frozenParametersDoNotCountInDistances() throws {
    let network = try Network(batch: 10, dtype: .float64)
    let first = network.store.entries[0]
    try network.store.freeze([first.name])
    try GeometricMedian(groupCount: 5, tolerance: 1e-12, maximumIterations: 10_000).aggregate(
      network.matrix(), network.store)
    let rows = try network.explicit()
    let points = try GradientMatrix.groups(of: 10, count: 5).map { Array(mean(rows[$0])[first.range.upperBound...]) }
    let found = Array(try network.store.gradient.values(as: Double.self)[first.range.upperBound...])
    func distance(_ a: [Double], _ b: [Double]) -> Double {
      zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
    }
    let pull = found.indices.map { column in
      points.reduce(0) { $0 + ($1[column] - found[column]) / distance($1, found) }
    }
    #expect(distance(pull, Array(repeating: 0, count: pull.count)) < 1e-5)
  }

  @Test func aPointCanBeTheGeometricMedian() {
    // Four corners and the centre, as inner products about their mean (which is the centre).
    let corners = [[1.0, 1], [1, -1], [-1, 1], [-1, -1], [0, 0]]
    let gram = corners.flatMap { a in corners.map { b in zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } } }
    let (weights, convergence) = GeometricMedian.weights(gram: gram, count: 5, 1e-9, 100)
    #expect(weights == [0, 0, 0, 0, 1] && convergence.isConverged)
    let alike = GeometricMedian.weights(gram: Array(repeating: 0, count: 9), count: 3, 1e-9, 100)
    #expect(alike.1.isConverged && abs(alike.0.reduce(0, +) - 1) < 1e-12)
  }

  @Test func tooSmallABatchIsAnError() throws {
    let network = try Network(batch: 4, dtype: .float32)
    let winsorized = try ClippedMean(.count(2), kind: .winsorized)
    #expect(throws: GradientMatrixError.self) { try winsorized.aggregate(network.matrix(), network.store) }
    #expect(throws: GradientMatrixError.self) {
      try MedianOfMeans(groupCount: 5).aggregate(network.matrix(), network.store)
    }
  }
}

/// Claim WS-4 (Weak and Strong Gradient Directions, §3.2): gradients gᵢ = c + uᵢ with a common part c and parts of their
/// own uᵢ, orthogonal to c and to each other. The mean is c + Σuᵢ/m; the median of means is c.
@Suite struct WeakAndStrongTests {
  @Test(arguments: [3, 6, 9, 30])
  func theMeanKeepsWhatIsIdiosyncraticAndTheMedianDoesNot(_ m: Int) throws {
    // Coordinates 0, 1: common; one for each example after that.
    let rows = (0..<m).map { i in [3.0, -2.0] + (0..<m).map { $0 == i ? 8.0 : 0.0 } }
    let block = RowsBlock(try Tensor(rows.flatMap { $0 }.map(Float.init), shape: [m, m + 2]))
    let (sum, middle) = try (Tensor.zeros([m + 2]), Tensor.zeros([m + 2]))
    try block.columnSum(into: sum, weights: nil, accumulating: false)
    try block.groupMedian(into: middle, groups: GradientMatrix.groups(of: m, count: 3))
    #expect(try sum.values(as: Float.self) == [3, -2].map { $0 * Float(m) } + Array(repeating: 8, count: m))
    #expect(try middle.values(as: Float.self) == [3, -2] + Array(repeating: 0, count: m))
  }
}

@Suite struct GradientHistoryTests {
  private func run(_ aggregator: GradientHistory, _ gradients: [[Double]]) throws -> [[Double]?] {
    let model = Sequential([("layer", try Linear(inputs: 3, outputs: 2, generator: Generator(seed: 1)))])
    let store = try ParameterStore(model, dtype: .float64)
    return try gradients.map { gradient in
      try store.gradient.copy(from: Tensor(gradient))
      defer { try? aggregator.didStep(store) }
      let present: [Double] = try store.gradient.values()
      guard case .fused(let fused) = try aggregator.aggregate(store) else { return nil }
      let formed: [Double] = try fused.formed(store.gradient).values()
      // The update of SGD forms the same in its own pass.
      let values = try Tensor.zeros([store.count], dtype: .float64)
      let update = SGDUpdate(learningRate: 1)
      #expect(try fused.updateSGD(values, gradient: store.gradient, velocity: nil, update, part: { $0 }))
      #expect(zip(try values.values(as: Double.self), formed).allSatisfy { abs($0 + $1) <= 1e-15 })
      #expect(try store.gradient.values() == present)
      return formed
    }
  }

  @Test func theRollingRulesLookAtTheGradientHistoryGradients() throws {
    let gradients = (0..<7).map { randomNumbers(8, seed: UInt64($0)) }
    for rule in [GradientHistory.Rule.rollingMedian, .rollingMean] {
      let found = try run(GradientHistory(rule), gradients)
      #expect(found[0] == nil && found[1] == nil)
      for step in 2..<7 {
        let expected = (0..<8).map { column in
          let values = [gradients[step][column], gradients[step - 1][column], gradients[step - 2][column]]
          return rule == .rollingMedian ? values.sorted()[1] : values.reduce(0, +) / 3
        }
        #expect(found[step] == expected)
      }
    }
  }

  @Test func theSuccessiveRuleUpdatesOnceInThree() throws {
    let gradients = (0..<9).map { randomNumbers(8, seed: UInt64($0)) }
    let found = try run(GradientHistory(.successiveMedian), gradients)
    for step in 0..<9 {
      guard step % 3 == 2 else {
        #expect(found[step] == nil)
        continue
      }
      let expected = (0..<8).map { column in gradients[step - 2...step].map { $0[column] }.sorted()[1] }
      #expect(found[step] == expected)
    }
  }
}
