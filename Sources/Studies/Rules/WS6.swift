// SPDX-License-Identifier: Apache-2.0

import RunStore
import Foundation

/// With larger mini-batches RM3 behaves like SGD.
struct WS6: Rule {
  /// Two sizes could differ by chance in either direction; three have a trend.
  static let minimumSizes = 3
  /// Where SGD overfits by less, there is nothing to behave like.
  static let minimumOverfit = 0.05
  /// Where SGD is compared: half-way to what it ends with.
  static let progress = 0.5

  let claim = Claim(
    id: "WS-6",
    sentence: "The larger the mini-batch, the more RM3 behaves like SGD: their overfitting converges.",
    paper: Paper.weakAndStrong, section: "§3.3, last remark", setting: Paper.imageNetSetting)

  /// Equally many updates at every size: with equal passes large batches would learn too little to overfit at all.
  var varying: Set<Factor> { [.seed, .optimizer, .batchSize] }
  func reads(_ run: RunHistory) -> Bool { run.optimizer.isSGD || ["rm3", "ra3"].contains(run.optimizer.name) }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    Set(runs.filter { $0.optimizer.name == "rm3" }.compactMap(\.manifest.batchSize)).count > 1
  }

  let change: RuleChange? = RuleChange(
    "At the step at which SGD of the same size and seed is half-way to its final overfit: RM3's overfit over SGD's rises "
      + "towards 1 from the smallest to the largest size, by two standard errors over seeds, and never falls beyond them. "
      + "(b) RA3's, the control, is 1 within two standard errors at each size.",
    because:
      "\"The larger the mini-batch, the more it behaves like SGD\" (§3.3) is about the way to the end: the first version "
      + "compared the ends, where at most sizes everything is memorised and any two optimizers are alike.")

  func judge(_ runs: [RunHistory]) -> Judgement {
    .joining([
      "RM3's overfitting comes nearer to SGD's as mini-batches grow.": judgeSizes(runs),
      "RA3's, the control, is SGD's at every size.": judgeControl(runs),
    ])
  }

  private func judgeSizes(_ runs: [RunHistory]) -> Judgement {
    var assessment = Assessment()
    let ratios = ratios(runs, of: "rm3", in: &assessment)
    guard ratios.count >= Self.minimumSizes, let first = ratios.first, let last = ratios.last else {
      assessment.miss("\(Self.minimumSizes) batch sizes with SGD and RM3")
      return assessment.judgement(held: "")
    }
    for (before, after) in zip(ratios, ratios.dropFirst()) where after.mean.isAbove(before.mean) == false {
      assessment.fail("RM3 and SGD move apart from batch \(before.size) to batch \(after.size)")
    }
    assessment.expect(
      last.mean.isAbove(first.mean),
      else: "they differ more at batch \(last.size) than at batch \(first.size)",
      open: "they differ equally at batch \(first.size) and \(last.size), within two standard errors")
    return assessment.judgement(held: "From batch \(first.size) to batch \(last.size) they converge")
  }

  private func judgeControl(_ runs: [RunHistory]) -> Judgement {
    var assessment = Assessment()
    let ratios = ratios(runs, of: "ra3", in: &assessment)
    if ratios.isEmpty { assessment.miss("RA3 at the sizes of RM3") }
    for ratio in ratios where ratio.mean.isAbove(1) != nil && abs(ratio.mean.mean - 1) > WS2.alike {
      assessment.fail("RA3's overfit differs from SGD's at batch \(ratio.size)")
    }
    return assessment.judgement(held: "At every size RA3's overfit is SGD's")
  }

  /// The optimizer's overfit over SGD's where SGD is half-way, by size.
  private func ratios(
    _ runs: [RunHistory], of name: String, in assessment: inout Assessment
  ) -> [(size: Int, mean: SeedMean)] {
    let own = runs.filter { $0.optimizer.name == name }
    return Set(own.compactMap(\.manifest.batchSize)).sorted().compactMap { size in
      let plain = runs.filter { $0.optimizer.isSGD && $0.manifest.batchSize == size }.onePerSeed
      let mean = assessment.seedMean(
        "overfit of \(name) over SGD’s, half-way, batch \(size)", of: own.filter { $0.manifest.batchSize == size },
        missing: "\(name) and sgd, batch \(size)"
      ) { run in
        guard let control = plain.first(where: { $0.seed == run.seed })?.overfit, let end = control.last,
          end.value >= Self.minimumOverfit, let step = control.firstStep(reaching: Self.progress * end.value),
          let there = control[step], there > 0
        else { return nil }
        return run.overfit.value(at: step).map { $0 / there }
      }
      return mean.map { (size, $0) }
    }
  }
}
