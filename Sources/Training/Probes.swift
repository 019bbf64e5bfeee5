// SPDX-License-Identifier: Apache-2.0

import Coherence
import Datasets
import Foundation
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors

/// The probes of a run: what they measure is a function of the parameters and fixed samples, and they change neither the
/// parameters nor any random stream of the training.
final class Probes {
  private let specifications: [ProbeSpecification]
  private let stepsPerEpoch: Int
  private let steps: Int
  private let plan: GradientPlan
  private var coherence: [Int: [CoherenceProbe]] = [:]
  private var contributions: [Int: ContributionProbe] = [:]
  private static let defaultSampleSize = 1000

  /// - Throws: `TrainingError` when a sample is larger than its data set; `GradientMatrixError` when the model has a
  ///   layer without a rule.
  init?(
    _ configuration: TrainingConfiguration, data: TrainingData, plan: () throws -> GradientPlan, steps: Int,
    stepsPerEpoch: Int
  ) throws {
    specifications = try configuration.probe.flatMap(ProbeSpecification.parse)
    guard !specifications.isEmpty else { return nil }
    self.plan = try plan()
    self.steps = steps
    self.stepsPerEpoch = stepsPerEpoch
    let testIndices = Array(data.test.labels.indices)
    func sample(_ split: Split, _ size: Int?, limit: Int = .max) throws -> CoherenceProbe {
      let (dataset, labels, candidates) =
        split == .train
        ? (data.train, data.labels.assigned, data.trainIndices) : (data.test, data.test.labels, testIndices)
      let count = size ?? min(Self.defaultSampleSize, candidates.count)
      return try CoherenceProbe(
        of: dataset, labels: labels, candidates: candidates, split: split.rawValue, count: min(count, limit),
        seed: configuration.seed)
    }
    for (index, specification) in specifications.enumerated() {
      switch specification.kind {
      case .coherence:
        // A small test set is taken whole rather than refused.
        coherence[index] = [
          try sample(.train, specification.sampleSize),
          try sample(.test, specification.sampleSize, limit: testIndices.count),
        ]
      case .contributions:
        contributions[index] = try ContributionProbe(
          population: sample(.train, specification.sampleSize), labels: data.labels, plan: self.plan,
          seed: configuration.seed)
      }
    }
  }

  /// What the probes due at a step see.
  func measure(step: Int) throws -> (coherence: [CoherenceRecord], contributions: [ContributionRecord]) {
    var found: ([CoherenceRecord], [ContributionRecord]) = ([], [])
    for (index, specification) in specifications.enumerated()
    where specification.schedule.contains(step, steps: steps, stepsPerEpoch: stepsPerEpoch) {
      for probe in coherence[index] ?? [] {
        found.0 += try probe.coherence(plan, groupCount: 0)
          .records(step: step, split: probe.split, policy: plan.batchNormPolicy)
      }
      if contributions[index] != nil { found.1 += try contributions[index]?.measure(plan, step: step) ?? [] }
    }
    return found
  }

  /// The part of the state that earlier steps decide.
  func state() throws -> [UInt8] {
    let trackers = contributions.sorted { $0.key < $1.key }.map(\.value.trackers)
    let encoder = JSONEncoder()
    // One state, one sequence of bytes: resumed runs are compared byte for byte.
    encoder.outputFormatting = [.sortedKeys]
    return Array(try encoder.encode(trackers))
  }

  /// Continues from a saved state.
  func restore(_ state: [UInt8]) throws {
    guard let trackers = try? JSONDecoder().decode([[ContributionTracker]].self, from: Data(state)),
      trackers.count == contributions.count, trackers.allSatisfy({ $0.count == 2 })
    else { throw TrainingError(.checkpoint, "the checkpoint's probes are not those of the configuration") }
    for (key, saved) in zip(contributions.keys.sorted(), trackers) { contributions[key]?.trackers = saved }
  }
}

/// Contributions of pristine and corrupt examples: f and i of Coherent Gradients §2.4, over the paper's sample and over a
/// larger population with all weights, which the paper names as future work.
struct ContributionProbe {
  private let population: CoherenceProbe
  private let paper: CoherenceProbe
  private let columns: ColumnSample
  /// The paper's sample first, then the population.
  var trackers: [ContributionTracker]
  private static let nullWorlds = 20
  private static let paperExamples = 400
  private static let paperWeights = 300

  init(population: CoherenceProbe, labels: NoisyLabels, plan: GradientPlan, seed: UInt64) throws {
    self.population = population
    paper = try CoherenceProbe(
      of: population.dataset, labels: population.labels, candidates: population.indices, split: population.split,
      count: min(Self.paperExamples, population.indices.count), seed: seed)
    var generator = SeededGenerator(seed: seed, stream: .probe, index: 1)
    columns = try ColumnSample(plan, perLayer: Self.paperWeights, using: &generator)
    trackers = [paper, population].map { probe in
      ContributionTracker(
        isCorrupt: probe.indices.map(labels.isCorrupt), nullWorlds: Self.nullWorlds, using: &generator)
    }
  }

  mutating func measure(_ plan: GradientPlan, step: Int) throws -> [ContributionRecord] {
    var sampled = SampledGradients(columns)
    try paper.forEachChunk(plan) { matrix, range in
      try sampled.add(matrix, indices: Array(paper.indices[range]), targets: nil)
    }
    let small = try sampled.records()
    let large = try populationDots(plan)
    let points = try [
      trackers[0].add(small.records, meanSquaredNorm: small.meanSquaredNorm),
      trackers[1].add(dots: large.dots, meanSquaredNorm: large.meanSquaredNorm),
    ]
    return zip(["paper", "population"], points).flatMap { name, point in
      ([point.actual] + point.nulls).enumerated().map { world, contribution in
        ContributionRecord(
          step: step, sample: name, world: world, pristineShare: contribution.pristineShare,
          corruptShare: contribution.corruptShare, pristineCumulative: contribution.pristineCumulative,
          corruptCumulative: contribution.corruptCumulative)
      }
    }
  }

  /// ⟨gᵢ, ḡ⟩ over all weights, in two passes: ḡ first, then G·ḡ.
  private func populationDots(_ plan: GradientPlan) throws -> (dots: [Double], meanSquaredNorm: Double) {
    let accumulator = try CoherenceAccumulator(plan, expectedCount: population.indices.count, groupCount: 0)
    try population.forEachChunk(plan) { matrix, _ in try accumulator.add(matrix) }
    let mean = try accumulator.meanGradient()
    let direction = try mean.to(plan.store.values.dtype)
    var dots: [Double] = []
    try population.forEachChunk(plan) { matrix, _ in
      let byLayer = try matrix.product(direction)
      for example in 0..<matrix.exampleCount { dots.append(byLayer.reduce(0) { $0 + $1[example] }) }
    }
    return (dots, try mean.dot(mean))
  }
}
