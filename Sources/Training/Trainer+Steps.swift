// SPDX-License-Identifier: Apache-2.0

import Coherence
import Collectives
import Foundation
import NeuralNetworks
import Tensors

/// An update that was begun, with what it found on its way to the host.
struct UnreadStep {
  /// What a mini-batch found.
  struct Visit {
    /// The examples of the mini-batch, and their labels.
    let indices, targets: [Int]
    /// Each example's own loss, and the model's output.
    let losses, output: HostCopy
  }

  /// Updates made, this one included.
  let step: Int
  let learningRate: Double
  /// One for each mini-batch that has examples and was not looked at yet.
  var visits: [Visit] = []
  /// The sum of the losses that were looked at.
  var total = 0.0
  /// Of how many examples they are.
  var count = 0
  /// Whether all parameters are finite after it; nil where somebody has looked.
  var isFinite: HostCopy?
}

extension Trainer {
  /// Trains from the present step to the last.
  ///
  /// - Parameters:
  ///   - shouldStop: asked after every step; true ends the run early with a completed step. Several ranks make one
  ///     more step, in which they tell each other.
  ///   - observe: called for every event; what it throws ends the training.
  /// - Throws: `TrainingError` of kind divergence when loss or parameters stop being finite, or a mini-batch has a loss above
  ///   a million times that of a uniform guess; `TensorError`.
  public func run(
    shouldStop: () -> Bool = { false }, observe: (TrainingEvent) throws -> Void = { _ in }
  ) throws -> TrainingOutcome {
    try synchronize()
    trainingStep.sharing?.begin()
    if step == 0, !hasBegun {
      try observe(.evaluated(evaluateAsPlanned(evaluations.extent(at: 0) ?? .whole)))
      try probe(observe)
      hasBegun = true
      try gatherState()
      try observe(.completedStep(0))
    }
    let updated = trainingStep.updated
    let checksUpdates = updated.checksUpdates
    if mayReadLater { updated.checksUpdates = false }
    defer { updated.checksUpdates = checksUpdates }
    // What a run before this one left behind when an observer ended it.
    try readUnread(observe)
    while !isFinished {
      if let sharing = trainingStep.sharing {
        // Ranks end together, after the step in which one of them has said so.
        if sharing.agreed.isStopWanted { return .interrupted }
        sharing.wish = .init(
          isStopWanted: shouldStop(), isStateWanted: sharing.group.rank == 0 && isStateWanted(step + 1))
      } else if shouldStop() {
        try readUnread(observe)
        return .interrupted
      }
      do { unread.append(try advance()) } catch {
        // Numbers that the step before has left may be why.
        try readUnread(observe)
        throw error
      }
      try readUnread(but: 1, observe)
      if mayReadLater, isNothingDue { continue }
      let record = try readFirst()
      try noteProbes(of: record)
      try observe(.stepped(record))
      if let extent = presentExtent { try observe(.evaluated(evaluateAsPlanned(extent))) }
      try probe(observe)
      if let agreed = trainingStep.sharing?.agreed, agreed.isStateWanted || agreed.isStopWanted || isFinished {
        try gatherState()
      }
      try observe(.completedStep(step))
      // A whole copy of what is divided: of the last step alone it may be asked for later.
      if !isFinished, trainingStep.sharing?.agreed.isStopWanted != true { gatheredState = nil }
    }
    return .completed
  }

  /// One update, from one mini-batch or as many as the aggregator takes.
  ///
  /// - Throws: as `run`.
  public func update() throws -> StepRecord {
    while !unread.isEmpty { _ = try readFirst() }
    unread.append(try advance())
    return try readFirst()
  }

  /// Whether steps may be read after the next has begun.
  private var mayReadLater: Bool { readsLater == true && group == nil && probes?.mayEndTraining != true }

  /// Whether nobody wants to see the run as it is after the present step.
  private var isNothingDue: Bool {
    !isFinished && presentExtent == nil && probes?.isDue(at: step) != true && !isStateWanted(step)
  }

  /// Reads the steps that were not read yet, but for the last so many. Nothing was due after them.
  private func readUnread(but rest: Int = 0, _ observe: (TrainingEvent) throws -> Void) throws {
    while unread.count > rest {
      let record = try readFirst()
      try noteProbes(of: record)
      try observe(.stepped(record))
      try observe(.completedStep(record.step))
    }
  }

  /// Begins an update; what can be looked at without waiting for the device has been.
  private func advance() throws -> UnreadStep {
    let isDeferred = !trainingStep.updated.checksUpdates
    var begun = UnreadStep(step: step + 1, learningRate: learningRate.value(at: step, of: steps))
    for _ in 0..<aggregator.batchesPerStep {
      let batch = try loader.next(&sampler, device: store.values.device)
      let targets = batch.indices.map { data.labels.assigned[$0] }
      let part = trainingStep.part(targets.count)
      let labels = try Tensor(Array(targets[part]), device: store.values.device)
      let result = try trainingStep.aggregate(batch.images, ofBatch: targets.count) { [settings, predictions] logits in
        let memory = try predictions?.targets(of: Array(batch.indices[part]), logits)
        return try settings.loss.losses(logits, targets: labels, memory: memory)
      }
      if !batch.indices.isEmpty {
        let output = try result.output.detach()
        try predictions?.didVisit(batch.indices, output)
        begun.visits.append(
          .init(
            indices: batch.indices, targets: targets, losses: try HostCopy(result.losses), output: try HostCopy(output))
        )
        // A loss that is no number goes no further where it is known.
        if !isDeferred { try look(at: &begun) }
      }
      let updated = trainingStep.updated
      let aggregate = try settings.clipNorm.map { limit in
        try NormClipping.clipped(result.aggregate, updated, to: limit) { try group?.sum([$0])[0] ?? $0 }
      }
      let isFinite = try optimizer.step(updated, aggregate ?? result.aggregate, learningRate: begun.learningRate)
      guard try trainingStep.didStep(isFinite: isFinite) else { throw divergedParameters(begun) }
    }
    if isDeferred { begun.isFinite = try HostCopy(store.values.isFinite().all()) }
    step = begun.step
    try average?.didStep()
    return begun
  }

