// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks

/// ⟨gᵢ, ḡ⟩, ‖gᵢ‖², their cosine, loss and margin of every training example, or of m of them.
public final class ExamplesProbe: SampledProbe {
  /// All training examples.
  public static let usualSize = SampleSize.all
  private var sample: ProbeSample?

  /// - Parameters:
  ///   - m: training examples.
  ///   - schedule: when it measures.
  ///   - batchNorm: what batch normalisation does in its passes.
  public init(
    m: SampleSize = usualSize, at schedule: ProbeSchedule = .logarithmic, batchNorm: BatchNormPolicy = .running
  ) { super.init(m, schedule, batchNorm) }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension ExamplesProbe: Probe {
  public var name: String { "examples" }

  public func prepare(_ setup: ProbeSetup) throws { sample = try setup.trainSample(size) }

  public func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    guard let sample else { return }
    // There is one file a step: of two such probes the larger sample stays.
    if let other = results.examples, other.indices.count >= sample.indices.count { return }
    results.examples = try sample.exampleGradients(plan).examples
  }
}
