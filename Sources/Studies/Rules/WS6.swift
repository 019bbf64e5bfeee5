// SPDX-License-Identifier: Apache-2.0

import Foundation

/// With larger mini-batches RM3 behaves like SGD.
struct WS6: Rule {
  /// Two sizes could differ by chance in either direction; three have a trend.
  static let leastSizes = 3
  /// SGD's own overfit at the largest size is still half of that at the smallest: where nothing overfits any more, that two
  /// runs are alike says nothing.
  static let left = 0.5

  let claim = Claim(
    id: "WS-6",
    sentence: "The larger the mini-batch, the more RM3 behaves like SGD: their overfitting approaches.",
    paper: Paper.weakAndStrong, section: "§3.3, last remark", setting: Paper.imageNetSetting)

  /// Equally many updates at every size: with equal passes large batches would learn too little to overfit at all.
  var varying: Set<Trait> { [.seed, .optimizer, .batchSize] }
  func reads(_ run: StudyRun) -> Bool { run.optimizer.isSGD || run.optimizer.name == "rm3" }
  func isSpokenAbout(by runs: [StudyRun]) -> Bool {
    Self.sizes(of: runs.filter { $0.optimizer.name == "rm3" }).count > 1
  }

  func judge(_ runs: [StudyRun]) -> Judgement {
    var assessment = Assessment()
    var gaps: [(size: Int, sgd: SeedMean, apart: SeedMean)] = []
    // Only sizes at which RM3 was run: others are no part of the comparison.
    for size in Self.sizes(of: runs.filter { $0.optimizer.name == "rm3" }) {
      let own = ["sgd", "rm3"].map { name in
        runs.filter { $0.manifest.batchSize == size && $0.optimizer.name == name }
      }
      let ends = zip(["sgd", "rm3"], own).map { name, runs in
        assessment.seedMean(
          "final overfit of \(name), batch \(size)", of: runs, missing: "\(name), batch \(size)"
        ) { $0.overfit.last?.value }
      }
      guard let sgd = ends[0], ends[1] != nil else { continue }
      let apart = assessment.seedMean(
        "largest difference, batch \(size)", of: own[0], missing: "sgd and rm3 looked at together, batch \(size)"
      ) { run in own[1].onePerSeed.first { $0.manifest.seed == run.manifest.seed }.flatMap { Self.apart(run, $0) } }
      if let apart { gaps.append((size, sgd, apart)) }
    }
    guard gaps.count >= Self.leastSizes, let first = gaps.first, let last = gaps.last else {
      assessment.miss("\(Self.leastSizes) batch sizes with SGD and RM3")
      return assessment.judgement(held: "")
    }
    if last.sgd.mean < Self.left * first.sgd.mean {
      assessment.doubt(
        "at batch \(last.size) SGD itself overfits by less than half of what it does at batch \(first.size)")
    }
    for (before, after) in zip(gaps, gaps.dropFirst()) where after.apart.isAbove(before.apart) == true {
      assessment.fail("RM3 and SGD move apart from batch \(before.size) to batch \(after.size)")
    }
    switch last.apart.isAbove(first.apart) {
    case true?: assessment.fail("they differ more at batch \(last.size) than at batch \(first.size)")
    case false?: break
    case nil:
      assessment.leaveOpen("they differ alike at batch \(first.size) and \(last.size), within two standard errors")
    }
    return assessment.judgement(
      held: "From batch \(first.size) to batch \(last.size) the overfitting of RM3 and SGD approaches")
  }

  /// The largest difference of overfits, ta − [ε/K + (1 − ε)·va] each, at one step: with label noise the plain gap is
  /// below zero before anything is memorised, and at the end, when all is memorised, any two optimizers are alike.
  private static func apart(_ sgd: StudyRun, _ rm3: StudyRun) -> Double? {
    let other = rm3.overfit
    return sgd.overfit.points.compactMap { point in other[point.step].map { abs(point.value - $0) } }.max()
  }

  private static func sizes(of runs: [StudyRun]) -> [Int] { Set(runs.compactMap(\.manifest.batchSize)).sorted() }
}
