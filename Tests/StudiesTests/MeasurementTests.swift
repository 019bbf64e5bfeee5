// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Studies

/// Claims about computations without training: every rule says each of the three verdicts.
@Suite struct MeasurementTests {
  private func measurement(
    _ name: String, _ values: [String: Double], with changes: [String: Double?] = [:]
  ) -> Measurement {
    Measurement(name: name, values: changes.reduce(into: values) { $0[$1.key] = $1.value })
  }

  static let example = [
    "alpha_real": 0.625, "alpha_random": 0.25, "test_error_real": 0.0401, "test_error_random": 1, "w6_real": 0.8,
  ]

  @Test func linearExample() throws {
    func at(_ changes: [String: Double?] = [:]) -> [Measurement] {
      [measurement("linear-example", Self.example, with: changes)]
    }
    try expect("GM-8", .held, of: at())
    try expect("GM-8", .didNotHold, of: at(["alpha_real": 0.6]), saying: "Alpha real is 0.6, not 0.625")
    try expect("GM-8", .inconclusive, of: at(["w6_real": Double?.none]), saying: "w6_real in linear-example")
    try expect("GM-8", .inconclusive, of: at(["w6_real": .nan]), saying: "w6_real")
    try expect("GM-8", .inconclusive, of: [], saying: "the measurement linear-example")
  }

  @Test func lawsOfAlpha() throws {
    let laws = [
      "scale_invariance": 1e-13, "minibatch_identity": 1e-12, "dilution": 0, "layer_decomposition": 1e-14,
      "alpha_min": 0, "alpha_max": 1 + 1e-15, "cases": 200,
    ]
    func at(_ changes: [String: Double?] = [:]) -> [Measurement] {
      [measurement("coherence-laws", laws, with: changes)]
    }
    try expect("GM-1", .held, of: at())
    try expect("GM-1", .didNotHold, of: at(["minibatch_identity": 0.01]), saying: "minibatch identity")
    try expect("GM-1", .didNotHold, of: at(["alpha_max": 1.1]), saying: "range from 0 to 1")
    try expect("GM-1", .inconclusive, of: at(["cases": 9]), saying: "100 cases")
    try expect("GM-1", .inconclusive, of: at(["dilution": Double?.none]), saying: "dilution in coherence-laws")
  }

  @Test func valuesAndCostOfMCoherence() throws {
    var values = ["m": 64.0, "r_orthogonal": 1, "r_identical": 64.0005, "r_cancelling": 1e-9]
    for (m, factor) in [(1000, 1.0), (4000, 4), (16000, 17)] {
      values["seconds_m_\(m)"] = 0.1 * factor
      values["peak_bytes_m_\(m)"] = 1e8
    }
    func at(_ changes: [String: Double?] = [:]) -> [Measurement] { [measurement("m-coherence", values, with: changes)] }
    try expect("MC-1", .held, of: at())
    try expect("MC-1", .didNotHold, of: at(["r_cancelling": 0.5]), saying: "cancelling gradients is not 0")
    try expect("MC-1", .didNotHold, of: at(["r_identical": 63]), saying: "identical gradients is not m")
    try expect("MC-1", .didNotHold, of: at(["seconds_m_16000": 25]), saying: "Time grows faster than m")
    let short = at(["seconds_m_16000": Double?.none, "seconds_m_4000": Double?.none])
    try expect("MC-1", .inconclusive, of: short, saying: "seconds_m_M")
  }

  @Test func expectationOfMedians() throws {
    let values = [
      "m": 9, "sgd_common_error": 1e-15, "sgd_idiosyncratic": 0, "m3_common_error": 1e-16, "m3_idiosyncratic": 0.0,
    ]
    func at(_ changes: [String: Double?] = [:]) -> [Measurement] {
      [measurement("median-expectation", values, with: changes)]
    }
    try expect("WS-4", .held, of: at())
    try expect("WS-4", .didNotHold, of: at(["m3_idiosyncratic": 0.1]), saying: "keeps idiosyncratic parts")
    try expect("WS-4", .inconclusive, of: at(["m": 2]), saying: "no three groups")
    try expect("WS-4", .inconclusive, of: at(["sgd_common_error": Double?.none]))
  }

