// SPDX-License-Identifier: Apache-2.0

import RunStore
import Foundation

/// fᵖ starts above fᶜ and crosses over.
struct CG6: ContributionRule {
  static let levels = [0.25, 0.5]
  /// The start is the mean of fᵖ over the steps up to this one: the first steps, where figure 3 of the paper looks too.
  static let lastEarlyStep = 10
  /// Below one half means: on average over so many probes in a row. One probe may be chance.
  static let window = 3
  /// The share of permutation nulls that may cross by chance for "nulls do not cross": one in twenty, where permutation nulls start
  /// on one side of one half at all (their mean start is two standard deviations away from it).
  static let crossingNulls = 0.05

  let claim = Claim(
    id: "CG-6",
    sentence:
      "The pristine share fᵖ of the loss reduction starts above the corrupt share fᶜ and crosses over, for 25 and "
      + "50 % noise; permutation nulls do not cross.",
    paper: Paper.coherentGradients, section: "§2.4, figure 2", setting: Paper.noiseSetting)

  var held: String { "fᵖ starts above fᶜ and goes below it at 25 and 50 % noise, beyond the permutation null" }

  /// The course of fᵖ in one world.
  struct Course: Equatable {
    let start: Double
    let lowest: Double
    var drop: Double { start - lowest }
    var crosses: Bool { start > 0.5 && lowest < 0.5 }

    init?(_ curve: Curve) {
      let early = curve.points.filter { $0.step <= CG6.lastEarlyStep }.map(\.value)
      let later = curve.points.filter { $0.step > CG6.lastEarlyStep }.map(\.value)
      guard !early.isEmpty, later.count >= CG6.window else { return nil }
      start = early.reduce(0, +) / Double(early.count)
      let means = (0...later.count - CG6.window).map { first in
        later[first..<first + CG6.window].reduce(0, +) / Double(CG6.window)
      }
      lowest = means.min() ?? start
    }
  }

  func judge(_ run: RunHistory, sample: String, in assessment: inout Assessment) {
    let place = "\(Level.text(run.noise)), \(sample == "paper" ? "paper’s sample" : "whole population")"
    // Once everything is fitted g nearly vanishes, and a handful of examples decide the shares of any world.
    let end = run.fittedStep ?? .max
    let records = run.contributions.filter { $0.sample == sample && $0.step <= end }
    let worlds = Dictionary(grouping: records, by: \.world).mapValues { records in
      Curve(records.compactMap { record in record.pristineShare.map { (record.step, $0) } })
    }
    guard let actual = worlds[0].flatMap(Course.init) else {
      return assessment.miss("contributions from step 0 until the training set is fitted, \(place)")
    }
    assessment.note("fᵖ at the start, \(place)", actual.start)
    assessment.note("lowest fᵖ, \(place)", actual.lowest)
    if actual.start <= 0.5 {
      assessment.fail("fᵖ does not start above fᶜ (\(place))")
    } else if !actual.crosses {
      if run.isFitted {
        assessment.fail("fᵖ does not go below fᶜ before the training set is fitted (\(place))")
      } else {
        assessment.leaveOpen("fᵖ has not gone below fᶜ, but the training set is not fitted yet (\(place))")
      }
    }
    let nulls = worlds.filter { $0.key > 0 }.values.compactMap(Course.init)
    guard nulls.count >= PermutationTest.minimumNulls else {
      return assessment.miss("\(PermutationTest.minimumNulls) permutations of the labels, \(place)")
    }
    let test = PermutationTest(actual: actual.drop, nulls: nulls.map(\.drop))
    let crossing = nulls.count(where: \.crosses)
    assessment.note("p of the drop, \(place)", test.p)
    assessment.note("permutations that cross, of \(nulls.count), \(place)", Double(crossing))
    if actual.crosses, test.p > PermutationTest.level {
      assessment.fail("the drop of fᵖ is not beyond the permutation null (\(place))")
    }
    // Where as many examples are corrupt as pristine, fᵖ of a permutation null is one half but for chance: it has no side to
    // cross from, and the drop beyond the permutation nulls is what tells a crossing from chance.
    let starts = SeedMean(nulls.map(\.start))
    let isOneSided = abs(starts.mean - 0.5) > SeedMean.errors * sqrt(starts.variance * Double(nulls.count))
    if isOneSided, Double(crossing) > Self.crossingNulls * Double(nulls.count) {
      assessment.fail("\(crossing) of \(nulls.count) permutations cross as well (\(place))")
    }
  }
}
