// SPDX-License-Identifier: Apache-2.0

import Datasets
import NeuralNetworks
import Tensors
import Testing

@testable import Training

@Suite struct OptimizerTests {
  static let settings: [(momentum: Double, nesterov: Bool, weightDecay: Double)] = [
    (0, false, 0), (0, false, 0.01), (0.9, false, 0), (0.9, true, 0), (0.5, false, 0.02), (0.8, true, 0.05),
  ]

  /// Thirteen updates through two epochs with a short last batch, against plain loops in double precision: every
  /// parameter to rtol 2e-5 and atol 2e-6, every loss to 1e-5.
  @Test(arguments: settings.indices, ["linear", "mlp:5", "mlp:4,3"])
  func sgdAgreesWithPlainLoops(_ index: Int, _ model: String) throws {
    let (momentum, nesterov, weightDecay) = Self.settings[index]
    let trainer = try Trainer(
      smallConfiguration {
        $0.subset = 32
        $0.batchSize = 5
        $0.steps = 13
        $0.model = model
        $0.lr = 0.05
        $0.momentum = momentum
        $0.nesterov = nesterov
        $0.weightDecay = weightDecay
        $0.schedule = "step:6:0.5"
      })
    var plain = try PlainNetwork(trainer)
    var sampler = try BatchSampler(count: 32, batchSize: 5, seed: 1)
    var velocity: [Double] = []
    for step in 0..<13 {
      let batch = sampler.next()
      let images = try trainer.data.train.imageTensor(at: batch).values(as: Float.self).map(Double.init)
      let inputs = batch.indices.map { Array(images[($0 * 784)..<(($0 + 1) * 784)]) }
      let (loss, gradient) = plain.gradient(inputs, batch.map { trainer.data.labels.assigned[$0] })
      let decayed = zip(gradient, plain.flat).map { $0 + weightDecay * $1 }
      velocity = velocity.isEmpty ? decayed : zip(velocity, decayed).map { momentum * $0 + $1 }
      let direction =
        momentum == 0 ? decayed : nesterov ? zip(decayed, velocity).map { $0 + momentum * $1 } : velocity
      plain.add(direction, times: step < 6 ? -0.05 : -0.025)
      let record = try trainer.update()
      #expect(abs(record.loss - loss) <= 1e-5 * max(1, loss))
      #expect(record.step == step + 1)
    }
    let values = try trainer.store.values.values(as: Float.self)
    let expected = plain.flat
    #expect(values.count == expected.count)
    let wrong = zip(values, expected).count { abs(Double($0) - $1) > 2e-6 + 2e-5 * abs($1) }
    #expect(wrong == 0, "\(wrong) of \(values.count) parameters differ")
  }

  @Test func stateAndItsRestoration() throws {
    let trainer = try Trainer(smallConfiguration { $0.momentum = 0.9 })
    #expect(try trainer.optimizer.state().map(\.name) == ["velocity", "started"])
    #expect(try Trainer(smallConfiguration()).optimizer.state().isEmpty)
    expectError(.checkpoint, "velocity") { try trainer.optimizer.restore([:], afterSteps: 1) }
    let short = try Tensor.zeros([3])
    expectError(.checkpoint, "velocity") { try trainer.optimizer.restore(["velocity": short], afterSteps: 1) }
  }

  /// Restored before the first update, the velocity must start as the gradient, as it does in a fresh optimizer.
  @Test func restoredBeforeTheFirstUpdate() throws {
    let (one, two) = (
      try Trainer(smallConfiguration { $0.momentum = 0.9 }), try Trainer(smallConfiguration { $0.momentum = 0.9 })
    )
    try two.optimizer.restore(["velocity": Tensor.full([two.store.count], 5)], afterSteps: 0)
    for _ in 0..<3 {
      _ = try one.update()
      _ = try two.update()
    }
    #expect(try one.store.values.values(as: Float.self) == two.store.values.values(as: Float.self))
  }
}
