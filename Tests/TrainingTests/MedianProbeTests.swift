// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import GradientMatrix
import RunStore
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

@Suite struct MedianProbeTests {
  private static func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

  private static func mean(_ rows: [[Double]]) -> [Double] {
    (rows.first ?? []).indices.map { column in rows.reduce(0) { $0 + $1[column] } / Double(rows.count) }
  }

  /// From the definition, with gradients of batches of one and plain sorting. Groups of a batch that does not divide:
  /// the first are larger by one.
  private func expected(
    _ trainer: Trainer, m: Int, batchSize: Int, groupSizes: [Int]
  ) throws -> (along: Double, ratio: Double, strong: Double?, share: Double?) {
    let plan = try GradientPlan(trainer.model, store: trainer.store)
    let sample = try ProbeSample(
      of: trainer.data.train, labels: trainer.data.labels.assigned, candidates: trainer.data.trainIndices,
      split: "train", count: m, seed: trainer.settings.seed)
    var generator = SeededGenerator(seed: trainer.settings.seed, stream: .probe, index: 2)
    let order = generator.permutation(count: m).map { sample.indices[$0] }
    let targets = try Tensor(order.map { sample.labels[$0] })
    let flat = try plan.exampleGradients(input: sample.dataset.imageTensor(at: order)) {
      try $0.crossEntropy(targets: targets)
    }.to(.float64).values(as: Double.self)
    let size = plan.store.count
    let rows = order.indices.map { Array(flat[$0 * size..<($0 + 1) * size]) }
    let used = m / batchSize * batchSize
    let common = Self.mean(Array(rows[..<used]))
    var (medianSum, meanSum, ratios) = (0.0, 0.0, 0.0)
    var halves = (0..<2).map { _ in (groups: [[Double]](), medians: [[Double]](), means: [[Double]]()) }
    for start in stride(from: 0, to: used, by: batchSize) {
      let mean = Self.mean(Array(rows[start..<start + batchSize]))
      var (means, place): ([[Double]], Int) = ([], start)
      for size in groupSizes {
        means.append(Self.mean(Array(rows[place..<place + size])))
        place += size
      }
      let median = mean.indices.map { column in means.map { $0[column] }.sorted()[1] }
      let half = start / batchSize % 2
      halves[half].groups += means
      halves[half].medians.append(median)
      halves[half].means.append(mean)
      medianSum += Self.dot(median, common)
      meanSum += Self.dot(mean, common)
      ratios += (Self.dot(median, median) / Self.dot(mean, mean)).squareRoot()
    }
    let (strong, share) = Self.strong(halves[0], halves[1])
    return (medianSum / meanSum, ratios / Double(used / batchSize), strong, share)
  }

  private typealias Half = (groups: [[Double]], medians: [[Double]], means: [[Double]])

  /// One half says which coordinates are strong, the other what becomes of them; nil without a second half.
  private static func strong(_ first: Half, _ second: Half) -> (Double?, Double?) {
    guard !second.groups.isEmpty else { return (nil, nil) }
    var (median, mean, share) = (0.0, 0.0, 0.0)
    for (chosen, measured) in [(first, second), (second, first)] {
      let signal = Self.mean(chosen.groups)
      let square = Self.mean(chosen.groups.map { $0.map { $0 * $0 } })
      for column in signal.indices
      where signal[column] != 0
        && signal[column] * signal[column] >= square[column] - signal[column] * signal[column]
      {
        share += 0.5 / Double(signal.count)
        for row in measured.medians { median += signal[column] * row[column] }
        for row in measured.means { mean += signal[column] * row[column] }
      }
    }
    return (mean > 0 ? median / mean : nil, share)
  }

