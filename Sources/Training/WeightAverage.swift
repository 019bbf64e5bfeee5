// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import Tensors

/// The running mean of the weights along a training, which is evaluated and kept in place of the last ones:
/// w̄ ← d·w̄ + (1 − d)·w after every update, with d = min(D, (1 + t)/(10 + t)) at the t-th, so that the start is soon
/// forgotten. Running statistics of batch normalisation are averaged alike. Training itself goes on from w.
final class WeightAverage {
  private let decay: Double
  private let store: ParameterStore
  private let buffers: [(name: String, buffer: Buffer)]
  /// w̄, [P].
  private let values: Tensor
  private let bufferValues: [Tensor]
  private var updates = 0

  init(_ model: any Module, store: ParameterStore, decay: Double) throws {
    (self.decay, self.store) = (decay, store)
    buffers = model.namedBuffers
    values = try store.values.clone()
    bufferValues = try buffers.map { try $0.buffer.value.clone() }
  }

  /// Takes in the weights of an update.
  func didStep() throws {
    updates += 1
    let d = min(decay, Double(1 + updates) / Double(10 + updates))
    for (mean, present) in [(values, store.values)] + zip(bufferValues, buffers.map(\.buffer.value)) {
      // In this form the factors add up to 1, whatever their rounding.
      try mean.add(present - mean, scale: 1 - d)
    }
  }

  /// The averaged parameters and buffers by name; the tensors are its own.
  func named() throws -> [(name: String, tensor: Tensor)] {
    try store.entries.map { entry in
      let part = try values.narrow(0, from: entry.range.lowerBound, length: entry.range.count)
      return (entry.name, try part.reshape(entry.parameter.shape))
    } + zip(buffers, bufferValues).map { ($0.name, $1) }
  }

  /// Runs `body` with the averages in the model.
  func inPlace<Result>(_ body: () throws -> Result) throws -> Result {
    let raw = try rawCopy()
    try put(values, bufferValues)
    defer { try? put(raw.values, raw.buffers) }
    return try body()
  }

  private func rawCopy() throws -> (values: Tensor, buffers: [Tensor]) {
    (try store.values.clone(), try buffers.map { try $0.buffer.value.clone() })
  }

  private func put(_ values: Tensor, _ others: [Tensor]) throws {
    try store.values.copy(from: values)
    for ((_, buffer), value) in zip(buffers, others) { try buffer.value.copy(from: value) }
  }

  /// What a checkpoint needs beside the averages, which are its weights.
  func state() throws -> [(name: String, tensor: Tensor)] {
    [("average.values", store.values), ("average.updates", try Tensor([updates]))]
      + buffers.map { ("average." + $0.name, $0.buffer.value) }
  }

  /// Continues from a saved state: the model has the averages, as its checkpoint's weights are these.
  ///
  /// - Throws: `TrainingError` of kind checkpoint when the state is not one of such a training.
  func restore(_ arrays: [String: Tensor], from source: String) throws {
    let saved = buffers.compactMap { arrays["average." + $0.name] }
    guard let raw = arrays["average.values"], raw.shape == values.shape, let count = arrays["average.updates"],
      count.count == 1, saved.count == buffers.count, zip(saved, bufferValues).allSatisfy({ $0.shape == $1.shape })
    else {
      throw TrainingError(
        .checkpoint, "the checkpoint's \(source) has no running mean of the weights; leave ema out to continue it")
    }
    updates = try max(0, count.itemInteger())
    try takePresent()
    try put(raw, saved)
  }

  /// Begins anew at the model's weights.
  func takePresent() throws {
    try values.copy(from: store.values)
    for (mean, (_, buffer)) in zip(bufferValues, buffers) { try mean.copy(from: buffer.value) }
  }
}