  private func divergedParameters(_ step: UnreadStep) -> TrainingError {
    divergence("a parameter is no longer a finite number", rate: step.learningRate, at: step.step)
  }

  /// Waits for what the first of the unread steps found; there is one.
  private func readFirst() throws -> StepRecord {
    var begun = unread.removeFirst()
    do {
      try look(at: &begun)
      if let isFinite = try begun.isFinite?.tensor().itemInteger(), isFinite == 0 { throw divergedParameters(begun) }
    } catch let error as TrainingError where error.kind == .divergence {
      // Those after it came of numbers that are none.
      unread = []
      step = begun.step - 1
      throw error
    }
    return StepRecord(
      step: begun.step, loss: begun.total / Double(begun.count), learningRate: begun.learningRate)
  }

  /// Notes what the mini-batches of a step have found: losses, and which examples were right.
  ///
  /// - Throws: `TrainingError` of kind divergence when the mean of a mini-batch's losses is beyond all bounds.
  private func look(at begun: inout UnreadStep) throws {
    for visit in begun.visits {
      let sum = try visit.losses.tensor().values(as: Float.self).reduce(0.0) { $0 + Double($1) }
      let (classes, loss) = (data.train.classCount, sum / Double(visit.indices.count))
      guard loss <= Self.divergentLoss(classes: classes) else {
        let more = loss.isFinite ? ", more than a million times that of a uniform guess" : ""
        throw divergence("the loss is \(loss)\(more)", rate: begun.learningRate, at: begun.step)
      }
      let scores = try visit.output.tensor().values(as: Float.self)
      probes?.didVisit(TrainingVisit(indices: visit.indices, logits: scores))
      for (position, index) in visit.indices.enumerated() {
        let row = scores[position * classes..<(position + 1) * classes]
        // It was right after the updates before.
        learning.observe(index, isCorrect: isTop(row, visit.targets[position]), step: begun.step - 1)
      }
      begun.total += sum
      begun.count += visit.indices.count
    }
    begun.visits = []
  }

  /// The mean loss of a mini-batch above which a training has diverged: a million times that of a uniform guess over the
  /// classes, ln K, or of 1 where that is more. No number of the run itself, so that a resumed run ends as the other does.
  static func divergentLoss(classes: Int) -> Double { 1e6 * max(1, log(Double(max(1, classes)))) }

  /// Whether the target's logit is larger than every other; a tie or NaN is a no.
  private func isTop(_ row: ArraySlice<Float>, _ target: Int) -> Bool {
    let own = row[row.startIndex + target]
    for (offset, value) in row.enumerated() where offset != target && !(value < own) { return false }
    return own == own
  }

  private func divergence(_ what: String, rate: Double, at moment: Int) -> TrainingError {
    TrainingError(
      .divergence,
      "training diverged at step \(moment): \(what). The learning rate was \(rate); try a smaller --lr")
  }

  /// Tells the probes of an update, and asks them whether it was the last; ranks act on what rank 0's say.
  private func noteProbes(of record: StepRecord) throws {
    guard let probes else { return }
    try diverging { try probes.didStep(record) }
    isEndedByProbe = probes.endTraining
    if let group { isEndedByProbe = try group.sum([group.rank == 0 && isEndedByProbe ? 1 : 0])[0] > 0 }
    guard isEndedByProbe, aggregator.isPrivate else { return }
    throw TrainingError(
      .configuration,
      "a probe ends the training at step \(record.step) by what it saw of examples, which no noise hides: \(aggregator) needs a "
        + "length that is fixed beforehand; leave the probe out")
  }

  /// What a probe finds of gradients that are not finite is a divergence of the training.
  private func diverging<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as CoherenceError where error.isDivergence {
      // The loss of the mini-batch may still have been finite.
      throw divergence(error.description, rate: learningRate.value(at: step, of: steps), at: step)
    }
  }

  /// Whether the last step is made, or the accuracy or the turn reached at which the run is complete.
  public var isFinished: Bool {
    if step >= steps || isEndedByProbe { return true }
    guard let last = milestones.last, last.step == step else { return false }
    return isAccurateEnough(last.trainAccuracy)
  }

  /// Why the run is complete before its last step; nil when it is not.
  public var endReason: String? {
    guard isFinished, step < steps else { return nil }
    let at = "at step \(step) of \(steps)"
    if isEndedByProbe, let rule = settings.stop { return "stopped by \(rule.title) \(at)" }
    return settings.stopAccuracy.map { "training accuracy has reached \($0) \(at)" }
  }

  private func probe(_ observe: (TrainingEvent) throws -> Void) throws {
    let found = try diverging { try probes?.measure(step: step, isLast: isFinished) }
    guard let found, !found.isEmpty else { return }
    try observe(.measured(found))
  }
}
