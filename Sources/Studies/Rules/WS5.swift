// SPDX-License-Identifier: Apache-2.0

/// Medians amplify strong directions.
struct WS5: Rule {
  /// Amplified: M3's step is longer than the mean's along the common gradient by five percent, at two probes in a row. One
  /// probe averages a few mini-batches only and can be above 1 by chance.
  static let amplified = 1.05
  static let inARow = 2
  /// A spike: the training loss is half as large again as at the evaluation before.
  static let spike = 1.5
  /// Below this loss, in nats, jumps are of no account: the mean probability of the label is above 95 %.
  static let leastLoss = 0.05

  let claim = Claim(
    id: "WS-5",
    sentence:
      "Without label noise M3 can be unstable: the median amplifies strong directions, so that its steps along the "
      + "common gradient are larger than SGD’s.",
    paper: Paper.weakAndStrong, section: "§3.3, remark, figure 2 (g)", setting: Paper.imageNetSetting)

  var varying: Set<Trait> { [.seed, .optimizer, .batchSize, .steps] }
  func reads(_ run: StudyRun) -> Bool {
    run.noise == 0 && !run.isFullBatch && (run.optimizer.isSGD || run.optimizer.name == "m3")
  }
  func groups(of runs: [StudyRun]) -> [[StudyRun]] {
    Matching.groups(runs, varying: varying).map(\.atOneBatchSize)
  }
  func isSpokenAbout(by runs: [StudyRun]) -> Bool {
    runs.contains { $0.optimizer.name == "m3" && !$0.measure("median_along_mean").isEmpty }
  }

  func judge(_ runs: [StudyRun]) -> Judgement {
    bySeed(runs) { runs in
      var assessment = Assessment()
      for name in ["sgd", "m3"] {
        guard let run = runs.filter({ $0.optimizer.name == name }).at(0) else {
          assessment.miss("\(name), \(Level.text(0))")
          continue
        }
        assessment.note("loss spikes, \(name)", Double(Self.spikes(of: run)))
        if name == "m3" { judge(run, in: &assessment) }
      }
      return assessment.judgement(held: "Along the common gradient M3’s steps are larger than the mean’s")
    }
  }

  private func judge(_ run: StudyRun, in assessment: inout Assessment) {
    let along = run.measure("median_along_mean")
    guard along.points.count >= CoherenceCourse.leastProbes else {
      return assessment.miss("\(CoherenceCourse.leastProbes) probes of medians (--probe median), m3")
    }
    let lengths = run.measure("median_norm_ratio")
    let above = along.points.count { $0.value >= Self.amplified }
    assessment.note("largest M3 step along the common gradient, against SGD’s", along.peak?.value)
    assessment.note("step of the largest", along.peak.map { Double($0.step) })
    assessment.note("share of probes at which it is larger by five percent", Double(above) / Double(along.points.count))
    assessment.note("M3 step length against SGD’s, there", along.peak.flatMap { lengths[$0.step] })
    let isSustained = along.points.indices.dropLast(Self.inARow - 1).contains { start in
      along.points[start..<start + Self.inARow].allSatisfy { $0.value >= Self.amplified }
    }
    if !isSustained { assessment.fail("M3’s steps along the common gradient are not clearly larger than the mean’s") }
  }

  private static func spikes(of run: StudyRun) -> Int {
    let points = run.loss("train").points
    return zip(points, points.dropFirst()).count { before, after in
      after.value > spike * before.value && after.value > leastLoss
    }
  }
}
