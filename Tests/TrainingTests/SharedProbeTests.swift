// SPDX-License-Identifier: Apache-2.0

import Coherence
import Collectives
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// Probes whose passes ranks share, against those of one process.
@Suite(.serialized) struct SharedProbeTests {
  private static func results(
    _ configuration: TrainingConfiguration, _ group: ProcessGroup? = nil
  ) throws -> [ProbeResults] {
    var found: [ProbeResults] = []
    _ = try ConfiguredTraining(configuration, group: group).trainer.run(shouldStop: { false }) { event in
      if case .measured(let results) = event { found.append(results) }
    }
    return found
  }

  /// The numbers of a record, by name.
  private static func numbers(_ record: Any) -> [(name: String, value: Double)] {
    Mirror(reflecting: record).children.compactMap { child in
      let value =
        child.value as? Double ?? (child.value as? Int).map(Double.init) ?? (child.value as? Double?).flatMap(\.self)
      return value.map { (child.label ?? "", $0) }
    }
  }

  private func expectSame<Record: LogRecord>(
    _ type: Record.Type, _ found: [ProbeResults], _ alone: [ProbeResults], _ tolerance: Double
  ) {
    for (mine, theirs) in zip(found, alone) {
      #expect(mine[type].count == theirs[type].count, "\(type)")
      for (record, other) in zip(mine[type], theirs[type]) {
        for (number, wanted) in zip(Self.numbers(record), Self.numbers(other)) {
          #expect(
            abs(number.value - wanted.value) <= tolerance * max(1e-3, abs(wanted.value)),
            "\(type) \(number.name): \(number.value), alone \(wanted.value)")
        }
      }
    }
  }

  private static let probes = [
    "coherence:m=43", "contributions:m=41,nulls=3", "examples:m=37", "stability:m=20", "dynamics@epoch:1-2",
  ]

  /// More ranks than some samples have groups or classes, and samples that nothing divides.
  @Test(arguments: [2, 3, 4, 11]) func whatRanksMeasureIsWhatOneProcessDoes(_ count: Int) throws {
    let configuration = smallConfiguration {
      ($0.model, $0.batchSize, $0.steps, $0.probe) = ("mlp:12,9", 22, 7, Self.probes)
      ($0.lr, $0.linear) = (0.05, "native")
    }
    let alone = try Self.results(configuration)
    let ranks = try asRanks(count) { try Self.results(configuration, $0) }
    #expect(alone.count > 4)
    for found in ranks {
      #expect(found.count == alone.count)
      expectSame(CoherenceRecord.self, found, alone, 2e-4)
      expectSame(CoherenceIntervalRecord.self, found, alone, 2e-3)
      expectSame(ContributionRecord.self, found, alone, 2e-4)
      expectSame(MeasureRecord.self, found, alone, 2e-3)
      for (mine, first) in zip(found, ranks[0]) {
        #expect(mine[CoherenceRecord.self] == first[CoherenceRecord.self], "ranks differ")
        #expect(mine[ContributionRecord.self] == first[ContributionRecord.self], "ranks differ")
      }
      for (mine, theirs) in zip(found, alone) {
        guard let mine = mine.examples, let theirs = theirs.examples else { continue }
        #expect(mine.indices == theirs.indices && mine.isCorrect == theirs.isCorrect)
        #expect(zip(mine.dots, theirs.dots).allSatisfy { abs($0 - $1) < 1e-4 * max(1, abs($1)) })
        #expect(zip(mine.squaredNorms, theirs.squaredNorms).allSatisfy { abs($0 - $1) < 1e-4 * max(1, abs($1)) })
      }
    }
    let (mine, theirs) = try (#require(ranks[count - 1].last?.dynamics), #require(alone.last?.dynamics))
    #expect(mine.moments == 2 && mine.indices == theirs.indices)
    for (found, wanted) in [
      (mine.normSum, theirs.normSum), (mine.selfInfluence, theirs.selfInfluence), (mine.othersPush, theirs.othersPush),
      (mine.cosineSum, theirs.cosineSum), (mine.classCosineSum, theirs.classCosineSum),
    ] {
      #expect(zip(found, wanted).allSatisfy { abs($0 - $1) < 2e-4 * max(1, abs($1)) })
      #expect(found.contains { $0 != 0 })
    }
  }

  /// Parts of layers, and ranks that have none of the sample.
  @Test func headsOfAttention() throws {
    let configuration = smallConfiguration {
      ($0.dataset, $0.dataDir, $0.subset, $0.testSubset) = ("modular:7", nil, nil, nil)
      ($0.model, $0.noise) = ("transformer:layers=1,width=8,heads=2", 0)
      ($0.batchSize, $0.steps, $0.dropLast, $0.probe) = (12, 3, true, ["coherence:m=2,heads=yes"])
    }
    let alone = try Self.results(configuration)
    for found in try asRanks(3, { try Self.results(configuration, $0) }).prefix(2) {
      expectSame(MeasureRecord.self, found, alone, 2e-3)
      #expect(found[0][MeasureRecord.self].contains { $0.measure.hasPrefix("alpha:") })
    }
  }

  /// Where the gradient of a single example is not finite, all ranks say which, whoever's share it is in.
  @Test func divergenceOfOneExampleIsSaidByAll() throws {
    let configuration = smallConfiguration { $0.model = "mlp:12,9" }
    @Sendable func sentence(_ group: ProcessGroup?) throws -> String {
      let trainer = try ConfiguredTraining(configuration, group: group).trainer
      let sample = try Self.sample(trainer, group)
      let images = try trainer.data.train.imageTensor(at: sample.indices).reshape([sample.indices.count, -1])
      let values = try images.values(as: Float.self)
      // Only the image that is brightest at a pixel gets past the first layer, and overflows in the second.
      let (count, width) = (sample.indices.count, values.count / sample.indices.count)
      let (pixel, threshold) = try #require(
        (0..<width).lazy.compactMap { pixel -> (Int, Float)? in
          let order = (0..<count).map { (values[$0 * width + pixel], $0) }.sorted { $0.0 > $1.0 }
          return order[0].1 > 30 && order[0].0 > order[1].0 ? (pixel, (order[0].0 + order[1].0) / 2) : nil
        }.first)
      let parameters = Dictionary(uniqueKeysWithValues: trainer.store.entries.map { ($0.name, $0.parameter.value) })
      try #require(parameters["fc1.weight"]).detach().narrow(1, from: pixel, length: 1).fill(1e38)
      try #require(parameters["fc1.bias"]).detach().fill(-1e38 * Double(threshold))
      try #require(parameters["fc2.weight"]).detach().fill(1e38)
      let plan = try GradientPlan(trainer.model, store: trainer.store)
      return message { _ = try sample.coherence(plan) }
    }
    let alone = try sentence(nil)
    #expect(alone.contains("is not finite in layer") && !alone.contains("example 0 "))
    for found in try asRanks(3, { try sentence($0) }) { #expect(found == alone) }
  }

  /// Groups of the jackknife are those of one process, however many examples fit into a pass.
  @Test(arguments: [2, 3, 4]) func groupsDoNotDependOnPasses(_ count: Int) throws {
    let configuration = smallConfiguration { ($0.model, $0.subset) = ("mlp:12,9", 90) }
    @Sendable func measured(_ group: ProcessGroup?, _ chunkSize: Int) throws -> [Double] {
      let trainer = try ConfiguredTraining(configuration, group: group).trainer
      var sample = try Self.sample(trainer, group, count: 65)
      sample.chunkSize = chunkSize
      let plan = try GradientPlan(trainer.model, store: trainer.store)
      let network = try sample.coherence(plan).network
      let interval = try #require(network.unbiasedInterval)
      return [network.coherence.alpha ?? 0, interval.low, interval.high]
    }
    let alone = try measured(nil, 150)
    for chunkSize in [1, 2, 7, 64] {
      for found in try asRanks(count, { try measured($0, chunkSize) }) + [try measured(nil, chunkSize)] {
        #expect(
          zip(found, alone).allSatisfy { abs($0 - $1) < 1e-6 * max(1, abs($1)) },
          "\(chunkSize) a pass: \(found), \(alone)")
      }
    }
  }

  private static func sample(_ trainer: Trainer, _ group: ProcessGroup?, count: Int = 43) throws -> ProbeSample {
    var sample = try ProbeSample(
      of: trainer.data.train, labels: trainer.data.labels.assigned, candidates: trainer.data.trainIndices,
      split: "train", count: count, seed: 1)
    sample.group = group
    return sample
  }

  /// Each rank passes over its part alone.
  @Test func theWorkIsDivided() throws {
    let configuration = smallConfiguration { $0.model = "mlp:12,9" }
    let places = try asRanks(4) { group -> [Range<Int>] in
      let trainer = try ConfiguredTraining(configuration, group: group).trainer
      let plan = try GradientPlan(trainer.model, store: trainer.store)
      let sample = try Self.sample(trainer, group)
      let groups = CoherenceAccumulator.groups(of: 43, count: 10)
      return [
        sample.ownShare(of: (0..<43).map { $0..<$0 + 1 }, plan), sample.ownShare(of: groups, plan),
        sample.ownShare(of: [0..<43], try GradientPlan(trainer.model, store: trainer.store, batchNormPolicy: .batch)),
      ]
    }
    #expect(places.map { $0[0] } == [0..<11, 11..<22, 22..<33, 33..<43])
    #expect(places.map { $0[1] } == [0..<15, 15..<27, 27..<39, 39..<43])
    // Batch statistics are those of chunks: every rank makes the pass.
    #expect(places.allSatisfy { $0[2] == 0..<43 })
  }
}
