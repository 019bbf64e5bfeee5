// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import Tensors
import Testing

@testable import NeuralNetworks

/// Every architecture of the zoo on a small image against autograd on batches of one, under each treatment of
/// normalisation.
///
/// Frozen statistics are compared in float32, as the kernels of a run compute. The other two are compared in float64:
/// statistics over a batch of three small images amplify rounding beyond any useful tolerance, and what is in doubt is
/// the rule, not the arithmetic (for which see the tests of the kernels).
@Suite("Zoo against batches of one", .serialized)
struct ZooTests {
  enum Treatment: String, CaseIterable, Sendable {
    /// Frozen at the running statistics.
    case running
    /// The batch's statistics as constants.
    case batch
    /// Groups of channels of each example.
    case group
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let model: String
    let side: Int
    let treatment: Treatment
    var testDescription: String { "\(model) at \(side)×\(side), \(treatment.rawValue)" }

    var dtype: DType { treatment == .running ? .float32 : .float64 }
    /// Relative to the length of a row.
    var tolerance: Double { treatment == .running ? 1e-3 : 1e-8 }
  }

  static let cases: [Case] = ModelCatalog.all.flatMap { entry -> [Case] in
    // Larger than vit_tiny, and no other: three rows of it take a gigabyte.
    if entry.name == "vit_b_16" { return [] }
    let least = entry.name.hasPrefix("resnet") ? 32 : max(entry.minimumSide, 32)
    let all = entry.hasNormalization ? Treatment.allCases : [.running]
    // With one pixel left at the end, three values would make a channel's statistics.
    let several = entry.usualSide > 32 ? max(least, 64) : least
    return all.map { Case(model: entry.name, side: $0 == .batch ? several : least, treatment: $0) }
  }

  @Test(arguments: cases) func agrees(_ test: Case) throws {
    let batch = 3
    let whole = try ModelSpecification(test.model).build(
      exampleShape: [3, test.side, test.side], classes: 3, norm: test.treatment == .group ? .group(4) : .batch,
      initializer: nil, generator: Generator(seed: 3), drops: false)
    // VGGs differ in their convolutions alone; the hundred million weights behind them are looked at once.
    let isWhole = !test.model.hasPrefix("vgg") || test.model == "vgg11"
    let features = whole.namedModules.first { $0.name == "features" }?.module
    let model = isWhole ? whole : try #require(features)
    // Nothing about a normalisation is 0 or 1.
    let source = try Source(seed: 4, dtype: .float32)
    for (_, module) in model.namedModules {
      if let norm = module as? any AffineNormalization { try source.settle(norm) }
    }
    let store = try ParameterStore(model, dtype: test.dtype)
    let images = try Tensor.normal(
      [batch, 3, test.side, test.side], dtype: test.dtype, generator: Generator(seed: 5)
    ).channelsLast()
    // Quadratic, so that no example's gradient vanishes because it is classified well.
    let losses = quadraticLosses
    let policy: BatchNormPolicy = test.treatment == .batch ? .batch : .running
    let matrix = try GradientMatrix(
      GradientPlan(model, store: store, batchNormPolicy: policy), input: images, losses: losses)
    let sum = try Tensor.zeros([store.count], dtype: test.dtype)
    let norms = try added(matrix.rowSquaredNorms(addingColumnSumTo: sum, accumulating: false))
    let vector = try Tensor.normal([store.count], dtype: test.dtype, generator: Generator(seed: 6))
    let products = try added(matrix.product(vector))

    if policy == .batch { try freeze(model, input: images) }
    let rows = try GradientPlan(model, store: store).exampleGradients(input: images, losses: losses)
    let lengths = try rows.rowSquaredNorms().values(as: Double.self).map { $0.squareRoot() }
    #expect(lengths.allSatisfy { $0 > 0 && $0.isFinite })
    expectClose(norms.map { $0.squareRoot() }, lengths, test.tolerance, "norms")
    func length(_ tensor: Tensor) throws -> Double {
      try tensor.reshape([1, -1]).rowSquaredNorms().values(as: Double.self)[0].squareRoot()
    }
    let expected = try rows.sum([0])
    let (difference, size) = try (length(sum - expected), length(expected))
    #expect(difference <= test.tolerance * size, "sum: \(difference) of \(size)")
    // A product with a random vector is about as long as the row.
    let expectedProducts = try rows.matmul(vector).to(.float64).values(as: Double.self)
    for (actual, (expected, scale)) in zip(products, zip(expectedProducts, lengths)) {
      #expect(abs(actual - expected) <= 3 * test.tolerance * scale, "product \(actual), not \(expected)")
    }
  }

  private func added(_ layers: [[Double]]) -> [Double] {
    layers.reduce(Array(repeating: 0, count: layers.first?.count ?? 0)) { zip($0, $1).map(+) }
  }

  /// Puts the batch's own statistics in the place of the running ones.
  private func freeze(_ model: any Module, input: Tensor) throws {
    // How many values each channel has, layer by layer.
    let recorder = BackwardRecorder(batchNormPolicy: .batch)
    try model.forward(input, in: ForwardContext(isTraining: false, recorder: recorder)).sum().backward()
    var counts: [ObjectIdentifier: Double] = [:]
    for entry in recorder.entries where entry.layer is BatchNorm2d {
      let shape = try #require(try entry.capture.factors()).input.shape
      counts[ObjectIdentifier(entry.layer)] = Double(shape[0] * shape[2...].reduce(1, *))
    }
    let norms = model.namedModules.compactMap { $0.module as? BatchNorm2d }
    let before = try norms.map {
      (try $0.runningMean.value * 1, try $0.runningVariance.value * 1)
    }
    _ = try withoutGradients {
      try model.forward(input, in: ForwardContext(isTraining: true, generator: Generator(seed: 1)))
    }
    for (norm, old) in zip(norms, before) {
      // From r′ = (1 − μ)·r + μ·s, with s² of n − 1 degrees of freedom.
      let share = norm.momentum
      let count = try #require(counts[ObjectIdentifier(norm)])
      func statistic(_ now: Tensor, _ before: Tensor) throws -> Tensor {
        try (now - before * (1 - share)) * (1 / share)
      }
      norm.runningMean.value = try statistic(norm.runningMean.value, old.0)
      norm.runningVariance.value = try statistic(norm.runningVariance.value, old.1) * ((count - 1) / count)
    }
  }
}

extension Source {
  /// Overwrites parameters and running statistics of a normalisation with draws that keep a deep network in range.
  fileprivate func settle(_ layer: any AffineNormalization) throws {
    try layer.weight?.value.detach().copy(
      from: .uniform(layer.weight?.shape ?? [], 0.7, 1.3, generator: generator))
    try layer.bias?.value.detach().copy(from: .uniform(layer.bias?.shape ?? [], -0.2, 0.2, generator: generator))
    if let norm = layer as? BatchNorm2d {
      try norm.runningMean.value.copy(from: .uniform(norm.runningMean.value.shape, -0.2, 0.2, generator: generator))
      try norm.runningVariance.value.copy(
        from: .uniform(norm.runningVariance.value.shape, 0.7, 1.5, generator: generator))
    }
  }
}
