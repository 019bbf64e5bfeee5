// SPDX-License-Identifier: Apache-2.0

import RunStore

/// Early stopping helps under noise.
struct CG11: Rule {
  /// The standard error of an accuracy around one half, from 10 000 test examples.
  static let resolution = 0.005

  let claim = Claim(
    id: "CG-11", sentence: "Early stopping helps under label noise, the more so the more noise there is.",
    paper: Paper.coherentGradients, section: "§2.3, figure 1", setting: Paper.noiseSetting)

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(runs, held: "Best minus final test accuracy grows with noise") { runs, assessment in
      var values: [(level: Double, value: Double)] = []
      for level in Level.all {
        guard let curve = runs.at(level)?.accuracy("test"), let best = curve.peak, let last = curve.last else {
          if level < 1 { assessment.miss(Level.text(level)) }
          continue
        }
        assessment.note("best − final test accuracy, \(Level.text(level))", best.value - last.value)
        // At 100 % there is nothing to generalise, so nothing that stopping early could keep: shown, not judged.
        if level < 1 { values.append((level, best.value - last.value)) }
      }
      Trend(values, tolerance: Self.resolution).assess(
        &assessment, of: "what early stopping saves", falling: "falls", tied: "is about the same")
    }
  }
}
