// SPDX-License-Identifier: Apache-2.0

import Coherence
import Datasets
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors

/// Contributions of pristine and corrupt examples with permutation nulls: f and i of Coherent Gradients §2.4, over the
/// paper's sample (400 examples, 300 weights a layer) and over m training examples with all weights, which the paper
/// names as future work.
public final class ContributionProbe: SampledProbe {
  /// The sample where its size is not given.
  public static let usualSize = SampleSize.atMost(1000)
  /// Permutations of who is corrupt.
  public let nullCount: Int
  private var samples: (population: ProbeSample, paper: ProbeSample, columns: ColumnSample)?
  /// The paper's sample first, then the population.
  private var trackers: [ContributionTracker] = []

  /// Permutations by default.
  public static let usualNullCount = 20
  private static let paperExamples = 400
  private static let paperWeights = 300

  /// - Parameters:
  ///   - m: training examples of the larger population.
  ///   - nullCount: permutations of who is corrupt.
  ///   - schedule: when it measures.
  ///   - batchNorm: what batch normalisation does in its passes.
  public init(
    m: SampleSize = usualSize, nullCount: Int = usualNullCount, at schedule: ProbeSchedule = .logarithmic,
    batchNorm: BatchNormPolicy = .running
  ) {
    self.nullCount = nullCount
    super.init(m, schedule, batchNorm)
  }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension ContributionProbe: Probe {
  public var name: String { "contributions" }

  public var description: String { word(m: size, nullCount == Self.usualNullCount ? [] : [("nulls", nullCount)]) }

  public func prepare(_ setup: ProbeSetup) throws {
    let population = try setup.trainSample(size)
    var paper = try ProbeSample(
      of: population.dataset, labels: population.labels, candidates: population.indices, split: population.split,
      count: min(Self.paperExamples, population.indices.count), seed: setup.seed)
    (paper.chunkSize, paper.loss) = (population.chunkSize, population.loss)
    var generator = SeededGenerator(seed: setup.seed, stream: .probe, index: 1)
    let columns = try ColumnSample(setup.plan, perLayer: Self.paperWeights, using: &generator)
    let labels = setup.data.labels
    trackers = [paper, population].map { sample in
      ContributionTracker(
        isCorrupt: sample.indices.map(labels.isCorrupt), permutationNulls: nullCount, using: &generator)
    }
    samples = (population, paper, columns)
  }

  public func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    guard let (population, paper, columns) = samples else { return }
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
    results.add(
      zip(["paper", "population"], points).flatMap { name, point in
        ([point.actual] + point.nulls).enumerated().map { world, contribution in
          ContributionRecord(
            step: step, sample: name, world: world, pristineShare: contribution.pristineShare,
            corruptShare: contribution.corruptShare, pristineCumulative: contribution.pristineCumulative,
            corruptCumulative: contribution.corruptCumulative)
        }
      })
  }

  public func state() throws -> [(name: String, tensor: Tensor)] {
    // The permutations follow from the seed.
    [("trackers", try ProbeState.encode(trackers.map(\.progress)))]
  }

  public func restore(_ state: [String: Tensor]) throws {
    let saved = try ProbeState.decode([ContributionTracker.Progress].self, state["trackers"])
    guard saved.count == trackers.count else { throw ProbeState.mismatch }
    for (place, progress) in saved.enumerated() {
      guard (try? trackers[place].restore(progress)) != nil else { throw ProbeState.mismatch }
    }
  }
}
