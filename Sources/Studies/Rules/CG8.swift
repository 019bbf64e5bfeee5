// SPDX-License-Identifier: Apache-2.0

import RunStore
import Foundation

/// Winsorizing slows overfitting, the more the larger c.
struct CG8: Rule {
  static let clipped = [0, 1, 2, 4, 8]
  /// The course is taken until plain SGD is at this share of its largest overfit: later its curve is flat because there
  /// is nothing left to overfit, not because it is slow.
  static let saturation = 0.9
  /// Plain SGD has to overfit by five points of accuracy, or there is nothing to slow.
  static let minimumOverfit = 0.05
  /// One noise level alone would be one case.
  static let minimumLevels = 2

  let claim = Claim(
    id: "CG-8", sentence: "Winsorizing slows the growth of overfitting, the more so the larger c, at each noise level.",
    paper: Paper.coherentGradients, section: "§3.3, figure 4", setting: Paper.winsorizedSetting)

  var varying: Set<Factor> { [.noise, .seed, .optimizer] }
  func reads(_ run: RunHistory) -> Bool { run.optimizer.clippedPercentile != nil }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { runs.contains { ($0.optimizer.clippedPercentile ?? 0) > 0 } }

  let change: RuleChange? = RuleChange(
    "Overfitting until plain SGD is at 90 % of its most: its mean over that course falls from each c to the next larger, "
      + "or stays within two standard errors over seeds; it never rises beyond them, and c = 8 is below c = 0 beyond them.",
    because:
      "Margins over seeds in place of a hand-made floor: 5 % of SGD's slope called two amounts equal of which one, "
      + "c = 1, already cuts it 17-fold, and any further fall is smaller than that floor.")

  func judge(_ runs: [RunHistory]) -> Judgement {
    var assessment = Assessment()
    var judged = 0
    for level in runs.levels {
      let here = runs.filter { Level.isEqual($0.noise, level) }
      if judge(here, level: Level.text(level), in: &assessment) { judged += 1 }
    }
    for level in Level.all where !Level.contains(level, in: runs.levels) {
      assessment.miss("SGD and winsorized:c=1 to c=8, \(Level.text(level))")
    }
    if judged < Self.minimumLevels {
      assessment.miss("\(Self.minimumLevels) noise levels at which SGD overfits by \(Self.minimumOverfit)")
    }
    return assessment.judgement(held: "Overfitting falls with c at \(judged) noise levels")
  }

  /// Whether the level could be judged.
  private func judge(_ runs: [RunHistory], level: String, in assessment: inout Assessment) -> Bool {
    // Each seed's course is as long as its own SGD grows.
    var ends: [UInt64: Int] = [:]
    for run in runs where run.optimizer.clippedPercentile == 0 {
      guard let peak = run.overfit.peak, peak.value >= Self.minimumOverfit else { continue }
      ends[run.seed] = run.overfit.firstStep(reaching: Self.saturation * peak.value)
    }
    guard !ends.isEmpty else {
      if !runs.contains(where: { $0.optimizer.clippedPercentile == 0 }) { assessment.miss("SGD, \(level)") }
      return false
    }
    var means: [(c: Int, overfit: SeedMean)] = []
    for c in Self.clipped {
      let own = runs.filter { $0.optimizer.clippedPercentile == c && ends[$0.seed] != nil }
      let mean = assessment.seedMean(
        "mean overfit while SGD’s grows, c = \(c), \(level)", of: own,
        missing: c == 0 ? "SGD, \(level)" : "winsorized:c=\(c), \(level)"
      ) { run in ends[run.seed].flatMap { run.overfit.mean(upTo: $0) } }
      if let mean { means.append((c, mean)) }
    }
    for (before, after) in zip(means, means.dropFirst()) where after.overfit.isAbove(before.overfit) == true {
      assessment.fail("overfitting is faster with c = \(after.c) than with c = \(before.c) at \(level)")
    }
    if let first = means.first, let last = means.last, first.c == 0, last.c == Self.clipped.last {
      assessment.expect(
        last.overfit.isBelow(first.overfit), else: "overfitting is faster with c = \(last.c) than without at \(level)",
        open: "c = \(last.c) is within two standard errors of SGD at \(level)")
    }
    return true
  }
}
