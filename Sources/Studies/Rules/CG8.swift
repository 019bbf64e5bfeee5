// SPDX-License-Identifier: Apache-2.0

/// Winsorizing slows overfitting, the more the larger c.
struct CG8: Rule {
  static let clipped = [0, 1, 2, 4, 8]
  /// The slope is taken until plain SGD is at this share of its largest overfit: later its curve is flat because there
  /// is nothing left to overfit, not because it is slow.
  static let saturation = 0.9
  /// Plain SGD has to overfit by five points of accuracy, or there is nothing to slow.
  static let leastOverfit = 0.05
  /// Differences up to this share of plain SGD's slope are ties, and so is everything below it: no slope left to slow.
  static let resolution = 0.05
  /// One noise level alone would be one case.
  static let leastLevels = 2

  let claim = Claim(
    id: "CG-8", sentence: "Winsorizing slows the growth of overfitting, the more so the larger c, at each noise level.",
    paper: Paper.coherentGradients, section: "§3.3, figure 4", setting: Paper.winsorizedSetting)

  var varying: Set<Trait> { [.noise, .seed, .optimizer] }
  func reads(_ run: StudyRun) -> Bool { run.optimizer.clipped != nil }
  func isSpokenAbout(by runs: [StudyRun]) -> Bool { runs.contains { ($0.optimizer.clipped ?? 0) > 0 } }

  func judge(_ runs: [StudyRun]) -> Judgement {
    bySeed(runs) { runs in
      var assessment = Assessment()
      var judged = 0
      for level in runs.levels {
        let here = runs.filter { Level.isEqual($0.noise, level) }
        if judge(here, level: Level.text(level), in: &assessment) { judged += 1 }
      }
      for level in Level.all where !Level.contains(level, in: runs.levels) {
        assessment.miss("SGD and winsorized:c=1 to c=8, \(Level.text(level))")
      }
      if judged < Self.leastLevels {
        let reason = "\(Self.leastLevels) noise levels at which SGD overfits by \(Self.leastOverfit)"
        let plain = runs.filter { $0.optimizer.clipped == 0 }.levels
        if Level.all.allSatisfy({ Level.contains($0, in: plain) }) {
          assessment.leaveOpen("there are not \(reason)")
        } else {
          assessment.miss(reason)
        }
      }
      return assessment.judgement(
        held: "The slope of the overfit curve falls with c, or has nothing left to fall, at \(judged) noise levels")
    }
  }

  /// Whether the level could be judged.
  private func judge(_ runs: [StudyRun], level: String, in assessment: inout Assessment) -> Bool {
    func run(_ c: Int) -> StudyRun? { runs.first { $0.optimizer.clipped == c } }
    guard let plain = run(0)?.overfit, let peak = plain.peak else {
      assessment.miss("SGD, \(level)")
      return false
    }
    assessment.note("largest overfit of SGD, \(level)", peak.value)
    guard peak.value >= Self.leastOverfit else { return false }
    guard let end = plain.firstStep(reaching: Self.saturation * peak.value), let first = plain.slope(upTo: end),
      first > 0
    else {
      assessment.miss("evaluations of SGD while its overfit still grows, \(level)")
      return false
    }
    var before = (c: 0, slope: first)
    assessment.note("overfit per 1000 steps, c = 0, \(level)", first * 1000)
    for c in Self.clipped.dropFirst() {
      guard let slope = run(c)?.overfit.slope(upTo: end) else {
        assessment.miss("winsorized:c=\(c), \(level)")
        continue
      }
      assessment.note("overfit per 1000 steps, c = \(c), \(level)", slope * 1000)
      let floor = Self.resolution * first
      if slope > before.slope + floor {
        assessment.fail("overfitting is faster with c = \(c) than with c = \(before.c) at \(level)")
      } else if slope > before.slope - floor, before.slope > floor {
        assessment.leaveOpen("c = \(before.c) and c = \(c) slow overfitting equally at \(level)")
      }
      before = (c, slope)
    }
    return true
  }
}
