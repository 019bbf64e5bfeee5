// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import NeuralNetworks
import Tensors
import Testing

@testable import Runs
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
    let trainer = try Trainer.make(
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
    let trainer = try Trainer.make(smallConfiguration { $0.momentum = 0.9 })
    #expect(try trainer.optimizer.state().map(\.name) == ["velocity", "started"])
    #expect(try Trainer.make(smallConfiguration()).optimizer.state().isEmpty)
    expectError(.checkpoint, "velocity") { try trainer.optimizer.restore([:], afterSteps: 1, trainer.store) }
    let short = try Tensor.zeros([3])
    expectError(.checkpoint, "velocity") {
      try trainer.optimizer.restore(["velocity": short], afterSteps: 1, trainer.store)
    }
  }

  /// Restored before the first update, the velocity must start as the gradient, as it does in a fresh optimizer.
  @Test func restoredBeforeTheFirstUpdate() throws {
    let (one, two) = (
      try Trainer.make(smallConfiguration { $0.momentum = 0.9 }),
      try Trainer.make(smallConfiguration { $0.momentum = 0.9 })
    )
    try two.optimizer.restore(["velocity": Tensor.full([two.store.count], 5)], afterSteps: 0, two.store)
    for _ in 0..<3 {
      _ = try one.update()
      _ = try two.update()
    }
    #expect(try one.store.values.values(as: Float.self) == two.store.values.values(as: Float.self))
  }

  /// Eleven updates with a short last batch in every epoch, against plain loops in double precision.
  @Test(arguments: ["adam", "adamw", "sgd+adamw:beta1=0.8,beta2=0.95,epsilon=0.001"])
  func adamAgreesWithPlainLoops(_ word: String) throws {
    let (beta1, beta2, epsilon) = word.contains("beta1") ? (0.8, 0.95, 1e-3) : (0.9, 0.999, 1e-8)
    let (rate, decay) = (0.01, 0.1)
    let trainer = try Trainer.make(
      smallConfiguration {
        ($0.subset, $0.batchSize, $0.steps, $0.model) = (32, 5, 11, "mlp:5")
        ($0.optimizer, $0.lr, $0.weightDecay) = (word, rate, decay)
      })
    var plain = try PlainNetwork(trainer)
    var sampler = try BatchSampler(count: 32, batchSize: 5, seed: 1)
    var (m, v) = (plain.flat.map { _ in 0.0 }, plain.flat.map { _ in 0.0 })
    for step in 1...11 {
      let batch = sampler.next()
      let images = try trainer.data.train.imageTensor(at: batch).values(as: Float.self).map(Double.init)
      let inputs = batch.indices.map { Array(images[($0 * 784)..<(($0 + 1) * 784)]) }
      let (loss, gradient) = plain.gradient(inputs, batch.map { trainer.data.labels.assigned[$0] })
      let isDecoupled = word != "adam"
      let before = plain.flat
      let direction = before.indices.map { index in
        let g = gradient[index] + (isDecoupled ? 0 : decay * before[index])
        m[index] = beta1 * m[index] + (1 - beta1) * g
        v[index] = beta2 * v[index] + (1 - beta2) * g * g
        let (mean, square) = (m[index] / (1 - pow(beta1, Double(step))), v[index] / (1 - pow(beta2, Double(step))))
        return mean / (square.squareRoot() + epsilon) + (isDecoupled ? decay * before[index] : 0)
      }
      plain.add(direction, times: -rate)
      #expect(abs(try trainer.update().loss - loss) <= 1e-4 * max(1, loss))
    }
    // Where a gradient is nearly 0, its sign, which Adam follows, is rounding.
    let off = zip(try trainer.store.values.values(as: Float.self), plain.flat).map { abs(Double($0) - $1) }
    #expect(off.count { $0 > 1e-5 } <= off.count / 200, "\(off.count { $0 > 1e-5 }) of \(off.count) parameters differ")
  }

  @Test func adamsStateAndItsRestoration() throws {
    let trainer = try Trainer.make(smallConfiguration { $0.optimizer = "m3+adamw" })
    #expect(try trainer.optimizer.state().map(\.name) == ["first_moment", "second_moment", "updates"])
    expectError(.checkpoint, "Adam") { try trainer.optimizer.restore([:], afterSteps: 1, trainer.store) }
    let counts = try ["m3", "adamw", "m3+adamw", "rm3+adam", "m3:successive+adam"].map { word in
      let estimate = try ConfiguredTraining(smallConfiguration { $0.optimizer = word }).memoryEstimate
      return try #require(estimate).optimizer / #require(estimate).parameters
    }
    // Three group means; the moments; with RM3 two earlier gradients, and their median for Adam.
    #expect(counts == [3, 2, 5, 5, 5])
  }

  @Test(arguments: [
    ("m3+adamx", "adamw"), ("adam:beta3=1", "beta3"), ("adamw:beta1=1", "below 1"), ("m3+adamw:epsilon=0", "above 0"),
    ("m4+adamw", "m4"), ("adamw:beta1", "not understood"), ("sgd+sgdm", "adamw"),
  ])
  func wordsThatMeanNothing(_ word: String, _ expected: String) {
    let said = message { _ = try OptimizerSpecification(word) }
    #expect(said.contains(expected), "\(word): \(said)")
  }

  @Test func adamTakesNoMomentum() throws {
    expectError(.configuration, "beta1") {
      try smallConfiguration { ($0.optimizer, $0.momentum) = ("adamw", 0.9) }.validate()
    }
    try smallConfiguration { $0.optimizer = "geomed:k=5:tolerance=1e+0" }.validate()
  }
}
