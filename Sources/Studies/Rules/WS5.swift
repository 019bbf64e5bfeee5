// SPDX-License-Identifier: Apache-2.0

import RunStore

/// Medians amplify strong directions.
struct WS5: Rule {
  /// Amplified: M3's step is longer than the mean's along the strong coordinates by five percent, at two probes in a row.
  /// One probe averages a few mini-batches only and can be above 1 by chance.
  static let amplified = 1.05
  static let inARow = 2
  /// A spike: the training loss is half as large again as at the evaluation before.
  static let spike = 1.5
  /// Below this loss, in nats, jumps are of no account: the mean probability of the label is above 95 %.
  static let minimumLoss = 0.05

  let claim = Claim(
    id: "WS-5",
    sentence:
      "Without label noise M3 can be unstable: the median amplifies strong directions, so that its steps along the "
      + "common gradient are larger than SGD’s.",
    paper: Paper.weakAndStrong, section: "§3.3, remark, figure 2 (g)", setting: Paper.imageNetSetting)

  var varying: Set<Factor> { [.seed, .optimizer, .batchSize, .steps] }
  func reads(_ run: RunHistory) -> Bool {
    run.noise == 0 && !run.isFullBatch && (run.optimizer.isSGD || run.optimizer.name == "m3")
  }
  func groups(of runs: [RunHistory]) -> [[RunHistory]] { Matching.groups(runs, varying: varying).map(\.atOneBatchSize) }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    runs.contains { $0.optimizer.name == "m3" && !$0.measure("median_along_strong").isEmpty }
  }

  let change: RuleChange? = RuleChange(
    "(a) Along the coordinates in which groups' gradients agree (a signal-to-noise ratio of 1 or more, chosen on half of "
      + "the mini-batches, measured on the other half) M3's steps are longer than the mean's by five percent at two probes "
      + "in a row. (b) M3 has more loss spikes than SGD, by two standard errors over seeds.",
    because: "\"This may lead to larger steps in the strong directions which could increase loss (optimization "
      + "instability).\" The common gradient, along which the first version measured, is a sum of strong directions and of "
      + "weak ones, and loss spikes were counted but not used.")

  func judge(_ runs: [RunHistory]) -> Judgement {
    .joining([
      "The median amplifies strong directions.":
        bySeed(runs, held: "M3’s steps along them are longer than the mean’s") { runs, assessment in
          let own = runs.filter { $0.optimizer.name == "m3" }.at(0)
          if let run = assessment.need(own, "m3, \(Level.text(0))") { judge(run, in: &assessment) }
        },
      "M3 is less stable than SGD.": judgeSpikes(runs),
    ])
  }

  private func judge(_ run: RunHistory, in assessment: inout Assessment) {
    let along = run.measure("median_along_strong")
    guard along.points.count >= CoherenceCourse.minimumProbes else {
      return assessment.miss("\(CoherenceCourse.minimumProbes) probes of medians (--probe median), m3")
    }
    let above = along.points.count { $0.value >= Self.amplified }
    assessment.note("largest M3 step along strong coordinates, against SGD’s", along.peak?.value)
    assessment.note("step of the largest", along.peak.map { Double($0.step) })
    assessment.note("share of probes at which it is larger by five percent", Double(above) / Double(along.points.count))
    assessment.note(
      "share of coordinates that are strong, there", along.peak.flatMap { run.measure("strong_share")[$0.step] })
    assessment.note(
      "largest M3 step along the common gradient, against SGD’s", run.measure("median_along_mean").peak?.value)
    let isSustained = along.points.indices.dropLast(Self.inARow - 1).contains { start in
      along.points[start..<start + Self.inARow].allSatisfy { $0.value >= Self.amplified }
    }
    if !isSustained { assessment.fail("M3’s steps along strong coordinates are not clearly longer than the mean’s") }
  }

  private func judgeSpikes(_ runs: [RunHistory]) -> Judgement {
    var assessment = Assessment()
    func spikes(_ name: String) -> SeedMean? {
      assessment.seedMean(
        "loss spikes, \(name)", of: runs.filter { $0.optimizer.name == name }, missing: "\(name), \(Level.text(0))"
      ) { Double(Self.spikes(of: $0)) }
    }
    if let sgd = spikes("sgd"), let m3 = spikes("m3") {
      if sgd.mean == 0, m3.mean == 0 {
        assessment.fail("neither M3 nor SGD has a loss spike")
      } else {
        assessment.expect(
          m3.isAbove(sgd), else: "M3 has fewer loss spikes than SGD",
          open: "M3 and SGD have as many loss spikes within two standard errors")
      }
    }
    return assessment.judgement(held: "M3 has more loss spikes than SGD")
  }

  private static func spikes(of run: RunHistory) -> Int {
    let points = run.loss("train").points
    return zip(points, points.dropFirst()).count { before, after in
      after.value > spike * before.value && after.value > minimumLoss
    }
  }
}
