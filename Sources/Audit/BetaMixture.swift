// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation

/// Two beta distributions over numbers from 0 to 1, fitted by expectation maximisation with moments in the second step
/// (Arazo et al., Unsupervised Label Noise Modeling and Loss Correction, 2019, section 3.1). The one with the larger mean
/// stands for errors. The numbers are counted in bins first, so that the fit takes no longer for more examples.
public struct BetaMixture: Sendable, Equatable {
  /// A beta distribution and its weight.
  struct Component: Sendable, Equatable {
    var weight, a, b: Double

    var mean: Double { a / (a + b) }

    func logDensity(at x: Double) -> Double {
      log(weight) + (a - 1) * log(x) + (b - 1) * log(1 - x) + lgamma(a + b) - lgamma(a) - lgamma(b)
    }

    /// By the moments of weighted numbers.
    init(_ weights: [Double], at centres: [Double], of total: Double) {
      let sum = weights.reduce(0, +)
      guard sum > 0 else {
        (weight, a, b) = (1e-12, 1, 1)
        return
      }
      let mean = zip(weights, centres).reduce(0) { $0 + $1.0 * $1.1 } / sum
      let variance = zip(weights, centres).reduce(0) { $0 + $1.0 * ($1.1 - mean) * ($1.1 - mean) } / sum
      let bound = mean * (1 - mean)
      // A variance of the bound or above is none of a beta distribution, and 0 is none of a density.
      let scale = bound / min(max(variance, 1e-6), 0.99 * bound) - 1
      (weight, a, b) = (max(1e-12, sum / total), max(0.01, mean * scale), max(0.01, (1 - mean) * scale))
    }
  }

  static let binCount = 500
  private static let iterations = 200
  private static let centres = (0..<binCount).map { (Double($0) + 0.5) / Double(binCount) }

  let right, wrong: Component
  /// The numbers in each bin.
  private let counts: [Double]

  /// Fits the mixture.
  ///
  /// - Parameter values: numbers from 0 to 1, larger for more suspect.
  public init(_ values: [Double]) {
    var counts = [Double](repeating: 0, count: Self.binCount)
    for value in values { counts[Self.bin(value)] += 1 }
    self.init(counts: counts)
  }

  private init(counts: [Double]) {
    self.counts = counts
    let total = max(1, counts.reduce(0, +))
    // The larger a number, the more it counts as an error to begin with.
    var posterior = Self.centres
    var (right, wrong) = Self.components(counts, posterior, total)
    for _ in 0..<Self.iterations {
      posterior = Self.posteriors(right, wrong)
      (right, wrong) = Self.components(counts, posterior, total)
    }
    (self.right, self.wrong) = right.mean <= wrong.mean ? (right, wrong) : (wrong, right)
  }

  private static func components(_ counts: [Double], _ posterior: [Double], _ total: Double) -> (Component, Component) {
    let wrong = zip(counts, posterior).map { $0 * $1 }
    let right = zip(counts, wrong).map { $0 - $1 }
    return (Component(right, at: centres, of: total), Component(wrong, at: centres, of: total))
  }

  private static func posteriors(_ right: Component, _ wrong: Component) -> [Double] {
    centres.map { x in
      let difference = right.logDensity(at: x) - wrong.logDensity(at: x)
      return 1 / (1 + exp(min(700, difference)))
    }
  }

  private static func bin(_ value: Double) -> Int {
    max(0, min(binCount - 1, Int((value.isFinite ? value : 0) * Double(binCount))))
  }

  /// The probability of being an error for each value: never falling as values rise, since a label is not less suspect
  /// for a larger value.
  public func posteriors(of values: [Double]) -> [Double] {
    var largest = 0.0
    let byBin = Self.posteriors(right, wrong).map { probability in
      largest = max(largest, probability)
      return largest
    }
    return values.map { byBin[Self.bin($0)] }
  }

  /// The expected number of errors.
  public var errors: Double {
    zip(counts, Self.posteriors(right, wrong)).reduce(0) { $0 + $1.0 * $1.1 }
  }

  /// The ends of the 95 % percentile interval of the number of errors over bootstrap samples of the numbers.
  ///
  /// - Parameters:
  ///   - count: bootstrap samples.
  ///   - seed: of the samples.
  public func interval(samples count: Int = 100, seed: UInt64 = 1) -> (low: Double, high: Double) {
    var generator = SeededGenerator(seed: seed, stream: .probe, index: 7)
    let total = Int(counts.reduce(0, +))
    guard total > 0 else { return (0, 0) }
    var cumulative: [Double] = []
    for value in counts { cumulative.append((cumulative.last ?? 0) + value) }
    let drawn = (0..<count).map { _ in
      var sample = [Double](repeating: 0, count: Self.binCount)
      for _ in 0..<total {
        let place = Double(generator.integer(below: total)) + 0.5
        sample[cumulative.partitioningIndex { $0 > place }] += 1
      }
      return BetaMixture(counts: sample).errors
    }.sorted()
    func quantile(_ share: Double) -> Double { drawn[Int((share * Double(drawn.count - 1)).rounded())] }
    return (quantile(0.025), quantile(0.975))
  }
}

extension Array {
  /// The first place whose element satisfies a predicate that holds from some place on.
  fileprivate func partitioningIndex(_ isBehind: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return Swift.min(low, count - 1)
  }
}
