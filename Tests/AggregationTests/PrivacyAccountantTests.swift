// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import Aggregation

/// The accountant against numbers of others, and against the integral that it sums up.
@Suite struct PrivacyAccountantTests {
  private func epsilon(_ noise: Double, _ rate: Double, steps: Int, delta: Double) throws -> Double {
    try PrivacyAccountant(noiseMultiplier: noise, sampleRate: rate).epsilon(steps: steps, delta: delta)
  }

  /// Opacus' tests of its accountant: ε of 2250 steps, and σ for ε = 8 in as many.
  @Test func theNumbersOfOpacus() throws {
    #expect(abs(try epsilon(1.5, 0.04, steps: 2250, delta: 1e-5) - 7.32911117143) < 1e-10)
    let noise = try PrivacyAccountant.noiseMultiplier(epsilon: 8, delta: 1e-5, sampleRate: 0.04, steps: 2250)
    #expect(abs(noise - 1.416) < 1e-3)
  }

  /// Google's tests of dp_accounting: 50 steps by order, to the digits they give. At fractional orders theirs adds up the
  /// terms of the series without their signs, which is more.
  @Test(arguments: [
    (1.5, 6.70579741e-4), (2.5, 1.08548710e-3), (5, 2.18075656e-3), (50, 2.38460375e-2), (100, 167.416308),
  ])
  func theNumbersOfDPAccounting(_ order: Double, _ expected: Double) {
    let found = 50 * PrivacyAccountant.divergence(order: order, noiseMultiplier: 2.5, sampleRate: 0.01)
    if order == order.rounded() {
      #expect(abs(found / expected - 1) < 1e-8, "\(found)")
    } else {
      #expect(found <= expected && found > 0.96 * expected, "\(found)")
    }
  }

  /// A Gaussian of this σ is (1, 1e-6)-differentially private, by Google's tests.
  @Test func aGaussianWithoutSampling() throws {
    #expect(abs(try epsilon(4.530877117, 1, steps: 1, delta: 1e-6) - 1) < 1e-5)
    for order in [1.5, 7, 64] {
      #expect(PrivacyAccountant.divergence(order: order, noiseMultiplier: 2, sampleRate: 1) == order / 8)
    }
  }

  /// A(α) = E over N(0, σ²) of ((1 − q) + q·exp((2z − 1)/(2σ²)))ᵅ, by the trapezoidal rule.
  private static func integral(order: Double, noise: Double, rate: Double) -> Double {
    let (low, high, count) = (-30 * noise, 30 * noise + order, 200_000)
    let width = (high - low) / Double(count)
    let sum = (0...count).reduce(0.0) { sum, place in
      let z = low + Double(place) * width
      let ratio = 1 - rate + rate * exp((2 * z - 1) / (2 * noise * noise))
      return sum + exp(order * log(ratio) - z * z / (2 * noise * noise))
    }
    return sum * width / (noise * (2 * Double.pi).squareRoot())
  }

  @Test(arguments: [1.1, 1.5, 2, 2.5, 3.9, 10.7, 20], [(0.7, 0.3), (1, 0.01), (2.5, 0.01), (4, 0.9), (1.5, 0.5)])
  func divergencesAreTheIntegral(_ order: Double, _ mechanism: (Double, Double)) {
    let (noise, rate) = mechanism
    let found = PrivacyAccountant.divergence(order: order, noiseMultiplier: noise, sampleRate: rate)
    let expected = log(Self.integral(order: order, noise: noise, rate: rate)) / (order - 1)
    #expect(abs(found - expected) < 1e-6 * expected + 1e-11, "\(found), \(expected)")
  }

  /// More steps, more examples in a step and less noise reveal more, and no number is lost on the way.
  @Test func epsilonGrowsWithWhatIsRevealed() throws {
    for noise in [0.3, 0.5, 1, 3, 30] {
      for rate in [1e-6, 1e-3, 0.1, 0.5, 0.99] {
        let found = try [1, 10, 1000, 1_000_000].map { try epsilon(noise, rate, steps: $0, delta: 1e-5) }
        #expect(found.allSatisfy { $0.isFinite && $0 >= 0 } && found == found.sorted())
        #expect(try epsilon(noise, rate, steps: 1000, delta: 1e-6) >= found[2])
        #expect(try epsilon(noise * 1.1, rate, steps: 1000, delta: 1e-5) <= found[2])
        #expect(try epsilon(noise, min(1, rate * 1.1), steps: 1000, delta: 1e-5) >= found[2] * (1 - 1e-9))
      }
    }
    #expect(try epsilon(1, 0.1, steps: 0, delta: 1e-5) == 0)
    #expect(try epsilon(0, 0.1, steps: 1, delta: 1e-5) == .infinity)
  }

  @Test(arguments: [0.1, 1, 3, 20], [(0.001, 10_000), (0.04, 2250), (1, 50)])
  func theNoiseOfABudgetSpendsIt(_ target: Double, _ run: (Double, Int)) throws {
    let noise = try PrivacyAccountant.noiseMultiplier(epsilon: target, delta: 1e-5, sampleRate: run.0, steps: run.1)
    let spent = try epsilon(noise, run.0, steps: run.1, delta: 1e-5)
    #expect(spent <= target && spent > 0.999 * target, "\(noise): \(spent)")
  }

  @Test func whatCannotBeIsAnError() {
    func expect(_ part: String, _ body: () throws -> Void) {
      #expect { try body() } throws: { "\($0)".contains(part) }
    }
    for noise in [-1, .nan, .infinity] as [Double] {
      expect("at least 0") { _ = try PrivacyAccountant(noiseMultiplier: noise, sampleRate: 0.1) }
    }
    for rate in [0, -1, 1.1, .nan] as [Double] {
      expect("above 0 and at most 1") { _ = try PrivacyAccountant(noiseMultiplier: 1, sampleRate: rate) }
    }
    for (epsilon, delta, part) in [
      (0, 1e-5, "epsilon must be"), (.nan, 1e-5, "epsilon must be"), (1, 0, "delta must be"), (1, 1, "delta must be"),
      (1, .nan, "delta must be"), (1e-4, 1e-5, "no noise keeps"),
    ] as [(Double, Double, String)] {
      expect(part) {
        _ = try PrivacyAccountant.noiseMultiplier(epsilon: epsilon, delta: delta, sampleRate: 0.01, steps: 1000)
      }
    }
  }
}
