// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import Tensors

/// The coordinate-wise median or mean of three mini-batch gradients, of which two wait in buffers of their own: a little
/// more to read in the update, and no further backward pass.
public final class GradientHistory: BatchMeanAggregator {
  /// Which three, and what of them.
  public enum Rule: Sendable {
    /// RM3, the rolling median: the gradients of this step and of the two before, each taken at its own weights; no
    /// update in the first two steps (Weak and Strong Gradient Directions, §3).
    case rollingMedian
    /// RA3, the rolling average: the mean of the same three.
    case rollingMean
    /// M3 as its authors coded it: three successive mini-batches at the same weights, then one update by their median.
    case successiveMedian
  }

  /// Which three gradients, and what is taken of them.
  public let rule: Rule
  /// Whether weight decay enters each gradient at the weights it was taken at, as in the authors' code; or the median
  /// at the present ones. For gradients of the same weights the two are one, and it enters once, after the median.
  public let decaysBefore: Bool
  /// The gradients of the mini-batch before this one, and of the one before that.
  private var previous: GradientBuffer?
  private var before: GradientBuffer?
  /// Those of two mini-batches.
  public var rememberedGradients: Int { 2 }
  /// The update takes the median or mean in its own pass.
  public var leavesAggregateToUpdate: Bool { true }
  /// How many of the three are there, the newest not counted.
  private var remembered = 0

  /// - Parameters:
  ///   - rule: which three gradients, and what is taken of them.
  ///   - decaysBefore: where weight decay enters.
  public init(_ rule: Rule, decaysBefore: Bool = true) {
    self.rule = rule
    self.decaysBefore = decaysBefore && rule != .successiveMedian
  }

  /// Three for the successive rule.
  public var batchCount: Int { rule == .successiveMedian ? 3 : 1 }
  /// The papers use no momentum here.
  public var supportsMomentum: Bool { false }

  /// "rm3", "ra3" or "m3:successive".
  public var description: String {
    switch rule {
    case .successiveMedian: "m3:successive"
    case .rollingMedian: "rm3" + (decaysBefore ? "" : ":decay=after")
    case .rollingMean: "ra3" + (decaysBefore ? "" : ":decay=after")
    }
  }

  /// Once there are three, their median or mean, which is left to the optimizer.
  public func aggregate(_ store: ParameterStore) throws -> Aggregate {
    guard remembered == 2, let previous, let before else { return .none(decays: decaysBefore) }
    return .fused(
      ThreeGradients(
        previous: (previous.values, before.values), isMedian: rule != .rollingMean, decaysBefore: decaysBefore))
  }

  /// The median or mean of the store's gradient and two earlier ones.
  private struct ThreeGradients: FusedAggregate {
    let previous: (Tensor, Tensor)
    let isMedian: Bool
    let decaysBefore: Bool

    func updateSGD(
      _ values: Tensor, gradient: Tensor, velocity: Tensor?, _ update: SGDUpdate, part: (Tensor) throws -> Tensor
    ) throws -> Bool {
      try values.updateFromThree(
        current: gradient, previous: (part(previous.0), part(previous.1)), velocity: velocity, isMedian: isMedian,
        decaysBefore: decaysBefore, update)
    }

    func formed(_ gradient: Tensor) throws -> Tensor {
      // A step of −1 from 0 ends at the aggregate itself.
      let result = try Tensor.zeros(gradient.shape, dtype: gradient.dtype, device: gradient.device)
      _ = try result.updateFromThree(
        current: gradient, previous: previous, velocity: nil, isMedian: isMedian, decaysBefore: false,
        SGDUpdate(learningRate: -1, isChecked: false))
      return result
    }
  }

  /// The newest gradient becomes the previous one, and the oldest buffer takes the next.
  public func didStep(_ store: ParameterStore) throws {
    let free = try before ?? store.makeGradientBuffer()
    before = previous
    previous = try store.exchangeGradient(with: free)
    remembered = remembered == 2 && rule == .successiveMedian ? 0 : min(remembered + 1, 2)
  }

  /// The gradients that the next step needs: none between the steps of the successive rule.
  public var state: [(name: String, tensor: Tensor)] {
    guard rule != .successiveMedian else { return [] }
    let buffers = [("gradient-1", previous), ("gradient-2", before)].prefix(remembered)
    return buffers.compactMap { name, buffer in buffer.map { (name, $0.values) } }
  }

  /// Continues from the gradients of the last two steps.
  public func restore(_ arrays: [String: Tensor], afterSteps steps: Int, _ store: ParameterStore) throws {
    guard rule != .successiveMedian else { return }
    func buffer(_ name: String) throws -> GradientBuffer {
      guard let saved = arrays[name], saved.shape == [store.count] else {
        throw AggregationError(
          "the checkpoint has no \(name) of an earlier step for this model: it was written with another optimizer")
      }
      let buffer = try store.makeGradientBuffer()
      try buffer.values.copy(from: saved)
      return buffer
    }
    remembered = min(steps, 2)
    if steps >= 1 { previous = try buffer("gradient-1") }
    if steps >= 2 { before = try buffer("gradient-2") }
  }
}
