// SPDX-License-Identifier: Apache-2.0

import RunStore
import Coherence
import Foundation
import Runs
import Training

/// The stability bound is smaller with real labels than with random ones.
struct GM4: Rule {
  /// Bounds within ten percent are alike: L and β are underestimates, known no better than that.
  static let resolution = log(1.1)
  /// α changes the bound by little (a quarter of coherence by 13 %), and β is one run's largest ratio: a single pair of
  /// runs may order either way.
  static let minimumSeeds = SeedMean.minimumSeeds
  /// Fewer common looks are no course.
  static let minimumMeasurements = 5

  let claim = Claim(
    id: "GM-4",
    sentence:
      "The stability bound, (L²/m) Σₜ [Πₖ (1 + ηₖβ)] ηₜ √(2(1 − α)) with L and β as measured, is smaller with real labels than "
      + "with random ones: in order, not in value.",
    paper: Paper.generalizationMystery, section: "theorem 1", setting: Paper.theorySetting)

  func reads(_ run: RunHistory) -> Bool {
    run.optimizer.isSGD && !run.isFullBatch && Level.contains(run.noise, in: [0, 1])
  }
  var varying: Set<Factor> { [.noise, .seed, .steps] }
  /// The bounds at common steps are there before the end.
  var needsEnd: Bool { false }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    runs.levels.count > 1 && runs.contains { !$0.measure("stability_log_bound").isEmpty }
  }

  let change: RuleChange? = RuleChange(
    "(a) With each run's own L and β the bound is smaller with real labels by ten percent. (b) With one β for both the sum "
      + "is smaller by ten percent too: only then is the order that of coherence.",
    because:
      "β enters exponentially, α under a root. In the first runs the estimates of β decided the order, and with one β "
      + "the bounds differed by 0.5 %, which is α at step 0; the margin that (a) had was not asked of (b).")

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(runs, minimum: Self.minimumSeeds) { runs in
      .joining([
        "With each run's own L and β the bound is smaller with real labels.":
          part(runs, held: "At the same step the bound is smaller with real labels", compare),
        "With one β for both runs the sum is smaller with real labels.":
          part(runs, held: "With one β the sum is smaller with real labels", compareAtOneSmoothness),
      ])
    }
  }

  private func part(
    _ runs: [RunHistory], held: String, _ compare: (RunHistory, RunHistory, inout Assessment) -> Void
  ) -> Judgement {
    .assessing(held: held) { assessment in
      for level in [0.0, 1] where (runs.at(level)?.measure("stability_log_bound").isEmpty ?? true) {
        assessment.miss("the probe stability, \(Level.text(level))")
      }
      if let real = runs.at(0), let random = runs.at(1) { compare(real, random, &assessment) }
    }
  }

  private typealias Look = (step: Int, real: Double, random: Double)

  /// The common looks; nil with too few, which are then named as missing.
  private func looks(_ real: RunHistory, _ random: RunHistory, in assessment: inout Assessment) -> [Look]? {
    let curves = [real, random].map { $0.measure("stability_log_bound") }
    let common = curves[0].points.compactMap { point in
      curves[1][point.step].map { (step: point.step, real: point.value, random: $0) }
    }.filter { $0.step > 0 }
    return assessment.need(
      common.count >= Self.minimumMeasurements ? common : nil,
      "\(Self.minimumMeasurements) measurements of the probe stability at the same steps")
  }

  private func compare(_ real: RunHistory, _ random: RunHistory, in assessment: inout Assessment) {
    guard let common = looks(real, random, in: &assessment), let last = common.last else { return }
    assessment.note("step compared at", Double(last.step))
    assessment.note("logarithm of the bound, 0 % noise", last.real)
    assessment.note("logarithm of the bound, 100 % noise", last.random)
    let ordered = Double(common.count { $0.real < $0.random }) / Double(common.count)
    assessment.note("share of steps at which real is below random", ordered)
    for (name, text) in [("smoothness", "β"), ("lipschitz", "L")] {
      assessment.note("\(text), 0 % noise", real.measure(name)[last.step])
      assessment.note("\(text), 100 % noise", random.measure(name)[last.step])
    }
    if last.real > last.random + Self.resolution {
      assessment.fail("at step \(last.step) the bound is larger with real labels than with random ones")
    } else if last.real > last.random - Self.resolution {
      assessment.leaveOpen("at step \(last.step) the bounds are within ten percent of each other")
    }
  }

  /// β grows the sum exponentially and α hardly changes it: with each run's own β the order may come from β alone. With
  /// one β for both it comes from coherence.
  private func compareAtOneSmoothness(_ real: RunHistory, _ random: RunHistory, in assessment: inout Assessment) {
    guard let end = looks(real, random, in: &assessment)?.last?.step else { return }
    let smoothness = [real, random].compactMap { $0.measure("smoothness")[end] }.max()
    guard let smoothness, let first = Self.logSum(of: real, smoothness, until: end),
      let second = Self.logSum(of: random, smoothness, until: end)
    else { return assessment.miss("the probe coherence at the steps of the probe stability") }
    assessment.note("logarithm of the sum with one β, 0 % noise", first)
    assessment.note("logarithm of the sum with one β, 100 % noise", second)
    assessment.note("the difference of these two", second - first)
    if first > second + Self.resolution {
      assessment.fail("with one β for both runs the sum is larger with real labels")
    } else if first > second - Self.resolution {
      assessment.leaveOpen(
        "with one β for both runs the sums are within ten percent of each other: the order comes from β")
    }
  }

  /// The sum with a β of one's own and α as measured, each value in force until the next look; nil without α or rate.
  private static func logSum(of run: RunHistory, _ smoothness: Double, until end: Int) -> Double? {
    guard let rate = run.manifest.learningRate, let m = run.manifest.dataset.trainExamples,
      let schedule = try? Schedule(run.manifest.schedule ?? "constant"), let size = run.probeSizes("train").first,
      run.probeSizes("train").count == 1, var accountant = try? StabilityAccountant(m: m)
    else { return nil }
    let points = run.mCoherence("train").points.filter { $0.step <= end }
    guard points.first?.step == 0, points.last?.step == end else { return nil }
    for (point, next) in zip(points, points.dropFirst()) {
      guard (try? accountant.observe(alpha: min(1, max(0, point.value / Double(size))))) != nil else { return nil }
      for step in point.step..<next.step {
        let factor = schedule.factor(at: step, of: run.manifest.plannedSteps ?? end, warmup: run.manifest.warmup ?? 0)
        guard (try? accountant.step(learningRate: rate * factor)) != nil else { return nil }
      }
    }
    return accountant.logSum(smoothness: smoothness)
  }
}
