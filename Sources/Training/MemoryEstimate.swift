// SPDX-License-Identifier: Apache-2.0

import Foundation
import NeuralNetworks
import Tensors

/// What a training will need of memory, in bytes. An estimate: libraries' scratch memory and gaps between blocks are
/// not in it.
public struct MemoryEstimate: Sendable, Equatable {
  /// The program with its data set, before anything was computed.
  public var base = 0
  /// The parameters.
  public var parameters = 0
  /// The gradient.
  public var gradient = 0
  /// Momentum, and the gradients that the optimizer remembers.
  public var optimizer = 0
  /// The forward and backward pass of a mini-batch at its worst moment.
  public var training = 0
  /// The evaluation of a chunk of examples at its worst moment.
  public var evaluation = 0

  /// An estimate from its parts, in bytes.
  public init(
    base: Int = 0, parameters: Int = 0, gradient: Int = 0, optimizer: Int = 0, training: Int = 0, evaluation: Int = 0
  ) {
    (self.base, self.parameters, self.gradient, self.optimizer) = (base, parameters, gradient, optimizer)
    (self.training, self.evaluation) = (training, evaluation)
  }

  /// All of it. Training and evaluation take turns, but blocks of other sizes are of little use to each other.
  public var total: Int { base + parameters + gradient + optimizer + training + evaluation }

  /// Refuses a run that would not fit.
  ///
  /// - Parameters:
  ///   - limit: how much this process can have, `MemoryLimit.current()`; nil when unknown.
  ///   - batchSize: examples in a mini-batch.
  /// - Throws: `TrainingError` with the estimate, the limit and the remedy.
  public func check(against limit: Int?, batchSize: Int) throws {
    guard let limit, total > limit else { return }
    let largest = [
      (training, "\(Self.text(training)) for a mini-batch of \(batchSize)"),
      (evaluation, "\(Self.text(evaluation)) for evaluation"),
      (parameters + gradient + optimizer, "\(Self.text(parameters + gradient + optimizer)) for parameters"),
    ].max { $0.0 < $1.0 }
    throw TrainingError(
      .configuration,
      "the run would take about \(Self.text(total)) of memory\(largest.map { ", \($0.1) alone" } ?? ""), but only "
        + "\(Self.text(limit)) is available; choose a smaller --batch-size or model, or continue at your own risk with "
        + "--ignore-memory-estimate")
  }

  static func text(_ bytes: Int) -> String {
    if bytes >= 1 << 40 { return String(format: "%.1f TB", Double(bytes) / Double(1 << 40)) }
    if bytes >= 1 << 30 { return String(format: "%.1f GB", Double(bytes) / Double(1 << 30)) }
    return "\(max(1, bytes >> 20)) MB"
  }
}
