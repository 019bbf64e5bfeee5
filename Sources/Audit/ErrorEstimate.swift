// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import Training

/// How many labels are wrong, from the mean predictions alone.
///
/// The margin of a label k is d = max_{j≠k} p̄_j − p̄_k, p̄ the mean prediction over training. Were the label of an example
/// drawn anew among the other classes, its margin would be known from the same p̄: together these imagined margins are the
/// distribution F₁ of wrong labels. The given labels have the distribution G = (1 − π)F₀ + πF₁, with few right labels
/// beyond a threshold t that a share q of the imagined ones exceed, so that π ≈ P_G(d > t)/q. An example's probability of
/// being wrong is π·f₁(d)/g(d), made to rise with d.
///
/// Labels that are wrong because the classes look alike have smaller margins than imagined ones, and are undercounted.
public struct ErrorEstimate: Sendable {
  /// The expected number of wrong labels.
  public let errors: Double
  /// The ends of an interval: the least and the largest of the 95 % bootstrap intervals at `shares`.
  public let low, high: Double
  /// The probability that the label of each example is wrong.
  public let probabilities: [Double]

  /// The share q behind the estimate, and those behind the interval.
  static let share = 0.9
  static let shares = [0.8, 0.9, 0.95]
  /// Other labels that are imagined for an example, at most.
  private static let maximumDraws = 9
  private static let bootstrapCount = 200
  private static let binCount = 100

  /// How the estimate is made, for readers.
  static let method =
    "Labels are imagined drawn anew: their margins under the mean prediction tell what wrong labels look like, and the "
    + "given labels beyond the margin that 90 % of those exceed are counted. The interval covers the draw of the examples "
    + "(95 %, bootstrap) and thresholds from 80 to 95 %. Labels that are wrong because classes look alike are undercounted."

  /// An estimate.
  ///
  /// - Parameters:
  ///   - dynamics: what training has shown.
  ///   - seed: of the draws.
  public init(_ dynamics: TrainingDynamics, seed: UInt64 = 1) {
    var generator = SeededGenerator(seed: seed, stream: .probe, index: 7)
    let count = dynamics.count
    var (given, imagined): ([Double], [Double]) = ([], [])
    for row in 0..<count {
      let probabilities = dynamics.meanProbabilities(of: row)
      let label = dynamics.labels[row]
      given.append(-ExampleScores.margin(probabilities, label))
      var others = probabilities.indices.filter { $0 != label }
      if others.count > Self.maximumDraws {
        others = (0..<Self.maximumDraws).map { _ in others[generator.integer(below: others.count)] }
      }
      imagined += others.map { -ExampleScores.margin(probabilities, $0) }
    }
    let sorted = imagined.sorted()
    let thresholds = Self.shares.map { sorted[Int(((1 - $0) * Double(sorted.count - 1)).rounded(.down))] }
    func estimate(_ threshold: Double, _ beyond: Int) -> Double {
      let share = Double(sorted.count - Self.places(upTo: threshold, in: sorted)) / Double(sorted.count)
      return min(Double(count), share > 0 ? Double(beyond) / share : 0)
    }
    let found = thresholds.map { threshold in estimate(threshold, given.count { $0 > threshold }) }
    errors = Self.shares.firstIndex(of: Self.share).map { found[$0] } ?? 0
    var (low, high) = (errors, errors)
    for threshold in thresholds {
      let isBeyond = given.map { $0 > threshold }
      let drawn = (0..<Self.bootstrapCount).map { _ in
        estimate(threshold, (0..<count).count { _ in isBeyond[generator.integer(below: count)] })
      }.sorted()
      low = min(low, drawn[Int(0.025 * Double(drawn.count))])
      high = max(high, drawn[Int(0.975 * Double(drawn.count))])
    }
    (self.low, self.high) = (low, high)
    probabilities = Self.probabilities(given, sorted, errors: errors)
  }

  /// How many numbers of a sorted list are at most `value`.
  private static func places(upTo value: Double, in sorted: [Double]) -> Int {
    var (start, end) = (0, sorted.count)
    while start < end {
      let middle = (start + end) / 2
      if sorted[middle] <= value { start = middle + 1 } else { end = middle }
    }
    return start
  }

  /// π·f₁/g in bins with equally many given labels each, made monotone.
  private static func probabilities(_ given: [Double], _ imagined: [Double], errors: Double) -> [Double] {
    let order = given.indices.sorted { given[$0] < given[$1] }
    let bins = min(binCount, order.count)
    var edges = (1..<bins).map { given[order[$0 * order.count / bins]] }
    edges.append(.infinity)
    let rate = errors / Double(order.count)
    var (values, weights): ([Double], [Double]) = ([], [])
    var (before, start) = (0, 0)
    for edge in edges {
      var end = start
      while end < order.count, given[order[end]] < edge { end += 1 }
      let through = edge.isInfinite ? imagined.count : places(upTo: edge.nextDown, in: imagined)
      let own = Double(end - start) / Double(order.count)
      if end > start {
        let ratio = rate * Double(through - before) / Double(imagined.count) / own
        values.append(min(1, ratio))
        weights.append(Double(end - start))
      }
      (before, start) = (through, end)
    }
    let rising = isotonic(values, weights)
    var result = given
    var place = 0
    for (bin, weight) in weights.enumerated() {
      for row in order[place..<place + Int(weight)] { result[row] = rising[bin] }
      place += Int(weight)
    }
    return result
  }

  /// The rising sequence with the least weighted squared distance, by pooling adjacent violators.
  static func isotonic(_ values: [Double], _ weights: [Double]) -> [Double] {
    var blocks: [(value: Double, weight: Double, count: Int)] = []
    for (value, weight) in zip(values, weights) {
      blocks.append((value, weight, 1))
      while blocks.count > 1, blocks[blocks.count - 2].value > blocks[blocks.count - 1].value {
        let last = blocks.removeLast()
        let other = blocks.removeLast()
        let sum = last.weight + other.weight
        blocks.append(
          ((last.value * last.weight + other.value * other.weight) / sum, sum, last.count + other.count))
      }
    }
    return blocks.flatMap { [Double](repeating: $0.value, count: $0.count) }
  }
}
