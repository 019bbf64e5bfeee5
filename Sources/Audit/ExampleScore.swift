// SPDX-License-Identifier: Apache-2.0

import Foundation
import Training

/// What scores are computed from.
public struct AuditEvidence: Sendable {
  /// What training showed of every example.
  public let dynamics: TrainingDynamics
  /// Probabilities by models that were not trained on the example, [N, K]; nil without such models.
  public let outOfSample: [Float]?

  /// Evidence from its parts.
  ///
  /// - Throws: `AuditError` unless there are K probabilities for each example.
  public init(_ dynamics: TrainingDynamics, outOfSample: [Float]? = nil) throws {
    guard outOfSample.map({ $0.count == dynamics.count * dynamics.classCount }) ?? true else {
      throw AuditError(
        "there are \(outOfSample?.count ?? 0) probabilities for \(dynamics.count) examples of \(dynamics.classCount) classes; "
          + "give one for each class of each example")
    }
    (self.dynamics, self.outOfSample) = (dynamics, outOfSample)
  }
}

/// A number for every example that is larger the more its label is to be suspected.
public protocol ExampleScore: Sendable {
  /// The column in suspects.csv.
  var name: String { get }
  /// For people.
  var title: String { get }
  /// As text, in the letters of `TrainingDynamics`.
  var formula: String { get }
  /// Where it comes from.
  var source: String { get }
  /// One finite number for each example, larger for more suspect; nil where the evidence has nothing of it.
  func values(_ evidence: AuditEvidence) -> [Double]?
}

/// A score by a closure: a row of the table of scores.
public struct FormulaScore: ExampleScore {
  /// The column in suspects.csv.
  public let name: String
  /// For people.
  public let title: String
  /// As text.
  public let formula: String
  /// Where it comes from.
  public let source: String
  private let compute: @Sendable (AuditEvidence) -> [Double]?

  /// A score from its parts.
  public init(
    _ name: String, _ title: String, formula: String, source: String,
    _ compute: @escaping @Sendable (AuditEvidence) -> [Double]?
  ) {
    (self.name, self.title, self.formula, self.source, self.compute) = (name, title, formula, source, compute)
  }

  /// What the closure says.
  public func values(_ evidence: AuditEvidence) -> [Double]? { compute(evidence) }
}

