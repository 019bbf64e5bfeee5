// SPDX-License-Identifier: Apache-2.0

import RunStore

/// Fewer pristine examples, slower pristine learning.
struct CG4: Rule {
  /// "Early" is the first evaluation at which the run without noise has half of its examples right: before that there
  /// is little to compare, long after it every curve is at its top.
  static let early = 0.5
  /// The standard error of an accuracy around one half, from 10 000 examples or from the fewest there are.
  static func resolution(of count: Int) -> Double { 0.5 / Double(max(1, min(10_000, count))).squareRoot() }

  let claim = Claim(
    id: "CG-4", sentence: "The fewer pristine examples there are, the slower they are learned.",
    paper: Paper.coherentGradients, section: "§2.3, figure 1", setting: Paper.noiseSetting)

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(runs, held: "Early pristine accuracy falls as noise grows") { runs, assessment in
      var values: [(level: Double, value: Double)] = []
      var fewest = Int.max
      let early = runs.at(0)?.accuracy("train").firstStep(reaching: Self.early)
      if let early {
        assessment.note("early step", Double(early))
      } else if runs.at(0) != nil {
        assessment.leaveOpen("the run without noise never has half of its examples right")
      }
      // At 100 % only the labels that kept their class by chance are pristine.
      for level in Level.all where level < 1 {
        guard let run = assessment.need(runs.at(level), Level.text(level)), let early,
          let value = assessment.need(
            run.pristineAccuracy[early], "an evaluation of pristine examples at step \(early), \(Level.text(level))")
        else { continue }
        assessment.note("early pristine accuracy, \(Level.text(level))", value)
        values.append((level, -value))
        fewest = min(fewest, run.pristineCount)
      }
      Trend(values, tolerance: Self.resolution(of: fewest)).assess(
        &assessment, of: "early pristine accuracy", falling: "rises", tied: "is about the same")
    }
  }
}
