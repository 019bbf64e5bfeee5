// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The stability bound is smaller with real labels than with random ones.
struct GM4: Rule {
  /// Bounds within ten percent are alike: L and β are underestimates, known no better than that.
  static let resolution = log(1.1)
  /// α changes the bound by little (a quarter of coherence by 13 %), and β is one run's largest ratio: a single pair of
  /// runs may order either way.
  static let leastSeeds = SeedMean.leastSeeds
  /// Fewer common looks are no course.
  static let leastLooks = 5

  let claim = Claim(
    id: "GM-4",
    sentence:
      "The stability bound, Σₜ [Πₖ (1 + ηₖβ)] ηₜ √(2(1 − α)) with L and β as measured, is smaller with real labels than "
      + "with random ones: in order, not in value.",
    paper: Paper.generalizationMystery, section: "theorem 1", setting: Paper.theorySetting)

  func reads(_ run: StudyRun) -> Bool {
    run.optimizer.isSGD && !run.isFullBatch && Level.contains(run.noise, in: [0, 1])
  }
  var varying: Set<Trait> { [.noise, .seed, .steps] }
  /// The sums at common steps are there before the end.
  var needsEnd: Bool { false }
  func isSpokenAbout(by runs: [StudyRun]) -> Bool {
    runs.levels.count > 1 && runs.contains { !$0.measure("stability_log_sum").isEmpty }
  }

  func judge(_ runs: [StudyRun]) -> Judgement {
    bySeed(runs, least: Self.leastSeeds) { runs in
      var assessment = Assessment()
      for level in [0.0, 1] where (runs.at(level)?.measure("stability_log_sum").isEmpty ?? true) {
        assessment.miss("the probe stability, \(Level.text(level))")
      }
      if let real = runs.at(0), let random = runs.at(1) { compare(real, random, in: &assessment) }
      return assessment.judgement(held: "At the same step the bound’s sum is smaller with real labels")
    }
  }

  private func compare(_ real: StudyRun, _ random: StudyRun, in assessment: inout Assessment) {
    let curves = [real, random].map { $0.measure("stability_log_sum") }
    let common = curves[0].points.compactMap { point in
      curves[1][point.step].map { (step: point.step, real: point.value, random: $0) }
    }.filter { $0.step > 0 }
    guard common.count >= Self.leastLooks, let last = common.last else {
      return assessment.miss("\(Self.leastLooks) looks of the probe stability at the same steps")
    }
    assessment.note("step compared at", Double(last.step))
    assessment.note("logarithm of the sum, 0 % noise", last.real)
    assessment.note("logarithm of the sum, 100 % noise", last.random)
    let ordered = Double(common.count { $0.real < $0.random }) / Double(common.count)
    assessment.note("share of steps at which real is below random", ordered)
    for (name, text) in [("smoothness", "β"), ("lipschitz", "L")] {
      assessment.note("\(text), 0 % noise", real.measure(name)[last.step])
      assessment.note("\(text), 100 % noise", random.measure(name)[last.step])
    }
    if last.real > last.random + Self.resolution {
      assessment.fail("at step \(last.step) the bound’s sum is larger with real labels than with random ones")
    } else if last.real > last.random - Self.resolution {
      assessment.leaveOpen("at step \(last.step) the sums are within ten percent of each other")
    }
  }
}
