// SPDX-License-Identifier: Apache-2.0

import RunStore

/// The fall of the first steps.
struct MC3: Rule {
  /// The window probed: twice the paper's "about 25 steps".
  static let lastStep = 50
  /// Of the 51 steps of the window so many have to be probed.
  static let minimumProbes = 40
  /// Where the fall may begin: among the first steps, of which the very first has gradients of the random start.
  static let lastStart = 10
  /// "Near m": half of what can be. At the start every output is about the same, and with K balanced classes the gradients
  /// gᵢ = J(p − yᵢ) of an isotropic Jacobian J have an α of at most ½.
  static let nearAll = 0.25
  /// "A small value": at most a twentieth of m.
  static let small = 0.05

  let claim = Claim(
    id: "MC-3",
    sentence:
      "Within the first 25 or so steps m-coherence falls from near m to a small value, with real and with random "
      + "labels alike.",
    paper: Paper.makingCoherence, section: "experiments", setting: Paper.coherenceSetting)

  let change: RuleChange? = RuleChange(
    "The largest r of steps 0 to 10 is at least a quarter of m, and what follows by step 50 falls to a twentieth.",
    because:
      "Arithmetic: at a random start all examples get nearly the same output, so gᵢ = J(p − yᵢ). With K balanced "
      + "classes and an isotropic J the mean of p − yᵢ vanishes, so that α cannot exceed about ½, which the first version "
      + "took for the least there has to be.")

  var varying: Set<Factor> { [.noise, .seed, .steps] }
  var needsEnd: Bool { false }

  /// The runs at other levels do not count, so that the verdict does not name them.
  func reads(_ run: RunHistory) -> Bool { run.optimizer.isSGD && Level.contains(run.noise, in: [0, 1]) }

  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    runs.levels.count > 1
      && runs.contains { run in run.mCoherence("train").points.contains { $0.step <= Self.lastStep } }
  }

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(
      runs, held: "r starts near m and is small within \(Self.lastStep) steps, real and random alike"
    ) { runs, assessment in
      for level in [0.0, 1] {
        if let run = assessment.need(runs.at(level), Level.text(level)) { judge(run, in: &assessment) }
      }
    }
  }

  private func judge(_ run: RunHistory, in assessment: inout Assessment) {
    let level = Level.text(run.noise)
    let early = run.mCoherence("train").points.filter { $0.step <= Self.lastStep }
    guard early.count >= Self.minimumProbes, early.first?.step == 0,
      let start = early.filter({ $0.step <= Self.lastStart }).max(by: { $0.value < $1.value }),
      let least = early.filter({ $0.step > start.step }).min(by: { $0.value < $1.value }),
      let m = run.probeSizes("train").first, run.probeSizes("train").count == 1
    else { return assessment.miss("coherence at every step from 0 to \(Self.lastStep), on one sample, \(level)") }
    assessment.note("largest r/m by step \(Self.lastStart), \(level)", start.value / Double(m))
    assessment.note("least r/m by step \(Self.lastStep), \(level)", least.value / Double(m))
    assessment.note("step of the least r, \(level)", Double(least.step))
    assessment.note("m, \(level)", Double(m))
    if start.value < Self.nearAll * Double(m) {
      assessment.fail(
        "r starts at \(Self.percent(start.value / Double(m))) of m, not near it (at least a quarter), at \(level)")
    }
    if least.value > Self.small * Double(m) {
      assessment.fail(
        "r does not fall below \(Self.percent(Self.small)) of m within \(Self.lastStep) steps at \(level)")
    }
  }

  private static func percent(_ share: Double) -> String { "\((share * 1000).rounded() / 10) %" }
}
