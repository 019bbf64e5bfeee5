// SPDX-License-Identifier: Apache-2.0

import Coherence
import GradientMatrix
import NeuralNetworks
import Tensors

/// What others have measured where coherence is measured, on all pairs of one sample of examples.
public struct RelatedMeasures: Sendable {
  /// The number of examples.
  public let m: Int
  /// Their values under the names of measures.csv; nil where one is undefined.
  public let values: [(name: String, value: Double?)]
  /// The most examples: the cost grows with the number of pairs.
  public static let largestSample = 2000
  /// Examples by default.
  public static let defaultSample = 400
}

extension ProbeSample {
  /// The measures related to coherence: stiffness (sign and cosine; of all pairs, within and between classes), gradient
  /// confusion, the mean signal-to-noise ratio of the parameters, the simple noise scale and gradient diversity. Where the
  /// model has layer normalisation, the noise scale of those layers alone too (Gray et al., Normalization Layer Per-Example
  /// Gradients are Sufficient to Predict Gradient Noise Scale in Transformers, 2024).
  ///
  /// All examples go through the model at once, since a pair can lie anywhere in the sample.
  ///
  /// - Throws: `TrainingError` when the sample is too large for its pairs; `CoherenceError` when a gradient is not
  ///   finite.
  public func relatedMeasures(_ plan: GradientPlan) throws -> RelatedMeasures {
    let m = indices.count
    try Self.checkPairs(m)
    let accumulator = try CoherenceAccumulator(plan, expectedCount: m, groupCount: 0)
    let signal = try GSNRAccumulator(plan)
    var (stiffness, confusion) = (Stiffness(), GradientConfusion())
    var whole = self
    whole.chunkSize = m
    try whole.forEachChunk(plan) { matrix, _ in
      // First, because its error names layer and example.
      try accumulator.add(matrix)
      try signal.add(matrix)
      let gram = try matrix.networkGram()
      try stiffness.add(gram: gram, classes: indices.map { labels[$0] })
      try confusion.add(gram: gram)
    }
    let result = try accumulator.result()
    let coherence = result.network.coherence
    return RelatedMeasures(
      m: m,
      values: [
        ("stiffness_sign", stiffness.all.sign), ("stiffness_cosine", stiffness.all.cosine),
        ("stiffness_sign_within", stiffness.within.sign), ("stiffness_cosine_within", stiffness.within.cosine),
        ("stiffness_sign_between", stiffness.between.sign), ("stiffness_cosine_between", stiffness.between.cosine),
        ("confusion_min_cosine", confusion.minimumCosine), ("confusion_bound", confusion.bound),
        ("gsnr_mean", try signal.result().network.mean), ("noise_scale", coherence.simpleNoiseScale),
        ("gradient_diversity", coherence.gradientDiversity),
      ] + Self.normalizationNoiseScale(plan, result))
  }

  /// The simple noise scale over the parameters of layer normalisation; nothing where there are none.
  private static func normalizationNoiseScale(
    _ plan: GradientPlan, _ result: CoherenceResult
  ) -> [(name: String, value: Double?)] {
    let names = Set(plan.model.namedModules.filter { $0.module is LayerNorm }.map(\.name))
    let own = result.layers.filter { names.contains($0.layer) }.map(\.coherence)
    guard !own.isEmpty else { return [] }
    let all = Coherence(
      m: result.network.coherence.m, sumSquaredNorm: own.reduce(0) { $0 + $1.sumSquaredNorm },
      squaredNormSum: own.reduce(0) { $0 + $1.squaredNormSum })
    return [("noise_scale_layer_norm", all.simpleNoiseScale)]
  }

  static func checkPairs(_ m: Int) throws {
    guard m <= RelatedMeasures.largestSample else {
      throw TrainingError(
        .configuration,
        "related measures of \(m) examples were requested, but they use every pair, so their cost grows with m²; "
          + "take at most m=\(RelatedMeasures.largestSample)")
    }
  }
}

/// Stiffness, confusion, signal-to-noise ratio, noise scale and diversity, on all pairs of m training and m test
/// examples.
public final class MeasuresProbe: SampledProbe {
  /// The sample where its size is not given.
  public static let usualSize = SampleSize.atMost(RelatedMeasures.defaultSample)
  private var samples: [ProbeSample] = []

  /// - Parameters:
  ///   - m: examples of each sample.
  ///   - schedule: when it measures.
  ///   - batchNorm: what batch normalisation does in its passes.
  /// - Throws: `TrainingError` for more than 2000.
  public init(
    m: SampleSize = usualSize, at schedule: ProbeSchedule = .logarithmic, batchNorm: BatchNormPolicy = .running
  ) throws {
    try ProbeSample.checkPairs(m.count)
    super.init(m, schedule, batchNorm)
  }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension MeasuresProbe: Probe {
  public var name: String { "measures" }

  public func prepare(_ setup: ProbeSetup) throws { samples = try [setup.trainSample(size), setup.testSample(size)] }

  public func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    for sample in samples {
      let found = try sample.relatedMeasures(plan)
      results.add(found.values, step: step, split: sample.split, m: found.m)
    }
  }
}
