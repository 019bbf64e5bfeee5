// SPDX-License-Identifier: Apache-2.0

import Charts

/// Examples learned early are those with most in common.
struct GM5: MeasuredRule {
  /// A rank correlation below a tenth is no order worth the name, however significant.
  static let least = 0.1
  /// So many examples give a correlation a standard error of a twentieth: half of the least one.
  static let minimumExamples = 400.0
  /// The claim has to hold at more than half of the early steps looked at: no choice among them.
  static let most = 0.5

  let claim = Claim(
    id: "GM-5",
    sentence:
      "The examples learned early are those that have most in common with others: the largest ⟨gᵢ, ḡ⟩ at early steps.",
    paper: Paper.generalizationMystery, section: "on easy and hard examples", setting: Paper.suggestedSetting)

  let kind = "learning-order"
  let basis = "computed from the example records of one training run for each seed"

  let change: RuleChange? = RuleChange(
    "The same margins for the cosine with the mean gradient of the others, (m⟨gᵢ, ḡ⟩ − ‖gᵢ‖²)/((m − 1)‖gᵢ‖‖ḡ₋ᵢ‖): (a) over "
      + "all examples, (b) within classes.",
    because:
      "Arithmetic: ⟨gᵢ, ḡ⟩ contains ‖gᵢ‖² / m and is, to first order, the next change of the example's own loss, so "
      + "that the first version came near to asking whether what is learned next is learned early.")

  func judge(_ measurement: Measurement) -> Judgement {
    .joining([
      "Over all examples.": judge(measurement, "spearman_others_step_", "p_others_step_"),
      "Within classes.": judge(measurement, "spearman_class_step_", "p_class_step_"),
    ])
  }

  private func judge(_ measurement: Measurement, _ correlation: String, _ p: String) -> Judgement {
    var assessment = Assessment()
    let examples = assessment.take(["examples"], of: measurement)?.first ?? 0
    if examples < Self.minimumExamples {
      assessment.doubt("\(measurement.name) has fewer than \(Wording.whole(Self.minimumExamples)) examples")
    }
    let steps = measurement.series(correlation).compactMap { step, correlation in
      measurement["\(p)\(step)"].map { (step: step, correlation: correlation, p: $0) }
    }
    guard !steps.isEmpty else {
      assessment.miss("\(correlation)K and \(p)K in \(measurement.name)")
      return assessment.judgement(held: "")
    }
    for step in steps {
      assessment.note("rank correlation at step \(step.step)", step.correlation)
      assessment.note("p at step \(step.step)", step.p)
    }
    let share =
      Double(steps.count { $0.correlation >= Self.least && $0.p <= PermutationTest.level }) / Double(steps.count)
    assessment.note("share of steps with a clear correlation", share)
    if share <= Self.most {
      assessment.fail(
        "at half of the early steps or more, what is learned early has no clear rank correlation with that cosine")
    }
    return assessment.judgement(held: "At most early steps, examples with a larger cosine are learned earlier")
  }
}
