// SPDX-License-Identifier: Apache-2.0

import RunStore

/// With c > 1 the training set's corrupt labels are not learned.
struct CG9: Rule {
  /// What chance may add to the proper accuracy.
  static let margin = 0.01

  let claim = Claim(
    id: "CG-9",
    sentence: "For c > 1 training accuracy never exceeds the proper accuracy (the share of labels left unchanged).",
    paper: Paper.coherentGradients, section: "§3.3, figure 4", setting: Paper.winsorizedSetting)

  let change: RuleChange? = RuleChange(
    "The same with the larger of the proper accuracy and the share of the most frequent label as the bound.",
    because:
      "A classifier that always answers the most frequent label has learned no example, and at 100 % noise on MNIST "
      + "its training accuracy, 0.1124, already exceeds proper accuracy and margin, 0.1107.")

  var varying: Set<Factor> { [.noise, .seed, .optimizer] }
  func reads(_ run: RunHistory) -> Bool { (run.optimizer.clippedPercentile ?? 0) > 1 }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { !runs.isEmpty }

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(
      runs,
      held:
        "Training accuracy stays within \(Self.margin) of the proper accuracy, or of the majority class, or below, in "
        + "every run with c > 1"
    ) { runs, assessment in
      // Without noise the proper accuracy is 1, which nothing exceeds.
      for run in runs where run.noise > 0 {
        guard let peak = run.accuracy("train").peak, let c = run.optimizer.clippedPercentile else { continue }
        let place = "c = \(c), \(Level.text(run.noise))"
        assessment.note("largest training accuracy, \(place)", peak.value)
        assessment.note("proper accuracy, \(place)", run.properAccuracy)
        assessment.note("share of the most frequent label, \(place)", run.majorityShare)
        if peak.value > max(run.properAccuracy, run.majorityShare ?? 0) + Self.margin {
          assessment.fail("training accuracy exceeds proper accuracy and majority class with \(place)")
        }
      }
      // The least c is the hardest case; larger ones follow more easily.
      for level in Level.all where level > 0 {
        if !runs.contains(where: { $0.optimizer.clippedPercentile == 2 && Level.isEqual($0.noise, level) }) {
          assessment.miss("winsorized:c=2, \(Level.text(level))")
        }
      }
    }
  }
}
