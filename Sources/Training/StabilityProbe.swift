// SPDX-License-Identifier: Apache-2.0

import Coherence
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors

/// The stability bound of On the Generalization Mystery along a run, from one sample of training examples.
///
/// α is that of the sample, in force until the next measurement; L is the largest norm of one example's gradient seen; β is the
/// largest ‖ḡ(w′) − ḡ(w)‖/‖w′ − w‖ from one measurement to the next. Both are too small, and the bound grows exponentially with
/// training: its value says nothing, only the order of runs of the same length does. It is qualitative. The theorem is about
/// plain SGD: with momentum or Adam η is not how far a step goes, and RM3 and RA3 make none in their first two.
public final class StabilityProbe: SampledProbe {
  /// The sample where its size is not given.
  public static let usualSize = SampleSize.atMost(1000)
  private var sample: ProbeSample?
  private var accountant: StabilityAccountant?
  /// Weights and mean gradient at the last measurement.
  private var previous: (weights: Tensor, gradient: Tensor)?

  /// - Parameters:
  ///   - m: training examples of the sample.
  ///   - schedule: when it measures.
  ///   - batchNorm: what batch normalisation does in its passes.
  /// - Throws: `TrainingError` unless step 0 is in the schedule.
  public init(
    m: SampleSize = usualSize, at schedule: ProbeSchedule = .logarithmic, batchNorm: BatchNormPolicy = .running
  ) throws {
    super.init(m, schedule, batchNorm)
    // Steps enter the bound with the coherence measured before them.
    guard schedule.contains(0, steps: 1, stepsPerEpoch: 1) else {
      throw TrainingError(
        .configuration,
        "probe \"\(description)\": stability needs a measurement at step 0; add log, epoch or dense:0-0 to its schedule"
      )
    }
  }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension StabilityProbe: Probe {
  public var name: String { "stability" }

  public func prepare(_ setup: ProbeSetup) throws {
    sample = try setup.trainSample(size)
    // m of the bound is the number of examples that are trained on.
    accountant = try StabilityAccountant(m: setup.data.trainIndices.count)
  }

  public func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    guard let sample, var accountant else { return }
    defer { self.accountant = accountant }
    let (accumulator, squaredNorms) = try sample.accumulate(plan)
    let weights = try plan.store.values.detach().clone()
    let gradient = try accumulator.meanGradient()
    if let previous {
      try accountant.observe(
        weights: previous.weights.to(device: weights.device), gradient: previous.gradient.to(device: weights.device),
        movedWeights: weights, movedGradient: gradient)
    }
    previous = (weights, gradient)
    try accountant.observe(gradientNorm: squaredNorms.max()?.squareRoot() ?? 0)
    try accountant.observe(alpha: accumulator.result().network.coherence.alpha)
    results.add(
      [
        ("lipschitz", accountant.lipschitz), ("smoothness", accountant.smoothness),
        ("stability_log_sum", accountant.smoothness.map(accountant.logSum)),
        ("stability_log_bound", accountant.logBound),
      ], step: step, split: sample.split, m: squaredNorms.count)
  }

  public func didStep(_ record: StepRecord) throws { try accountant?.step(learningRate: record.learningRate) }

  public func state() throws -> [(name: String, tensor: Tensor)] {
    guard let accountant else { return [] }
    return [("accountant", try ProbeState.encode(accountant))]
      + (previous.map { [("weights", $0.weights), ("gradient", $0.gradient)] } ?? [])
  }

  public func restore(_ state: [String: Tensor]) throws {
    let saved = try ProbeState.decode(StabilityAccountant.self, state["accountant"])
    guard saved.m == accountant?.m else { throw ProbeState.mismatch }
    accountant = saved
    // Every run measures at step 0, before its first checkpoint.
    guard let weights = state["weights"], let gradient = state["gradient"], weights.shape == gradient.shape else {
      throw ProbeState.mismatch
    }
    previous = (weights, gradient)
  }
}
