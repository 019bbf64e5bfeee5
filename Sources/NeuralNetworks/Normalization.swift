// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import Tensors

/// A layer that normalises its input and then scales and shifts it: y = γ·x̂ + β, per channel or feature.
public protocol AffineNormalization: FactoredModule {
  /// γ; nil without scaling.
  var weight: Parameter? { get }
  /// β; nil without shifting.
  var bias: Parameter? { get }
  /// Whether γ and β belong to the second dimension (channels) rather than to the last ones.
  var isPerChannel: Bool { get }
  /// x̂.
  func normalized(_ input: Tensor, in context: ForwardContext) throws -> Tensor
  /// The normalised batch plus a residual, cut at 0 when `relu`: in one pass where the layer has one.
  func forward(_ input: Tensor, adding residual: Tensor?, relu: Bool, in context: ForwardContext) throws -> Tensor
}

extension AffineNormalization {
  /// One step after the other.
  public func forward(
    _ input: Tensor, adding residual: Tensor?, relu: Bool, in context: ForwardContext
  ) throws -> Tensor {
    try apart(forward(input, in: context), adding: residual, relu: relu)
  }

  /// The residual and the ReLU in steps of their own.
  fileprivate func apart(_ output: Tensor, adding residual: Tensor?, relu: Bool) throws -> Tensor {
    let sum = try residual.map { try output + $0 } ?? output
    return relu ? try sum.relu() : sum
  }

  /// γ and β.
  public var members: [ModuleMember] {
    (weight.map { [.parameter("weight", $0)] } ?? []) + (bias.map { [.parameter("bias", $0)] } ?? [])
  }

  /// γ and β: Σₜ δᵢₜ·x̂ᵢₜ and Σₜ δᵢₜ over positions t, few enough numbers to be explicit.
  public func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    try records.block { normalized, outputGradient in
      let batch = outputGradient.size(0)
      func summed(_ values: Tensor) throws -> Tensor {
        isPerChannel
          ? try values.reshape([batch, outputGradient.size(1), -1]).sum([2])
          : try values.reshape([batch, -1, outputGradient.size(-1)]).sum([1])
      }
      var parts: [Tensor] = []
      if weight != nil { parts.append(try summed(outputGradient * normalized)) }
      if bias != nil { parts.append(try summed(outputGradient)) }
      return RowsBlock(try Tensor.concatenate(parts, dimension: 1))
    }
  }

  /// γ·x̂ + β in two steps, with x̂ recorded: the gradients of γ and β follow from it even where γ is 0.
  func recordedForward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    let normal = try normalized(input, in: context)
    func shaped(_ parameter: Parameter) throws -> Tensor {
      let value = try context.value(of: parameter)
      guard isPerChannel else { return value }
      return try value.reshape([1, value.count] + Array(repeating: 1, count: max(0, normal.rank - 2)))
    }
    var output = normal
    if let weight { output = try output * shaped(weight) }
    if let bias { output = try output + shaped(bias) }
    guard weight != nil || bias != nil else { return output }
    return try context.record(self, input: normal, output: output)
  }
}

/// Batch normalisation over all dimensions but the second: [B, C, ...].
public final class BatchNorm2d: AffineNormalization {
  /// γ, [C].
  public let weight: Parameter?
  /// β, [C].
  public let bias: Parameter?
  /// Running mean, [C].
  public let runningMean: Buffer
  /// Running variance, [C].
  public let runningVariance: Buffer
  /// The share of a batch's statistics in the running ones.
  public let momentum: Double
  /// Added to the variance.
  public let epsilon: Double
  /// Whether training normalises by the running statistics and leaves them as they are: examples are then not coupled.
  public let isFrozen: Bool
  /// γ and β belong to channels.
  public var isPerChannel: Bool { true }

  /// A layer with γ = 1, β = 0, running mean 0 and running variance 1.
  public init(channels: Int, momentum: Double = 0.1, epsilon: Double = 1e-5, isFrozen: Bool = false) throws {
    self.isFrozen = isFrozen
    weight = try Parameter(.ones([channels]))
    bias = try Parameter(.zeros([channels]))
    runningMean = Buffer(try .zeros([channels]))
    runningVariance = Buffer(try .ones([channels]))
    self.momentum = momentum
    self.epsilon = epsilon
  }

  /// γ, β and the running statistics, by torchvision's names.
  public var members: [ModuleMember] {
    (weight.map { [.parameter("weight", $0)] } ?? []) + (bias.map { [.parameter("bias", $0)] } ?? []) + [
      .buffer("running_mean", runningMean), .buffer("running_var", runningVariance),
    ]
  }

  /// x̂ by the running statistics, or by the batch's own as constants when the recorder's policy says so. In training by the
  /// batch's own, through which gradients flow: the rows of the gradient matrix then still add up to the gradient. A
  /// frozen layer always goes by the running ones.
  public func normalized(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    if learns(in: context) { return try trained(input, weight: nil, bias: nil, in: context) }
    guard context.recorder?.batchNormPolicy == .batch, !isFrozen else {
      return try input.batchNorm(
        weight: nil, bias: nil, mean: runningMean.value, variance: runningVariance.value, training: false,
        momentum: momentum, epsilon: epsilon)
    }
    let (mean, variance) = try withoutGradients {
      let channels = input.size(1)
      let flat = try input.detach().transpose(0, 1).reshape([channels, -1])
      let mean = try flat.mean([1])
      let centred = try flat - mean.unsqueeze(1)
      return (mean, try centred.squared().mean([1]))
    }
    return try input.batchNorm(
      weight: nil, bias: nil, mean: mean, variance: variance, training: false, momentum: momentum, epsilon: epsilon)
  }

