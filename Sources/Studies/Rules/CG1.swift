// SPDX-License-Identifier: Apache-2.0

import RunStore

/// SGD fits every noise level.
struct CG1: Rule {
  /// "100 %" but for one example in a thousand, which mini-batch noise may undo at the very end.
  static let fitted = 0.999

  let claim = Claim(
    id: "CG-1", sentence: "SGD fits the training set at every noise level (0, 25, 50, 75 and 100 %).",
    paper: Paper.coherentGradients, section: "§2.3, figure 1", setting: Paper.noiseSetting)

  func isSpokenAbout(by runs: [RunHistory]) -> Bool { runs.contains { $0.noise > 0 } }

  let change: RuleChange? = RuleChange(
    "At every noise level more than half of the seeds reach a training accuracy of 0.999 at some evaluation.",
    because:
      "\"The number of training steps [is] chosen to ensure that exactly the same procedure is usually able to fit "
      + "all 5 variants to 100% training accuracy\" (§2.2). At a constant rate accuracy moves by 0.003 from one evaluation "
      + "to the next, so that the last one alone says less than the margin asks.")

  func judge(_ runs: [RunHistory]) -> Judgement {
    var assessment = Assessment()
    for level in Level.all {
      let own = runs.filter { Level.isEqual($0.noise, level) }.onePerSeed
      let best = own.compactMap { $0.accuracy("train").peak?.value }
      guard best.count >= SeedMean.minimumSeeds else {
        assessment.miss("\(SeedMean.minimumSeeds) seeds, \(Level.text(level))")
        continue
      }
      assessment.note(NamedValue("best training accuracy, \(Level.text(level))", values: best))
      assessment.note(
        NamedValue(
          "final training accuracy, \(Level.text(level))", values: own.compactMap { $0.accuracy("train").last?.value }))
      let fitted = best.count { $0 >= Self.fitted }
      if 2 * fitted <= best.count {
        assessment.fail("\(fitted) of \(best.count) seeds reach \(Self.fitted) at \(Level.text(level))")
      }
    }
    return assessment.judgement(held: "At every noise level more than half of the seeds reach \(Self.fitted)")
  }
}
