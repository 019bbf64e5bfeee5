// SPDX-License-Identifier: Apache-2.0

import RunStore

/// With large c accuracy peaks and then falls.
struct CG10: Rule {
  static let clipped = 8
  /// The fall from the peak to the end: one point of accuracy, several times the wobble between evaluations.
  static let drop = 0.01

  let claim = Claim(
    id: "CG-10", sentence: "With a large amount of winsorization (c = 8) training accuracy peaks and then falls.",
    paper: Paper.coherentGradients, section: "§3.3, figure 4", setting: Paper.winsorizedSetting)

  func reads(_ run: RunHistory) -> Bool { run.optimizer.clippedPercentile == Self.clipped }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { !runs.isEmpty }

  let change: RuleChange? = RuleChange(
    "The same margin, with three seeds that agree.",
    because: "The first verdict rested on one seed whose fall, 0.0129, is near the margin of 0.01.")

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(
      runs, minimum: SeedMean.minimumSeeds, held: "Training accuracy falls by at least \(Self.drop) after its peak"
    ) { runs, assessment in
      // At 100 % there is nothing that many examples share, so accuracy stays at chance and has no peak.
      for level in Level.all where level < 1 {
        guard let curve = runs.at(level)?.accuracy("train"), let peak = curve.peak, let last = curve.last else {
          assessment.miss("winsorized:c=\(Self.clipped), \(Level.text(level))")
          continue
        }
        assessment.note("drop from the peak, \(Level.text(level))", peak.value - last.value)
        assessment.note("step of the peak, \(Level.text(level))", Double(peak.step))
        if peak.value - last.value < Self.drop {
          assessment.fail("training accuracy does not fall by \(Self.drop) from its peak at \(Level.text(level))")
        }
      }
    }
  }
}
