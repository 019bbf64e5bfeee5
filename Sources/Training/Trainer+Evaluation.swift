// SPDX-License-Identifier: Apache-2.0

import Datasets
import RunStore
import Tensors

/// What an evaluation found of training examples.
public struct TrainEvaluation: Sendable {
  /// The examples, by index into the training set, ascending.
  public let indices: [Int]
  /// Their places among the examples that are trained on.
  let places: [Int]
  /// Their losses and ranks, in that order.
  public let evaluation: Evaluation
}

extension Trainer {
  /// Evaluates training (all, pristine, corrupt), validation and test examples, and the groups of the split file.
  ///
  /// - Parameter extent: how much of each split; a sample is the same at every evaluation; see
  ///   `EvaluationSamples`. Ranks share the work, so all call this.
  public func evaluate(_ extent: EvaluationExtent = .whole) throws -> [MetricRecord] {
    try average?.inPlace { try evaluatePresent(extent) } ?? evaluatePresent(extent)
  }

  private func evaluatePresent(_ extent: EvaluationExtent) throws -> [MetricRecord] {
    let counts = evaluations.counts(of: extent)
    let epoch = Double(step * aggregator.batchesPerStep) / Double(sampler.batchesPerEpoch)
    var evaluator = evaluator
    evaluator.group = group
    let train = try evaluateTraining(extent, by: evaluator)
    var corrupt = GroupMetrics(), pristine = GroupMetrics()
    for (position, index) in train.indices.enumerated() {
      let (loss, rank) = (train.evaluation.losses[position], train.evaluation.ranks[position])
      // A running mean of the weights is another model than the one that visits are of.
      if average == nil { learning.observe(index, isCorrect: rank == 0, step: step) }
      if data.labels.isCorrupt(index) {
        corrupt.accumulate(loss: loss, rank: rank)
      } else {
        pristine.accumulate(loss: loss, rank: rank)
      }
    }
    let onTrain = train.evaluation.metrics
    var records = [onTrain.record(epoch: epoch, step: step, split: "train", group: "all")]
    for (group, metrics) in [("pristine", pristine), ("corrupt", corrupt)] where metrics.count > 0 {
      records.append(metrics.record(epoch: epoch, step: step, split: "train", group: group))
    }
    func note(_ evaluation: Evaluation, of places: [Int], _ total: Int, _ split: String, _ groups: [TrainingData.Group])
    {
      guard !groups.isEmpty else { return }
      var rows = Array(repeating: -1, count: total)
      for (row, place) in places.enumerated() { rows[place] = row }
      records += groups.compactMap { group in
        let found = group.positions.lazy.map { rows[$0] }.filter { $0 >= 0 }
        let metrics = evaluation.metrics(over: found)
        return metrics.count > 0 ? metrics.record(epoch: epoch, step: step, split: split, group: group.name) : nil
      }
    }
    note(train.evaluation, of: train.places, data.trainIndices.count, "train", data.trainGroups)
    var selection: Double?
    if !data.validationIndices.isEmpty {
      let chosen = samples.validationPlaces(counts.validation, of: data.validationIndices.count)
      let onValidation = try evaluator.evaluate(
        model, on: data.train, indices: chosen.map { data.validationIndices[$0] }, labels: data.labels.assigned)
      selection = onValidation.metrics.accuracy
      records.append(onValidation.metrics.record(epoch: epoch, step: step, split: "validation", group: "all"))
      note(onValidation, of: chosen, data.validationIndices.count, "validation", data.validationGroups)
    }
    let chosen = samples.testPlaces(counts.test, of: data.test.count)
    let onTest = try evaluator.evaluate(model, on: data.test, indices: chosen, labels: data.test.labels)
    records.append(onTest.metrics.record(epoch: epoch, step: step, split: "test", group: "all"))
    note(onTest, of: chosen, data.test.count, "test", data.testGroups)
    let most = evaluations.counts(of: evaluations.last)
    milestones.note(
      step: step, train: onTrain.accuracy, test: onTest.metrics.accuracy, validation: selection,
      canBeBest: counts.test >= most.test, canBeSelected: counts.validation >= most.validation)
    return records
  }

  /// An evaluation of the schedule. Where a sample is accurate enough to end the run, all training examples have the
  /// last word.
  func evaluateAsPlanned(_ extent: EvaluationExtent) throws -> [MetricRecord] {
    let records = try evaluate(extent)
    guard evaluations.counts(of: extent).train < data.trainIndices.count,
      isAccurateEnough(milestones.last?.trainAccuracy)
    else { return records }
    return try evaluate(.whole)
  }

  /// What the last evaluation of a finished run saw, for one that comes back without it; a run that was stopped between
  /// two evaluations is not kept waiting for all examples.
  public var finalExtent: EvaluationExtent {
    isAccurateEnough(milestones.last?.trainAccuracy) ? .whole : presentExtent ?? evaluations.early
  }

  /// What is to be evaluated after the present step, if anything: the schedule says, and a probe may end the run between
  /// two evaluations.
  var presentExtent: EvaluationExtent? {
    isEndedByProbe ? evaluations.last : evaluations.extent(at: step)
  }

  /// How the run evaluates, for its manifest.
  public var evaluationPlan: RunManifest.Evaluation {
    let plan = evaluations
    let all = plan.counts
    func part(_ extent: EvaluationExtent) -> RunManifest.Evaluation.Part {
      let counts = plan.counts(of: extent)
      return .init(train: counts.train, test: counts.test, validation: all.validation > 0 ? counts.validation : nil)
    }
    return .init(
      schedule: settings.evaluationDistance.map { "every \($0) steps" } ?? settings.evaluationPolicy.rawValue,
      evaluations: plan.count(after: -1), early: part(plan.early), regular: part(plan.regular),
      regularDistance: plan.distance < steps ? plan.distance : nil, last: part(plan.last))
  }

  /// What tells how long the run will take, from now on.
  public func pace(now: UInt64) -> Pace {
    Pace(evaluations: evaluations, probesAfter: { [probes] in probes?.count(after: $0) ?? 0 }, now: now)
  }

  /// Whether an accuracy on training examples ends the run.
  func isAccurateEnough(_ accuracy: Double?) -> Bool {
    guard let wanted = settings.stopAccuracy, let accuracy else { return false }
    return accuracy >= wanted
  }

  /// Evaluates training examples alone, and keeps the result as the last such evaluation; no other rank is needed.
  public func evaluateTraining(_ extent: EvaluationExtent) throws -> TrainEvaluation {
    func evaluated() throws -> TrainEvaluation { try evaluateTraining(extent, by: evaluator) }
    return try average?.inPlace(evaluated) ?? evaluated()
  }

  private func evaluateTraining(_ extent: EvaluationExtent, by evaluator: Evaluator) throws -> TrainEvaluation {
    let chosen = samples.trainPlaces(evaluations.counts(of: extent).train, of: data.trainIndices.count)
    let indices = chosen.map { data.trainIndices[$0] }
    let found = TrainEvaluation(
      indices: indices, places: chosen,
      evaluation: try evaluator.evaluate(model, on: data.train, indices: indices, labels: data.labels.assigned))
    lastTrainEvaluation = found
    return found
  }
}
