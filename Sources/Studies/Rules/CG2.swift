// SPDX-License-Identifier: Apache-2.0

import RunStore

/// Learning slows as noise grows.
struct CG2: Rule {
  /// Half of the training examples: passed early enough to be seen in short runs, and late enough (at 0 % too) to lie
  /// after the first evaluations.
  static let level = 0.5

  let claim = Claim(
    id: "CG-2", sentence: "Learning slows as label noise grows: a fixed training accuracy is reached later.",
    paper: Paper.coherentGradients, section: "§2.3, figure 1", setting: Paper.noiseSetting)

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(
      runs, held: "The step at which half of the training examples are right rises with noise"
    ) { runs, assessment in
      var steps: [(level: Double, value: Double)] = []
      for level in Level.all {
        guard let curve = runs.at(level)?.accuracy("train"), !curve.isEmpty else {
          assessment.miss(Level.text(level))
          continue
        }
        let step = curve.firstStep(reaching: Self.level).map(Double.init)
        assessment.note("step at which half of the training examples are right, \(Level.text(level))", step)
        // Never is later than any step.
        steps.append((level, step ?? .infinity))
      }
      Trend(steps, tolerance: 0).assess(
        &assessment, of: "the step at which half of the examples are right", falling: "falls",
        tied: "cannot be told apart (the same evaluation, or never)")
    }
  }
}
