// SPDX-License-Identifier: Apache-2.0

import RunStore

/// A rule about the contributions of pristine and corrupt examples, judged noise level by noise level on the paper's
/// sample and on the whole population.
protocol ContributionRule: Rule {
  /// The noise levels that have to be there.
  static var levels: [Double] { get }
  /// What to say when it held.
  var held: String { get }
  /// Judges one run on one sample.
  func judge(_ run: RunHistory, sample: String, in assessment: inout Assessment)
}

extension ContributionRule {
  /// The runs at other levels do not count, so that the verdict does not name them.
  func reads(_ run: RunHistory) -> Bool { run.optimizer.isSGD && Level.contains(run.noise, in: Self.levels) }

  func isSpokenAbout(by runs: [RunHistory]) -> Bool { runs.contains { !$0.contributions.isEmpty } }

  func judge(_ runs: [RunHistory]) -> Judgement {
    .joining([
      .init(
        letter: "a", sentence: "Over the whole population and all weights.",
        judgement: bySeed(runs) { judge($0, sample: "population") }),
      .init(
        letter: "b", sentence: "In the paper's sample of 400 examples and 300 weights a layer.",
        judgement: bySeed(runs) { judge($0, sample: "paper") }),
    ])
  }

  private func judge(_ runs: [RunHistory], sample: String) -> Judgement {
    var assessment = Assessment()
    for level in Self.levels {
      guard let run = runs.at(level) else {
        assessment.miss(Level.text(level))
        continue
      }
      judge(run, sample: sample, in: &assessment)
    }
    return assessment.judgement(held: held)
  }
}
