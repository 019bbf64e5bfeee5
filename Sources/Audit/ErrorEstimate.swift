// SPDX-License-Identifier: Apache-2.0

import Charts
import Datasets
import Foundation
import Training

/// How many labels are wrong, from the mean predictions alone.
///
/// The margin of a label k is d = max_{j≠k} p̄_j − p̄_k, p̄ the mean prediction over training. Where the margins of the given
/// labels lie in two heaps (`MarginHeaps`), those above the valley are counted.
///
/// Otherwise labels are imagined. Were the label of an example drawn anew among the other classes, its margin would be
/// known from the same p̄: together these imagined margins are the distribution F₁ of wrong labels. The given labels have
/// the distribution G = (1 − π)F₀ + πF₁, with few right labels beyond a threshold t that a share q of the imagined ones
/// exceed, so that π ≈ P_G(d > t)/q. A large q counts right labels too where classes are hard to learn, a small one misses
/// wrong labels that resemble right ones; q = 0.7 lies between. An example's probability of being wrong is π·f₁(d)/g(d),
/// made to rise with d.
///
/// Labels that are wrong because the classes look alike have smaller margins, and are undercounted.
public struct ErrorEstimate: Sendable {
  /// The expected number of wrong labels.
  public let errors: Double
  /// The ends of an interval: the least and the largest of the 95 % bootstrap intervals at several thresholds.
  public let low, high: Double
  /// The probability that the label of each example is wrong.
  public let probabilities: [Double]
  /// How it was made, for readers.
  public let method: String

  /// The share q behind the estimate, and those behind the interval.
  static let share = 0.7
  static let shares = [0.3, 0.5, 0.7, 0.9, 0.95]
  /// How far from the valley between two heaps the thresholds of the interval are.
  static let reach = 0.15
  /// Other labels that are imagined for an example, at most.
  private static let maximumDraws = 9
  private static let bootstrapCount = 200
  private static let binCount = 100

  private static let byHeaps =
    "The margins of the given labels under the mean prediction lie in two heaps, and those above the valley between them "
    + "are counted. The interval covers the draw of the examples (95 %, bootstrap) and thresholds 0.15 to both sides. "
    + "Labels that are wrong because classes look alike are undercounted."
  private static let byImagination =
    "Labels are imagined drawn anew: their margins under the mean prediction tell what wrong labels look like, and the "
    + "given labels beyond the margin that 70 % of those exceed are counted. The interval covers the draw of the examples "
    + "(95 %, bootstrap) and thresholds from 30 to 95 %. Where classes are hard to learn right labels are counted too; "
    + "labels that are wrong because classes look alike are undercounted."

  /// An estimate.
  ///
  /// - Parameters:
  ///   - dynamics: what training has shown.
  ///   - seed: of the draws.
  public init(_ dynamics: TrainingDynamics, seed: UInt64 = 1) {
    var generator = SeededGenerator(seed: seed, stream: .probe, index: 7)
    let means = (0..<dynamics.count).map { dynamics.meanProbabilities(of: $0) }
    let given = means.indices.map { -ExampleScores.margin(means[$0], dynamics.labels[$0]) }
    if let heaps = MarginHeaps(given) {
      let thresholds = [heaps.valley - Self.reach, heaps.valley, heaps.valley + Self.reach].map {
        (margin: $0, share: 1.0)
      }
      errors = Self.estimate(given, thresholds[1])
      (low, high) = Self.interval(given, thresholds, &generator)
      probabilities = given.map(heaps.probability)
      method = Self.byHeaps
      return
    }
    let imagined = Self.imagined(means, dynamics.labels, &generator)
    let thresholds = Self.shares.map { share in
      let margin = imagined[Int(clamping: (1 - share) * Double(imagined.count - 1))]
      // As ties may have it.
      let beyond = imagined.count - Self.places(upTo: margin, in: imagined)
      return (margin: margin, share: Double(beyond) / Double(imagined.count))
    }
    errors = Self.shares.firstIndex(of: Self.share).map { Self.estimate(given, thresholds[$0]) } ?? 0
    let ends = Self.interval(given, thresholds, &generator)
    (low, high) = (min(ends.low, errors), max(ends.high, errors))
    probabilities = Self.probabilities(given, imagined, errors: errors)
    method = Self.byImagination
  }

  /// Margins of imagined labels, ascending.
  private static func imagined(
    _ means: [[Double]], _ labels: [Int], _ generator: inout SeededGenerator
  ) -> [Double] {
    var margins: [Double] = []
    for (probabilities, label) in zip(means, labels) {
      var others = probabilities.indices.filter { $0 != label }
      if others.count > maximumDraws {
        others = (0..<maximumDraws).map { _ in others[generator.integer(below: others.count)] }
      }
      margins += others.map { -ExampleScores.margin(probabilities, $0) }
    }
    return margins.sorted()
  }

  /// How many margins are beyond a threshold, over the share of wrong ones that is.
  private static func estimate(_ given: [Double], _ threshold: (margin: Double, share: Double)) -> Double {
    let beyond = Double(given.count { $0 > threshold.margin })
    return threshold.share > 0 ? min(Double(given.count), beyond / threshold.share) : 0
  }

  /// The ends of all bootstrap intervals together.
  private static func interval(
    _ given: [Double], _ thresholds: [(margin: Double, share: Double)], _ generator: inout SeededGenerator
  ) -> (low: Double, high: Double) {
    var (low, high) = (Double(given.count), 0.0)
    for threshold in thresholds where threshold.share > 0 {
      let isBeyond = given.map { $0 > threshold.margin }
      let drawn = (0..<bootstrapCount).map { _ in
        let beyond = isBeyond.indices.count { _ in isBeyond[generator.integer(below: isBeyond.count)] }
        return min(Double(given.count), Double(beyond) / threshold.share)
      }.sorted()
      low = min(low, drawn[Int(clamping: 0.025 * Double(drawn.count))])
      high = max(high, drawn[Int(clamping: 0.975 * Double(drawn.count))])
    }
    return (low, high)
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
      for row in order[place..<place + Int(clamping: weight)] { result[row] = rising[bin] }
      place += Int(clamping: weight)
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
