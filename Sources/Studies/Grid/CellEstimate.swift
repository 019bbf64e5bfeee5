// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Charts
import Foundation
import Runs
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
  /// Bytes on disk of the checkpoint that a complete run keeps; nil where there is no estimate.
  public var disk: Int?

  /// Seconds in all.
  public var seconds: Double { training + evaluation }
}

/// Estimates the cost of cells. Cells of the same shape (data, model, batch, optimizer) are measured once.
public struct CellEstimator {
  /// A mini-batch that takes more bytes than this is timed in part: what may not fit must not be found out by taking it.
  private static let timedBytes = 1 << 29
  /// Fewer examples say too little about the time of many.
  private static let minimumTimed = 16

  private struct Shape: Hashable { let words: [String] }

  /// Seconds of a step and of an evaluated example, bytes of memory, and how many examples there are.
  private struct Cost {
    let step, example: Double
    let memory, train, test: Int
    let disk: Int?
  }

  private let memoryLimit: Int?

  /// Nothing is known yet.
  ///
  /// - Parameter memoryLimit: the bytes that this process can have: a cell whose parameters alone take more is refused
  ///   before they are made; nil to try.
  public init(memoryLimit: Int? = MemoryLimit.current()) { self.memoryLimit = memoryLimit }

  private var known: [Shape: Cost] = [:]

  /// The cost of a cell; nil for a computation, which is short.
  ///
  /// - Throws: `StudyError` with the cell's name when a run with this configuration could not start; what reading its data
  ///   throws.
  public mutating func estimate(_ cell: Cell) throws -> CellEstimate? {
    do {
      guard let configuration = cell.configuration else {
        // The computation itself would find out last that its data are not there.
        if let setting = cell.setting { _ = try training(setting) }
        return nil
      }
      return try estimate(configuration)
    } catch let error as TrainingError where error.kind == .configuration {
      throw StudyError(
        "Cell \(cell.name) cannot run: \(error).",
        remedy: "Change what all cells share with --set OPTION=VALUE, or choose other data with --data-dir.")
    }
  }

  private mutating func estimate(_ wanted: TrainingConfiguration) throws -> CellEstimate {
    // What earlier cells are to make is not there yet, and changes no cost.
    let configuration = wanted.with { ($0.split, $0.weights, $0.probe) = (nil, nil, []) }
    let shape = Shape(words: [
      configuration.dataset, "\(configuration.subset ?? 0)", "\(configuration.testSubset ?? 0)",
      "\(configuration.imageSize ?? 0)", configuration.model, configuration.norm, configuration.optimizer,
      "\(configuration.batchSize)", configuration.augment,
    ])
    let cost = try known[shape] ?? measure(configuration)
    known[shape] = cost
    if wanted.split == nil { try wanted.checkProbes(trainingExamples: cost.train) }
    let total = configuration.totalSteps(for: cost.train)
    let rest = configuration.dropLast ? 0 : configuration.batchSize - 1
    let perEpoch = max(1, (cost.train + rest) / configuration.batchSize)
    let schedule = EvaluationSchedule(
      steps: total, stepsPerEpoch: perEpoch, examplesPerStep: configuration.batchSize,
      counts: SplitCounts(train: cost.train, test: cost.test), every: configuration.evalEvery,
      policy: configuration.evalSchedule)
    return CellEstimate(
      steps: total, training: Double(total) * cost.step,
      evaluation: Double(schedule.examples(after: -1)) * cost.example, memory: cost.memory, disk: cost.disk)
  }

  private func training(_ configuration: TrainingConfiguration) throws -> ConfiguredTraining {
    try ConfiguredTraining(configuration, parameterLimit: memoryLimit)
  }

  private func measure(_ configuration: TrainingConfiguration) throws -> Cost {
    let training = try training(configuration)
    var trainer = training.trainer
    let (train, test) = (trainer.data.trainIndices.count, trainer.data.test.count)
    let estimate = training.memoryEstimate
    let (memory, bytes) = (estimate?.total ?? 0, estimate?.training ?? 0)
    var timed = configuration
    if bytes > Self.timedBytes {
      let share = Double(Self.timedBytes) / Double(bytes)
      let least = max(
        Self.minimumTimed, try OptimizerSpecification(configuration.optimizer).aggregator.make().minimumBatchSize)
      timed.batchSize = min(configuration.batchSize, max(least, Int(clamping: share * Double(configuration.batchSize))))
      timed.validation = 0
      // Without a smaller rest at the end.
      timed.subset = min(train, timed.batchSize * (Trainer.timedSteps + 1)) / timed.batchSize * timed.batchSize
      trainer = try self.training(timed).trainer
    }
    let (step, example) = try trainer.timed()
    return Cost(
      step: step * Double(configuration.batchSize) / Double(timed.batchSize), example: example, memory: memory,
      train: train, test: test, disk: estimate.map { $0.parameters + $0.optimizer })
  }
}
