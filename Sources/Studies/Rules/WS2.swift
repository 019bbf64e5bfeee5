// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore
import Foundation

/// SGD ≈ RA3 ≫ RM3 > M3 in the generalization gap, which under noise is the gap to test labels as noisy as those trained
/// on: ta − [ε/K + (1 − ε)·va]. Without noise this is ta − va; with it ta − va falls below zero for whoever learns pristine
/// examples only, and shares of it mean nothing.
struct WS2: Rule {
  static let levels = [0, 0.5, 1]
  static let optimizers = ["sgd", "ra3", "rm3", "m3"]
  /// "≈": gaps within a tenth of SGD's gap, or within two standard errors.
  static let alike = 0.1
  /// "≫": the larger gap is at least twice the smaller one.
  static let muchLess = 0.5
  /// Equal effort: the same steps or the same number of examples seen, within five percent.
  static let effort = 0.05

  let claim = Claim(
    id: "WS-2",
    sentence: "The generalization gap orders SGD ≈ RA3 ≫ RM3 > M3, at 0, 50 and 100 % noise and equal training effort.",
    paper: Paper.weakAndStrong, section: "§3.3, figure 2, equation 1", setting: Paper.imageNetSetting)

  var varying: Set<Factor> { [.noise, .seed, .optimizer, .batchSize, .steps] }
  func reads(_ run: RunHistory) -> Bool { Self.optimizers.contains(run.optimizer.name) }
  func groups(of runs: [RunHistory]) -> [[RunHistory]] { Matching.groups(runs, varying: varying).map(\.atOneBatchSize) }

  /// The order is one of medians, or of the rolling average: SGD beside one median alone is the matter of other claims.
  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    let names = Set(runs.map(\.optimizer.name))
    return names.isSuperset(of: ["rm3", "m3"]) || names.contains("ra3")
  }

  let change: RuleChange? = RuleChange(
    "The same comparisons and margins, each at each noise level a part of its own. Where SGD and RA3 do not overfit "
      + "beyond two standard errors, medians have nothing to prevent, and that level is not tested.",
    because:
      "The claim joins three comparisons at three levels, and one that failed hid the others. The first runs were "
      + "no fair test: mini-batches of 99 left one of 6 at the end of each epoch, and RM3's groups (whole mini-batches) "
      + "were three times M3's (thirds of one). Now M3 has mini-batches three times as large, and both divide the data."
  )

  /// The comparisons, in the order of their letters.
  private enum Comparison: CaseIterable {
    case alike, muchLess, less

    func sentence(at level: String) -> String {
      switch self {
      case .alike: "SGD and RA3 have the same gap at \(level)."
      case .muchLess: "RM3's gap is at most half of RA3's at \(level)."
      case .less: "M3's gap is smaller than RM3's at \(level)."
      }
    }
  }

  func judge(_ runs: [RunHistory]) -> Judgement {
    let parts = Comparison.allCases.flatMap { comparison in Self.levels.map { (comparison, $0) } }
    return .joining(
      parts.map { comparison, level in
        let (own, level) = (runs.filter { Level.isEqual($0.noise, level) }, Level.text(level))
        return (
          comparison.sentence(at: level),
          .assessing(held: "It is so") { Self.judge(comparison, own, level: level, in: &$0) }
        )
      })
  }

  private static func judge(
    _ comparison: Comparison, _ runs: [RunHistory], level: String, in assessment: inout Assessment
  ) {
    var gaps: [String: SeedMean] = [:]
    var used: [RunHistory] = []
    for name in optimizers {
      let own = runs.filter { $0.optimizer.name == name }.onePerSeed
      let values = own.compactMap { $0.overfit.last?.value }
      guard values.count >= SeedMean.minimumSeeds else {
        assessment.miss("\(SeedMean.minimumSeeds) seeds of \(name), \(level)")
        continue
      }
      gaps[name] = SeedMean(values)
      used += own
      assessment.note(NamedValue("gap of \(name), \(level)", values: values))
      assessment.note(NamedValue("ta − va of \(name), \(level)", values: own.compactMap(\.finalGap)))
      assessment.note("steps of \(name), \(level)", own.first?.steps.map(Double.init))
      assessment.note("examples seen by \(name), \(level)", own.first.flatMap(Self.examplesSeen))
    }
    guard let sgd = gaps["sgd"], let ra3 = gaps["ra3"], let rm3 = gaps["rm3"], let m3 = gaps["m3"] else { return }
    guard isEqualEffort(used) else {
      return assessment.leaveOpen("the optimizers took neither the same steps nor the same examples")
    }
    guard ra3.isAbove(0) == true, sgd.isAbove(0) == true else {
      return assessment.notTested(
        "SGD and RA3 do not overfit beyond two standard errors, so medians have nothing to prevent; it takes longer "
          + "training")
    }
    switch comparison {
    case .alike:
      if abs(sgd.mean - ra3.mean) > max(alike * abs(sgd.mean), sgd.error(of: ra3)) {
        assessment.fail("RA3's gap differs from SGD's by more than a tenth of it and two standard errors")
      }
    case .muchLess:
      let excess = rm3.mean - muchLess * ra3.mean
      if excess > SeedMean.errors * sqrt(rm3.variance + muchLess * muchLess * ra3.variance) {
        assessment.fail("RM3's gap is \(share(rm3, of: ra3)) of RA3's")
      } else if excess > 0 {
        assessment.leaveOpen("RM3's gap is within two standard errors of half of RA3's")
      } else if ra3.mean - rm3.mean <= ra3.error(of: rm3) {
        assessment.leaveOpen("RM3 and RA3 are within two standard errors of each other")
      }
    case .less:
      if m3.mean > rm3.mean + m3.error(of: rm3) {
        assessment.fail("M3's gap is larger than RM3's, by \(points(m3.mean - rm3.mean))")
      } else if m3.mean >= rm3.mean - m3.error(of: rm3) {
        assessment.leaveOpen("M3 and RM3 are within two standard errors of each other")
      }
    }
  }

  private static func share(_ gap: SeedMean, of other: SeedMean) -> String {
    "\(Wording.whole(100 * gap.mean / other.mean)) %"
  }

  private static func points(_ difference: Double) -> String {
    String(format: "%.1f", 100 * difference) + " percentage points"
  }

  private static func examplesSeen(_ run: RunHistory) -> Double? {
    guard let steps = run.steps, let size = run.manifest.batchSize else { return nil }
    return Double(steps) * Double(size)
  }

  private static func isEqualEffort(_ runs: [RunHistory]) -> Bool {
    func isEqual(_ values: [Double]) -> Bool {
      guard values.count == runs.count, let low = values.min(), let high = values.max() else { return false }
      return high <= low * (1 + effort)
    }
    return isEqual(runs.compactMap { $0.steps.map(Double.init) }) || isEqual(runs.compactMap(examplesSeen))
  }
}
