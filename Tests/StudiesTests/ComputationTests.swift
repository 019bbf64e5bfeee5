// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import Testing

@testable import Studies

@Suite struct ComputationTests {
  private func values(_ computation: Computation) throws -> [String: Double] {
    let records = try computation.quantities(in: StudyFolder("/nowhere"))
    return Dictionary(records.map { ($0.quantity, $0.value) }, uniquingKeysWith: { first, _ in first })
  }

  @Test func theLinearExample() throws {
    let values = try values(.linearExample)
    #expect(values["alpha_real"] == 0.625 && values["alpha_random"] == 0.25)
    #expect(abs((values["test_error_real"] ?? 0) - 0.04) < 1e-12)
    #expect(abs((values["test_error_random"] ?? 0) - 1) < 1e-12)
    #expect(abs((values["w6_real"] ?? 0) - 0.8) < 1e-12)
  }

  @Test func theLawsOfCoherence() throws {
    let values = try values(.coherenceLaws(cases: 40))
    for law in ["scale_invariance", "minibatch_identity", "dilution", "layer_decomposition"] {
      #expect((values[law] ?? 1) < 1e-10, "\(law)")
    }
    #expect((values["alpha_min"] ?? -1) >= 0 && (values["alpha_max"] ?? 2) <= 1)
  }

  @Test func coherenceWhereItIsKnown() throws {
    let values = try values(.mCoherence(sizes: [40, 80], width: 8))
    #expect(values["r_orthogonal"] == 1 && values["r_identical"] == values["m"] && values["r_cancelling"] == 0)
    #expect((values["seconds_m_80"] ?? 0) > 0 && (values["peak_bytes_m_40"] ?? 0) > 0)
  }

  @Test func ratiosOfStepTimes() throws {
    // Twenty rounds: the interval of the median leaves out five on each side (1 − 2·P(X ≤ 5) = 0.959).
    let base = (0..<20).map { 1 + Double($0 * 7 % 20) }
    let times = base.enumerated().map { $1 * (1 + Double($0) / 100) }
    let values = StepCost.ratios(of: times, to: base, "m3").map(\.value)
    #expect(zip(values, [1.10, 1.05, 1.14]).allSatisfy { abs($0 - $1) < 1e-12 })
    // With few rounds it leaves out none.
    #expect(StepCost.ratios(of: [1, 2, 3], to: [1, 1, 1], "m3").map(\.value) == [2, 1, 3])
    #expect(StepCost.ratios(of: [], to: [], "m3").isEmpty)
  }

  @Test func theExampleOfTheMedian() throws {
    let values = try values(.medianExpectation(m: 30))
    #expect(values["m"] == 30)
    #expect((values["sgd_common_error"] ?? 1) < 1e-6 && (values["sgd_idiosyncratic"] ?? 1) < 1e-6)
    #expect(values["m3_common_error"] == 0 && values["m3_idiosyncratic"] == 0)
  }

  @Test func rankCorrelations() throws {
    #expect(RankCorrelation([1, 2, 3, 4], [10, 20, 30, 40])?.value == 1)
    #expect(RankCorrelation([1, 2, 3, 4], [4, 3, 2, 1])?.value == -1)
    // scipy.stats.spearmanr([1, 2, 2, 4, 5], [3, 1, 4, 4, 5])
    #expect(abs((RankCorrelation([1, 2, 2, 4, 5], [3, 1, 4, 4, 5])?.value ?? 0) - 0.7631578947368421) < 1e-12)
    #expect(RankCorrelation([1, 1, 1], [1, 2, 3]) == nil && RankCorrelation([1, 2], [1, 2]) == nil)
    let some = try #require(RankCorrelation((0..<200).map(Double.init), (0..<200).map { Double($0 * 37 % 200) }))
    var generator = SeededGenerator(seed: 1)
    #expect(some.permuted(50, using: &generator).allSatisfy { abs($0) < 0.35 })
  }
}
