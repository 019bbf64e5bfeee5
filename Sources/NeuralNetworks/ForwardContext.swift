// SPDX-License-Identifier: Apache-2.0

import Tensors

/// What a forward pass needs beside its input.
public final class ForwardContext {
  /// Whether the pass is part of training: dropout drops, batch statistics are used.
  public let isTraining: Bool
  /// Whether gradients go to the parameters' sinks rather than back through autograd.
  public let usesSinks: Bool
  /// Who computes the products of linear layers.
  public let linearPolicy: LinearPolicy
  /// The source of dropout masks.
  public let generator: Generator?
  /// Where layers leave what per-example gradients are made of; parameters then take no part in the graph.
  public let tape: GradientTape?
  /// Groups of consecutive examples that batch statistics are taken over, each by itself, as if they were batches of
  /// their own; none for the whole batch.
  public let groups: [Range<Int>]
  /// Told of every module that is applied inside the model, with its input and output, in the order of their ends.
  public var observer: ((_ module: any Module, _ input: Tensor, _ output: Tensor) -> Void)?

  /// - Parameters:
  ///   - isTraining: whether layers behave as in training.
  ///   - usesSinks: whether gradients go to the parameters' sinks.
  ///   - linearPolicy: who computes the products of linear layers.
  ///   - generator: the source of dropout masks; dropout throws without one.
  ///   - tape: where layers leave what per-example gradients are made of.
  ///   - groups: groups of examples that batch statistics are taken over.
  public init(
    isTraining: Bool, usesSinks: Bool = false, linearPolicy: LinearPolicy = .native, generator: Generator? = nil,
    tape: GradientTape? = nil, groups: [Range<Int>] = []
  ) {
    self.isTraining = isTraining
    self.usesSinks = usesSinks
    self.linearPolicy = linearPolicy
    self.generator = generator
    self.tape = tape
    self.groups = groups
  }

  /// A context for looking at outputs: nothing random. Recording for gradients is not its business:
  /// see `withoutGradients`.
  public static func evaluation(linearPolicy: LinearPolicy = .native) -> ForwardContext {
    ForwardContext(isTraining: false, linearPolicy: linearPolicy)
  }

  /// A parameter as its layer should use it: tapped when gradients go to sinks, a constant when a tape records.
  public func value(of parameter: Parameter) throws -> Tensor {
    if tape != nil { return try parameter.value.detach() }
    guard usesSinks, let sink = parameter.sink else { return parameter.value }
    return try parameter.value.tapped(sink)
  }
}
