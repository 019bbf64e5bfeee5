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
  /// Parameters and buffers by name. The tensors are the trainer's own, not copies.
  public var weights: [(name: String, tensor: Tensor)] {
    store.entries.map { ($0.name, $0.parameter.value) } + model.namedBuffers.map { ($0.name, $0.buffer.value) }
  }

  /// The present state. The arrays are the trainer's own, not copies.
  ///
  /// - Throws: `TensorError` when memory runs out.
  public func state() throws -> TrainerState {
    TrainerState(
      step: step, sampler: sampler, milestones: milestones,
      arrays: try optimizer.state().map { ("optimizer." + $0.name, $0.tensor) }
        + aggregator.state.map { ("aggregator." + $0.name, $0.tensor) } + [
          ("generator", Tensor(generator.state())),
          ("learning.first", Tensor(learning.firstLearned)),
          ("learning.last", Tensor(learning.lastLearned)),
          ("learning.forgetting", Tensor(learning.forgettingEvents)),
        ] + labelWaveState() + (probes?.state() ?? []))
  }

  private func labelWaveState() throws -> [(name: String, tensor: Tensor)] {
    guard let state = labelWave?.state else { return [] }
    return try [
      ("label-wave.predictions", Tensor(state.predictions)), ("label-wave.pass", Tensor(state.pass)),
      ("label-wave.changes", Tensor(state.changes)),
    ]
  }

  /// Nil where nothing depends on it; throws where the checkpoint lacks it.
  private func restoredLabelWave(_ arrays: [String: Tensor], from source: String) throws -> LabelWave? {
    guard let window = settings.labelWave else { return nil }
    guard let predictions = arrays["label-wave.predictions"], let pass = arrays["label-wave.pass"],
      let changes = arrays["label-wave.changes"],
      let wave = try LabelWave(
        window: window, count: data.train.count, predictions: predictions.values(), pass: pass.values(),
        changes: changes.values())
    else {
      throw TrainingError(
        .checkpoint,
        "the checkpoint's \(source) knows nothing of changed predictions, or of those of other data; leave "
          + "label-wave out to continue it")
    }
    return wave
  }

  /// Continues from a state, whose weights the model already has.
  ///
  /// - Parameters:
  ///   - state: the state.
  ///   - source: the state's name, for messages.
  /// - Throws: `TrainingError` of kind checkpoint when it belongs to other parts.
  public func restore(_ state: TrainerState, from source: String) throws {
    guard state.sampler.count == sampler.count, state.sampler.batchSize == sampler.batchSize,
      state.sampler.seed == sampler.seed, (0...steps).contains(state.step)
    else {
      throw TrainingError(
        .checkpoint, "the checkpoint's data, batch size, seed or length are not those of the configuration")
    }
    let arrays = Dictionary(state.arrays.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    try optimizer.restore(arrays.part("optimizer."), afterSteps: state.step, store)
    try aggregator.restore(arrays.part("aggregator."), afterSteps: state.step, store)
    guard let bytes = arrays["generator"], let first = arrays["learning.first"], let last = arrays["learning.last"],
      let forgetting = arrays["learning.forgetting"],
      let record = try LearningRecord(
        firstLearned: first.values(), lastLearned: last.values(), forgettingEvents: forgetting.values()),
      record.firstLearned.count == data.train.count
    else { throw TrainingError(.checkpoint, "the checkpoint's \(source) is incomplete, damaged or of other data") }
    let wave = try restoredLabelWave(arrays, from: source)
    try probes?.restore(arrays)
    try generator.restore(state: bytes.values())
    (learning, labelWave) = (record, wave)
    (sampler, milestones, step) = (state.sampler, state.milestones, state.step)
    hasBegun = true
  }
}