  /// Whether the batch's own statistics are used, and kept.
  private func learns(in context: ForwardContext) -> Bool { context.isTraining && !isFrozen }

  /// The normalised, scaled and shifted batch; in training the batch's statistics are used and kept.
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try forward(input, adding: nil, relu: false, in: context)
  }

  /// The same with a residual added and a ReLU: in one pass over channels-last images on the CPU.
  public func forward(
    _ input: Tensor, adding residual: Tensor?, relu: Bool, in context: ForwardContext
  ) throws -> Tensor {
    // The batch's statistics as constants are a third way, taken step by step.
    let takesConstants = context.recorder?.batchNormPolicy == .batch && !context.isTraining && !isFrozen
    if input.suitsChannelsLastKernels, !takesConstants, let weight, let bias {
      return try input.batchNormReLU(
        weight: context.value(of: weight), bias: context.value(of: bias), mean: runningMean.value,
        variance: runningVariance.value, residual: residual, relu: relu, training: learns(in: context),
        momentum: momentum, epsilon: epsilon, groups: learns(in: context) ? context.groups : [],
        capture: context.recorder?.rowCapture(for: self))
    }
    return try apart(affine(input, in: context), adding: residual, relu: relu)
  }

  private func affine(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    if context.recorder != nil { return try recordedForward(input, in: context) }
    let (weight, bias) = try (weight.map { try context.value(of: $0) }, bias.map { try context.value(of: $0) })
    if learns(in: context) { return try trained(input, weight: weight, bias: bias, in: context) }
    return try input.batchNorm(
      weight: weight, bias: bias, mean: runningMean.value, variance: runningVariance.value, training: false,
      momentum: momentum, epsilon: epsilon)
  }

  /// By the statistics of the batch, or of each of the context's groups in turn, which the running ones then follow.
  private func trained(_ input: Tensor, weight: Tensor?, bias: Tensor?, in context: ForwardContext) throws -> Tensor {
    func normalized(_ part: Tensor) throws -> Tensor {
      try part.batchNorm(
        weight: weight, bias: bias, mean: runningMean.value, variance: runningVariance.value, training: true,
        momentum: momentum, epsilon: epsilon)
    }
    if context.groups.isEmpty { return try normalized(input) }
    return try Tensor.concatenate(
      context.groups.map { try normalized(input.narrow(0, from: $0.lowerBound, length: $0.count)) })
  }
}

/// Normalisation of each example over groups of channels: [B, C, ...].
public final class GroupNorm: AffineNormalization {
  /// γ, [C].
  public let weight: Parameter?
  /// β, [C].
  public let bias: Parameter?
  /// The number of groups.
  public let groups: Int
  /// Added to the variance.
  public let epsilon: Double
  /// γ and β belong to channels.
  public var isPerChannel: Bool { true }

  /// - Throws: `TensorError` when the channels do not divide by the groups.
  public init(groups: Int, channels: Int, epsilon: Double = 1e-5) throws {
    guard groups >= 1, channels >= 1, channels % groups == 0 else {
      throw TensorError(
        kind: .invalid, operation: "GroupNorm", reason: "\(channels) channels do not divide into \(groups) groups")
    }
    self.groups = groups
    self.epsilon = epsilon
    weight = try Parameter(.ones([channels]))
    bias = try Parameter(.zeros([channels]))
  }

  /// x̂.
  public func normalized(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try input.groupNorm(groups: groups, weight: nil, bias: nil, epsilon: epsilon)
  }

  /// The normalised, scaled and shifted batch.
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try forward(input, adding: nil, relu: false, in: context)
  }

  /// The same with a residual added and a ReLU: in one pass over channels-last images on the CPU.
  public func forward(
    _ input: Tensor, adding residual: Tensor?, relu: Bool, in context: ForwardContext
  ) throws -> Tensor {
    if input.suitsChannelsLastKernels, let weight, let bias {
      return try input.groupNormReLU(
        groups: groups, weight: context.value(of: weight), bias: context.value(of: bias), epsilon: epsilon,
        residual: residual, relu: relu, capture: context.recorder?.rowCapture(for: self))
    }
    return try apart(affine(input, in: context), adding: residual, relu: relu)
  }

  private func affine(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    if context.recorder != nil { return try recordedForward(input, in: context) }
    return try input.groupNorm(
      groups: groups, weight: weight.map { try context.value(of: $0) }, bias: bias.map { try context.value(of: $0) },
      epsilon: epsilon)
  }
}

/// Normalisation over the last dimension: [..., D].
public final class LayerNorm: AffineNormalization {
  /// γ, [D].
  public let weight: Parameter?
  /// β, [D].
  public let bias: Parameter?
  /// D.
  public let size: Int
  /// Added to the variance.
  public let epsilon: Double
  /// γ and β belong to the last dimension.
  public var isPerChannel: Bool { false }

  /// A layer with γ = 1 and β = 0.
  public init(size: Int, epsilon: Double = 1e-5) throws {
    self.size = size
    self.epsilon = epsilon
    weight = try Parameter(.ones([size]))
    bias = try Parameter(.zeros([size]))
  }

  /// x̂.
  public func normalized(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try input.layerNorm(shape: [size], weight: nil, bias: nil, epsilon: epsilon)
  }

  /// The normalised, scaled and shifted batch.
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    if context.recorder != nil { return try recordedForward(input, in: context) }
    return try input.layerNorm(
      shape: [size], weight: weight.map { try context.value(of: $0) }, bias: bias.map { try context.value(of: $0) },
      epsilon: epsilon)
  }
}
