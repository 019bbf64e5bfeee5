// SPDX-License-Identifier: Apache-2.0

import Datasets
import Testing

@testable import Audit
@testable import Training

@Suite struct ErrorEstimateTests {
  /// Examples of a model that is right about most pictures, with some labels drawn anew.
  private func dynamics(count: Int, rate: Double, seed: UInt64) -> (dynamics: TrainingDynamics, isError: [Bool]) {
    var generator = SeededGenerator(seed: seed, stream: .probe)
    let classCount = 10
    var (labels, isError): ([Int], [Bool]) = ([], [])
    var logits: [[Float]] = []
    for _ in 0..<count {
      let truth = generator.integer(below: classCount)
      let isWrong = generator.unit() < rate
      labels.append(isWrong ? (truth + 1 + generator.integer(below: classCount - 1)) % classCount : truth)
      isError.append(isWrong)
      // Some pictures are hard.
      let strength = Float(6 * generator.unit())
      logits.append((0..<classCount).map { ($0 == truth ? strength : 0) + Float(generator.unit()) })
    }
    var dynamics = TrainingDynamics(indices: Array(labels.indices), labels: labels, classCount: classCount)
    for (row, own) in logits.enumerated() { own.withUnsafeBufferPointer { dynamics.note(row: row, logits: $0) } }
    return (dynamics, isError)
  }

  @Test(arguments: [0.01, 0.05, 0.2, 0.4]) func countsTheErrors(rate: Double) {
    let (dynamics, isError) = dynamics(count: 6000, rate: rate, seed: 5)
    let estimate = ErrorEstimate(dynamics)
    let truth = Double(isError.count { $0 })
    #expect(estimate.low <= estimate.errors && estimate.errors <= estimate.high)
    #expect(abs(estimate.errors - truth) < max(60, 0.15 * truth), "\(estimate.errors) of \(truth)")
    #expect(estimate.low < 1.05 * truth && 0.9 * truth < estimate.high)
    #expect(estimate.probabilities.allSatisfy { 0 <= $0 && $0 <= 1 })
    // Where probabilities are high, labels are wrong as often as they say.
    let sure = estimate.probabilities.indices.filter { estimate.probabilities[$0] > 0.8 }
    if sure.count > 100 {
      let share = Double(sure.count { isError[$0] }) / Double(sure.count)
      let expected = sure.reduce(0) { $0 + estimate.probabilities[$1] } / Double(sure.count)
      #expect(abs(share - expected) < 0.15, "\(share) and \(expected)")
    }
  }

  @Test func probabilitiesRiseWithTheMargin() {
    let (dynamics, _) = dynamics(count: 900, rate: 0.2, seed: 6)
    let estimate = ErrorEstimate(dynamics)
    let margins = (0..<dynamics.count).map {
      -ExampleScores.margin(dynamics.meanProbabilities(of: $0), dynamics.labels[$0])
    }
    let order = margins.indices.sorted { margins[$0] < margins[$1] }
    #expect(zip(order, order.dropFirst()).allSatisfy { estimate.probabilities[$0] <= estimate.probabilities[$1] })
  }

  /// The best rising sequence, by trying every way to pool.
  @Test func poolsAdjacentViolators() {
    var generator = SeededGenerator(seed: 8, stream: .probe)
    for count in 1...8 {
      let values = (0..<count).map { _ in Double(generator.integer(below: 9)) }
      let weights = (0..<count).map { _ in Double(1 + generator.integer(below: 3)) }
      func error(_ fit: [Double]) -> Double {
        var sum = 0.0
        for place in 0..<count {
          let distance = fit[place] - values[place]
          sum += weights[place] * distance * distance
        }
        return sum
      }
      var best = Double.infinity
      for cuts in 0..<(1 << (count - 1)) {
        var (fit, start): ([Double], Int) = ([], 0)
        for end in 1...count where end == count || cuts >> (end - 1) & 1 == 1 {
          let weight = weights[start..<end].reduce(0, +)
          let mean = (start..<end).reduce(0) { $0 + weights[$1] * values[$1] } / weight
          fit += [Double](repeating: mean, count: end - start)
          start = end
        }
        if zip(fit, fit.dropFirst()).allSatisfy({ $0 <= $1 }) { best = min(best, error(fit)) }
      }
      let fit = ErrorEstimate.isotonic(values, weights)
      #expect(zip(fit, fit.dropFirst()).allSatisfy { $0 <= $1 } && abs(error(fit) - best) < 1e-9)
    }
  }
}
