// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors

/// How many training examples the model classifies otherwise than it did at the last measurement: what Label Wave looks at
/// to stop before wrong labels are memorised (Yuan et al., Early Stopping Against Label Noise Without Validation Data,
/// 2024, arXiv 2502.07551). Without gradients; every example is looked at as it is in an evaluation.
public final class PredictionChangesProbe: SampledProbe {
  /// All training examples.
  public static let usualSize = SampleSize.all
  private var sample: ProbeSample?
  /// The classes predicted at the last measurement.
  private var previous: [Int]?

  /// - Parameters:
  ///   - m: training examples.
  ///   - schedule: when it measures; epochs unless told otherwise.
  public init(m: SampleSize = usualSize, at schedule: ProbeSchedule = .epoch) { super.init(m, schedule, .running) }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension PredictionChangesProbe: Probe {
  public var name: String { "changes" }

  public func prepare(_ setup: ProbeSetup) throws { sample = try setup.trainSample(size) }

  public func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    guard let sample else { return }
    let context = ForwardContext.evaluation(linearPolicy: plan.linearPolicy)
    var predicted: [Int] = []
    predicted.reserveCapacity(sample.indices.count)
    try sample.dataset.forEachBatch(
      of: sample.indices, size: sample.chunkSize, device: plan.store.values.device
    ) { images, _ in
      predicted += try withoutGradients {
        try plan.model.forward(images, in: context).argmax(1).values(as: Int.self)
      }
    }
    let labels = sample.indices.map { sample.labels[$0] }
    let changed = previous.map { zip($0, predicted).count { $0 != $1 } }
    previous = predicted
    results.add([
      PredictionChangesRecord(
        step: step, m: predicted.count, changed: changed, agreeing: zip(labels, predicted).count { $0 == $1 })
    ])
  }

  public func state() throws -> [(name: String, tensor: Tensor)] {
    try previous.map { [("predictions", try Tensor($0))] } ?? []
  }

  public func restore(_ state: [String: Tensor]) throws {
    previous = try state["predictions"]?.values(as: Int.self)
    if let previous, previous.count != sample?.indices.count { throw ProbeState.mismatch }
  }
}
