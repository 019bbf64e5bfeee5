// SPDX-License-Identifier: Apache-2.0

import Collectives
import Datasets
import Foundation
import Tensors

/// What ranks that train together have to do beside the steps themselves.
extension Trainer {
  /// Whether `state()` can be had now: alone, unless another step has begun (`readsLater`), and for several ranks where they
  /// have gathered it.
  public var hasState: Bool { unread.isEmpty && (group == nil || gatheredState?.step == step) }

  /// The arrays of optimizer and aggregator.
  func updateState() throws -> [(name: String, tensor: Tensor)] {
    try optimizer.state().map { ("optimizer." + $0.name, $0.tensor) }
      + aggregator.state.map { ("aggregator." + $0.name, $0.tensor) }
  }

  /// Gathers what the ranks keep of optimizer and aggregator; nothing to do alone.
  func gatherState() throws {
    guard let sharing = trainingStep.sharing else { return }
    // The earlier one goes first: both would take twice the memory.
    gatheredState = nil
    let arrays = try sharing.gathered(updateState())
    // The first rank writes checkpoints.
    if sharing.group.rank == 0 { gatheredState = (step, arrays) }
  }

  private struct Position: Codable {
    var step: Int
    var sampler: BatchSampler
    var milestones: Milestones
    var isRestored: Bool
    /// The chunks of evaluations, which the ranks share.
    var chunkSize: Int
  }

  /// Lets all ranks begin where rank 0 does, after a look at whether they have the same examples and labels.
  ///
  /// - Throws: `ProcessGroupError` that says what differs.
  func synchronize() throws {
    guard let group, !isSynchronized else { return }
    isSynchronized = true
    try group.requireSame(fingerprint, "the data")
    let source = "state from rank 0"
    let position = Position(
      step: step, sampler: sampler, milestones: milestones, isRestored: restoredState != nil,
      chunkSize: evaluator.chunkSize)
    let described = try group.broadcast(group.rank == 0 ? JSONEncoder().encode(position) : Data())
    let weights = try group.broadcast(group.rank == 0 ? Safetensors.encode(weights(), metadata: [:]) : Data())
    let arrays = try group.broadcast(
      group.rank == 0 ? Safetensors.encode(restoredState?.arrays ?? [], metadata: [:]) : Data())
    restoredState = nil
    guard group.rank > 0 else { return }
    let first = try JSONDecoder().decode(Position.self, from: described)
    evaluator.chunkSize = first.chunkSize
    let values = try Safetensors.decode(weights).tensors
    let own =
      store.entries.map { ($0.name, $0.parameter.value) } + model.namedBuffers.map { ($0.name, $0.buffer.value) }
    for (name, target) in own {
      guard let value = values[name], value.shape == target.shape else {
        throw TrainingError(.configuration, "rank 0 trains another model: it has no \(name) of this shape")
      }
      try target.copy(from: value)
    }
    guard first.isRestored else {
      try average?.takePresent()
      return
    }
    let state = try Safetensors.decode(arrays).tensors.map { (name: $0.key, tensor: $0.value) }
    try restore(
      TrainerState(step: first.step, sampler: first.sampler, milestones: first.milestones, arrays: state), from: source)
  }

  /// What the ranks must have in common of the data.
  private var fingerprint: String {
    let labels = data.trainIndices.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { hash, index in
      [UInt64(index), UInt64(data.labels.assigned[index])].reduce(hash) { ($0 ^ $1) &* 0x100_0000_01b3 }
    }
    let files = data.checksums.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.prefix(12))" }
    return
      "\(data.trainIndices.count) training and \(data.test.count) test examples, labels \(String(labels, radix: 16)), "
      + "files \(files.joined(separator: ", "))"
  }
}
