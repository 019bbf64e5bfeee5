// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Datasets

@Suite struct SeededGeneratorTests {
  // Computed with an independent implementation of xoshiro256**, SplitMix64 and Lemire's method.
  @Test func goldenWords() {
    var zero = SeededGenerator(seed: 0)
    #expect(
      (0..<4).map { _ in zero.next() }
        == [0x99EC_5F36_CB75_F2B4, 0xBF6E_1F78_4956_452A, 0x1A5F_849D_4933_E6E0, 0x6AA5_94F1_262D_2D2C])
    var other = SeededGenerator(seed: 42)
    #expect((0..<2).map { _ in other.next() } == [0x1578_0B2E_0C2E_C716, 0x6104_D986_6D11_3A7E])
    var stream = SeededGenerator(seed: 1, stream: .shuffling, index: 5)
    #expect(stream.next() == 0xBE8B_2D3E_0161_3C46)
  }

  @Test func goldenNumbers() {
    var units = SeededGenerator(seed: 7)
    #expect((0..<3).map { _ in units.unit() } == [0.7005764821796896, 0.2787512294737843, 0.8396274618764198])
    var bounded = SeededGenerator(seed: 7)
    #expect((0..<10).map { _ in bounded.integer(below: 10) } == [7, 2, 8, 9, 9, 8, 0, 1, 4, 1])
    var normals = SeededGenerator(seed: 7)
    for expected in [0.9643618527255184, -0.3039301238656567, 0.30479435832638674] {
      #expect(abs(normals.normal() - expected) < 1e-14)
    }
    var order = SeededGenerator(seed: 1, stream: .shuffling)
    #expect(order.permutation(count: 10) == [4, 2, 1, 5, 3, 9, 0, 6, 7, 8])
  }

  @Test func streamsDiffer() {
    var firsts: Set<UInt64> = []
    for seed in 0..<20 as Range<UInt64> {
      for purpose in SeedStream.allCases {
        for index in [-1, 0, 1, 2, Int.max] {
          var generator = SeededGenerator(seed: seed, stream: purpose, index: index)
          firsts.insert(generator.next())
        }
      }
      for stream in 0..<5 as Range<UInt64> {
        var generator = SeededGenerator(seed: seed, stream: stream + 1000)
        firsts.insert(generator.next())
      }
    }
    #expect(firsts.count == 20 * (SeedStream.allCases.count * 5 + 5))
  }

  @Test func derivingLeavesTheGeneratorAlone() {
    let parent = SeededGenerator(seed: 3)
    var (a, b, again) = (parent.derive(stream: 0), parent.derive(stream: 1), parent.derive(stream: 0))
    let first = a.next()
    #expect(first == again.next())
    #expect(first != b.next())
    #expect(parent == SeededGenerator(seed: 3))
  }

  @Test func boundsThatAreNotPositiveGiveZero() {
    var generator = SeededGenerator(seed: 1)
    #expect(generator.integer(below: 0) == 0)
    #expect(generator.integer(below: -3) == 0)
    #expect(generator.integer(below: 1) == 0)
    #expect((0..<100).allSatisfy { _ in (0..<Int.max).contains(generator.integer(below: Int.max)) })
    #expect(generator.permutation(count: -1).isEmpty)
  }

  @Test func boundedNumbersAreUniform() {
    var generator = SeededGenerator(seed: 11)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[generator.integer(below: 7)] += 1 }
    // Six degrees of freedom: chi-square exceeds 27.9 once in ten thousand seeds.
    let chi = counts.reduce(0.0) { $0 + (Double($1) - 10_000) * (Double($1) - 10_000) / 10_000 }
    #expect(chi < 27.9)
  }

  @Test func normalsHaveTheirMoments() {
    var generator = SeededGenerator(seed: 12)
    let values = (0..<50_000).map { _ in generator.normal() }
    let mean = values.reduce(0, +) / 50_000
    let variance = values.reduce(0) { $0 + $1 * $1 } / 50_000
    #expect(abs(mean) < 0.02)
    #expect(abs(variance - 1) < 0.03)
  }

  @Test func exactMathematicsAgreesWithTheSystem() {
    for k in 1...2000 {
      let x = Double(k) * 0.0137
      #expect(abs(ExactMath.logarithm(x) - log(x)) <= 4e-16 * max(1, abs(log(x)) * 2))
    }
    for k in 0...7440 {
      let x = -Double(k) / 10
      #expect(abs(ExactMath.exponential(ofNegative: x) - exp(x)) <= 1e-14 * exp(x) + .leastNonzeroMagnitude)
    }
    for x in [-746, -1e300, -Double.infinity] { #expect(ExactMath.exponential(ofNegative: x) == 0) }
    for k in -314...314 {
      let x = Double(k) / 100
      #expect(abs(ExactMath.sine(x) - sin(x)) < 1e-12)
      #expect(abs(ExactMath.cosine(x) - cos(x)) < 1e-12)
    }
  }
}
