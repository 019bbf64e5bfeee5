// SPDX-License-Identifier: Apache-2.0

import Foundation
import Training

/// What a cell will cost, from a few steps of it.
public struct CellEstimate: Codable, Sendable, Equatable {
  /// Steps of the run.
  public var steps: Int
  /// Seconds of all steps, without evaluations and probes.
  public var training: Double
  /// Seconds of all evaluations.
  public var evaluation: Double
  /// Bytes of memory; 0 where there is no estimate.
  public var memory: Int

  /// Seconds in all.
  public var seconds: Double { training + evaluation }
}

/// Estimates the cost of cells. Cells of the same shape (data, model, batch, optimizer) are measured once.
public struct CellEstimator {
  private static let steps = 2
  /// Examples that evaluation is timed on.
  private static let evaluated = 256

  private struct Shape: Hashable {
    let words: [String]
  }

  /// Seconds of a step and of an evaluated example, bytes of memory, and how many examples there are.
  private struct Cost {
    let step, example: Double
    let memory, train, test: Int
  }

  /// Nothing is known yet.
  public init() {}

  private var known: [Shape: Cost] = [:]

  /// The cost of a cell; nil for a computation, which is short.
  ///
  /// - Throws: what a run with this configuration would throw at its start.
  public mutating func estimate(_ cell: Cell) throws -> CellEstimate? {
    guard var configuration = cell.configuration else { return nil }
    // What earlier cells are to make is not there yet, and changes no cost.
    configuration.split = nil
    configuration.weights = nil
    configuration.probe = []
    let shape = Shape(words: [
      configuration.dataset, "\(configuration.subset ?? 0)", "\(configuration.testSubset ?? 0)",
      "\(configuration.imageSize ?? 0)", configuration.model, configuration.norm, configuration.optimizer,
      "\(configuration.batchSize)", configuration.augment,
    ])
    let cost = try known[shape] ?? Self.measure(Trainer(configuration))
    known[shape] = cost
    let total = configuration.totalSteps(for: cost.train)
    let perEpoch = max(1, (cost.train + configuration.batchSize - 1) / configuration.batchSize)
    let schedule = EvaluationSchedule(steps: total, stepsPerEpoch: perEpoch, every: configuration.evalEvery)
    return CellEstimate(
      steps: total, training: Double(total) * cost.step,
      evaluation: Double(schedule.count) * Double(cost.train + cost.test) * cost.example, memory: cost.memory)
  }

  private static func measure(_ trainer: Trainer) throws -> Cost {
    func seconds(_ body: () throws -> Void) rethrows -> Double {
      let begun = DispatchTime.now().uptimeNanoseconds
      try body()
      return Double(DispatchTime.now().uptimeNanoseconds - begun) / 1e9
    }
    var step = Double.infinity
    // The first step makes the libraries' plans.
    do {
      for _ in 0...Self.steps where trainer.step < trainer.steps {
        step = min(step, try seconds { _ = try trainer.update() })
      }
    } catch let error as TrainingError where error.kind == .divergence {
      // What the run itself will find out, and keep as its result.
    }
    let count = min(Self.evaluated, trainer.data.test.count)
    let evaluator = Evaluator(linearPolicy: trainer.linearPolicy, device: .cpu)
    let evaluation = try seconds {
      _ = try evaluator.evaluate(
        trainer.model, on: trainer.data.test, indices: Array(0..<count), labels: trainer.data.test.labels)
    }
    return Cost(
      step: step.isFinite ? step : 0, example: count > 0 ? evaluation / Double(count) : 0,
      memory: trainer.memoryEstimate?.total ?? 0, train: trainer.data.trainIndices.count, test: trainer.data.test.count)
  }
}
