// SPDX-License-Identifier: Apache-2.0

import RunStore
import Foundation

/// Starting from weights that fit random labels lowers coherence and generalisation.
struct GM6: Rule {
  let claim = Claim(
    id: "GM-6",
    sentence:
      "Starting from weights trained on random labels, training on real ones is less coherent and generalises worse than "
      + "from a random start.",
    paper: Paper.generalizationMystery, section: "on adversarial initialization", setting: Paper.suggestedSetting)

  var varying: Set<Factor> { [.seed, .weights, .steps, .noise] }
  func reads(_ run: RunHistory) -> Bool {
    run.optimizer.isSGD && !run.isFullBatch && (run.noise == 0 || Self.isPretraining(run))
  }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    runs.contains { $0.weights != nil } && runs.contains { $0.weights == nil && $0.noise == 0 }
  }

  /// The run that a start may come from: random labels, from a random start.
  private static func isPretraining(_ run: RunHistory) -> Bool { run.noise == 1 && run.weights == nil }

  let change: RuleChange? = RuleChange(
    "Coherence is compared at equal training loss (the geometric mean over ten common losses), gaps at the end, each by two "
      + "standard errors over seeds.",
    because:
      "The peaks that the first version compared are of two kinds: of one start the transient of step 1, of the other "
      + "a later rise. The paper shows coherence \"as a function of training epoch and training loss\" (figure 3).")

  func judge(_ runs: [RunHistory]) -> Judgement {
    var assessment = Assessment()
    let pretrained = runs.filter(Self.isPretraining)
    let fresh = runs.filter { $0.weights == nil && $0.noise == 0 }
    let started = runs.filter { $0.weights != nil }
    for run in started.onePerSeed {
      guard
        let origin = assessment.need(
          pretrained.first { $0.seed == run.seed },
          "the run on random labels that the weights of seed \(run.seed) come from")
      else { continue }
      assessment.note("accuracy on random labels before, seed \(run.seed)", origin.accuracy("train").last?.value)
      if !origin.isFitted { assessment.doubt("the weights of seed \(run.seed) have not fitted their random labels") }
    }
    if (fresh + started).contains(where: { !$0.isFitted }) {
      assessment.doubt("not every run has fitted its examples, so that gaps do not compare")
    }
    if Set((fresh + started).flatMap { $0.probeSizes("train") }).count > 1 {
      assessment.doubt("the probes differ in m, which r grows with")
    }
    let ratios = started.onePerSeed.compactMap { run -> Double? in
      guard let other = fresh.onePerSeed.first(where: { $0.seed == run.seed }) else { return nil }
      return EqualLoss(other, run)?.mean { log($0 / $1) }
    }
    if ratios.isEmpty {
      assessment.miss("coherence from both starts at common training losses")
    } else {
      assessment.note(
        NamedValue("r from a random start over r from the given weights, at equal loss", values: ratios.map(exp)))
    }
    if ratios.count >= SeedMean.minimumSeeds {
      assessment.expect(
        SeedMean(ratios).isAbove(0), else: "at equal training loss coherence from the given weights is higher",
        open: "at equal training loss coherence is the same from both starts, within two standard errors")
    } else if !ratios.isEmpty {
      assessment.miss("\(SeedMean.minimumSeeds) seeds from both starts")
    }
    let freshGap = assessment.seedMean("gap, random start", of: fresh, missing: "a random start", \.finalGap)
    let startedGap = assessment.seedMean(
      "gap, given weights", of: started, missing: "a start from weights of random labels", \.finalGap)
    if let freshGap, let startedGap {
      assessment.expect(
        startedGap.isAbove(freshGap), else: "the gap from the given weights is smaller than from a random start",
        open: "the gap is the same from both starts, within two standard errors")
    }
    return assessment.judgement(
      held: "From weights of random labels coherence at equal loss is lower, and the gap is larger")
  }
}
