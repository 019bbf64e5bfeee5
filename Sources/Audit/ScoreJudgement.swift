// SPDX-License-Identifier: Apache-2.0

import Charts
import Datasets

/// How well a score finds the errors, where they are known.
public struct ScoreJudgement: Sendable, Equatable, Codable {
  /// A number with a bootstrap interval.
  public struct Estimate: Sendable, Equatable, Codable {
    /// Over the examples as they are.
    public let value: Double
    /// The ends of the 95 % percentile interval over bootstrap samples of examples.
    public let low, high: Double
  }

  /// The score.
  public let name: String
  /// The probability that an error has a larger score than a right label; equal ones count half.
  public let auroc: Estimate
  /// The mean precision over the errors from the most suspect on; examples of one value enter together.
  public let averagePrecision: Estimate
  /// The share of errors among as many of the most suspect as there are errors; where the last of them share a value with
  /// more, the share expected of a draw.
  public let precisionAtTrueNumber: Estimate

  /// The share of the errors that are missed when as many are flagged as there are.
  public var falseNegatives: Double { 1 - precisionAtTrueNumber.value }

  /// Bootstrap samples behind an interval.
  public static let bootstrapCount = 200

  /// Judges a score.
  ///
  /// - Parameters:
  ///   - name: of the score.
  ///   - values: of every example, larger for more suspect.
  ///   - isError: whether its label is wrong.
  ///   - seed: of the bootstrap samples.
  /// - Throws: `AuditError` unless there are both errors and right labels, and as many as values.
  public init(_ name: String, values: [Double], isError: [Bool], seed: UInt64 = 1) throws {
    guard values.count == isError.count else {
      throw AuditError("\(values.count) scores cannot be judged by \(isError.count) labels; give as many")
    }
    let errors = isError.count { $0 }
    guard errors > 0, errors < isError.count else {
      throw AuditError(
        "of \(isError.count) labels \(errors) are wrong: a score can only be judged where some are wrong and some right"
      )
    }
    let order = Ranking.order(of: values)
    let sorted = order.map { (value: values[$0], isError: isError[$0]) }
    var generator = SeededGenerator(seed: seed, stream: .probe, index: 6)
    let whole = Measures(sorted, weights: [Int](repeating: 1, count: sorted.count))
    let samples = (0..<Self.bootstrapCount).map { _ in
      var weights = [Int](repeating: 0, count: sorted.count)
      for _ in sorted.indices { weights[generator.integer(below: sorted.count)] += 1 }
      return Measures(sorted, weights: weights)
    }
    func estimate(_ path: KeyPath<Measures, Double>) -> Estimate {
      let drawn = samples.map { $0[keyPath: path] }.filter { !$0.isNaN }.sorted()
      func quantile(_ share: Double) -> Double {
        drawn.isEmpty ? whole[keyPath: path] : drawn[Int(clamping: (share * Double(drawn.count - 1)).rounded())]
      }
      return Estimate(value: whole[keyPath: path], low: quantile(0.025), high: quantile(0.975))
    }
    self.name = name
    (auroc, averagePrecision) = (estimate(\.auroc), estimate(\.averagePrecision))
    precisionAtTrueNumber = estimate(\.precisionAtTrueNumber)
  }

  /// The AUROC alone.
  ///
  /// - Parameters:
  ///   - values: of every example, larger for more suspect.
  ///   - isError: whether its label is wrong, one for each value; some are and some are not.
  public static func auroc(of values: [Double], isError: [Bool]) -> Double {
    let sorted = Ranking.order(of: values).map { (value: values[$0], isError: isError[$0]) }
    return Measures(sorted, weights: [Int](repeating: 1, count: sorted.count)).auroc
  }

  /// The three measures of examples that count several times each.
  private struct Measures {
    let auroc, averagePrecision, precisionAtTrueNumber: Double

    /// - Parameter sorted: from the most to the least suspect.
    init(_ sorted: [(value: Double, isError: Bool)], weights: [Int]) {
      var (errors, all) = (0, 0)
      for (place, entry) in sorted.enumerated() {
        all += weights[place]
        if entry.isError { errors += weights[place] }
      }
      let right = all - errors
      var (found, passed, start) = (0, 0, 0)
      var (pairs, precision, hits) = (0.0, 0.0, 0.0)
      while start < sorted.count {
        // Examples of one value are one step.
        var (ownErrors, own, end) = (0, 0, start)
        while end < sorted.count, sorted[end].value == sorted[start].value {
          own += weights[end]
          if sorted[end].isError { ownErrors += weights[end] }
          end += 1
        }
        let before = found + passed
        pairs += Double(ownErrors) * (Double(right - passed) - Double(own - ownErrors) / 2)
        found += ownErrors
        passed += own - ownErrors
        if ownErrors > 0 { precision += Double(ownErrors) * Double(found) / Double(found + passed) }
        let room = min(own, max(0, errors - before))
        if own > 0 { hits += Double(room) * Double(ownErrors) / Double(own) }
        start = end
      }
      auroc = pairs / (Double(errors) * Double(right))
      averagePrecision = precision / Double(errors)
      precisionAtTrueNumber = hits / Double(errors)
    }
  }
}
