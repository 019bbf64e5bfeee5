// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// The geometry of a two-dimensional convolution: height first, then width.
public struct ConvolutionGeometry: Sendable, Equatable {
  /// The window.
  public var kernel: [Int]
  /// The step of the window.
  public var stride: [Int]
  /// Zeros around the input, on each side.
  public var padding: [Int]
  /// The distance of the window's taps.
  public var dilation: [Int]
  /// Groups of channels that do not see each other.
  public var groups: Int

  /// Square windows.
  ///
  /// - Parameters:
  ///   - kernel: the side of the window, from 1 on.
  ///   - stride: its step.
  ///   - padding: zeros on each side.
  ///   - dilation: the distance of the window's taps.
  ///   - groups: groups of channels that do not see each other.
  /// - Throws: `TensorError` when a number is out of range.
  public init(kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1) throws {
    try self.init(
      kernel: [kernel, kernel], stride: [stride, stride], padding: [padding, padding], dilation: [dilation, dilation],
      groups: groups)
  }

  /// Windows and steps by (height, width) pairs.
  ///
  /// - Throws: `TensorError` unless every list holds two fitting numbers and groups is at least 1.
  public init(
    kernel: [Int], stride: [Int] = [1, 1], padding: [Int] = [0, 0], dilation: [Int] = [1, 1], groups: Int = 1
  ) throws {
    let lists = [kernel, stride, dilation]
    guard lists.allSatisfy({ $0.count == 2 && $0.allSatisfy { $0 >= 1 } }), padding.count == 2,
      padding.allSatisfy({ $0 >= 0 }), groups >= 1
    else {
      throw TensorError(
        kind: .invalid, operation: "ConvolutionGeometry",
        reason: "kernel, stride and dilation take two numbers from 1 on, padding two from 0 on, and groups at least 1")
    }
    (self.kernel, self.stride, self.padding) = (kernel, stride, padding)
    (self.dilation, self.groups) = (dilation, groups)
  }

  var numbers: [Int64] { (stride + padding + dilation).map(Int64.init) }
  var window: [Int64] { kernel.map(Int64.init) }
}

extension Tensor {
  /// The convolution of this [B, C, H, W] tensor with weight [O, C/groups, kh, kw], plus bias [O].
  public func convolution(weight: Tensor, bias: Tensor?, _ geometry: ConvolutionGeometry) throws -> Tensor {
    try Tensor.producing("convolution", [self, weight] + (bias.map { [$0] } ?? [])) {
      ct_convolution($0, pointer, weight.pointer, bias?.pointer, geometry.numbers, Int64(geometry.groups))
    }
  }

  /// The same for channels-last images on the CPU; the gradients of weight and bias go to their gradientViews.
  ///
  /// - Throws: `TensorError` unless `suitsChannelsLastKernels`, and the gradientViews fit.
  public func convolution(
    weight: Tensor, bias: Tensor?, _ geometry: ConvolutionGeometry, weightView: GradientView, biasView: GradientView?
  ) throws -> Tensor {
    try Tensor.producing("convolution", [self, weight] + (bias.map { [$0] } ?? [])) {
      ct_convolution_layer(
        $0, pointer, weight.pointer, bias?.pointer, geometry.numbers, Int64(geometry.groups), weightView.pointer,
        biasView?.pointer)
    }
  }

  /// The columns a convolution multiplies: [B, C·kh·kw, positions].
  public func unfold(_ geometry: ConvolutionGeometry) throws -> Tensor {
    try Tensor.producing("unfold", [self]) { ct_unfold($0, pointer, geometry.window, geometry.numbers) }
  }

  /// Batch normalisation over all dimensions but the second. In training the batch's own statistics are used, and
  /// `mean` and `variance` move towards them in place by `momentum`; otherwise they are used.
  public func batchNorm(
    weight: Tensor?, bias: Tensor?, mean: Tensor?, variance: Tensor?, training: Bool, momentum: Double, epsilon: Double
  ) throws -> Tensor {
    try Tensor.producing("batchNorm", [self] + [weight, bias, mean, variance].compactMap { $0 }) {
      ct_batch_norm(
        $0, pointer, weight?.pointer, bias?.pointer, mean?.pointer, variance?.pointer, training, momentum, epsilon)
    }
  }

