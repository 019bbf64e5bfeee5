// SPDX-License-Identifier: Apache-2.0

import Coherence
import Datasets
import GradientMatrix
import RunStore
import Tensors

/// What looks at a run at some of its steps.
protocol Probe: AnyObject {
  /// Looks, at the present parameters.
  func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws
  /// Hears of every update, whether it looks after it or not.
  func note(_ step: StepRecord) throws
  /// What earlier steps have decided, by name; the same state is the same bytes.
  func state() throws -> [(name: String, tensor: Tensor)]
  /// Continues from a saved state.
  func restore(_ state: [String: Tensor]) throws
}

extension Probe {
  func note(_: StepRecord) throws {}
  func state() throws -> [(name: String, tensor: Tensor)] { [] }
  func restore(_: [String: Tensor]) throws {}
}

/// Coherence of a training and a test sample, with confidence intervals; ‖ḡ‖² and (1/m) Σ‖gᵢ‖² of each.
final class CoherenceLook: Probe {
  private let samples: [CoherenceProbe]
  private let isLeading: Bool

  /// - Parameter isLeading: whether intervals and norms are kept; a second treatment of batch normalisation leaves α by
  ///   layer alone, beside the first one's.
  init(_ samples: [CoherenceProbe], isLeading: Bool) {
    self.samples = samples
    self.isLeading = isLeading
  }

  func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    for sample in samples {
      // Under the statistics of the batch examples are coupled: there is no jackknife over them, whose groups would cut
      // the mini-batches up too.
      let hasIntervals = isLeading && plan.batchNormPolicy == .running
      let found = try sample.coherence(plan, groupCount: hasIntervals ? 10 : 0)
      results.coherence += found.records(step: step, split: sample.split, policy: plan.batchNormPolicy)
      guard isLeading else { continue }
      results.intervals += found.intervalRecords(step: step, split: sample.split)
      let (network, m) = (found.network.coherence, Double(found.network.coherence.m))
      results.add(
        [
          ("gradient_norm2", network.sumSquaredNorm / (m * m)), ("example_norm2", network.squaredNormSum / m),
        ], step: step, split: sample.split, m: network.m)
    }
  }
}

/// How every example's gradient stands to the mean.
final class ExamplesLook: Probe {
  private let sample: CoherenceProbe

  init(_ sample: CoherenceProbe) { self.sample = sample }

  func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    // There is one file a step: of two such probes the larger sample stays.
    if let other = results.examples, other.indices.count >= sample.indices.count { return }
    results.examples = try sample.exampleGradients(plan).examples
  }
}

/// Stiffness, confusion, signal-to-noise ratio, noise scale and diversity of a training and a test sample.
final class MeasuresLook: Probe {
  private let samples: [CoherenceProbe]

  init(_ samples: [CoherenceProbe]) { self.samples = samples }

  func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    for sample in samples {
      let found = try sample.relatedMeasures(plan)
      results.add(found.values, step: step, split: sample.split, m: found.m)
    }
  }
}

/// Contributions of pristine and corrupt examples: f and i of Coherent Gradients §2.4, over the paper's sample and over a
/// larger population with all weights, which the paper names as future work.
final class ContributionLook: Probe {
  private let population: CoherenceProbe
  private let paper: CoherenceProbe
  private let columns: ColumnSample
  /// The paper's sample first, then the population.
  private var trackers: [ContributionTracker]
  private static let usualNullWorlds = 20
  private static let paperExamples = 400
  private static let paperWeights = 300

  /// - Parameter nullWorlds: permutations of who is corrupt; nil for the usual number.
  init(
    population: CoherenceProbe, labels: NoisyLabels, plan: GradientPlan, seed: UInt64, nullWorlds: Int? = nil
  ) throws {
    self.population = population
    var paper = try CoherenceProbe(
      of: population.dataset, labels: population.labels, candidates: population.indices, split: population.split,
      count: min(Self.paperExamples, population.indices.count), seed: seed)
    paper.chunkSize = population.chunkSize
    self.paper = paper
    var generator = SeededGenerator(seed: seed, stream: .probe, index: 1)
    columns = try ColumnSample(plan, perLayer: Self.paperWeights, using: &generator)
    trackers = [paper, population].map { probe in
      ContributionTracker(
        isCorrupt: probe.indices.map(labels.isCorrupt), nullWorlds: nullWorlds ?? Self.usualNullWorlds,
        using: &generator)
    }
  }

  func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    var sampled = SampledGradients(columns)
    try paper.forEachChunk(plan) { matrix, range in
      try sampled.add(matrix, indices: Array(paper.indices[range]), targets: nil)
    }
    let small = try sampled.records()
    let large = try population.exampleGradients(plan).examples
    let points = try [
      trackers[0].add(small.records, meanSquaredNorm: small.meanSquaredNorm),
      trackers[1].add(dots: large.dots, meanSquaredNorm: large.meanSquaredNorm),
    ]
    results.contributions += zip(["paper", "population"], points).flatMap { name, point in
      ([point.actual] + point.nulls).enumerated().map { world, contribution in
        ContributionRecord(
          step: step, sample: name, world: world, pristineShare: contribution.pristineShare,
          corruptShare: contribution.corruptShare, pristineCumulative: contribution.pristineCumulative,
          corruptCumulative: contribution.corruptCumulative)
      }
    }
  }

  func state() throws -> [(name: String, tensor: Tensor)] {
    // The null worlds follow from the seed.
    [("trackers", try ProbeState.encode(trackers.map(\.progress)))]
  }

  func restore(_ state: [String: Tensor]) throws {
    let saved = try ProbeState.decode([ContributionTracker.Progress].self, state["trackers"])
    guard saved.count == trackers.count else { throw ProbeState.mismatch }
    for (place, progress) in saved.enumerated() {
      guard (try? trackers[place].restore(progress)) != nil else { throw ProbeState.mismatch }
    }
  }
}
