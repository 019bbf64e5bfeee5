// SPDX-License-Identifier: Apache-2.0

/// SGD fits every noise level.
struct CG1: Rule {
  /// "100 %" but for one example in a thousand, which mini-batch noise may undo at the very end.
  static let fitted = 0.999

  let claim = Claim(
    id: "CG-1", sentence: "SGD fits the training set at every noise level (0, 25, 50, 75 and 100 %).",
    paper: Paper.coherentGradients, section: "§2.3, figure 1", setting: Paper.noiseSetting)

  func isSpokenAbout(by runs: [StudyRun]) -> Bool { runs.contains { $0.noise > 0 } }

  func judge(_ runs: [StudyRun]) -> Judgement {
    bySeed(runs) { runs in
      var assessment = Assessment()
      for level in Level.all {
        guard let final = runs.at(level)?.accuracy("train").last?.value else {
          assessment.miss(Level.text(level))
          continue
        }
        assessment.note("final training accuracy, \(Level.text(level))", final)
        if final < Self.fitted {
          assessment.fail("training accuracy stays below \(Self.fitted) at \(Level.text(level))")
        }
      }
      return assessment.judgement(held: "Every noise level ends at a training accuracy of at least \(Self.fitted)")
    }
  }
}
