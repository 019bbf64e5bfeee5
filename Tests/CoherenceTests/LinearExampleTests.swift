// SPDX-License-Identifier: Apache-2.0

import Coherence
import GradientMatrix
import NeuralNetworks
import Tensors
import Testing

/// The linear example of "On the Generalization Mystery": ŷ = w·x with loss ½(y − ŷ)². A last feature that all four
/// examples share (c = 1, "real") makes their gradients agree and the fit generalise; without it (c = 0, "random") they
/// are orthogonal and nothing is learned about the test example.
@Suite("The linear example", .serialized)
struct LinearExampleTests {
  private func problem(_ c: Double) throws -> (model: Linear, input: Tensor, targets: Tensor, test: Tensor) {
    let rows: [[Double]] = [
      [1, 0, 0, 0, 0, c], [0, -1, 0, 0, 0, -c], [0, 0, -1, 0, 0, -c], [0, 0, 0, 1, 0, c],
    ]
    return (
      try Linear(weight: Parameter(.zeros([1, 6], dtype: .float64))), try tensor(rows), try Tensor([1.0, -1, -1, 1]),
      try tensor([[0, 0, 0, 0, -1, -c]])
    )
  }

  @Test("α₄ at w = 0 is 0.625 for real and 0.25 for random labels, exactly", arguments: [(1.0, 0.625), (0.0, 0.25)])
  func coherence(_ c: Double, _ expected: Double) throws {
    let (model, input, targets, _) = try problem(c)
    let plan = try GradientPlan(model, store: ParameterStore(model))
    let accumulator = try CoherenceAccumulator(plan, expectedCount: 4)
    try accumulator.add(
      GradientMatrix(plan, input: input) { try (targets - $0.squeeze(1)).squared() * 0.5 })
    #expect(try accumulator.result().network.coherence.alpha == expected)
  }

  @Test("Gradient descent ends at w₆ = 0.8, test error 0.04; or at w₆ = 0, test error 1", arguments: [0.0, 1.0])
  func descent(_ c: Double) throws {
    let (model, input, targets, test) = try problem(c)
    let store = try ParameterStore(model)
    for _ in 0..<800 {
      let context = ForwardContext(isTraining: true, usesGradientViews: true)
      let loss = try (targets - model.forward(input, in: context).squeeze(1)).squared().mean() * 0.5
      try store.backward(loss)
      _ = try store.values.updateSGD(gradient: store.gradient, velocity: nil, SGDUpdate(learningRate: 0.5))
    }
    let weights: [Double] = try store.values.values()
    let output = try withoutGradients { try model.forward(test, in: .evaluation()).item() }
    let error = (-1 - output) * (-1 - output)
    let expected = c == 1 ? [0.2, 0.2, 0.2, 0.2, 0, 0.8] : [1, 1, 1, 1, 0, 0]
    for (weight, target) in zip(weights, expected) { #expect(abs(abs(weight) - target) < 1e-12) }
    #expect(abs(error - (c == 1 ? 0.04 : 1)) < 1e-12)
  }
}