  /// Batches that divide and that do not, samples that are no multiple of them, chunks smaller than a group.
  @Test(arguments: [
    (50, 12, [4, 4, 4], 150), (41, 10, [4, 3, 3], 2), (60, 20, [7, 7, 6], 3), (5, 5, [2, 2, 1], 150),
  ])
  func agreesWithTheDefinition(_ m: Int, _ batchSize: Int, _ groupSizes: [Int], _ chunkSize: Int) throws {
    let trainer = try Trainer.make(smallConfiguration { $0.batchSize = batchSize })
    for _ in 0..<3 { _ = try trainer.update() }
    let (probe, plan) = (MedianProbe(m: SampleSize(m)), try GradientPlan(trainer.model, store: trainer.store))
    try probe.prepare(trainer.setup(plan, chunkSize: chunkSize))
    var results = ProbeResults()
    try probe.measure(plan, step: 3, into: &results)
    let (along, ratio, strong, share) = try expected(trainer, m: m, batchSize: batchSize, groupSizes: groupSizes)
    let names = ["median_along_mean", "median_norm_ratio"]
    let further = (strong == nil ? [] : ["median_along_strong"]) + (share == nil ? [] : ["strong_share"])
    #expect(results[MeasureRecord.self].map(\.measure) == names + further)
    func found(_ name: String) -> Double? { results[MeasureRecord.self].first { $0.measure == name }?.value }
    if let strong, let value = found("median_along_strong") {
      #expect(abs(value / strong - 1) < 1e-3, "\(value), not \(strong)")
    }
    if let share, let value = found("strong_share") {
      // Most pixels at the edges are 0 in all pictures: their coordinates are not strong.
      #expect(abs(value / share - 1) < 0.05 && share > 0.001 && share < 0.5, "\(value), not \(share)")
    }
    #expect(
      results[MeasureRecord.self].allSatisfy {
        $0.step == 3 && $0.split == "train" && $0.m == m / batchSize * batchSize
      })
    #expect(
      abs(results[MeasureRecord.self][0].value / along - 1) < 1e-4,
      "\(results[MeasureRecord.self][0].value), not \(along)")
    #expect(
      abs(results[MeasureRecord.self][1].value / ratio - 1) < 1e-4,
      "\(results[MeasureRecord.self][1].value), not \(ratio)")
    #expect(ratio > 0.1 && ratio < 1.2 && along > 0 && along < 1.2)
  }

  @Test func writesItsMeasuresAndLeavesTheTrainingAlone() throws {
    let scratch = try Scratch()
    let plain = try startRun(smallConfiguration(), at: scratch.path("a"))
    let probed = try startRun(smallConfiguration { $0.probe = ["median@every:10"] }, at: scratch.path("b"))
    _ = try plain.train()
    _ = try probed.train()
    #expect(try plain.trainer.store.values.values() as [Float] == probed.trainer.store.values.values())
    let measures = try probed.directory.log(MeasureRecord.self)
    #expect(
      measures.map(\.step) == [0, 10, 20].flatMap { Array(repeating: $0, count: 4) }
        && measures.allSatisfy { $0.m == 60 })
  }

  @Test func batchesThatDoNotFit() throws {
    func check(_ word: String, batchSize: Int = 10) throws {
      try smallConfiguration {
        $0.probe = [word]
        $0.batchSize = batchSize
      }.validate()
    }
    try check("median:m=10")
    expectError(.configuration, "median:m=9", "at least the batch-size, 10") { try check("median:m=9@log") }
    expectError(.configuration, "three groups", "batch-size must be at least 3") {
      try check("median@log", batchSize: 2)
    }
    expectError(.configuration, "request 1 to 60") {
      _ = try Trainer.make(smallConfiguration { $0.probe = ["median:m=61"] })
    }
    _ = try Trainer.make(
      smallConfiguration {
        ($0.probe, $0.subset, $0.batchSize) = (["median"], 600, 600)
      })
  }

  /// ‖ḡ‖² and (1/m) Σ‖gᵢ‖² beside the coherence that they make up.
  @Test func normsBesideCoherence() throws {
    let scratch = try Scratch()
    let run = try startRun(smallConfiguration { $0.probe = ["coherence:m=40@every:10"] }, at: scratch.path("run"))
    _ = try run.train()
    let measures = try run.directory.log(MeasureRecord.self)
    let coherence = try run.directory.log(CoherenceRecord.self).filter { $0.layer == "all" }
    #expect(coherence.count == 6 && measures.count == 12)
    for record in coherence {
      func value(_ measure: String) -> Double? {
        measures.first {
          $0.step == record.step && $0.split == record.split && $0.measure == measure && $0.m == record.m
        }?.value
      }
      let (mean, own) = (try #require(value("gradient_norm2")), try #require(value("example_norm2")))
      #expect(abs(mean / own / (record.alpha ?? 0) - 1) < 1e-12)
    }
    let trainer = try Trainer.make(smallConfiguration())
    let plan = try GradientPlan(trainer.model, store: trainer.store)
    let sample = try ProbeSample(
      of: trainer.data.train, labels: trainer.data.labels.assigned, candidates: trainer.data.trainIndices,
      split: "train", count: 40, seed: 1)
    let targets = try Tensor(sample.indices.map { sample.labels[$0] })
    let rows = try plan.exampleGradients(input: sample.dataset.imageTensor(at: sample.indices)) {
      try $0.crossEntropy(targets: targets)
    }.to(.float64)
    let sum = try rows.sum([0])
    #expect(abs(measures[0].value / (try sum.dot(sum) / 1600) - 1) < 1e-4 && measures[0].measure == "gradient_norm2")
    #expect(abs(measures[1].value / (try rows.dot(rows) / 40) - 1) < 1e-4 && measures[1].measure == "example_norm2")
  }
}
