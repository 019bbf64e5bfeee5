// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import GradientMatrix

/// Coherence of a fixed sample of training and of test examples, by layer, with confidence intervals; ‖ḡ‖² and
/// (1/m) Σ‖gᵢ‖² of each.
public final class CoherenceProbe: SampledProbe {
  /// The sample where its size is not given.
  public static let usualSize = SampleSize.atMost(1000)
  private let dividesLayers: Bool
  private var samples: [ProbeSample] = []
  /// Whether intervals and norms are kept; a second treatment of batch normalisation leaves α by layer alone, beside the
  /// first one's.
  private var isLeading = true

  /// - Parameters:
  ///   - m: examples of each sample.
  ///   - schedule: when it measures.
  ///   - batchNorm: what batch normalisation does in its passes.
  ///   - dividesLayers: whether parts of layers, the heads of attention, are measured by themselves, too.
  public init(
    m: SampleSize = usualSize, at schedule: ProbeSchedule = .logarithmic, batchNorm: BatchNormPolicy = .running,
    dividesLayers: Bool = false
  ) {
    self.dividesLayers = dividesLayers
    super.init(m, schedule, batchNorm)
  }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension CoherenceProbe: Probe {
  public var name: String { "coherence" }
  public var description: String { word(m: size, dividesLayers ? [("heads", "yes")] : []) }

  /// - Throws: `TrainingError` when heads are to be measured of a model without any.
  public func prepare(_ setup: ProbeSetup) throws {
    guard !dividesLayers || setup.plan.hasColumnParts else {
      throw TrainingError(.configuration, "probe \"\(self)\": the model has no layer of heads; leave heads=yes out")
    }
    samples = try [setup.trainSample(size), setup.testSample(size)]
    isLeading = batchNormPolicy == setup.leadingPolicy
  }

  public func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    for sample in samples {
      // Under the statistics of the batch examples are coupled: there is no jackknife over them, whose groups would cut
      // the mini-batches up too.
      let hasIntervals = isLeading && plan.batchNormPolicy == .running
      let found = try sample.coherence(
        plan, groupCount: hasIntervals ? 10 : 0, dividesLayers: dividesLayers)
      results.add(found.records(step: step, split: sample.split, policy: plan.batchNormPolicy))
      guard isLeading else { continue }
      results.add(found.intervalRecords(step: step, split: sample.split))
      let (network, m) = (found.network.coherence, Double(found.network.coherence.m))
      results.add(
        [
          ("gradient_norm2", network.sumSquaredNorm / (m * m)), ("example_norm2", network.squaredNormSum / m),
        ] + found.partMeasures, step: step, split: sample.split, m: network.m)
    }
  }
}
