// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The consecutive examples of a mini-batch that one of several processes has.
public struct BatchPart: Sendable, Equatable {
  /// Which of them.
  public let range: Range<Int>
  /// The examples of the whole mini-batch, B.
  public let batchCount: Int

  /// A part of a mini-batch of so many examples.
  public init(_ range: Range<Int>, of batchCount: Int) { (self.range, self.batchCount) = (range, batchCount) }
}

/// What a forward pass needs beside its input.
public final class ForwardContext {
  /// Whether the pass is part of training: dropout drops, batch statistics are used.
  public let isTraining: Bool
  /// Whether gradients go to the parameters' gradientViews rather than back through autograd.
  public let usesGradientViews: Bool
  /// Who computes the products of linear layers.
  public let linearPolicy: LinearPolicy
  /// The source of dropout masks.
  public let generator: Generator?
  /// Where layers leave what per-example gradients are made of; parameters then take no part in the graph.
  public let recorder: BackwardRecorder?
  /// Groups of consecutive examples that batch statistics are taken over, each by itself, as if they were batches of
  /// their own; none for the whole batch.
  public let groups: [Range<Int>]
  /// What of the mini-batch the input is, where other processes have the rest: random masks are those of the whole.
  public let part: BatchPart?
  /// The losses that the model has beside that of its output, as the last forward pass left them; nil for none.
  private(set) var ownLosses: (sum: Tensor, count: Int)?
  /// Told of every module that is applied inside the model, with its input and output, in the order of their ends.
  public var observer: ((_ module: any Module, _ input: Tensor, _ output: Tensor) -> Void)?

  /// - Parameters:
  ///   - isTraining: whether layers behave as in training.
  ///   - usesGradientViews: whether gradients go to the parameters' gradientViews.
  ///   - linearPolicy: who computes the products of linear layers.
  ///   - generator: the source of dropout masks; dropout throws without one.
  ///   - recorder: where layers leave what per-example gradients are made of.
  ///   - groups: groups of examples that batch statistics are taken over.
  ///   - part: what of the mini-batch the input is; all of it by default.
  public init(
    isTraining: Bool, usesGradientViews: Bool = false, linearPolicy: LinearPolicy = .native,
    generator: Generator? = nil, recorder: BackwardRecorder? = nil, groups: [Range<Int>] = [], part: BatchPart? = nil
  ) {
    (self.isTraining, self.usesGradientViews, self.linearPolicy) = (isTraining, usesGradientViews, linearPolicy)
    (self.generator, self.recorder, self.groups, self.part) = (generator, recorder, groups, part)
  }

  /// A context for looking at outputs: nothing random. Recording for gradients is not its business:
  /// see `withoutGradients`.
  public static func evaluation(linearPolicy: LinearPolicy = .native) -> ForwardContext {
    ForwardContext(isTraining: false, linearPolicy: linearPolicy)
  }

  /// Takes note of losses that the model has beside that of its output, such as those of the tokens before the last one.
  /// A model that has some calls this in every forward pass.
  ///
  /// - Parameters:
  ///   - sum: their sum for each example, [B].
  ///   - count: how many an example has.
  public func addLosses(_ sum: Tensor, count: Int) { ownLosses = (sum, count) }

  /// Each example's own loss: the mean of that of its output and those that the model has beside it, (l + Σₜ lₜ)/(1 + n).
  ///
  /// - Parameter losses: l, the losses of the last forward pass's output, [B].
  /// - Returns: [B]; the same where the model has no others.
  /// - Throws: `TensorError` when there is not one loss for each example.
  public func completed(_ losses: Tensor) throws -> Tensor {
    guard let ownLosses else { return losses }
    guard losses.shape == ownLosses.sum.shape else {
      throw TensorError(
        kind: .invalid, operation: "completed", operands: [losses.summary, ownLosses.sum.summary],
        reason: "there must be one loss for each example of the last forward pass")
    }
    return try (losses + ownLosses.sum.to(device: losses.device)) * (1 / Double(1 + ownLosses.count))
  }

  /// A parameter as its layer should use it: writingGradient when gradients go to gradientViews, a constant when a recorder records.
  public func value(of parameter: Parameter) throws -> Tensor {
    if recorder != nil { return try parameter.value.detach() }
    guard usesGradientViews, let gradientView = parameter.gradientView else { return parameter.value }
    return try parameter.value.writingGradient(gradientView)
  }
}
