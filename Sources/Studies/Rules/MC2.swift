// SPDX-License-Identifier: Apache-2.0

import RunStore

/// Random labels are not near 1 throughout.
struct MC2: Rule {
  /// "Rises": the peak is at least twice the least value of the initial fall.
  static let rise = 2.0
  /// "Not near 1": twice what orthogonal gradients give.
  static let notNearOne = 2.0
  /// "Falls": the end is at most half of the peak.
  static let fall = 0.5
  /// "Well below real labels": the peak with real labels is at least twice the peak with random ones.
  static let wellBelow = 2.0

  let claim = Claim(
    id: "MC-2",
    sentence:
      "With random labels m-coherence is not near 1 throughout: it rises and falls, well below that with real labels.",
    paper: Paper.makingCoherence, section: "abstract, §1", setting: Paper.coherenceSetting)

  var varying: Set<Factor> { [.noise, .seed, .steps] }

  /// The runs at other levels do not count, so that the verdict does not name them.
  func reads(_ run: RunHistory) -> Bool { run.optimizer.isSGD && Level.contains(run.noise, in: [0, 1]) }

  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    runs.contains { Level.isEqual($0.noise, 1) && !$0.mCoherence("train").isEmpty }
  }

  let change: RuleChange? = RuleChange(
    "The same margins, on networks without batch normalisation: perceptrons, or residual networks with group "
      + "normalisation. With it the claim is not tested.",
    because:
      "Under running statistics most of the rise of r on random labels is not about labels: test images with their true "
      + "labels show nearly the same r (55 on training, 42 on test images at one step of the first runs), it jumps by a "
      + "factor of four from step to step, and statistics of the batch give 3 where running ones give 116.")

  /// What a network with batch normalisation is no test of.
  static let needsOtherNorm = "batch normalisation couples the examples; it takes --norm group:8"

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(runs, held: "With random labels r rises and falls, with a peak well below real labels’") {
      runs, assessment in
      if runs.contains(where: \.hasBatchNorm) { assessment.notTested(Self.needsOtherNorm) }
      Self.compare(real: runs.at(0), random: runs.at(1), &assessment)
    }
  }

  /// The courses with real and with random labels, of one seed.
  static func compare(real: RunHistory?, random: RunHistory?, _ assessment: inout Assessment) {
    func course(_ run: RunHistory?, _ level: Double) -> CoherenceCourse? {
      guard let run = assessment.need(run, Level.text(level)),
        let course = assessment.need(
          CoherenceCourse(of: run), "\(CoherenceCourse.minimumProbes) probes of coherence, \(Level.text(level))")
      else { return nil }
      assessment.note("peak r after the initial fall, \(Level.text(level))", course.peak.value)
      assessment.note("step of the peak, \(Level.text(level))", Double(course.peak.step))
      return course
    }
    let (ofReal, ofRandom) = (course(real, 0), course(random, 1))
    guard let ofRandom, let random else { return }
    judge(ofRandom, isFitted: random.isFitted, in: &assessment)
    guard let ofReal, let real else { return }
    if real.probeSizes("train") != random.probeSizes("train") || real.probeSizes("train").count != 1 {
      assessment.leaveOpen("the probes differ in m, which r grows with")
    } else if ofReal.peak.value < wellBelow * ofRandom.peak.value {
      if real.isFitted {
        assessment.fail("the peak with random labels is not well below that with real ones")
      } else {
        assessment.leaveOpen(
          "the peak with random labels is not well below that with real ones, which are not fitted yet")
      }
    }
  }

  private static func judge(_ random: CoherenceCourse, isFitted: Bool, in assessment: inout Assessment) {
    assessment.note("least r of the initial fall, 100 % noise", random.trough.value)
    assessment.note("last r, 100 % noise", random.end.value)
    let isResolved = (random.peakInterval?.lowerBound ?? .infinity) > max(1, random.troughInterval?.upperBound ?? 1)
    let rises = random.peak.value >= rise * random.trough.value && random.peak.value >= notNearOne && isResolved
    if let interval = random.peakInterval {
      assessment.note("peak r, 100 % noise, lower end of its interval", interval.lowerBound)
    }
    if !rises, isFitted {
      assessment.fail("r does not clearly rise after its initial fall with random labels")
    } else if !rises {
      assessment.leaveOpen("r has not risen yet, but the random labels are not fitted")
    } else if random.end.value > fall * random.peak.value {
      if isFitted {
        assessment.fail("r does not fall to half of its peak with random labels")
      } else {
        assessment.leaveOpen("r has not fallen yet, but the random labels are not fitted")
      }
    }
  }
}