  @Test func costOfMedians() throws {
    let values = [
      "seconds_sgd": 1.0, "seconds_rm3": 1.005, "seconds_m3": 1.2, "rounds": 50, "ratio_rm3": 1.005,
      "ratio_rm3_low": 1.004, "ratio_rm3_high": 1.006, "ratio_m3": 1.2, "ratio_m3_low": 1.1, "ratio_m3_high": 1.29,
    ]
    func at(_ changes: [String: Double?] = [:], name: String = "step-cost") -> Measurement {
      measurement(name, values, with: changes)
    }
    let dear = ["ratio_rm3_low": 1.012, "ratio_rm3_high": 1.02]
    let other = at(name: WS7.fullyConnected)
    try expect("WS-7", .held, of: [at(), other])
    try expect("WS-7", .inconclusive, of: [at()], saying: "(b) inconclusive", "step-cost-perceptron")
    try expect(
      "WS-7", .inconclusive, of: [at(["ratio_rm3_high": 1.02]), other], saying: "(a) inconclusive", "RM3's step",
      "beyond 1 %")
    try expect("WS-7", .didNotHold, of: [at(dear), other], saying: "(a) did not hold: RM3 takes at least 1 % longer")
    try expect(
      "WS-7", .didNotHold, of: [at(), at(dear, name: WS7.fullyConnected)], saying: "(b) did not hold", "(a) held")
    try expect(
      "WS-7", .didNotHold, of: [at(["ratio_m3_low": 1.3, "ratio_m3_high": 1.4]), other],
      saying: "M3 takes at least 30 % longer")
    try expect("WS-7", .inconclusive, of: [at(["rounds": 5]), other], saying: "20 rounds")
    try expect("WS-7", .inconclusive, of: [at(["ratio_m3": Double?.none]), other], saying: "ratio_m3")
    // Several runs have to agree.
    let two = [at(name: "step-cost-seed1"), at(dear, name: "step-cost-seed2"), other]
    try expect("WS-7", .inconclusive, of: two, saying: "1 of 2 seeds")
    try expect("WS-7", .held, of: [two[0], at(name: "step-cost-seed2"), other], saying: "in each of 2 seeds")
  }

  @Test func orderOfLearning() throws {
    var values = ["examples": 2000.0, "spearman_step_1": -1, "p_step_1": 1]
    for (step, correlation, p) in [(1, 0.3, 0.001), (5, 0.4, 0.001), (20, 0.02, 0.3)] {
      for kind in ["others", "class"] {
        values["spearman_\(kind)_step_\(step)"] = correlation
        values["p_\(kind)_step_\(step)"] = p
      }
    }
    let all = values
    func at(_ changes: [String: Double?] = [:]) -> [Measurement] {
      [measurement("learning-order", all, with: changes)]
    }
    try expect("GM-5", .held, of: at())
    try expect("GM-5", .didNotHold, of: at(["spearman_others_step_1": -0.3]), saying: "no clear rank correlation")
    try expect("GM-5", .didNotHold, of: at(["p_class_step_1": 0.2]))
    try expect("GM-5", .inconclusive, of: at(["examples": 100]), saying: "400 examples")
    try expect(
      "GM-5", .inconclusive, of: [Measurement(name: "learning-order", values: ["examples": 1000])], saying: "spearman")
  }

  @Test func measurementsOnACard() throws {
    let scratch = try Scratch()
    let file = scratch.url.appendingPathComponent("linear-example-seed3.csv")
    try QuantityRecord.write(Self.example.sorted { $0.key < $1.key }.map(QuantityRecord.init), to: file)
    let measurement = try Measurement(file)
    #expect(measurement.kind == "linear-example" && measurement.seed == 3 && measurement.values == Self.example)
    let run = try SampleRun().write(in: scratch)
    let card = try ScoreCard(runs: [run], measurements: [measurement])
    #expect(card.verdicts.map(\.claim.id) == ["GM-8"])
    let verdict = try #require(card.verdicts.first)
    #expect(verdict.measurements == ["linear-example-seed3"] && verdict.runs.isEmpty && verdict.seeds == [3])
    #expect(card.text.contains("1 measurement, seed 3: computed without training (paper: four examples"))
    let copy = try JSONDecoder().decode(ScoreCard.self, from: JSONEncoder().encode(card))
    #expect(copy == card)
    #expect(Measurement(name: "x-seedling", values: [:]).seed == nil)
    let sizes = Measurement(name: "x", values: ["s_10": 1, "s_2": 2, "s_x": 3, "s_3": .nan]).series("s_")
    #expect(sizes.map(\.at) == [2, 10])
  }

  @Test func claimsComeInTheOrderOfThePapers() {
    func numbered(_ paper: String, _ count: Int) -> [String] { (1...count).map { "\(paper)-\($0)" } }
    let papers = numbered("CG", 12) + numbered("WS", 11) + numbered("MC", 5) + numbered("GM", 8)
    let own =
      ["GS-1", "GS-2", "MN-1", "AM-1"] + numbered("NL", 3) + numbered("PV", 3) + numbered("GK", 4) + numbered("VT", 2)
      + ["AU-1", "AU-2"]
    #expect(ScoreCard.claims.map(\.id) == papers + own)
  }
}
