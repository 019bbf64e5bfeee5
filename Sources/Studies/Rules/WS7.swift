// SPDX-License-Identifier: Apache-2.0

/// What medians cost.
struct WS7: MeasuredRule {
  /// The paper's bounds.
  static let rolling = 0.01
  static let grouped = 0.3
  /// A median over fewer rounds moves by more than the percent in question.
  static let leastRounds = 20.0

  let claim = Claim(
    id: "WS-7", sentence: "RM3 takes less than 1 % longer than SGD, and M3 no more than about 30 %.",
    paper: Paper.weakAndStrong, section: "§3.3, last remark", setting: "ImageNet, ResNet-18, 8 GPUs")

  let kind = "step-cost"

  func judge(_ measurement: Measurement) -> Judgement {
    var assessment = Assessment()
    if let values = assessment.take(["seconds_sgd", "seconds_rm3", "seconds_m3", "rounds"], of: measurement) {
      guard values[0] > 0 else {
        assessment.miss("a time of an SGD step above 0")
        return assessment.judgement(held: "")
      }
      let (rm3, m3) = (values[1] / values[0] - 1, values[2] / values[0] - 1)
      assessment.note("overhead of RM3, percent", 100 * rm3)
      assessment.note("overhead of M3, percent", 100 * m3)
      if values[3] < Self.leastRounds {
        assessment.miss("\(Int(Self.leastRounds)) rounds of each by turns")
      } else {
        if rm3 >= Self.rolling { assessment.fail("RM3 takes at least 1 % longer than SGD") }
        if m3 >= Self.grouped { assessment.fail("M3 takes at least 30 % longer than SGD") }
      }
    }
    return assessment.judgement(
      held: "A step of RM3 takes less than 1 % longer than one of SGD, and one of M3 less than 30 %")
  }
}
