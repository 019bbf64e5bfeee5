// SPDX-License-Identifier: Apache-2.0

/// Hard examples do not teach the easy ones.
struct WS11: Rule {
  /// "High": two thirds of the easy test examples, when easy ones were trained on.
  static let high = 2.0 / 3
  /// "Low": at most two thirds of that accuracy. The paper's largest low value, 44 %, is half of its 85 %.
  static let low = 2.0 / 3

  let claim = Claim(
    id: "WS-11",
    sentence:
      "Trained on easy examples, accuracy is high on easy ones and low on hard ones; trained on hard examples, it is low "
      + "on both.",
    paper: Paper.weakAndStrong, section: "§4.4", setting: Paper.hardnessSetting + ": 85, 17, 44 and 21 %")

  var varying: Set<Trait> { [.seed, .split, .examples, .steps] }
  func reads(_ run: StudyRun) -> Bool { WS9().reads(run) }
  func isSpokenAbout(by runs: [StudyRun]) -> Bool {
    runs.contains { run in
      WS9.kinds.contains { $0 != run.split && !run.accuracy("test", $0).isEmpty }
    }
  }

  func judge(_ runs: [StudyRun]) -> Judgement {
    var assessment = Assessment()
    var table: [String: SeedMean] = [:]
    for trained in WS9.kinds {
      for tested in WS9.kinds {
        table["\(trained) to \(tested)"] = assessment.seedMean(
          "test accuracy, \(trained) to \(tested)", of: runs.filter { $0.split == trained },
          missing: "the split \(trained) with a test group \(tested)"
        ) { $0.accuracy("test", tested).last?.value }
      }
    }
    if let best = table["easy to easy"] {
      switch best.isAbove(Self.high) {
      case true?: break
      case false?: assessment.fail("accuracy from easy to easy is below two thirds")
      case nil: assessment.leaveOpen("accuracy from easy to easy is two thirds, within two standard errors")
      }
      for way in ["easy to hard", "hard to easy", "hard to hard"] {
        guard let other = table[way] else { continue }
        let limit = SeedMean(best.values.map { Self.low * $0 })
        switch other.isAbove(limit) {
        case true?: assessment.fail("accuracy from \(way) is not low: above two thirds of that from easy to easy")
        case false?: break
        case nil:
          assessment.leaveOpen(
            "accuracy from \(way) is two thirds of that from easy to easy, within two standard errors")
        }
      }
    }
    return assessment.judgement(
      held: "From easy to easy accuracy is high; from easy to hard and from hard examples it is low")
  }
}
