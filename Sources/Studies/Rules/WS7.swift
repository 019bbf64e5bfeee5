// SPDX-License-Identifier: Apache-2.0

import Charts

/// What medians cost.
struct WS7: MeasuredRule {
  /// The paper's bounds.
  static let rolling = 0.01
  static let grouped = 0.3
  /// A median over fewer rounds moves by more than the percent in question.
  static let minimumRounds = 20.0

  let claim = Claim(
    id: "WS-7", sentence: "RM3 takes less than 1 % longer than SGD, and M3 no more than about 30 %.",
    paper: Paper.weakAndStrong, section: "§3.3, last remark", setting: "ImageNet, ResNet-18, 8 GPUs")

  let change: RuleChange? = RuleChange(
    "The same margins, for each kind of network a part of its own: (a) one for images, (b) a fully connected one.",
    because:
      "The first runs had ResNet-32 alone. A median costs time by the weight, a step by the weight and by each position at "
      + "which it is used, so that a network without convolutions pays more: on 784-2048-10 RM3 takes 17 to 27 % longer."
  )

  let kind = "step-cost"
  static let fullyConnected = "step-cost-perceptron"
  var kinds: [String] { [kind, Self.fullyConnected] }
  let basis = "training steps in turn"

  func judge(_ measurements: [Measurement]) -> Judgement {
    .joining([
      "A network for images.": judge(measurements, of: kind),
      "A fully connected network.": judge(measurements, of: Self.fullyConnected),
    ])
  }

  func judge(_ measurement: Measurement) -> Judgement {
    var assessment = Assessment()
    let place = measurement.kind == kind ? ", network for images" : ", fully connected"
    let times = assessment.take(
      ["seconds_sgd", "seconds_rm3", "seconds_m3", "rounds"], of: measurement, where: place)
    if let times, times[3] < Self.minimumRounds {
      assessment.miss("\(Wording.whole(Self.minimumRounds)) rounds of each in turn")
    }
    for (word, name, most) in [("rm3", "RM3", Self.rolling), ("m3", "M3", Self.grouped)] {
      let quantities = ["", "_low", "_high"].map { "ratio_\(word)\($0)" }
      guard let ratios = assessment.take(quantities, of: measurement, where: place) else { continue }
      // All of the interval has to lie on one side: the machine moves a step by more than a percent.
      if ratios[1] >= 1 + most {
        assessment.fail("\(name) takes at least \(Wording.whole(100 * most)) % longer than SGD")
      } else if ratios[2] >= 1 + most {
        assessment.leaveOpen(
          "the interval of \(name)'s step relative to SGD's reaches beyond \(Wording.whole(100 * most)) %")
      }
    }
    return assessment.judgement(
      held: "A step of RM3 takes less than 1 % longer than one of SGD, and one of M3 less than 30 %")
  }
}