  /// Whether the kernels for channels-last images take this tensor: float32 [B, C, H, W] in that order, on the CPU.
  public var suitsChannelsLastKernels: Bool { ct_suits_channels_last_kernels(pointer) }

  /// Batch normalisation, the addition of a residual, and a ReLU in one pass over channels-last images on the CPU:
  /// max(γ·(x − μ)/√(σ² + ε) + β + residual, 0), or without the maximum.
  ///
  /// - Parameters:
  ///   - weight: γ, [C].
  ///   - bias: β, [C].
  ///   - mean: μ; in training the running mean, which moves towards the batch's by `momentum`.
  ///   - variance: σ², likewise.
  ///   - residual: what is added before ReLU; nil for nothing.
  ///   - relu: whether ReLU follows.
  ///   - training: whether μ and σ² are those of the batch, and gradients flow through them.
  ///   - momentum: the weight of the batch in the running statistics.
  ///   - epsilon: added to the variance.
  ///   - groups: groups of consecutive examples with statistics of their own; none for those of the whole batch.
  ///   - capture: receives each example's gradients of γ and β, [B, 2·C], as both input and output gradient.
  /// - Throws: `TensorError` unless `suitsChannelsLastKernels` and all shapes fit.
  public func batchNormReLU(
    weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, residual: Tensor? = nil, relu: Bool, training: Bool,
    momentum: Double, epsilon: Double, groups: [Range<Int>] = [], capture: BackwardCapture? = nil
  ) throws -> Tensor {
    let options = ct_batch_norm_options(momentum: momentum, epsilon: epsilon, training: training, relu: relu)
    return try withExtendedLifetime(capture) {
      try Tensor.producing("batchNormReLU", [self, weight, bias] + (residual.map { [$0] } ?? [])) {
        ct_batch_norm_relu(
          $0, pointer, weight.pointer, bias.pointer, mean.pointer, variance.pointer, residual?.pointer, options,
          groups.map(ct_range.init), Int64(groups.count), capture?.pointer)
      }
    }
  }

  /// Group normalisation, the addition of a residual, and a ReLU in one pass over channels-last images on the CPU:
  /// max(γ·(x − μ)/√(σ² + ε) + β + residual, 0), or without the maximum, with μ and σ² over each group of an example's
  /// channels.
  ///
  /// - Parameters:
  ///   - groups: how many groups the channels divide into.
  ///   - weight: γ, [C].
  ///   - bias: β, [C].
  ///   - epsilon: added to the variance.
  ///   - residual: what is added before ReLU; nil for nothing.
  ///   - relu: whether ReLU follows.
  ///   - capture: receives each example's gradients of γ and β, [B, 2·C], as both input and output gradient.
  /// - Throws: `TensorError` unless `suitsChannelsLastKernels` and all shapes fit.
  public func groupNormReLU(
    groups: Int, weight: Tensor, bias: Tensor, epsilon: Double, residual: Tensor? = nil, relu: Bool,
    capture: BackwardCapture? = nil
  ) throws -> Tensor {
    try withExtendedLifetime(capture) {
      try Tensor.producing("groupNormReLU", [self, weight, bias] + (residual.map { [$0] } ?? [])) {
        ct_group_norm_relu(
          $0, pointer, Int64(groups), weight.pointer, bias.pointer, epsilon, residual?.pointer, relu, capture?.pointer)
      }
    }
  }

  /// Normalisation of each example over groups of channels.
  public func groupNorm(groups: Int, weight: Tensor?, bias: Tensor?, epsilon: Double) throws -> Tensor {
    try Tensor.producing("groupNorm", [self] + [weight, bias].compactMap { $0 }) {
      ct_group_norm($0, pointer, Int64(groups), weight?.pointer, bias?.pointer, epsilon)
    }
  }

  /// Normalisation over the last dimensions, whose extents are `shape`.
  public func layerNorm(shape: [Int], weight: Tensor?, bias: Tensor?, epsilon: Double) throws -> Tensor {
    try Tensor.producing("layerNorm", [self] + [weight, bias].compactMap { $0 }, shape: shape) {
      ct_layer_norm($0, pointer, $1, $2, weight?.pointer, bias?.pointer, epsilon)
    }
  }

  /// Rows of this [N, D] table: [..., D] for int64 indices [...].
  public func embedding(_ indices: Tensor) throws -> Tensor { try binary("embedding", indices, ct_embedding) }
}
