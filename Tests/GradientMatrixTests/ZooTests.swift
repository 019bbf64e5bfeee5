// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import Tensors
import Testing

@testable import NeuralNetworks

/// Every architecture of the zoo on a small image, its per-example gradients in float32 (the kernels that runs use)
/// against autograd on batches of one in float64, under each treatment of normalisation.
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
  }

  /// All words but those that differ from a neighbour only in their depth or width.
  static let models = ModelCatalog.all.map(\.name).filter { name in
    !["resnet44", "resnet56"].contains(name) && !name.hasPrefix("efficientnet_b") || name == "efficientnet_b0"
  }

  static let cases: [Case] = models.flatMap { name -> [Case] in
    let entry = ModelCatalog.entry(named: name)
    let side = max(entry?.leastSide ?? 32, name.hasPrefix("resnet") ? 32 : 0)
    let all = entry?.hasNormalization == true ? Treatment.allCases : [.running]
    return all.map { Case(model: name, side: side, treatment: $0) }
  }

  private func build(_ test: Case, _ dtype: DType) throws -> (model: any Module, store: ParameterStore) {
    let model = try ModelSpecification(test.model).build(
      exampleShape: [3, test.side, test.side], classes: 3, norm: test.treatment == .group ? .group(4) : .batch,
      initializer: nil, generator: Generator(seed: 3), drops: false)
    // Nothing about a normalisation is 0 or 1.
    let source = try Source(seed: 4, dtype: .float32)
    for (_, module) in model.namedModules {
      if let norm = module as? any AffineNormalization { try source.settle(norm) }
    }
    return (model, try ParameterStore(model, dtype: dtype))
  }

  @Test(arguments: cases) func agrees(_ test: Case) throws {
    let batch = 3
    let images = try Tensor.normal([batch, 3, test.side, test.side], generator: Generator(seed: 5))
    let targets = try Tensor([0, 1, 2])
    let losses = { (output: Tensor) in try output.crossEntropy(targets: targets) }
    let (model, store) = try build(test, .float32)
    let policy: BatchNormPolicy = test.treatment == .batch ? .batch : .running
    let matrix = try GradientMatrix(
      GradientPlan(model, store: store, batchNormPolicy: policy), input: images, losses: losses)
    let sum = try Tensor.zeros([store.count])
    let norms = try matrix.rowSquaredNorms(addingColumnSumTo: sum, accumulating: false)
      .reduce(Array(repeating: 0.0, count: batch)) { zip($0, $1).map(+) }
    let vector = try Tensor.normal([store.count], generator: Generator(seed: 6))
    let products = try matrix.product(vector)
      .reduce(Array(repeating: 0.0, count: batch)) { zip($0, $1).map(+) }

    let (oracle, wide) = try build(test, .float64)
    let input = try images.to(.float64)
    if policy == .batch { try freeze(oracle, input: input) }
    let plan = try GradientPlan(oracle, store: wide)
    var (expectedNorms, expectedProducts) = ([Double](), [Double]())
    let expectedSum = try Tensor.zeros([store.count], dtype: .float64)
    for example in 0..<batch {
      let own = try Tensor([example])
      let row = try plan.exampleGradients(
        input: input.narrow(0, from: example, length: 1), losses: { try $0.crossEntropy(targets: own) }
      ).reshape([-1])
      expectedNorms += try row.squared().sum().values(as: Double.self)
      expectedProducts += try (row * vector.to(.float64)).sum().values(as: Double.self)
      try expectedSum.add(row)
    }
    let length = expectedNorms.map { $0.squareRoot() }
    expectClose(norms.map { $0.squareRoot() }, length, 1e-3, "norms")
    let difference = try (sum.to(.float64) - expectedSum).squared().sum().values(as: Double.self)[0].squareRoot()
    let size = try expectedSum.squared().sum().values(as: Double.self)[0].squareRoot()
    #expect(difference <= 1e-3 * size, "sum: \(difference) of \(size)")
    // A product with a random vector is about as long as the row.
    for (actual, (expected, scale)) in zip(products, zip(expectedProducts, length)) {
      #expect(abs(actual - expected) <= 3e-3 * scale, "product \(actual), not \(expected)")
    }
  }

  /// Puts the batch's own statistics in the place of the running ones.
  private func freeze(_ model: any Module, input: Tensor) throws {
    // How many values each channel has, layer by layer.
    let tape = GradientTape(batchNormPolicy: .batch)
    try model.forward(input, in: ForwardContext(isTraining: false, tape: tape)).sum().backward()
    var counts: [ObjectIdentifier: Double] = [:]
    for entry in tape.entries where entry.layer is BatchNorm2d {
      let shape = try #require(try entry.slot.factors()).input.shape
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
      func statistic(_ now: Tensor, _ before: Tensor) throws -> Tensor { try (now - before * (1 - share)) * (1 / share) }
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
