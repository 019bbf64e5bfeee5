// SPDX-License-Identifier: Apache-2.0

import Coherence
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors

/// The linear example of On the Generalization Mystery: ŷ = w·x with loss ½(y − ŷ)² on four examples that share a last
/// feature ("real", c = 1) or do not ("random", c = 0).
enum LinearExample {
  private static let updates = 800
  private static let learningRate = 0.5

  static func quantities() throws -> [QuantityRecord] {
    let (real, random) = (try run(c: 1), try run(c: 0))
    return [
      QuantityRecord(quantity: "alpha_real", value: real.alpha),
      QuantityRecord(quantity: "alpha_random", value: random.alpha),
      QuantityRecord(quantity: "test_error_real", value: real.error),
      QuantityRecord(quantity: "test_error_random", value: random.error),
      QuantityRecord(quantity: "w6_real", value: real.lastWeight),
    ]
  }

  private static func run(c: Double) throws -> (alpha: Double, error: Double, lastWeight: Double) {
    let rows: [Double] = [1, 0, 0, 0, 0, c, 0, -1, 0, 0, 0, -c, 0, 0, -1, 0, 0, -c, 0, 0, 0, 1, 0, c]
    let input = try Tensor(rows, shape: [4, 6])
    let targets = try Tensor([1.0, -1, -1, 1])
    let model = try Linear(weight: Parameter(.zeros([1, 6], dtype: .float64)))
    let store = try ParameterStore(model, dtype: .float64)
    let plan = try GradientPlan(model, store: store)
    let accumulator = try CoherenceAccumulator(plan, expectedCount: 4, groupCount: 0)
    try accumulator.add(GradientMatrix(plan, input: input) { try (targets - $0.squeeze(1)).squared() * 0.5 })
    let alpha = try accumulator.result().network.coherence.alpha
    let context = ForwardContext(isTraining: true, usesGradientViews: true)
    for _ in 0..<updates {
      let loss = try (targets - model.forward(input, in: context).squeeze(1)).squared().mean() * 0.5
      try store.backward(loss)
      _ = try store.values.updateSGD(gradient: store.gradient, velocity: nil, SGDUpdate(learningRate: learningRate))
    }
    let test = try Tensor([0, 0, 0, 0, -1, -c], shape: [1, 6])
    let output = try withoutGradients { try model.forward(test, in: .evaluation()).item() }
    let weights: [Double] = try store.values.values()
    return (alpha ?? 0, (-1 - output) * (-1 - output), weights.last ?? 0)
  }
}
