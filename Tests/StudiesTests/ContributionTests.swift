// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Studies

/// CG-6 and CG-7: every rule says each of the three verdicts.
@Suite struct ContributionTests {
  /// fᵖ falls from 0.9 to 0.2 in the real world and stays at its level in permutation nulls.
  static func share(_ step: Int, _ world: Int) -> Double {
    world == 0 ? 0.9 - 0.7 * rise(step, at: 100) : 0.6 + 0.002 * Double(world) + 0.01 * sin(Double(step + world))
  }

  static let paper = [0.25, 0.5, 0.75].map { level in
    SampleRun(
      noise: level, train: { min(1, 1.05 * rise($0, at: 300)) },
      probed: Array(0...10) + Array(stride(from: 20, through: 1000, by: 20)),
      share: { _, step, world in share(step, world) },
      difference: { _, step, world in world == 0 ? Double(step) + 1 : 0.1 * sin(Double(world)) })
  }

  private func all(_ change: (inout SampleRun) -> Void) -> [SampleRun] { Self.paper.map { $0.with(change) } }

  @Test func sharesCross() throws {
    try expect("CG-6", .held, on: Self.paper)
    // What 75 % does is not part of the claim.
    try expect("CG-6", .held, on: Array(Self.paper.prefix(2)))
    try expect("CG-6", .inconclusive, on: [Self.paper[1]], saying: "issing: 25 % noise")
    try expect(
      "CG-6", .didNotHold, on: all { $0.share = { _, step, world in world == 0 ? 0.7 : Self.share(step, world) } },
      saying: "does not go below")
    try expect("CG-6", .didNotHold, on: all { $0.share = { _, _, _ in 0.4 } }, saying: "does not start above")
    try expect(
      "CG-6", .didNotHold, on: all { $0.share = { _, step, _ in Self.share(step, 0) } }, saying: "permutations cross")
  }

  /// Permutation nulls that start about one half cross it by chance, whatever is true: there the drop alone tells.
  @Test func nullsAboutOneHalfCrossByChance() throws {
    func nulls(_ drop: Double) -> [SampleRun] {
      all {
        $0.share = { _, step, world in
          let isAbove = world.isMultiple(of: 2)
          return world == 0 ? Self.share(step, 0) : (isAbove ? 0.52 : 0.48) - drop * rise(step, at: 100)
        }
      }
    }
    try expect("CG-6", .held, on: nulls(0.04))
    try expect("CG-6", .didNotHold, on: nulls(0.8), saying: "not beyond the permutation null")
  }

  @Test func crossingNeedsNullsAndTime() throws {
    try expect("CG-6", .inconclusive, on: all { $0.worlds = 19 }, saying: "20 permutations")
    try expect(
      "CG-6", .inconclusive,
      on: all {
        $0.share = { _, step, world in world == 0 ? 0.7 : Self.share(step, world) }
        $0.train = { _ in 0.6 }
      }, saying: "not fitted yet")
    // Only one of the two samples crosses.
    try expect(
      "CG-6", .didNotHold,
      on: all {
        $0.share = { sample, step, world in world == 0 && sample == "paper" ? 0.8 : Self.share(step, world) }
      }, saying: "paper’s sample")
    // Once everything is fitted the shares are noise: worlds that cross then do not count.
    try expect(
      "CG-6", .held,
      on: all {
        $0.share = { _, step, world in world > 0 && step > 900 ? 0.1 : Self.share(step, world) }
      })
    try expect("CG-6", .inconclusive, on: all { $0.share = nil }, saying: "contributions from step 0")
  }

  @Test func pristineContributeMoreAtFirst() throws {
    try expect("CG-7", .held, on: Self.paper)
    try expect("CG-7", .inconclusive, on: Array(Self.paper.prefix(2)), saying: "75 % noise")
    try expect(
      "CG-7", .didNotHold, on: all { $0.difference = { _, _, world in world == 0 ? -1 : 0 } }, saying: "not above")
    try expect(
      "CG-7", .didNotHold, on: all { $0.difference = { _, _, world in world == 0 ? 1 : Double(world) } },
      saying: "not beyond the permutation null")
    try expect(
      "CG-7", .inconclusive,
      on: all { $0.difference = { sample, _, world in world == 0 ? 1 : sample == "paper" ? Double(world) : 0 } })
    try expect("CG-7", .inconclusive, on: all { $0.probed = [0, 5, 10, 50] }, saying: "steps 0 to 10")
    // The first steps are there before the end is.
    try expect("CG-7", .held, on: all { $0.status = .running })
  }

  @Test func permutationValues() {
    #expect(PermutationTest(actual: 3, nulls: [1, 2]).p == 1.0 / 3)
    #expect(PermutationTest(actual: 2, nulls: [1, 2]).p == 2.0 / 3)
    #expect(PermutationTest(actual: 9, nulls: (0..<20).map(Double.init)).p == 12.0 / 21)
    #expect(1.0 / Double(PermutationTest.minimumNulls + 1) <= PermutationTest.level)
  }
}
