// SPDX-License-Identifier: Apache-2.0

import Audit
import Datasets
import Foundation
import RunStore
import Runs
import Training

/// How well a threshold on an example's loss tells the examples that were trained on from others (Yeom et al., Privacy Risk
/// in Machine Learning, 2018): the area under the ROC curve, ½ for an attack that knows nothing, of the last weights of
/// several runs. The others are those held out for validation, drawn at random from the same examples: test examples may
/// differ from training examples in more than that.
enum Membership {
  /// A run's optimizer in names of quantities.
  static func key(of optimizer: OptimizerDescription) -> String {
    optimizer.aggregator == "dp-sgd" ? "private" : optimizer.aggregator
  }

  /// For every run `train_KEY_STEPS`, `held_KEY_STEPS` (accuracies, on held-out examples the second), `auroc_KEY_STEPS` and
  /// `error_KEY_STEPS` (its standard error), and of private ones `epsilon_KEY_STEPS`.
  static func quantities(of runs: [URL]) throws -> [QuantityRecord] {
    try runs.flatMap { run -> [QuantityRecord] in
      let manifest = try RunDirectory.open(at: run.path).manifest()
      guard let optimizer = manifest.optimization, let steps = manifest.summary?.steps else {
        throw StudyError(
          "\(run.path) does not say what it was trained with, or has not ended.", remedy: "Train it to the end.")
      }
      let (members, others) = try sides(of: run)
      let area = ScoreJudgement.auroc(
        of: (members + others).map { -$0.loss },
        isError: members.map { _ in true } + others.map { _ in false })
      let error = standardError(of: area, members: members.count, others: others.count)
      var found = [("train", accuracy(members)), ("held", accuracy(others)), ("auroc", area), ("error", error)]
      if let epsilon = manifest.privacy?.epsilon { found.append(("epsilon", epsilon)) }
      return found.map { QuantityRecord(quantity: "\($0.0)_\(key(of: optimizer))_\(steps)", value: $0.1) }
    }
  }

  /// What a model makes of an example.
  private struct Outcome {
    let loss: Double
    let isRight: Bool
  }

  private static func accuracy(_ side: [Outcome]) -> Double {
    Double(side.count(where: \.isRight)) / Double(max(1, side.count))
  }

  /// What a run's last weights make of the examples that were trained on, and of those held out.
  private static func sides(of run: URL) throws -> (members: [Outcome], others: [Outcome]) {
    let model = try TrainedModel(run: run.path)
    let (predictions, configuration) = (try model.predictions(), model.configuration)
    let held = try HoldOut(
      count: model.candidates.count, validationCount: configuration.validation, seed: configuration.seed)
    guard !held.validation.isEmpty else {
      throw StudyError("\(run.path) held out no examples.", remedy: "Train it with validation examples.")
    }
    func outcomes(_ rows: [Int]) -> [Outcome] {
      rows.map { row in
        let (start, label) = (row * predictions.classCount, model.labels[model.candidates[row]])
        let logits = predictions.logits[start..<start + predictions.classCount].map(Double.init)
        return Outcome(
          loss: loss(logits, label: label), isRight: predictions.ranking(of: row).first == label)
      }
    }
    return (outcomes(held.training), outcomes(held.validation))
  }

  /// −ln p_y = ln(1 + Σ exp(zₖ − z_y)) over the other classes: exact also where p_y rounds to 1, so that small losses keep
  /// their order.
  static func loss(_ logits: [Double], label: Int) -> Double {
    let differences = logits.indices.filter { $0 != label }.map { logits[$0] - logits[label] }
    let top = differences.max() ?? 0
    guard top > 0 else { return log1p(differences.reduce(0) { $0 + exp($1) }) }
    return top + log(exp(-top) + differences.reduce(0) { $0 + exp($1 - top) })
  }

  /// The standard error of an area under the ROC curve (Hanley and McNeil, 1982, equation 1).
  static func standardError(of area: Double, members: Int, others: Int) -> Double {
    let (m, n) = (Double(max(1, members)), Double(max(1, others)))
    let (one, two) = (area / (2 - area), 2 * area * area / (1 + area))
    let variance = area * (1 - area) + (m - 1) * (one - area * area) + (n - 1) * (two - area * area)
    return max(0, variance / (m * n)).squareRoot()
  }
}
