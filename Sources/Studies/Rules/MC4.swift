// SPDX-License-Identifier: Apache-2.0

import RunStore

/// Broad rise, peak, return towards 1.
struct MC4: Rule {
  /// "Rise": the peak is at least twice the least value of the initial fall.
  static let rise = 2.0
  /// "Broad": r is above half of its peak for at least a factor of two in steps, so no single spike.
  static let breadth = 2.0
  /// "Return towards 1": at most a quarter of the way from 1 to the peak is left.
  static let left = 0.25

  let claim = Claim(
    id: "MC-4",
    sentence:
      "m-coherence rises broadly, peaks and returns towards 1 as the examples are fitted; with more noise the peak "
      + "comes later.",
    paper: Paper.makingCoherence, section: "experiments", setting: Paper.coherenceSetting)

  var varying: Set<Factor> { [.noise, .seed, .steps] }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    runs.levels.count > 1 && runs.contains { $0.mCoherence("train").points.count > 1 }
  }

  let change: RuleChange? = RuleChange(
    "The same margins, on networks without batch normalisation; with it the claim is not tested.",
    because: "As for MC-2: under running statistics the trajectory is that of the normalisation, not of the labels.")

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(runs, held: "At every noise level r rises, peaks and returns, later with more noise") { runs, assessment in
      if runs.contains(where: \.hasBatchNorm) { assessment.notTested(MC2.needsOtherNorm) }
      var peaks: [(level: Double, value: Double)] = []
      for level in [0.0, 1] where runs.at(level) == nil { assessment.miss(Level.text(level)) }
      for run in runs.levels.compactMap(runs.at) {
        guard let course = CoherenceCourse(of: run) else {
          assessment.miss("\(CoherenceCourse.minimumProbes) probes of coherence, \(Level.text(run.noise))")
          continue
        }
        if judge(course, of: run, in: &assessment) { peaks.append((run.noise, Double(course.peak.step))) }
      }
      Trend(peaks, tolerance: 0).assess(
        &assessment, of: "the step of the peak", falling: "comes earlier", tied: "is the same")
    }
  }

  /// Whether there is a peak whose time means something.
  private func judge(_ course: CoherenceCourse, of run: RunHistory, in assessment: inout Assessment) -> Bool {
    let level = Level.text(run.noise)
    let remaining = (course.end.value - 1) / (course.peak.value - 1)
    let breadth = (course.aboveHalf.upperBound + 1) / (course.aboveHalf.lowerBound + 1)
    assessment.note("least r of the initial fall, \(level)", course.trough.value)
    assessment.note("peak r, \(level)", course.peak.value)
    assessment.note("step of the peak, \(level)", Double(course.peak.step))
    assessment.note("steps above half of the peak, last to first, \(level)", breadth)
    assessment.note("last r, \(level)", course.end.value)
    guard run.isFitted else {
      assessment.leaveOpen("the examples are not fitted yet at \(level)")
      return false
    }
    guard course.peak.value >= Self.rise * course.trough.value, course.peak.value > 1 else {
      assessment.fail("r does not clearly rise after its initial fall at \(level)")
      return false
    }
    if breadth < Self.breadth { assessment.fail("the rise is a spike at \(level)") }
    if remaining > Self.left { assessment.fail("r does not return towards 1 at \(level)") }
    return true
  }
}
