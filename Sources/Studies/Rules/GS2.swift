// SPDX-License-Identifier: Apache-2.0

import RunStore

/// The window of group sizes. No paper's claim.
struct GS2: PooledRule {
  /// Suppressed: at most half of what SGD learns of the corrupt labels.
  static let suppressed = 0.5
  /// SGD has to memorise, or there is nothing to suppress.
  static let memorised = 0.5
  /// Fewer settings have no order.
  static let minimumSettings = 4

  let claim = Claim(
    id: "GS-2",
    sentence:
      "Among settings in which SGD memorises, RM3 and M3 suppress the more, the more training examples there are for the "
      + "size of a group (N/b).",
    paper: Paper.thisProject, section: "group size", setting: Paper.thisSetting)

  func reads(_ run: RunHistory) -> Bool { GS1().reads(run) }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { GS1().isSpokenAbout(by: runs) }

  func judge(_ runs: [RunHistory]) -> Judgement {
    let points = PushPoint.points(of: runs)
    return .joining(
      ["rm3", "m3"].map { name in
        var assessment = Assessment()
        let own = points.filter { $0.optimizer == name && $0.learnedBySGD >= Self.memorised }
        for point in own {
          assessment.note(
            "corrupt labels learned over SGD’s, \(name), \(point.setting)", point.learned / point.learnedBySGD)
        }
        if own.count < Self.minimumSettings {
          assessment.notTested(
            "it takes \(Self.minimumSettings) settings in which SGD learns half of the corrupt labels (\(own.count) so far)"
          )
        } else if let rho = RankCorrelation(own.map(\.examplesPerGroup), own.map { -$0.learned / $0.learnedBySGD }) {
          assessment.note("rank correlation of N/b with suppression, \(name)", rho.value)
          if rho.value <= 0 { assessment.fail("suppression does not grow with N/b") }
          let best = own.max { $0.examplesPerGroup < $1.examplesPerGroup }
          if let best, best.learned > Self.suppressed * best.learnedBySGD {
            assessment.leaveOpen("at the largest N/b more than half of what SGD learns is learned still")
          }
        } else {
          assessment.leaveOpen("settings are all alike")
        }
        let judgement = assessment.judgement(held: "It does, and at the largest N/b by more than half")
        return ("\(name.uppercased()) suppresses the more, the larger N/b.", judgement)
      })
  }
}
