// SPDX-License-Identifier: Apache-2.0

import Coherence
import GradientMatrix
import RunStore
import Tensors

/// The stability bound of On the Generalization Mystery along a run, from one sample of training examples.
///
/// α is that of the sample, in force until the next look; L is the largest norm of one example's gradient seen; β is the
/// largest ‖ḡ(w′) − ḡ(w)‖/‖w′ − w‖ from one look to the next. Both are too small, and the bound grows exponentially with
/// training: its value says nothing, only the order of runs of the same length does. It is qualitative.
final class StabilityLook: Probe {
  private let sample: CoherenceProbe
  private var accountant: StabilityAccountant
  /// Weights and mean gradient at the last look.
  private var previous: (weights: Tensor, gradient: Tensor)?

  /// - Parameter trainingCount: m of the bound, the number of examples trained on.
  init(_ sample: CoherenceProbe, trainingCount: Int) throws {
    self.sample = sample
    accountant = try StabilityAccountant(m: trainingCount)
  }

  func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
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

  func note(_ step: StepRecord) throws { try accountant.step(learningRate: step.learningRate) }

  func state() throws -> [(name: String, tensor: Tensor)] {
    [("accountant", try ProbeState.encode(accountant))]
      + (previous.map { [("weights", $0.weights), ("gradient", $0.gradient)] } ?? [])
  }

  func restore(_ state: [String: Tensor]) throws {
    let saved = try ProbeState.decode(StabilityAccountant.self, state["accountant"])
    guard saved.m == accountant.m else { throw ProbeState.mismatch }
    accountant = saved
    // Every run looks at step 0, before its first checkpoint.
    guard let weights = state["weights"], let gradient = state["gradient"], weights.shape == gradient.shape else {
      throw ProbeState.mismatch
    }
    previous = (weights, gradient)
  }
}
