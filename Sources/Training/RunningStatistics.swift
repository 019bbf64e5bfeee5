// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import Tensors

/// The running statistics of a model's batch normalisation over ranks. Each rank notes its groups' share from 0; with the
/// others' shares, in order, they become what one process would have, to rounding.
final class RunningStatistics {
  private let layers: [BatchNorm2d]
  private let count: Int
  /// What they were before the pass, [count].
  private var before: Tensor?

  init(of model: any Module) throws {
    layers = model.coupledLayers
    count = Self.count(of: model)
  }

  /// How many a model has.
  static func count(of model: any Module) -> Int {
    model.coupledLayers.reduce(0) { $0 + 2 * $1.runningMean.value.count }
  }

  private var buffers: [(tensor: Tensor, momentum: Double)] {
    layers.flatMap { [($0.runningMean.value, $0.momentum), ($0.runningVariance.value, $0.momentum)] }
  }

  func begin() throws {
    guard count > 0 else { return }
    before = try Tensor.concatenate(buffers.map(\.tensor))
    for buffer in buffers { try buffer.tensor.fill(0) }
  }

  /// This rank's share; nil without such layers.
  func noted() throws -> Tensor? { count > 0 ? try Tensor.concatenate(buffers.map(\.tensor)) : nil }

  /// r ← (1 − momentum)ⁿ·r + share, for each rank with n groups in turn.
  func follow(_ shares: [(share: Tensor, groups: Int)]) throws {
    guard var running = try before?.to(.float64) else { return }
    for (share, groups) in shares {
      let decay = buffers.flatMap { tensor, momentum in
        [Double](repeating: (0..<groups).reduce(1) { product, _ in product * (1 - momentum) }, count: tensor.count)
      }
      running = try running * Tensor(decay, device: running.device) + share.to(.float64)
    }
    var start = 0
    for buffer in buffers {
      try buffer.tensor.copy(from: running.narrow(0, from: start, length: buffer.tensor.count))
      start += buffer.tensor.count
    }
    before = nil
  }
}

extension Module {
  /// Layers that normalise by statistics of the mini-batch in training, so that its examples depend on each other.
  var coupledLayers: [BatchNorm2d] {
    var seen: Set<ObjectIdentifier> = []
    return namedModules.compactMap { $0.module as? BatchNorm2d }.filter {
      !$0.isFrozen && seen.insert(ObjectIdentifier($0)).inserted
    }
  }
}
