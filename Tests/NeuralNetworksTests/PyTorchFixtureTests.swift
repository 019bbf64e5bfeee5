// SPDX-License-Identifier: Apache-2.0

import Foundation
import NeuralNetworks
import Tensors
import TestSupport
import Testing

/// A perceptron 20-13-7-5 against PyTorch's numbers, which Tests/Fixtures/make_mlp_fixture.py prints.
@Suite struct PyTorchFixtureTests {
  struct Fixture: Decodable {
    let widths: [Int]
    let targets: [Int]
    let logits: [Double]
    let losses: [Double]
    let gradients: [String: [Double]]
  }

  private func fixture() throws -> Fixture {
    let url = try #require(
      Bundle.module.url(forResource: "mlp-20-13-7-5", withExtension: "json", subdirectory: "Fixtures"))
    return try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: url))
  }

  /// The formula of the fixture's numbers.
  private func wave(_ count: Int, _ phase: Int) -> [Double] {
    (0..<count).map { Double((37 * $0 + 11 * phase) % 101) / 101 - 0.5 }
  }

  @Test(arguments: LinearPolicy.Rule.allCases) func agreesWithPyTorch(_ rule: LinearPolicy.Rule) throws {
    let fixture = try fixture()
    let widths = fixture.widths
    let batch = fixture.targets.count
    let model = try ModelSpecification("mlp:13,7").build(
      exampleShape: [widths[0]], classes: widths[3], initializer: .pytorch, generator: Generator(seed: 1))
    let store = try ParameterStore(model)
    #expect(store.entries.map(\.name) == ["fc1", "fc2", "fc3"].flatMap { [$0 + ".weight", $0 + ".bias"] })
    for (index, entry) in store.entries.enumerated() {
      try withoutGradients {
        try entry.parameter.value.copy(
          from: Tensor(wave(entry.parameter.count, 2 + index), shape: entry.parameter.shape))
      }
    }
    let x = try Tensor(wave(batch * widths[0], 1).map { Float($0 * 4) }, shape: [batch, widths[0]])
    // Some of the layers are below the threshold, some above.
    let policy = LinearPolicy(rule: rule, threshold: 400)
    let context = ForwardContext(isTraining: true, usesGradientViews: true, linearPolicy: policy)
    let logits = try model.forward(x, in: context)
    try expectClose(logits, fixture.logits, shape: [batch, widths[3]], dtype: .float32, rtol: 1e-5, atol: 1e-6)
    let losses = try crossEntropy(logits, Tensor(fixture.targets), reduction: .none)
    try expectClose(losses, fixture.losses, shape: [batch], dtype: .float32, rtol: 1e-5, atol: 1e-6)
    try store.backward(losses.mean())
    for entry in store.entries {
      let gradient = try store.gradient.narrow(0, from: entry.range.lowerBound, length: entry.range.count)
      let expected = try #require(fixture.gradients[entry.name])
      try expectClose(gradient, expected, shape: [expected.count], dtype: .float32, rtol: 1e-5, atol: 1e-6)
    }
  }
}
