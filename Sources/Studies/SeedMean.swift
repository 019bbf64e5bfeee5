// SPDX-License-Identifier: Apache-2.0

import RunStore
import Foundation

/// A mean over seeds and how far it can be trusted: for comparisons in which one run differs from the next by chance.
struct SeedMean {
  /// With fewer, a spread says little about the mean.
  static let minimumSeeds = 3
  /// Differences beyond two standard errors of the means over seeds are taken for real. With three seeds chance exceeds
  /// them in 18 % of cases (a mean and a limit; two degrees of freedom) or 12 % (two means; four): a mild test.
  static let errors = 2.0

  let values: [Double]
  let mean: Double
  /// The variance of the mean.
  let variance: Double

  /// - Parameter values: At least two, one a seed.
  init(_ values: [Double]) {
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    self.values = values
    self.mean = mean
    variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / max(1, count - 1) / count
  }

  /// Two standard errors of the mean.
  var error: Double { Self.errors * sqrt(variance) }

  /// Two standard errors of the difference of two means.
  func error(of other: SeedMean) -> Double { Self.errors * sqrt(variance + other.variance) }

  /// Whether the mean is beyond a limit: true or false by two standard errors, nil within them.
  func isAbove(_ limit: Double) -> Bool? { abs(mean - limit) <= error ? nil : mean > limit }

  /// Whether the mean is above another one: true or false by two standard errors, nil within them.
  func isAbove(_ other: SeedMean) -> Bool? { abs(mean - other.mean) <= error(of: other) ? nil : mean > other.mean }

  /// The opposite of `isAbove`, nil where that is.
  func isBelow(_ other: SeedMean) -> Bool? { isAbove(other).map(!) }
}

extension Assessment {
  /// The mean of a value over seeds, noted; nil with fewer seeds than a mean needs, which is then named as missing.
  mutating func seedMean(
    _ name: String, of runs: [RunHistory], missing what: String, _ value: (RunHistory) -> Double?
  ) -> SeedMean? {
    let values = runs.onePerSeed.compactMap(value).filter(\.isFinite)
    if !values.isEmpty { note(NamedValue(name, values: values)) }
    guard values.count >= SeedMean.minimumSeeds else {
      miss("\(SeedMean.minimumSeeds) seeds of \(what)")
      return nil
    }
    return SeedMean(values)
  }

  /// The mean over seeds of a run's value beside another's with the same seed: settings have images and first weights in
  /// common then, which can move both values more than what the settings differ in.
  ///
  /// - Parameter control: the other values, by seed (`valuesBySeed`).
  mutating func seedMean(
    _ name: String, of runs: [RunHistory], beside control: [UInt64: Double], missing what: String,
    _ value: (RunHistory) -> Double?, _ compare: (_ own: Double, _ control: Double) -> Double = { $0 - $1 }
  ) -> SeedMean? {
    seedMean(name, of: runs, missing: what) { run in
      guard let own = value(run), let other = control[run.seed] else { return nil }
      return compare(own, other)
    }
  }
}

extension [RunHistory] {
  /// A value for each seed that has one.
  func valuesBySeed(_ value: (RunHistory) -> Double?) -> [UInt64: Double] {
    Dictionary(
      onePerSeed.compactMap { run in value(run).map { (run.seed, $0) } }, uniquingKeysWith: { first, _ in first })
  }
}
