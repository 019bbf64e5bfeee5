// SPDX-License-Identifier: Apache-2.0

import RunStore

/// Easy examples generalise better than hard ones, and are learned faster.
struct WS9: Rule {
  static let kinds = ["easy", "hard"]
  /// "Early": up to the first evaluation at which the easy examples are half right; before there is little to compare,
  /// long after it both losses are at their ends.
  static let early = 0.5
  /// A gap is small when little was learned, too: the easy examples have to be as well learned, but for five points.
  static let lessLearned = 0.05

  let claim = Claim(
    id: "WS-9",
    sentence: "Easy examples generalise better to easy ones than hard examples to hard ones, and are learned faster.",
    paper: Paper.weakAndStrong, section: "§4.2, figure 4", setting: Paper.hardnessSetting)

  var varying: Set<Factor> { [.seed, .split, .examples, .steps] }
  func reads(_ run: RunHistory) -> Bool {
    run.optimizer.isSGD && run.noise == 0 && run.split.map(Self.kinds.contains) == true
  }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { !runs.isEmpty }

  func judge(_ runs: [RunHistory]) -> Judgement {
    var assessment = Assessment()
    let (easy, hard) = (runs.filter { $0.split == "easy" }, runs.filter { $0.split == "hard" })
    let train = [("easy", easy), ("hard", hard)].compactMap { kind, own in
      assessment.seedMean("final training accuracy, \(kind)", of: own, missing: "the split \(kind)") {
        $0.accuracy("train").last?.value
      }
    }
    let gaps = [("easy", easy), ("hard", hard)].compactMap { kind, own in
      assessment.seedMean("gap, \(kind)", of: own, missing: "the split \(kind) with a test group \(kind)") {
        $0.gap(to: kind)
      }
    }
    if train.count == 2, train[0].mean < train[1].mean - Self.lessLearned {
      assessment.doubt("the easy examples are not as well learned as the hard ones, which makes their gap small")
    }
    if gaps.count == 2 {
      assessment.expect(
        gaps[1].isAbove(gaps[0]), else: "the gap of easy examples is larger than that of hard ones",
        open: "the gaps of easy and hard examples are within two standard errors of each other")
    }
    compareSlopes(easy, hard, in: &assessment)
    return assessment.judgement(held: "The gap of easy examples is smaller, and their loss falls faster")
  }

  private func compareSlopes(_ easy: [RunHistory], _ hard: [RunHistory], in assessment: inout Assessment) {
    var leads: [Double] = []
    var slopes = (easy: [Double](), hard: [Double]())
    for run in easy.onePerSeed {
      guard let other = hard.onePerSeed.first(where: { $0.seed == run.seed }),
        let step = run.accuracy("train").points.first(where: { $0.value >= Self.early && $0.step > 0 })?.step,
        let own = Self.slope(of: run, upTo: step), let against = Self.slope(of: other, upTo: step)
      else { continue }
      leads.append(own - against)
      slopes.easy.append(own * 1000)
      slopes.hard.append(against * 1000)
    }
    guard leads.count >= SeedMean.minimumSeeds else {
      return assessment.miss("early training losses of \(SeedMean.minimumSeeds) seeds in both splits")
    }
    assessment.note(NamedValue("early fall of the training loss per 1000 steps, easy", values: slopes.easy))
    assessment.note(NamedValue("early fall of the training loss per 1000 steps, hard", values: slopes.hard))
    assessment.expect(
      SeedMean(leads).isAbove(0), else: "the early loss of easy examples falls more slowly",
      open: "the early losses fall equally fast, within two standard errors")
  }

  private static func slope(of run: RunHistory, upTo step: Int) -> Double? {
    let loss = run.loss("train")
    guard let start = loss[0], let end = loss.value(at: step), step > 0 else { return nil }
    return (start - end) / Double(step)
  }
}

extension RunHistory {
  /// Training accuracy less the accuracy on a group of test examples, at the last step that has both.
  func gap(to group: String) -> Double? {
    let test = accuracy("test", group)
    return accuracy("train").points.last { test[$0.step] != nil }.flatMap { point in
      test[point.step].map { point.value - $0 }
    }
  }
}
