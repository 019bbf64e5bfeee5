// SPDX-License-Identifier: Apache-2.0

/// With c > 1 the training set's corrupt labels are not learned.
struct CG9: Rule {
  /// What chance may add to the proper accuracy.
  static let margin = 0.01

  let claim = Claim(
    id: "CG-9",
    sentence: "For c > 1 training accuracy never exceeds the proper accuracy (the share of labels left unchanged).",
    paper: Paper.coherentGradients, section: "§3.3, figure 4", setting: Paper.winsorizedSetting)

  var varying: Set<Trait> { [.noise, .seed, .optimizer] }
  func reads(_ run: StudyRun) -> Bool { (run.optimizer.clipped ?? 0) > 1 }
  func isSpokenAbout(by runs: [StudyRun]) -> Bool { !runs.isEmpty }

  func judge(_ runs: [StudyRun]) -> Judgement {
    bySeed(runs) { runs in
      var assessment = Assessment()
      // Without noise the proper accuracy is 1, which nothing exceeds.
      for run in runs where run.noise > 0 {
        guard let peak = run.accuracy("train").peak, let c = run.optimizer.clipped else { continue }
        let place = "c = \(c), \(Level.text(run.noise))"
        assessment.note("largest training accuracy, \(place)", peak.value)
        assessment.note("proper accuracy, \(place)", run.properAccuracy)
        if peak.value > run.properAccuracy + Self.margin {
          assessment.fail("training accuracy exceeds the proper accuracy with \(place)")
        }
      }
      // The least c is the hardest case; larger ones follow more easily.
      for level in Level.all where level > 0 {
        if !runs.contains(where: { $0.optimizer.clipped == 2 && Level.isEqual($0.noise, level) }) {
          assessment.miss("winsorized:c=2, \(Level.text(level))")
        }
      }
      return assessment.judgement(
        held: "Training accuracy stays within \(Self.margin) of the proper accuracy or below it in every run with c > 1"
      )
    }
  }
}