/// The scores that an audit computes.
public enum ExampleScores {
  /// All of them, in the order of the columns.
  public static let all: [any ExampleScore] = [
    perVisit(
      "wrong_events", "Wrong events", "share of visits with argmax p ≠ y",
      "1 − correctness of Swayamdipta et al., Dataset Cartography, 2020"
    ) { d, row in Double(d.wrong[row]) },
    perVisit(
      "aum", "Area under the margin", "−mean over visits of z_y − max_{k≠y} z_k",
      "Pleiss et al., Identifying Mislabeled Data using the Area Under the Margin Ranking, 2020"
    ) { d, row in -d.marginSum[row] },
    perVisit(
      "loss", "Loss over training", "mean over visits of −ln p_y", "cumulative sample loss, 2025"
    ) { d, row in d.lossSum[row] },
    byRow(
      "mean_margin", "Margin of the mean prediction", "max_{k≠y} p̄_k − p̄_y, p̄ the mean of p over visits",
      "arXiv 2510.16211"
    ) { d, row in -margin(d.meanProbabilities(of: row), d.labels[row]) },
    byRow(
      "forgetting", "Forgetting", "visits that were wrong after a right one; never right counts as all",
      "Toneva et al., An Empirical Study of Example Forgetting, 2019"
    ) { d, row in Double(d.wrong[row] == d.visits[row] ? d.visits[row] : d.forgetting[row]) },
    byRow(
      "first_streak", "Late learning",
      "visit that completes the first \(TrainingDynamics.streakLength) right ones in a row",
      "Yuan et al., Late Stopping, 2023"
    ) { d, row in Double(d.firstStreak[row] == 0 ? d.visits[row] + 1 : d.firstStreak[row]) },
    byRow(
      "el2n", "Early error", "mean of ‖p − e_y‖ over the first \(TrainingDynamics.earlyVisits) visits",
      "Paul et al., Deep Learning on a Data Diet, 2021"
    ) { d, row in d.earlyErrorSum[row] / Double(max(1, min(TrainingDynamics.earlyVisits, d.visits[row]))) },
    perMoment("gradient_norm", "Gradient norm", "mean over moments of ‖gᵢ‖", "Paul et al., 2021 (GraNd)") {
      d, row in d.normSum[row]
    },
    perMoment(
      "self_influence", "Self-influence", "mean over moments of η‖gᵢ‖²",
      "Pruthi et al., Estimating Training Data Influence by Tracing Gradient Descent, 2020"
    ) { d, row in d.selfInfluence[row] },
    perMoment(
      "cosine", "Disagreement with the others", "−mean over moments of cos(gᵢ, ḡ₋ᵢ)",
      "coherence of the example with the rest of the training set, without its own part"
    ) { d, row in -d.cosineSum[row] },
    perMoment(
      "class_cosine", "Disagreement with its class", "the same with the mean over the others of the same label",
      "as before, within the class"
    ) { d, row in -d.classCosineSum[row] },
    perMoment(
      "others_push", "Push by the others", "−mean over moments of η⟨gᵢ, ḡ₋ᵢ⟩",
      "the ledger of the study ws/group-size, for the mean"
    ) { d, row in -d.othersPush[row] },
    FormulaScore(
      "neighbours", "Neighbours' labels", formula: "share of the nearest in the last hidden layer with another label",
      source: "k nearest neighbours by cosine, k = 10, after the last step"
    ) { evidence in
      let shares = evidence.dynamics.neighbourAgreement
      return shares.isEmpty ? nil : shares.map { 1 - $0 }
    },
    FormulaScore(
      "self_confidence", "Self-confidence", formula: "1 − p_y after the last step",
      source: "Northcutt et al., Confident Learning, 2021, in sample"
    ) { evidence in
      let d = evidence.dynamics
      guard !d.finalLogits.isEmpty, let last = try? Predictions(logits: d.finalLogits, classCount: d.classCount) else {
        return nil
      }
      return unconfidence(of: last.probabilities(), d)
    },
    FormulaScore(
      "out_of_sample", "Outside opinion", formula: "1 − p_y by a model that was not trained on the example",
      source: "Northcutt et al., Confident Learning, 2021, by folds"
    ) { evidence in evidence.outOfSample.map { unconfidence(of: $0, evidence.dynamics) } },
  ]

  /// The scores that make the headline: those that need no more than the visits and the neighbours, so that every audit
  /// has them. Chosen before anything was judged; see docs/audit.md.
  public static let headline = ["wrong_events", "loss", "mean_margin", "neighbours"]

  /// p_y − max_{k≠y} p_k.
  static func margin(_ probabilities: [Double], _ label: Int) -> Double {
    let other = probabilities.indices.lazy.filter { $0 != label }.map { probabilities[$0] }.max() ?? 0
    return probabilities[label] - other
  }

  private static func unconfidence(of probabilities: [Float], _ d: TrainingDynamics) -> [Double] {
    (0..<d.count).map { 1 - Double(probabilities[$0 * d.classCount + d.labels[$0]]) }
  }

  private static func byRow(
    _ name: String, _ title: String, _ formula: String, _ source: String,
    _ value: @escaping @Sendable (TrainingDynamics, Int) -> Double
  ) -> FormulaScore {
    FormulaScore(name, title, formula: formula, source: source) { evidence in
      (0..<evidence.dynamics.count).map { value(evidence.dynamics, $0) }
    }
  }

  private static func perVisit(
    _ name: String, _ title: String, _ formula: String, _ source: String,
    _ value: @escaping @Sendable (TrainingDynamics, Int) -> Double
  ) -> FormulaScore {
    byRow(name, title, formula, source) { d, row in value(d, row) / Double(max(1, d.visits[row])) }
  }

  private static func perMoment(
    _ name: String, _ title: String, _ formula: String, _ source: String,
    _ value: @escaping @Sendable (TrainingDynamics, Int) -> Double
  ) -> FormulaScore {
    FormulaScore(name, title, formula: formula, source: source) { evidence in
      let d = evidence.dynamics
      return d.moments == 0 ? nil : (0..<d.count).map { value(d, $0) / Double(d.moments) }
    }
  }
}
