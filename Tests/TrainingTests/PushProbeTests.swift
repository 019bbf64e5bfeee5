// SPDX-License-Identifier: Apache-2.0

import Foundation
import GradientMatrix
import RunStore
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

@Suite struct PushProbeTests {
  private static func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

  private static func mean(_ rows: [[Double]]) -> [Double] {
    (rows.first ?? []).indices.map { column in rows.reduce(0) { $0 + $1[column] } / Double(rows.count) }
  }

  private static func median(_ rows: [[Double]]) -> [Double] {
    (rows.first ?? []).indices.map { column in rows.map { $0[column] }.sorted()[1] }
  }

  private func noisy(_ change: (inout TrainingConfiguration) -> Void = { _ in }) -> TrainingConfiguration {
    smallConfiguration {
      ($0.noise, $0.batchSize) = (0.5, 10)
      change(&$0)
    }
  }

  private func probe(_ trainer: Trainer, _ plan: GradientPlan, m: Int, chunkSize: Int) throws -> PushProbe {
    let probe = PushProbe(m: SampleSize(m))
    try probe.prepare(trainer.setup(plan, chunkSize: chunkSize))
    return probe
  }

  /// From the definition, with explicit rows and plain sorting; batches that three divides and that it does not.
  @Test(arguments: [(12, 10, 150), (9, 12, 4), (5, 7, 3)])
  func agreesWithTheDefinition(_ m: Int, _ batchSize: Int, _ chunkSize: Int) throws {
    let trainer = try Trainer.make(noisy { $0.batchSize = batchSize })
    for _ in 0..<3 { _ = try trainer.update() }
    let plan = try GradientPlan(trainer.model, store: trainer.store)
    let probe = try probe(trainer, plan, m: m, chunkSize: chunkSize)
    var results = ProbeResults()
    try probe.measure(plan, step: 3, into: &results)

    let indices = trainer.data.trainIndices
    let targets = try Tensor(indices.map { trainer.data.labels.assigned[$0] })
    let flat = try plan.exampleGradients(input: trainer.data.train.imageTensor(at: indices)) {
      try $0.crossEntropy(targets: targets)
    }.to(.float64).values(as: Double.self)
    let size = plan.store.count
    let rows = Dictionary(
      uniqueKeysWithValues: indices.enumerated().map { ($1, Array(flat[$0 * size..<($0 + 1) * size])) })
    func row(_ index: Int) -> [Double] { rows[index] ?? [] }

    #expect(probe.drawn.count == PushProbe.draws)
    #expect(results[PushRecord.self].count == 3 * m && Set(results[PushRecord.self].map(\.index)).count == m)
    #expect(results[PushRecord.self].count { $0.isCorrupt } == 3 * (m / 2))
    for draw in probe.drawn {
      #expect(Set(draw.batches.joined()).count == 3 * batchSize)
      #expect(Set(draw.batches.joined()).isDisjoint(with: results[PushRecord.self].map(\.index)))
    }
    let means = probe.drawn.map { draw in draw.batches.map { Self.mean($0.map(row)) } }
    let thirds = probe.drawn.map { draw in draw.groups.map { Self.mean(draw.batches[0][$0].map(row)) } }
    let expected = [
      Self.mean(means.map { $0[0] }), Self.mean(means.map(Self.median)), Self.mean(thirds.map(Self.median)),
    ]
    let passes = Double(indices.count) / Double(batchSize)
    for record in results[PushRecord.self] {
      let gradient = row(record.index)
      let aggregator = try #require(PushProbe.aggregators.firstIndex(of: record.aggregator))
      #expect(record.isCorrupt == trainer.data.labels.isCorrupt(record.index) && record.step == 3)
      let others = passes * Self.dot(expected[aggregator], gradient)
      var own = (Self.dot(gradient, gradient) - Self.dot(expected[0], gradient)) / Double(batchSize)
      if aggregator > 0 {
        own = 0
        for place in 0..<PushProbe.ownDraws {
          var groups = aggregator == 1 ? means[place] : thirds[place]
          let count = Double(aggregator == 1 ? batchSize : probe.drawn[place].groups[0].count)
          let before = Self.dot(Self.median(groups), gradient)
          let leaving = row(probe.drawn[place].batches[0][0])
          for column in gradient.indices { groups[0][column] += (gradient[column] - leaving[column]) / count }
          let more = Self.dot(Self.median(groups), gradient) - before
          own += (aggregator == 1 ? 3 : 1) * more / Double(PushProbe.ownDraws)
        }
      }
      let scale = Self.dot(gradient, gradient) / Double(batchSize)
      #expect(abs(record.own - own) < 1e-4 * scale, "\(record), not \(own)")
      #expect(abs(record.others - others) < 1e-4 * (abs(others) + passes * scale), "\(record), not \(others)")
    }
    for name in PushProbe.aggregators {
      for (group, flag) in [("pristine", false), ("corrupt", true)] {
        let mine = results[PushRecord.self].filter { $0.aggregator == name && $0.isCorrupt == flag }
        let net = results[MeasureRecord.self].first { $0.measure == "push_net_\(group)_\(name)" }
        #expect(net?.m == mine.count && mine.count == (flag ? m / 2 : m - m / 2))
        let mean = mine.reduce(0) { $0 + $1.net } / Double(mine.count)
        #expect(abs((net?.value ?? .nan) - mean) <= 1e-9 * abs(mean))
      }
    }
  }

  @Test func writesItsLogAndLeavesTheTrainingAlone() throws {
    let scratch = try Scratch()
    let plain = try startRun(noisy(), at: scratch.path("a"))
    let probed = try startRun(noisy { $0.probe = ["push:m=6@every:10"] }, at: scratch.path("b"))
    _ = try plain.train()
    _ = try probed.train()
    #expect(try plain.trainer.store.values.values() as [Float] == probed.trainer.store.values.values())
    #expect(try plain.directory.log(PushRecord.self).isEmpty)
    let records = try probed.directory.log(PushRecord.self)
    #expect(Set(records.map(\.step)) == [0, 10, 20] && records.count == 3 * 3 * 6)
    #expect(try probed.directory.follow()[PushRecord.self] == records)
    #expect(records.allSatisfy { $0.net == $0.own + $0.others })
  }

  @Test func samplesThatLeaveTooFew() throws {
    expectError(.configuration, "three mini-batches of 20", "choose a smaller m") {
      _ = try Trainer.make(noisy { ($0.batchSize, $0.probe) = (20, ["push:m=12"]) })
    }
    expectError(.configuration, "batch-size must be at least 3") {
      try noisy { ($0.batchSize, $0.probe) = (2, ["push"]) }.validate()
    }
    // Without noise there are pristine examples alone.
    let trainer = try Trainer.make(smallConfiguration { ($0.batchSize, $0.noise) = (10, 0) })
    var results = ProbeResults()
    let plan = try GradientPlan(trainer.model, store: trainer.store)
    try probe(trainer, plan, m: 8, chunkSize: 150).measure(plan, step: 0, into: &results)
    #expect(results[PushRecord.self].count == 24 && !results[PushRecord.self].contains(where: \.isCorrupt))
    #expect(!results[MeasureRecord.self].contains { $0.measure.contains("corrupt") })
  }
}
