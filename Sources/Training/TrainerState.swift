// SPDX-License-Identifier: Apache-2.0

import Datasets
import NeuralNetworks
import Tensors

/// What a checkpoint needs of a trainer beside the model's weights: whatever the next step depends on that does not
/// follow from the trainer's parts.
public struct TrainerState {
  /// Updates made.
  public var step: Int
  /// The order of the examples.
  public var sampler: BatchSampler
  /// Accuracies at the last, the best and the selected evaluation.
  public var milestones: Milestones
  /// Arrays of optimizer, aggregator, generator, learning record and probes, by name.
  public var arrays: [(name: String, tensor: Tensor)]

  /// A state from its parts.
  public init(step: Int, sampler: BatchSampler, milestones: Milestones, arrays: [(name: String, tensor: Tensor)]) {
    (self.step, self.sampler, self.milestones, self.arrays) = (step, sampler, milestones, arrays)
  }
}

extension Trainer {
  /// Parameters and buffers by name, or the running means that are evaluated in their place. The tensors are the
  /// trainer's own, not copies.
  ///
  /// - Throws: `TensorError` when memory runs out.
  public func weights() throws -> [(name: String, tensor: Tensor)] {
    try average?.named()
      ?? store.entries.map { ($0.name, $0.parameter.value) } + model.namedBuffers.map { ($0.name, $0.buffer.value) }
  }

  /// The present state. The arrays are the trainer's own, not copies.
  ///
  /// - Throws: `TensorError` when memory runs out; `TrainingError` when it cannot be had now (`hasState`).
  public func state() throws -> TrainerState {
    guard hasState else {
      throw TrainingError(
        .checkpoint, "the state of step \(step) was not asked for; ask by isStateWanted")
    }
    return TrainerState(
      step: step, sampler: sampler, milestones: milestones,
      arrays: try (gatheredState?.arrays ?? updateState()) + [
        ("generator", Tensor(generator.state())),
        ("learning.first", Tensor(learning.firstLearned)),
        ("learning.last", Tensor(learning.lastLearned)),
        ("learning.forgetting", Tensor(learning.forgettingEvents)),
      ] + (predictions.map { [("loss.predictions", $0.values)] } ?? [])
        + (average?.state() ?? []) + (probes?.state() ?? []))
  }

  /// Continues from a state, whose weights the model already has.
  ///
  /// - Parameters:
  ///   - state: the state.
  ///   - source: the state's name, for messages.
  /// - Throws: `TrainingError` of kind checkpoint when it belongs to other parts.
  public func restore(_ state: TrainerState, from source: String) throws {
    guard state.sampler.count == sampler.count, state.sampler.batchSize == sampler.batchSize,
      state.sampler.seed == sampler.seed, state.sampler.sampling == sampler.sampling, (0...steps).contains(state.step)
    else {
      throw TrainingError(
        .checkpoint,
        "the checkpoint's data, batch size, sampling, seed or length are not those of the configuration")
    }
    let arrays = Dictionary(state.arrays.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    // Every rank has what belongs to its parameters.
    let own = try trainingStep.sharing?.divided(arrays) ?? arrays
    try optimizer.restore(own.part("optimizer."), afterSteps: state.step, trainingStep.updated)
    try aggregator.restore(own.part("aggregator."), afterSteps: state.step, trainingStep.updated)
    guard let bytes = arrays["generator"], let first = arrays["learning.first"], let last = arrays["learning.last"],
      let forgetting = arrays["learning.forgetting"],
      let record = try LearningRecord(
        firstLearned: first.values(), lastLearned: last.values(), forgettingEvents: forgetting.values()),
      record.firstLearned.count == data.train.count
    else { throw TrainingError(.checkpoint, "the checkpoint's \(source) is incomplete, damaged or of other data") }
    if let predictions {
      guard let saved = arrays["loss.predictions"], saved.shape == predictions.values.shape else {
        throw TrainingError(
          .checkpoint,
          "the checkpoint's \(source) has no predictions of this data for the loss elr: it was made with another loss")
      }
      try predictions.values.copy(from: saved)
    }
    guard average != nil || arrays["average.values"] == nil else {
      throw TrainingError(
        .checkpoint,
        "the checkpoint's weights are a running mean (ema), which the training does not go on from; set ema "
          + "as it was")
    }
    try average?.restore(arrays, from: source)
    try probes?.restore(arrays)
    isEndedByProbe = probes?.endTraining == true
    try generator.restore(state: bytes.values())
    learning = record
    (sampler, milestones, step) = (state.sampler, state.milestones, state.step)
    (hasBegun, unread) = (true, [])
    if group?.rank == 0 { restoredState = state }
  }
}
