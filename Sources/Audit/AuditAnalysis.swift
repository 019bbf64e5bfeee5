// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import Training

/// What the evidence says of every label: scores, one ranking, the class that is suggested instead, and how many labels
/// are wrong.
public struct AuditAnalysis: Sendable {
  /// A score with its values.
  public struct Column: Sendable {
    /// The score.
    public let score: any ExampleScore
    /// Its values, one for each example, larger for more suspect.
    public let values: [Double]
  }

  /// What it rests on.
  public let evidence: AuditEvidence
  /// The scores that the evidence allows.
  public let columns: [Column]
  /// The mean over the headline's scores of the share of examples that are less suspect, in 0 ... 1.
  public let suspicion: [Double]
  /// The examples' places from the most to the least suspect.
  public let order: [Int]
  /// The most probable class other than the given one.
  public let suggested: [Int]
  /// How many labels are wrong, and with which probability each.
  public let estimate: ErrorEstimate

  /// Analyses evidence.
  ///
  /// - Parameters:
  ///   - evidence: what training has shown.
  ///   - scores: the scores to compute.
  /// - Throws: `AuditError` when there are fewer than two examples or classes, or some example was never seen.
  public init(_ evidence: AuditEvidence, scores: [any ExampleScore] = ExampleScores.all) throws {
    let dynamics = evidence.dynamics
    guard dynamics.count > 1, dynamics.classCount > 1 else {
      throw AuditError(
        "an audit needs at least two examples and two classes, and there are \(dynamics.count) and \(dynamics.classCount)"
      )
    }
    guard let fewest = dynamics.visits.min(), fewest > 0 else {
      throw AuditError("some examples were never trained on; leave them out, or train for longer")
    }
    self.evidence = evidence
    (columns, suspicion) = Self.ranked(evidence, scores)
    order = Ranking.order(of: suspicion)
    suggested = (0..<dynamics.count).map { Self.other(dynamics.meanProbabilities(of: $0), than: dynamics.labels[$0]) }
    estimate = ErrorEstimate(dynamics)
  }

  /// The scores that evidence allows, and the headline.
  ///
  /// - Parameters:
  ///   - evidence: what training has shown.
  ///   - scores: the scores to compute.
  public static func ranked(
    _ evidence: AuditEvidence, _ scores: [any ExampleScore] = ExampleScores.all
  ) -> (columns: [Column], suspicion: [Double]) {
    let columns = scores.compactMap { score in score.values(evidence).map { Column(score: score, values: $0) } }
    let leading = columns.filter { ExampleScores.headline.contains($0.score.name) }
    return (columns, Ranking.combined(leading.map(\.values)))
  }

  private static func other(_ probabilities: [Double], than label: Int) -> Int {
    probabilities.indices.filter { $0 != label }.max { probabilities[$0] < probabilities[$1] } ?? label
  }

  /// How many examples are flagged: the estimated number of errors.
  public var flagged: Int { max(0, min(order.count, Int(clamping: estimate.errors.rounded()))) }

  /// The expected share of wrong labels among the first so many by rank, at about a hundred numbers up to all examples,
  /// closer to each other at the beginning.
  public var precision: [(count: Int, precision: Double)] {
    var (points, sum, next) = ([(count: Int, precision: Double)](), 0.0, 1.0)
    for (place, row) in order.enumerated() {
      sum += estimate.probabilities[row]
      let count = place + 1
      guard Double(count) >= next || count == order.count else { continue }
      points.append((count, sum / Double(count)))
      next = max(Double(count + 1), Double(count) * pow(Double(order.count), 0.01))
    }
    return points
  }

  /// How many flagged examples of each given class have each suggested one, the most frequent first.
  public var confused: [(given: Int, suggested: Int, count: Int)] {
    var counts: [Int: Int] = [:]
    let classCount = evidence.dynamics.classCount
    for row in order.prefix(flagged) {
      counts[evidence.dynamics.labels[row] * classCount + suggested[row], default: 0] += 1
    }
    return counts.map { ($0.key / classCount, $0.key % classCount, $0.value) }
      .sorted { ($1.2, $0.0, $0.1) < ($0.2, $1.0, $1.1) }
  }

  /// How well each score and the headline find the errors.
  ///
  /// - Parameters:
  ///   - isError: whether the label of each example is wrong.
  ///   - seed: of the bootstrap samples.
  /// - Returns: the headline first, under the name `suspicion`.
  /// - Throws: `AuditError` when there is nothing to find, or nothing else.
  public func judged(isError: [Bool], seed: UInt64 = 1) throws -> [ScoreJudgement] {
    try [ScoreJudgement("suspicion", values: suspicion, isError: isError, seed: seed)]
      + columns.map { try ScoreJudgement($0.score.name, values: $0.values, isError: isError, seed: seed) }
  }
}
