// SPDX-License-Identifier: Apache-2.0

import Coherence
import Foundation
import Tensors
import Testing

@Suite("The stability accountant")
struct StabilityTests {
  /// The sum as it is written, step by step.
  private func plain(_ steps: [(rate: Double, alpha: Double)], beta: Double) -> Double {
    steps.indices.reduce(0.0) { sum, t in
      let growth = steps[(t + 1)...].reduce(1.0) { $0 * (1 + $1.rate * beta) }
      return sum + growth * steps[t].rate * (2 * (1 - steps[t].alpha)).squareRoot()
    }
  }

  private func accountant(_ steps: [(rate: Double, alpha: Double)]) throws -> StabilityAccountant {
    var accountant = try StabilityAccountant(m: 50)
    for step in steps {
      try accountant.observe(alpha: step.alpha)
      try accountant.step(learningRate: step.rate)
    }
    return accountant
  }

  @Test("The recursion gives the written sum, for constant and varying steps", arguments: [0, 1e-9, 0.3, 7])
  func recursion(_ beta: Double) throws {
    let constant = Array(repeating: (rate: 0.1, alpha: 0.2), count: 40)
    let falling = (1...40).map { step -> (rate: Double, alpha: Double) in
      (rate: 0.5 / Double(step), alpha: 1 / Double(step / 8 + 2))
    }
    for steps in [constant, falling] {
      let accountant = try accountant(steps)
      #expect(accountant.steps == 40)
      #expect(isClose(exp(accountant.logSum(smoothness: beta)), plain(steps, beta: beta), 1e-12))
    }
  }

  @Test("The bound with L and β as observed; a later, larger β counts for all steps")
  func bound() throws {
    let steps = (0..<10).map { step -> (rate: Double, alpha: Double) in (rate: 0.2, alpha: 0.05 * Double(step)) }
    var accountant = try accountant(steps)
    #expect(accountant.logBound == nil)
    for norm in [1.5, 3, 2] { try accountant.observe(gradientNorm: norm) }
    try accountant.observe(gradientChange: 1, distance: 2)
    try accountant.observe(gradientChange: 0, distance: 0)
    #expect(accountant.lipschitz == 3 && accountant.smoothness == 0.5)
    #expect(isClose(accountant.logBound.map(exp), 9.0 / 50 * plain(steps, beta: 0.5)))
    try accountant.observe(
      weights: Tensor([0.0, 0]), gradient: Tensor([1.0, 1]), movedWeights: Tensor([3.0, 4]),
      movedGradient: Tensor([1.0, 11]))
    #expect(accountant.smoothness == 2)
    #expect(isClose(accountant.logBound.map(exp), 9.0 / 50 * plain(steps, beta: 2)))
  }

  @Test("Long runs stay in the logarithm, and equal steps cost nothing")
  func long() throws {
    var accountant = try StabilityAccountant(m: 60_000)
    try accountant.observe(alpha: 0.5)
    try accountant.step(learningRate: 0.1, count: 100_000)
    try accountant.observe(gradientNorm: 1)
    try accountant.observe(gradientChange: 10, distance: 1)
    // q = 2: (2ᵀ − 1)·0.1 to the logarithm.
    let expected = 100_000 * log(2) + log(0.1) - log(60_000)
    #expect(isClose(accountant.logBound, expected))
  }

  @Test("Agreement lowers it, and full agreement makes it vanish")
  func order() throws {
    func value(_ alpha: Double?) throws -> Double {
      var accountant = try StabilityAccountant(m: 10)
      try accountant.observe(alpha: alpha)
      try accountant.step(learningRate: 0.1, count: 20)
      return accountant.logSum(smoothness: 1)
    }
    #expect(try value(0.6) < value(0.1))
    #expect(try value(1) == -.infinity)
    #expect(try value(nil) == -.infinity)
    // Rounding above 1 and below 0 is met.
    #expect(try value(1 + 1e-12) == -.infinity)
    #expect(try value(-1e-12) == value(0))
    // α = 0.25 shrinks the factor by 13 % only.
    #expect(isClose(try exp(value(0.25) - value(0)), 0.75.squareRoot()))
  }

  @Test("A resumed accountant goes on where it was")
  func resumed() throws {
    var accountant = try accountant([(0.1, 0.3), (0.1, 0.3), (0.2, 0.1)])
    try accountant.observe(gradientNorm: 2)
    var copy = try JSONDecoder().decode(StabilityAccountant.self, from: JSONEncoder().encode(accountant))
    #expect(copy == accountant)
    try copy.step(learningRate: 0.2)
    try accountant.step(learningRate: 0.2)
    #expect(copy == accountant && copy.steps == 4)
  }

  @Test("What is no number is refused")
  func refusals() throws {
    #expect(throws: CoherenceError.self) { try StabilityAccountant(m: 0) }
    var accountant = try StabilityAccountant(m: 1)
    #expect(throws: CoherenceError.self) { try accountant.step(learningRate: 0.1) }
    #expect(throws: CoherenceError.self) { try accountant.observe(alpha: .nan) }
    try accountant.observe(alpha: 0.5)
    #expect(throws: CoherenceError.self) { try accountant.step(learningRate: -0.1) }
    #expect(throws: CoherenceError.self) { try accountant.step(learningRate: .infinity) }
    #expect(throws: CoherenceError.self) { try accountant.observe(gradientNorm: .nan) }
    #expect(throws: CoherenceError.self) { try accountant.observe(gradientChange: .infinity, distance: 1) }
  }
}
