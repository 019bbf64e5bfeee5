// SPDX-License-Identifier: Apache-2.0

import RunStore

/// Pristine examples are learned before corrupt ones.
struct CG3: Rule {
  /// Mean lead of the pristine curve over training (along the logarithm of the step): less than five points of accuracy
  /// is no order of learning.
  static let lead = 0.05
  /// What has to be learned with real labels for an order of learning to show: half of the training examples.
  static let learned = 0.5

  let claim = Claim(
    id: "CG-3",
    sentence:
      "Pristine examples are learned before corrupt ones: pristine near the 0 % curve, corrupt near the 100 % curve.",
    paper: Paper.coherentGradients, section: "§2.3, figure 1", setting: Paper.noiseSetting)

  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    runs.contains { !$0.accuracy("train", "corrupt").isEmpty && $0.noise < 1 }
  }

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(
      runs, held: "At every noise level pristine accuracy leads, and each group is nearer to its own reference curve"
    ) { runs, assessment in
      let references = (
        real: assessment.need(runs.at(0), Level.text(0))?.accuracy("train"),
        random: assessment.need(runs.at(1), Level.text(1))?.accuracy("train")
      )
      if let real = references.real, real.firstStep(reaching: Self.learned) == nil {
        assessment.doubt("the run without noise never has half of its examples right")
      }
      for level in Level.all where level > 0 && level < 1 {
        guard let run = assessment.need(runs.at(level), Level.text(level)) else { continue }
        compare(run, with: references, in: &assessment)
      }
    }
  }

  private func compare(
    _ run: RunHistory, with references: (real: Curve?, random: Curve?), in assessment: inout Assessment
  ) {
    let level = Level.text(run.noise)
    let (pristine, corrupt) = (run.pristineAccuracy, run.accuracy("train", "corrupt"))
    guard let lead = pristine.logarithmicMean(against: corrupt, -) else {
      return assessment.miss("five evaluations of pristine and corrupt examples, \(level)")
    }
    assessment.note("mean lead of pristine accuracy, \(level)", lead)
    if lead < Self.lead { assessment.fail("pristine accuracy leads by less than \(Self.lead) at \(level)") }
    guard let real = references.real, let random = references.random else { return }
    for (name, curve, own, other) in [("pristine", pristine, real, random), ("corrupt", corrupt, random, real)] {
      func distance(_ reference: Curve) -> Double? { curve.logarithmicMean(against: reference) { abs($0 - $1) } }
      guard let near = distance(own), let far = distance(other) else {
        assessment.miss("five evaluations at common steps, \(level)")
        continue
      }
      assessment.note("distance of the \(name) curve to its own reference, \(level)", near)
      assessment.note("distance of the \(name) curve to the other reference, \(level)", far)
      if near >= far { assessment.fail("the \(name) curve is nearer to the other reference at \(level)") }
    }
  }
}
