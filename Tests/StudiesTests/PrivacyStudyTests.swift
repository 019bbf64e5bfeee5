// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing

@testable import Studies

/// The study of private SGD: what is measured, and how its claims are judged.
@Suite struct PrivacyStudyTests {
  // MARK: - What is measured

  /// Losses keep their order where probabilities round to 1, and large ones do not overflow.
  @Test func lossesAreExact() {
    func plain(_ logits: [Double], _ label: Int) -> Double {
      log(logits.reduce(0) { $0 + exp($1) }) - logits[label]
    }
    for label in 0..<3 {
      let logits = [0.3, -1.2, 2.5]
      #expect(abs(Membership.loss(logits, label: label) - plain(logits, label)) < 1e-14)
    }
    #expect(Membership.loss([0, 0], label: 1) == log(2))
    let (small, smaller) = (Membership.loss([60, 0], label: 0), Membership.loss([80, 0], label: 0))
    #expect(smaller > 0 && small > smaller && abs(small / exp(-60) - 1) < 1e-12)
    #expect(Membership.loss([0, 5000], label: 0) == 5000)
    #expect(Membership.loss([3], label: 0) == 0)
  }

  /// Against the variance of areas of random scores: of no signal 1/12·(m + n + 1)/(mn), of one signal by simulation.
  @Test func standardErrors() {
    for (m, n) in [(50, 80), (9000, 9000)] {
      let exact = (Double(m + n + 1) / (12 * Double(m) * Double(n))).squareRoot()
      #expect(abs(Membership.standardError(of: 0.5, members: m, others: n) / exact - 1) < 1e-9)
    }
    #expect(Membership.standardError(of: 1, members: 9, others: 5) == 0)
    #expect(Membership.standardError(of: 0.9, members: 50, others: 50) < 0.04)
  }

  @Test func optimizersHaveTheirNames() {
    let words = ["sgd", "winsorized:c=2", "m3", "rm3", "dp-sgd:clip=1,epsilon=8,delta=1e-5"]
    let keys = words.map { Membership.key(of: OptimizerDescription($0)) }
    #expect(keys == ["sgd", "winsorized", "m3", "rm3", "private"])
    #expect(Set(keys) == Set(MembershipCurves.names.keys))
  }

  // MARK: - How it is judged

  /// Two lengths of each optimizer: held-out accuracy 0.5 and `top`, at areas of 0.5 and `area`, gaps of 0 and `gap`.
  private func measurement(
    _ ends: [String: (top: Double, area: Double, gap: Double)], error: Double = 0.001
  ) -> Measurement {
    var values: [String: Double] = [:]
    for key in MembershipCurves.names.keys {
      let end = ends[key] ?? (0.9, 0.5, 0)
      for (steps, held, area, gap) in [(10, 0.5, 0.5, 0), (40, end.top, end.area, end.gap)]
        as [(Int, Double, Double, Double)]
      {
        values["held_\(key)_\(steps)"] = held
        values["train_\(key)_\(steps)"] = held + gap
        values["auroc_\(key)_\(steps)"] = area
        values["error_\(key)_\(steps)"] = error
      }
    }
    return Measurement(name: "membership", values: values)
  }

  @Test func comparedAtTheAccuracyThatAllReach() throws {
    let curves = MembershipCurves(measurement(["sgd": (0.9, 0.7, 0.2), "private": (0.7, 0.52, 0.02)]))
    #expect(curves.commonAccuracy == 0.7)
    let sgd = try #require(curves.at(0.7, "sgd"))
    // Half of the way from 0.5 to 0.9.
    #expect(abs(sgd.auroc - 0.6) < 1e-12 && abs(sgd.train - 0.8) < 1e-12 && sgd.held == 0.7)
    #expect(curves.at(0.5, "sgd") == nil && curves.at(0.95, "sgd") == nil)
    #expect(MembershipCurves(Measurement(name: "membership", values: [:])).commonAccuracy == nil)
  }

  @Test func privateToTheEnd() {
    func outcome(_ sgd: Double, _ own: Double, error: Double = 0.001) -> Outcome {
      PV1().judge(measurement(["sgd": (0.9, sgd, 0.1), "private": (0.9, own, 0)], error: error)).outcome
    }
    #expect(outcome(0.6, 0.51) == .held)
    #expect(outcome(0.6, 0.53) == .didNotHold)
    #expect(outcome(0.6, 0.519) == .inconclusive && outcome(0.6, 0.51, error: 0.01) == .inconclusive)
    #expect(outcome(0.54, 0.51) == .notTested)
    #expect(PV1().judge(Measurement(name: "membership", values: [:])).outcome == .inconclusive)
  }

  @Test func robustAveragesBesideIt() {
    let judgement = PV2().judge(
      measurement([
        "winsorized": (0.9, 0.53, 0), "m3": (0.9, 0.56, 0), "rm3": (0.9, 0.541, 0), "private": (0.9, 0.52, 0),
      ]))
    #expect(judgement.parts.map(\.judgement.outcome) == [.held, .didNotHold, .inconclusive])
    #expect(judgement.outcome == .didNotHold)
    // A shortest run that is beyond the accuracy already compares with nothing.
    let missing = PV2().judge(measurement(["private": (0.4, 0.5, 0)]))
    #expect(missing.outcome == .inconclusive && missing.missing.contains("shorter runs of winsorized SGD"))
  }

  @Test func plainSGDBesideIt() {
    func outcomes(_ area: Double, _ gap: Double) -> [Outcome] {
      PV3().judge(measurement(["sgd": (0.9, area, gap), "private": (0.9, 0.52, 0.01)])).parts.map(\.judgement.outcome)
    }
    #expect(outcomes(0.53, 0.03) == [.held, .held])
    #expect(outcomes(0.521, 0.015) == [.inconclusive, .didNotHold])
    #expect(outcomes(0.51, 0.03) == [.didNotHold, .held])
  }

  /// Three seeds are judged one by one.
  @Test func seedsTogether() throws {
    let good = measurement(["sgd": (0.9, 0.6, 0.1), "private": (0.9, 0.505, 0)])
    let seeds = (11...13).map { Measurement(name: "membership-seed\($0)", values: good.values) }
    let verdict = try #require(PV1().verdicts(on: Evidence(runs: [], measurements: seeds, isWanted: false)).first)
    #expect(verdict.outcome == .held && verdict.seeds == [11, 12, 13])
    #expect(PV1().verdicts(on: Evidence(runs: [], measurements: [], isWanted: false)).isEmpty)
  }
}
