// SPDX-License-Identifier: Apache-2.0

import Aggregation
import NeuralNetworks
import Tensors

/// The aggregate of a step made no longer than so much: ĝ = g·min(1, C/‖g‖), over the parameters that are trained
/// (Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, algorithm 1).
enum NormClipping {
  /// The clipped aggregate, to which weight decay is added after that, whatever its rule. One in the store is shortened there; one that is left to the update is formed.
  ///
  /// - Parameter sum: adds up a number over the ranks that have the other parameters.
  static func clipped(
    _ aggregate: Aggregate, _ store: ParameterStore, to limit: Double, sum: (Double) throws -> Double = { $0 }
  ) throws -> Aggregate {
    switch aggregate {
    case .none: return aggregate
    case .gradient:
      try shorten(store.gradient, store, to: limit, sum)
      return .gradient
    case .fused(let fused):
      let formed = try fused.formed(store.gradient)
      try shorten(formed, store, to: limit, sum)
      return .fused(Formed(gradient: formed))
    }
  }

  private static func shorten(
    _ gradient: Tensor, _ store: ParameterStore, to limit: Double, _ sum: (Double) throws -> Double
  ) throws {
    var square = 0.0
    _ = try store.forTrained { part in
      let own = try part(gradient)
      square += try own.dot(own)
      return true
    }
    let norm = try sum(square).squareRoot()
    if norm > limit { try gradient.multiply(by: limit / norm) }
  }

  /// An aggregate that has been formed, beside the store's gradient, which its aggregator remembers as it is.
  private struct Formed: FusedAggregate {
    let gradient: Tensor

    func updateSGD(
      _ values: Tensor, gradient _: Tensor, velocity: Tensor?, _ update: SGDUpdate, part: (Tensor) throws -> Tensor
    ) throws -> Bool { try values.updateSGD(gradient: part(gradient), velocity: velocity, update) }

    func formed(_: Tensor) throws -> Tensor { gradient }
  }
}
