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

  var change: RuleChange? {
    RuleChange(
      "The same margins, for the whole population and for the paper's sample each a part of its own, with as many permutations as the probe has (999 in cg/contributions).",
      because:
        "The \"whole population\" of the first runs was 5000 of 60 000 examples, with 20 permutations, of which one "
        + "decided; and the paper calls what its own sample shows \"somewhat significant but not overwhelmingly so\".")
  }

  func isSpokenAbout(by runs: [RunHistory]) -> Bool { runs.contains { !$0.contributions.isEmpty } }

  func judge(_ runs: [RunHistory]) -> Judgement {
    .joining([
      "Over the whole population and all weights.": judge(runs, sample: "population"),
      "In the paper's sample of 400 examples and 300 weights a layer.": judge(runs, sample: "paper"),
    ])
  }

  private func judge(_ runs: [RunHistory], sample: String) -> Judgement {
    bySeed(runs, held: held) { runs, assessment in
      for level in Self.levels {
        guard let run = assessment.need(runs.at(level), Level.text(level)) else { continue }
        judge(run, sample: sample, in: &assessment)
      }
    }
  }
}
