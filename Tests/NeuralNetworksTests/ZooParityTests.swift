// SPDX-License-Identifier: Apache-2.0

import Foundation
import Tensors
import TestSupport
import Testing

@testable import NeuralNetworks

/// Every architecture against torchvision: names, shapes and order of parameters, logits, loss, gradients, and the
/// running statistics that a training pass leaves. In float64 to the fixture's digits, and in float32.
@Suite struct ZooParityTests {
  @Test(arguments: [
    "resnet20", "resnet20-gray", "resnet32", "resnet44", "resnet56", "resnet18", "resnet18-32", "resnet18-group8",
    "resnet34", "resnet34-32", "resnet50", "resnet50-32", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn",
    "inception_v3", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4",
    "efficientnet_b5", "efficientnet_b6", "efficientnet_b7", "alexnet", "vit_tiny", "vit_b_16",
  ]) func equalsTorchvision(_ name: String) throws {
    let fixture = try ZooFixture(name)
    let word = name.replacingOccurrences(of: "-gray", with: "").replacingOccurrences(of: "-group8", with: "")
    let norm = name.hasSuffix("-group8") ? NormalizationChoice.group(8) : .batch
    let model = try ModelSpecification(word).build(
      exampleShape: Array(fixture.cases[0].shape.dropFirst()), classes: 10, norm: norm, initializer: .pytorch,
      generator: Generator(seed: 1), drops: false)
    #expect(model.namedParameters.map(\.name) == fixture.parameters.map(\.name))
    #expect(model.namedParameters.map(\.parameter.shape) == fixture.parameters.map(\.shape))
    // The large ones take a gigabyte more in float64, so only what float32 cannot show goes there.
    let isLarge = model.parameterCount > 50_000_000
    let double = fixture.cases.filter { !isLarge || !$0.single }
    if !double.isEmpty {
      let store = try ParameterStore(model, dtype: .float64)
      for expected in double { try compare(model, store, expected, gain: fixture.gain) }
    }
    let single = try ParameterStore(model, dtype: .float32)
    for expected in fixture.cases where expected.single { try compare(model, single, expected, gain: fixture.gain) }
  }

  /// How far off numbers may be: of the largest logit, and of a gradient's norm.
  private struct Tolerance {
    let logits, gradients: Double
    /// Of the largest gradient's norm. Gradients below are rounding: that of a bias before batch normalisation is 0.
    let floor: Double
    static let single = Tolerance(logits: 1e-4, gradients: 1e-3, floor: 1e-6)
    /// The fixture's eight digits are the limit.
    static let double = Tolerance(logits: 1e-7, gradients: 1e-7, floor: 1e-12)
  }

  private func compare(
    _ model: any Module, _ store: ParameterStore, _ expected: ZooFixture.Case, gain: Double
  ) throws {
    for entry in store.entries {
      try entry.parameter.value.copy(from: HashedNumbers.content(entry.name, entry.parameter.shape, gain: gain))
    }
    for (name, buffer) in model.namedBuffers {
      try buffer.value.copy(from: HashedNumbers.content(name, buffer.value.shape, gain: gain))
    }
    let dtype = try store.values.dtype
    let tolerance = dtype == .float64 ? Tolerance.double : .single
    let x = try HashedNumbers.values(expected.input, expected.shape).to(dtype)
    let targets = try Tensor((0..<expected.shape[0]).map { $0 * 3 % 10 })
    let context = ForwardContext(isTraining: expected.mode == "train", usesGradientViews: true)
    let logits = try model.forward(x, in: context)
    try expectClose(
      logits, expected.logits, shape: [expected.shape[0], 10], dtype: dtype, rtol: tolerance.logits,
      atol: tolerance.logits * (expected.logits.map(abs).max() ?? 0))
    let loss = try crossEntropy(logits, targets)
    try expectClose(loss, [expected.loss], shape: [], dtype: dtype, rtol: tolerance.logits)
    try store.backward(loss)
    let largest = expected.gradients.map { $0[0] }.max() ?? 0
    for (entry, numbers) in zip(store.entries, expected.gradients) {
      try compare(
        store.gradient.narrow(0, from: entry.range.lowerBound, length: entry.range.count), numbers,
        "\(dtype) \(expected.mode)", entry.name,
        within: tolerance.gradients * numbers[0] + tolerance.floor * largest)
    }
    for (name, buffer) in model.namedBuffers {
      guard let norm = expected.buffers?[name] else { continue }
      let found = try buffer.value.dot(buffer.value).squareRoot()
      #expect(abs(found - norm) <= tolerance.logits * norm, "\(name): \(found), expected \(norm)")
    }
  }

  /// An error e with ‖e‖ = ε·‖g‖ that leans no particular way moves a product with v by about ε·‖g‖·rms(v), and one
  /// element by no more than ε·‖g‖.
  private func compare(
    _ gradient: Tensor, _ expected: [Double], _ circumstances: String, _ name: String, within tolerance: Double
  ) throws {
    let norm = try gradient.dot(gradient).squareRoot()
    var found = [norm, try gradient.dot(Tensor.ones([1]).expand(gradient.shape))]
    for index in 1...2 { found.append(try gradient.dot(HashedNumbers.values("\(name)#\(index)", gradient.shape))) }
    for index in 0..<4 {
      found += try gradient.narrow(0, from: index * (gradient.count - 1) / 3, length: 1).to(.float64).values()
    }
    for (index, pair) in zip(found, expected).enumerated() {
      #expect(
        abs(pair.0 - pair.1) <= tolerance + 1e-7 * abs(pair.1),
        "\(circumstances) \(name) [\(index)]: \(pair.0), expected \(pair.1), norm \(expected[0])")
    }
  }
}
