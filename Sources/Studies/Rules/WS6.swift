// SPDX-License-Identifier: Apache-2.0

import Foundation

/// With larger mini-batches RM3 behaves like SGD.
struct WS6: Rule {
  /// Two sizes could differ by chance in either direction; three have a trend.
  static let leastSizes = 3
  /// SGD's own overfit at the largest size is still half of that at the smallest: where nothing overfits any more, that two
  /// runs are alike says nothing.
  static let left = 0.5
  /// Where both have learned so much of their labels, nothing is left in which they could differ.
  static let memorised = 0.995

  let claim = Claim(
    id: "WS-6",
    sentence: "The larger the mini-batch, the more RM3 behaves like SGD: their overfitting converges.",
    paper: Paper.weakAndStrong, section: "§3.3, last remark", setting: Paper.imageNetSetting)

  /// Equally many updates at every size: with equal passes large batches would learn too little to overfit at all.
  var varying: Set<Trait> { [.seed, .optimizer, .batchSize] }
  func reads(_ run: StudyRun) -> Bool { run.optimizer.isSGD || run.optimizer.name == "rm3" }
  func isSpokenAbout(by runs: [StudyRun]) -> Bool {
    Self.sizes(of: runs.filter { $0.optimizer.name == "rm3" }).count > 1
  }

  func judge(_ runs: [StudyRun]) -> Judgement {
    var assessment = Assessment()
    var gaps: [(size: Int, sgd: SeedMean, rm3: SeedMean)] = []
    var full: [Int] = []
    // Only sizes at which RM3 was run: others are no part of the comparison.
    for size in Self.sizes(of: runs.filter { $0.optimizer.name == "rm3" }) {
      func gap(_ name: String) -> SeedMean? {
        let own = runs.filter { $0.manifest.batchSize == size && $0.optimizer.name == name }
        return assessment.seedMean(
          "overfit of \(name), batch \(size)", of: own, missing: "\(name), batch \(size)", Self.overfit)
      }
      let pair = (gap("sgd"), gap("rm3"))
      guard let sgd = pair.0, let rm3 = pair.1 else { continue }
      assessment.note("difference, batch \(size)", abs(sgd.mean - rm3.mean))
      gaps.append((size, sgd, rm3))
      let own = runs.filter { $0.manifest.batchSize == size }
      if own.allSatisfy({ ($0.accuracy("train").last?.value ?? 0) >= Self.memorised }) { full.append(size) }
    }
    guard gaps.count >= Self.leastSizes, let first = gaps.first, let last = gaps.last else {
      assessment.miss("\(Self.leastSizes) batch sizes with SGD and RM3")
      return assessment.judgement(held: "")
    }
    if last.sgd.mean < Self.left * first.sgd.mean {
      assessment.doubt(
        "at batch \(last.size) SGD itself overfits by less than half of what it does at batch \(first.size)")
    }
    if gaps.count - full.count < Self.leastSizes {
      assessment.doubt(
        "at batch \(full.map(String.init).joined(separator: ", ")) both end with all labels learned, where any two "
          + "optimizers are alike")
    }
    for (before, after) in zip(gaps, gaps.dropFirst()) where Self.change(from: before, to: after) == true {
      assessment.fail("RM3 and SGD move apart from batch \(before.size) to batch \(after.size)")
    }
    switch Self.change(from: first, to: last) {
    case true?: assessment.fail("they differ more at batch \(last.size) than at batch \(first.size)")
    case false?: break
    case nil:
      assessment.leaveOpen("they differ equally at batch \(first.size) and \(last.size), within two standard errors")
    }
    return assessment.judgement(
      held: "From batch \(first.size) to batch \(last.size) the overfitting of RM3 and SGD converges")
  }

  /// ta − [ε/K + (1 − ε)·va] at the end: with label noise the plain gap is below zero before anything is memorised.
  private static func overfit(_ run: StudyRun) -> Double? { run.overfit.last?.value }

  private static func sizes(of runs: [StudyRun]) -> [Int] { Set(runs.compactMap(\.manifest.batchSize)).sorted() }

  /// Whether the difference grows (true) or shrinks (false); nil within two standard errors.
  private static func change(
    from before: (size: Int, sgd: SeedMean, rm3: SeedMean), to after: (size: Int, sgd: SeedMean, rm3: SeedMean)
  ) -> Bool? {
    let growth = abs(after.sgd.mean - after.rm3.mean) - abs(before.sgd.mean - before.rm3.mean)
    let variance = before.sgd.variance + before.rm3.variance + after.sgd.variance + after.rm3.variance
    return abs(growth) <= SeedMean.errors * sqrt(variance) ? nil : growth > 0
  }
}
