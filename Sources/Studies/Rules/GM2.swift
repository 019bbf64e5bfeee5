// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Real labels are far more coherent than random ones, on training and test examples.
struct GM2: Rule {
  /// "≫": on average at least twice the m-coherence.
  static let muchMore = 2.0
  /// Along the loss, r is compared at so many levels, evenly in the logarithm.
  static let levels = 10
  /// The losses that both runs go through after the initial fall have to span a factor of two.
  static let leastSpan = 2.0

  let claim = Claim(
    id: "GM-2",
    sentence:
      "Coherence with real labels is much higher than with random ones, on training and on test examples, by epoch and "
      + "by training loss.",
    paper: Paper.generalizationMystery, section: "figure 3", setting: Paper.mysterySetting)

  var varying: Set<Trait> { [.noise, .seed, .steps] }
  func reads(_ run: StudyRun) -> Bool { run.optimizer.isSGD && Level.contains(run.noise, in: [0, 1]) }
  func isSpokenAbout(by runs: [StudyRun]) -> Bool {
    runs.levels.count > 1 && runs.contains { !$0.coherence("test").isEmpty }
  }

  func judge(_ runs: [StudyRun]) -> Judgement {
    bySeed(runs) { runs in
      var assessment = Assessment()
      for level in [0.0, 1] where runs.at(level) == nil { assessment.miss(Level.text(level)) }
      if let real = runs.at(0), let random = runs.at(1) {
        for split in ["train", "test"] { compare(real, random, on: split, in: &assessment) }
      }
      return assessment.judgement(
        held: "With real labels r is at least twice that with random ones, on both splits, by epoch and by loss")
    }
  }

  private func compare(_ real: StudyRun, _ random: StudyRun, on split: String, in assessment: inout Assessment) {
    let runs = [real, random]
    let courses = runs.compactMap { CoherenceCourse(of: $0.coherence(split)) }
    guard courses.count == runs.count else {
      return assessment.miss("\(CoherenceCourse.leastProbes) probes of coherence on \(split) examples with both labels")
    }
    assessment.note("peak r after the initial fall, 0 % noise, \(split)", courses[0].peak.value)
    assessment.note("peak r after the initial fall, 100 % noise, \(split)", courses[1].peak.value)
    guard real.probeSizes(split) == random.probeSizes(split), real.probeSizes(split).count == 1 else {
      return assessment.leaveOpen("the probes on \(split) examples differ in m, which r grows with")
    }
    // Early on r falls from near m with any labels: what is compared comes after that.
    let fallen = max(courses[0].trough.step, courses[1].trough.step)
    let ratios = [
      ("by epoch", real.coherence(split).meanRatio(to: random.coherence(split), from: fallen)),
      ("by training loss", Self.ratioByLoss(real, random, on: split, fallen: courses.map(\.trough.step))),
    ]
    for (axis, ratio) in ratios {
      guard let ratio else {
        assessment.leaveOpen(
          "too little of training is common to both labels to compare r on \(split) examples \(axis)")
        continue
      }
      assessment.note("mean ratio of r, real to random, \(split), \(axis)", ratio)
      if ratio < Self.muchMore {
        assessment.fail("r with real labels is not twice that with random ones on \(split) examples, \(axis)")
      }
    }
  }

  /// The geometric mean over common training losses of the ratio of r when each run first gets down to that loss.
  private static func ratioByLoss(
    _ real: StudyRun, _ random: StudyRun, on split: String, fallen: [Int]
  ) -> Double? {
    let runs = zip([real, random], fallen).map { run, step in
      let loss = run.loss("train")
      return (r: run.coherence(split), loss: Curve(loss.points.filter { $0.step >= step }.map { ($0.step, $0.value) }))
    }
    let (tops, bottoms) = (
      runs.compactMap { $0.loss.points.first?.value }, runs.compactMap { $0.loss.points.map(\.value).min() }
    )
    guard tops.count == 2, let top = tops.min(), let bottom = bottoms.max(), bottom > 0, top >= leastSpan * bottom
    else {
      return nil
    }
    let logarithms = (0..<levels).compactMap { index -> Double? in
      let level = top * pow(bottom / top, Double(index) / Double(levels - 1))
      // A hair above, so that rounding does not lose the lowest level.
      let values = runs.compactMap { run in
        run.loss.firstStep(downTo: level * (1 + 1e-9)).flatMap(run.r.value).flatMap { $0 > 0 ? $0 : nil }
      }
      return values.count == 2 ? log(values[0] / values[1]) : nil
    }
    guard logarithms.count >= levels / 2 else { return nil }
    return exp(logarithms.reduce(0, +) / Double(logarithms.count))
  }
}
