// SPDX-License-Identifier: Apache-2.0

import Foundation

/// RM3 learns an example the less, the more difficult it is.
struct WS10: Rule {
  /// How often an example is hard over eight starts.
  static let difficulties = 0...8
  /// Differences beyond two standard errors of a share of examples are real.
  static let errors = 2.0
  /// With fewer examples a share is known to hardly better than a tenth.
  static let leastExamples = 30
  /// From the easiest to the hardest at least five points, or RM3 learns all of them alike.
  static let leastFall = 0.05

  let claim = Claim(
    id: "WS-10", sentence: "The training accuracy of RM3 falls with the difficulty of the examples, from 0 to 8.",
    paper: Paper.weakAndStrong, section: "§4.3, figure 5 (a)",
    setting: "ImageNet, ResNet-18, RM3, 90 epochs: 99, 98, 97, 96, 94, 93, 91, 87 and 61 %")

  var varying: Set<Trait> { [.seed] }
  func reads(_ run: StudyRun) -> Bool { run.optimizer.name == "rm3" && run.noise == 0 }
  func isSpokenAbout(by runs: [StudyRun]) -> Bool {
    runs.contains { run in Self.difficulties.contains { run.count("train", Self.group($0)) > 0 } }
  }

  private static func group(_ difficulty: Int) -> String { "difficulty-\(difficulty)" }

  func judge(_ runs: [StudyRun]) -> Judgement {
    bySeed(runs) { runs in
      var assessment = Assessment()
      var shares: [(difficulty: Int, value: Double, variance: Double)] = []
      for difficulty in Self.difficulties {
        let count = runs.first?.count("train", Self.group(difficulty)) ?? 0
        guard let share = runs.first?.accuracy("train", Self.group(difficulty)).last?.value,
          count >= Self.leastExamples
        else {
          assessment.miss("rm3 on \(Self.leastExamples) examples of difficulty \(difficulty)")
          continue
        }
        assessment.note("final training accuracy, difficulty \(difficulty)", share)
        // Half an example keeps the error of a share of 0 or 1 above 0.
        let p = min(max(share, 0.5 / Double(count)), 1 - 0.5 / Double(count))
        shares.append((difficulty, share, p * (1 - p) / Double(count)))
      }
      for (before, after) in zip(shares, shares.dropFirst())
      where after.value - before.value > Self.errors * sqrt(before.variance + after.variance) {
        assessment.fail("accuracy rises from difficulty \(before.difficulty) to \(after.difficulty)")
      }
      if let first = shares.first, let last = shares.last, shares.count == Self.difficulties.count {
        let (fall, error) = (first.value - last.value, Self.errors * sqrt(first.variance + last.variance))
        if fall + error < Self.leastFall {
          assessment.fail("RM3 learns the hardest examples as well as the easiest ones")
        } else if fall - error < Self.leastFall {
          assessment.leaveOpen("accuracy falls by about five points, within two standard errors")
        }
      }
      return assessment.judgement(held: "The training accuracy of RM3 falls from difficulty 0 to difficulty 8")
    }
  }
}
