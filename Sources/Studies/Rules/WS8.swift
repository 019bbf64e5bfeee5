// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore

/// Winsorizing by count on CIFAR-10.
struct WS8: Rule {
  static let counts = [0, 2, 4]
  /// Two standard errors of the difference of two accuracies around one half, from 10 000 examples or from the fewest
  /// there are.
  static func resolution(of count: Int) -> Double { 1.5 / Double(max(1, min(10_000, count))).squareRoot() }
  /// Gaps up to this are nothing left to shrink.
  static let nothing = 0.05
  /// "Completely fails to learn": at most a fifth of the training set, which leaves room for chance.
  static let notLearned = 0.2
  /// "Completely memorizes": nine in ten of them. With less, there is too little that winsorizing could have prevented.
  static let memorized = 0.9
  /// "Does not change significantly": three points of test accuracy, several times what the seed of a ResNet-32 changes.
  static let kept = 0.03

  let claim = Claim(
    id: "WS-8",
    sentence:
      "Clipping the s largest and smallest gradients shrinks the generalization gap, the more the larger s; with s = 2 "
      + "test accuracy is kept, and random labels are no longer learned.",
    paper: Paper.weakAndStrong, section: "appendix B, figure 8", setting: Paper.countSetting)

  var varying: Set<Factor> { [.noise, .seed, .optimizer] }
  func reads(_ run: RunHistory) -> Bool {
    !run.isFullBatch && run.optimizer.clippedCount.map(Self.counts.contains) == true
      && Level.contains(run.noise, in: [0, 1])
  }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { runs.contains { ($0.optimizer.clippedCount ?? 0) > 0 } }

  let change: RuleChange? = RuleChange(
    "The same margins, as parts: (a) the gap with real labels, (b) test accuracy at s = 2, (c) random labels. Unless SGD "
      + "has learned nine in ten of the random labels, (c) is not tested.",
    because: "The claim says three things. The first runs had 4000 steps where the paper has 100 000: that \"the "
      + "model completely memorizes the training data\" at s = 0 (appendix B) was not yet so.")

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(runs) { runs in
      let parts: [(sentence: String, level: Double, judge: ([Int: RunHistory], inout Assessment) -> Void)] = [
        ("With real labels the gap shrinks as s grows.", 0, { compareGaps($0, level: Level.text(0), in: &$1) }),
        ("With s = 2 test accuracy is kept.", 0, { compareTest($0, in: &$1) }),
        ("With s = 2 and 4 random labels are not learned, which SGD memorises.", 1, { compareMemory($0, in: &$1) }),
      ]
      return .joining(
        parts.map { part in
          var assessment = Assessment()
          var found: [Int: RunHistory] = [:]
          for count in Self.counts {
            found[count] = runs.filter { $0.optimizer.clippedCount == count }.at(part.level)
            if found[count]?.finalGap == nil { assessment.miss("\(Self.word(count)), \(Level.text(part.level))") }
          }
          part.judge(found, &assessment)
          return (part.sentence, assessment.judgement(held: "It is so"))
        })
    }
  }

  private static func word(_ count: Int) -> String { count == 0 ? "sgd" : "winsorized:s=\(count)" }

  private func compareGaps(_ runs: [Int: RunHistory], level: String, in assessment: inout Assessment) {
    let gaps = Self.counts.compactMap { count in runs[count]?.finalGap.map { (count: count, gap: $0) } }
    for (count, gap) in gaps { assessment.note("gap, s = \(count), \(level)", gap) }
    if let plain = gaps.first, plain.count == 0, plain.gap <= Self.nothing {
      assessment.leaveOpen("SGD has no gap at \(level), so there is nothing to shrink")
    }
    let counts = runs.values.flatMap { [$0.count("train"), $0.count("test")] }
    let resolution = Self.resolution(of: counts.min() ?? 0)
    for (before, after) in zip(gaps, gaps.dropFirst()) {
      if after.gap > before.gap + resolution {
        assessment.fail("the gap grows from s = \(before.count) to s = \(after.count) at \(level)")
      } else if after.gap > before.gap - resolution, before.gap > Self.nothing {
        assessment.leaveOpen("s = \(before.count) and s = \(after.count) leave the same gap at \(level)")
      }
    }
  }

  private func compareTest(_ runs: [Int: RunHistory], in assessment: inout Assessment) {
    guard let plain = runs[0]?.accuracy("test").last?.value, let few = runs[2]?.accuracy("test").last?.value else {
      return
    }
    assessment.note("test accuracy, s = 0, 0 % noise", plain)
    assessment.note("test accuracy, s = 2, 0 % noise", few)
    if few < plain - Self.kept { assessment.fail("s = 2 costs more than three points of test accuracy") }
  }

  private func compareMemory(_ runs: [Int: RunHistory], in assessment: inout Assessment) {
    for count in Self.counts {
      guard let train = runs[count]?.accuracy("train").last?.value else { continue }
      assessment.note("training accuracy, s = \(count), 100 % noise", train)
      if count == 0, train < Self.memorized {
        assessment.notTested(
          "SGD has learned \(Wording.whole(100 * train)) % of the random labels, not nine in ten, so there is too little to "
            + "prevent; it takes longer training")
      } else if count > 0, train > Self.notLearned {
        assessment.fail("with s = \(count) more than a fifth of the random labels are learned")
      }
    }
  }
}
