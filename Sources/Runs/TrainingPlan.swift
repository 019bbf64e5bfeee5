// SPDX-License-Identifier: Apache-2.0

import Foundation
import Tensors
import Training

/// What a training will take: time from a few steps of it, memory, and what several processes would send each other.
public struct TrainingPlan {
  /// The training with what its configuration left open filled in.
  public let configuration: TrainingConfiguration
  /// Its parts.
  public let trainer: Trainer
  /// Memory; nil on a device of its own memory.
  public let memory: MemoryEstimate?
  /// Seconds of a step, and of an example in an evaluation.
  public let cost: (step: Double, example: Double)
  /// Examples that all evaluations see together.
  public let evaluated: Int
  /// One process first, then as many as can share a step.
  public let shares: [Share]
  /// Why no more processes can; nil where more were not asked for.
  public let obstacle: String?

  /// A step of several processes, each on a processor like this one.
  public struct Share: Sendable, Equatable {
    /// What they send.
    public let traffic: StepTraffic
    /// Seconds that a rank computes in a step.
    public let computing: Double

    /// Seconds of a step over a network of so many bits a second, with nothing sent while anything is computed.
    public func seconds(bitsPerSecond: Double) -> Double {
      computing + Double(traffic.bytes) * 8 / bitsPerSecond + Double(traffic.exchanges) * TrainingPlan.latency
    }
  }

  /// Seconds that an exchange of a few numbers takes, as measured between two processes.
  public static let latency = 0.000_25

  /// Measures.
  ///
  /// - Parameters:
  ///   - configuration: what is to be trained and how.
  ///   - ranks: numbers of processes to look at.
  ///   - memoryLimit: the bytes that this process can have; nil to try whatever the estimate.
  /// - Throws: as `ConfiguredTraining`.
  public init(
    _ configuration: TrainingConfiguration, ranks: [Int] = [1, 2, 4, 8, 16, 32, 64], memoryLimit: Int? = nil
  ) throws {
    let training = try ConfiguredTraining(configuration, memoryLimit: memoryLimit)
    let trainer = training.trainer
    (self.configuration, self.trainer, memory) = (training.configuration, trainer, training.memoryEstimate)
    let measured = try trainer.timed()
    cost = measured
    evaluated = trainer.evaluations.examples(after: -1)
    let batch = min(trainer.settings.batchSize, trainer.data.trainIndices.count)
    func examples(_ count: Int) throws -> Tensor {
      try trainer.data.train.imageTensor(
        at: Array(trainer.data.trainIndices.prefix(count)), device: trainer.store.values.device)
    }
    let passes = trainer.trainingStep
    let found = try passes.traffic(
      ranks: ranks.filter { $0 <= batch }, batchCount: batch, input: examples(min(batch, passes.minimumBatchSize)),
      outputs: trainer.data.train.classCount)
    obstacle = found.obstacle
    let whole = try trainer.secondsOfPasses(examples(batch))
    shares = try found.possible.map { traffic in
      // A part of a mini-batch may be smaller than an aggregator takes for a whole one.
      let timed = max(traffic.examples, passes.minimumBatchSize)
      let part = traffic.ranks == 1 ? whole : try trainer.secondsOfPasses(examples(min(batch, timed)))
      let share = part * Double(traffic.examples) / Double(timed)
      return Share(traffic: traffic, computing: whole > 0 ? measured.step * share / whole : 0)
    }
  }
}

extension Trainer {
  /// Steps that are timed, after one that makes the libraries' plans.
  package static let timedSteps = 2
  /// Examples that evaluation is timed on.
  private static let timedExamples = 256

  /// Seconds of a step, the least of two, and of the evaluation of an example. The trainer's weights are another's after it.
  ///
  /// - Throws: what a step throws, but for a divergence, which is the run's own to find out.
  package func timed() throws -> (step: Double, example: Double) {
    var least = Double.infinity
    do {
      for _ in 0...Self.timedSteps where step < steps {
        least = min(least, try seconds { _ = try update() })
      }
    } catch let error as TrainingError where error.kind == .divergence {}
    let count = min(Self.timedExamples, data.test.count)
    let evaluation = try seconds {
      _ = try evaluator.evaluate(model, on: data.test, indices: Array(0..<count), labels: data.test.labels)
    }
    return (least.isFinite ? least : 0, count > 0 ? evaluation / Double(count) : 0)
  }

  /// Seconds of both passes over some examples and of their aggregation.
  fileprivate func secondsOfPasses(_ input: Tensor) throws -> Double {
    let targets = try Tensor(Array(repeating: 0, count: input.size(0)), device: input.device)
    var least = Double.infinity
    for _ in 0...Self.timedSteps {
      least = min(
        least,
        try seconds {
          let result = try trainingStep.aggregate(input) { [settings] in try settings.loss.losses($0, targets: targets)
          }
          // A device is done when its numbers are here.
          _ = try (result.losses.values(as: Float.self), trainingStep.updated.gradient.sum().item())
        })
    }
    return least
  }
}

/// How long something takes.
package func seconds(_ body: () throws -> Void) rethrows -> Double {
  let begun = DispatchTime.now().uptimeNanoseconds
  try body()
  return Double(DispatchTime.now().uptimeNanoseconds - begun) / 1e9
}
