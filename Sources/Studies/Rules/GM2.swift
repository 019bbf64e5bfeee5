// SPDX-License-Identifier: Apache-2.0

import RunStore
import Foundation

/// Real labels are far more coherent than random ones, on training and test examples.
struct GM2: Rule {
  /// "≫": on average at least twice the m-coherence.
  static let muchMore = 2.0

  let claim = Claim(
    id: "GM-2",
    sentence:
      "Coherence with real labels is much higher than with random ones, on training and on test examples, by epoch and "
      + "by training loss.",
    paper: Paper.generalizationMystery, section: "figure 3", setting: Paper.mysterySetting)

  var varying: Set<Factor> { [.noise, .seed, .steps] }
  func reads(_ run: RunHistory) -> Bool { run.optimizer.isSGD && Level.contains(run.noise, in: [0, 1]) }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    runs.levels.count > 1 && runs.contains { !$0.mCoherence("test").isEmpty }
  }

  let change: RuleChange? = RuleChange(
    "The same margin, where random labels are fitted, on networks without batch normalisation; else not tested.",
    because: "As for MC-2; and figure 3 of the paper shows r until random labels are fitted.")

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(
      runs, held: "With real labels r is at least twice that with random ones, on both splits, by epoch and by loss"
    ) { runs, assessment in
      if runs.contains(where: \.hasBatchNorm) { assessment.notTested(MC2.needsOtherNorm) }
      if let random = runs.at(1), !random.isFitted {
        assessment.notTested("the random labels are not fitted; it takes longer training")
      }
      for level in [0.0, 1] where runs.at(level) == nil { assessment.miss(Level.text(level)) }
      if let real = runs.at(0), let random = runs.at(1) {
        for split in ["train", "test"] { compare(real, random, on: split, in: &assessment) }
      }
    }
  }

  private func compare(_ real: RunHistory, _ random: RunHistory, on split: String, in assessment: inout Assessment) {
    let runs = [real, random]
    let courses = runs.compactMap { CoherenceCourse(of: $0.mCoherence(split)) }
    guard courses.count == runs.count else {
      return assessment.miss(
        "\(CoherenceCourse.minimumProbes) probes of coherence on \(split) examples with both labels")
    }
    assessment.note("peak r after the initial fall, 0 % noise, \(split)", courses[0].peak.value)
    assessment.note("peak r after the initial fall, 100 % noise, \(split)", courses[1].peak.value)
    guard real.probeSizes(split) == random.probeSizes(split), real.probeSizes(split).count == 1 else {
      return assessment.leaveOpen("the probes on \(split) examples differ in m, which r grows with")
    }
    // Early on r falls from near m with any labels: what is compared comes after that.
    let fallen = max(courses[0].trough.step, courses[1].trough.step)
    let ratios = [
      ("by epoch", real.mCoherence(split).meanRatio(to: random.mCoherence(split), from: fallen)),
      (
        "by training loss",
        EqualLoss(real, random, on: split, from: courses.map(\.trough.step))?.mean { log($0 / $1) }.map(exp)
      ),
    ]
    for (axis, ratio) in ratios {
      guard let ratio else {
        assessment.leaveOpen(
          "too little of training is common to both labels to compare r on \(split) examples \(axis)")
        continue
      }
      assessment.note("mean ratio of r, real to random, \(split), \(axis)", ratio)
      if ratio < Self.muchMore {
        assessment.fail("r with real labels is not twice that with random ones on \(split) examples, \(axis)")
      }
    }
  }
}
