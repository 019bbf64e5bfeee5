// SPDX-License-Identifier: Apache-2.0

import Aggregation
import RunStore
import Training

extension RunManifest.Privacy {
  /// What a trainer's steps promise so far; nil for a training of another kind.
  init?(of trainer: Trainer) {
    guard let mean = trainer.privacy, let accountant = mean.accountant else { return nil }
    func finite(_ epsilon: Double) -> Double? { epsilon.isFinite ? epsilon : nil }
    let target: Double? = if case .budget(let epsilon) = mean.noise { epsilon } else { nil }
    self.init(
      clip: mean.clip, noiseMultiplier: accountant.noiseMultiplier, sampleRate: accountant.sampleRate,
      delta: mean.delta, steps: mean.steps, epsilon: finite(mean.epsilon()),
      plannedEpsilon: finite(mean.epsilon(steps: trainer.steps)), targetEpsilon: target)
  }
}
