// SPDX-License-Identifier: Apache-2.0

import Foundation
import Tensors
import Testing

@testable import Runs
@testable import Training

@Suite struct RobustTrainingTests {
  static let words = [
    "winsorized:c=10", "trimmed:s=1", "m3", "m3:successive", "rm3", "ra3", "mom:k=5", "geomed:k=3",
    "sign-sum", "sum-sign", "and-mask:t=0.3",
  ]

  private func weights(_ trainer: Trainer) throws -> [Float] { try trainer.store.values.values() }

  @Test(arguments: words)
  func everyOptimizerLearns(_ word: String) throws {
    let trainer = try Trainer.make(
      smallConfiguration {
        $0.optimizer = word
        // Steps of a fixed size of 0.001 need a rate to match.
        $0.lr = ["sign-sum": 5, "sum-sign": 0.2][word] ?? 0.1
        $0.steps = 60
      })
    let before = try #require(try trainer.evaluate().first)
    for _ in 0..<60 { _ = try trainer.update() }
    let after = try #require(try trainer.evaluate().first)
    #expect(after.loss < 0.99 * before.loss, "\(before.loss) to \(after.loss)")
  }

  @Test func nothingClippedIsPlainDescent() throws {
    let (plain, none) = (
      try Trainer.make(smallConfiguration()), try Trainer.make(smallConfiguration { $0.optimizer = "winsorized:c=0" })
    )
    for _ in 0..<5 {
      _ = try plain.update()
      _ = try none.update()
    }
    #expect(try weights(plain) == weights(none))
  }

  @Test func theRollingMedianWaitsTwoSteps() throws {
    let trainer = try Trainer.make(smallConfiguration { $0.optimizer = "rm3" })
    let start = try weights(trainer)
    for _ in 0..<2 { _ = try trainer.update() }
    #expect(try weights(trainer) == start)
    _ = try trainer.update()
    #expect(try weights(trainer) != start)
  }

  /// The first update is by three gradients of the first weights, each with λw: it differs from one without decay by −ηλw.
  @Test(arguments: ["m3:successive", "rm3", "ra3", "rm3:decay=after"])
  func decayIsWholeInTheFirstUpdate(_ optimizer: String) throws {
    let (rate, decay) = (0.05, 0.1)
    let ends = try [0, decay].map { decay in
      let trainer = try Trainer.make(
        smallConfiguration { ($0.optimizer, $0.weightDecay, $0.lr, $0.schedule) = (optimizer, decay, rate, "constant") }
      )
      let start = try weights(trainer)
      while try weights(trainer) == start { _ = try trainer.update() }
      return (start, end: try weights(trainer))
    }
    let start = ends[0].0
    #expect(ends[1].0 == start)
    for (index, weight) in start.enumerated() {
      let moved = Double(ends[1].end[index] - ends[0].end[index])
      #expect(abs(moved + rate * decay * Double(weight)) < 1e-6, "\(index)")
    }
  }

  /// Of gradients of the same weights, decay before and after the median are one.
  @Test func successiveBatchesAreAtTheSameWeights() throws {
    let trainer = try Trainer.make(
      smallConfiguration {
        $0.optimizer = "m3:successive"
        $0.weightDecay = 0.1
      })
    let record = try trainer.update()
    #expect(record.step == 1)
    #expect(trainer.sampler.position == 3 * trainer.settings.batchSize)
  }

  @Test(arguments: [
    ("rm3", 0.0), ("rm3", 0.9), ("ra3", 0.0), ("m3", 0.0), ("m3:successive", 0.0), ("winsorized:s=2", 0.9),
  ])
  func aCheckpointContinuesToTheSameBits(_ word: String, _ momentum: Double) throws {
    func configuration() -> TrainingConfiguration {
      smallConfiguration {
        $0.optimizer = word
        $0.momentum = momentum
        $0.allowMomentum = true
        $0.weightDecay = 0.01
        $0.steps = 12
      }
    }
    let whole = try Trainer.make(configuration())
    for _ in 0..<12 { _ = try whole.update() }
    for stop in [1, 2, 3, 7] {
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent("robust-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let first = try Trainer.make(configuration())
      for _ in 0..<stop { _ = try first.update() }
      try Checkpoint.save(first, model: "mlp:8", in: folder, logs: .init(), spent: TimeSpent())
      let second = try Trainer.make(configuration())
      try #require(try Checkpoint.latest(in: folder)).restore(second, model: "mlp:8", in: folder)
      for _ in stop..<12 { _ = try second.update() }
      #expect(try weights(second) == weights(whole), "stopped at \(stop)")
    }
  }

  @Test func aCheckpointOfAnotherOptimizerIsAnError() throws {
    let trainer = try Trainer.make(smallConfiguration { $0.optimizer = "rm3" })
    #expect {
      try trainer.aggregator.restore([:], afterSteps: 5, trainer.store)
    } throws: {
      String(describing: $0).contains("another optimizer")
    }
  }

  @Test func momentumNeedsAWord() throws {
    for word in ["m3", "rm3", "ra3", "mom:k=3"] {
      expectError(.configuration, "allow-momentum") {
        try smallConfiguration {
          $0.optimizer = word
          $0.momentum = 0.9
        }.validate()
      }
    }
    try smallConfiguration {
      $0.optimizer = "winsorized:c=1"
      $0.momentum = 0.9
    }.validate()
  }

  @Test func aLastBatchThatIsTooSmallIsRefusedAtStart() throws {
    let rest = try Trainer.make(smallConfiguration()).data.trainIndices.count - 2
    expectError(.configuration, "the last mini-batch of an epoch has 2") {
      _ = try Trainer.make(
        smallConfiguration {
          $0.optimizer = "m3"
          $0.batchSize = rest
        })
    }
    expectError(.configuration, "at least 41") {
      _ = try Trainer.make(
        smallConfiguration {
          $0.optimizer = "winsorized:s=20"
          $0.batchSize = 40
        })
    }
  }
}
