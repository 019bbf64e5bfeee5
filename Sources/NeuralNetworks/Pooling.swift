// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The largest element of every window, channel by channel: [B, C, H, W] to [B, C, H', W'].
public final class MaxPool2d: Module {
  /// The windows.
  public let geometry: PoolingGeometry
  /// No parts.
  public var members: [ModuleMember] { [] }

  /// A layer with these windows.
  public init(geometry: PoolingGeometry) { self.geometry = geometry }

  /// A layer with square windows.
  ///
  /// - Parameters:
  ///   - kernel: the side of the window.
  ///   - stride: its step; the kernel by default.
  ///   - padding: cells on each side of the input.
  /// - Throws: `TensorError` when a number is out of range.
  public convenience init(kernel: Int, stride: Int? = nil, padding: Int = 0) throws {
    try self.init(geometry: PoolingGeometry(kernel: kernel, stride: stride, padding: padding))
  }

  /// The pooled batch.
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor { try input.maxPool(geometry) }
}

/// The mean of every window, channel by channel: [B, C, H, W] to [B, C, H', W'].
public final class AveragePool2d: Module {
  /// The windows.
  public let geometry: PoolingGeometry
  /// Whether cells outside the input count as zeros, or not at all.
  public let countsPadding: Bool
  /// No parts.
  public var members: [ModuleMember] { [] }

  /// A layer with these windows.
  public init(geometry: PoolingGeometry, countsPadding: Bool = true) {
    self.geometry = geometry
    self.countsPadding = countsPadding
  }

  /// A layer with square windows.
  ///
  /// - Parameters:
  ///   - kernel: the side of the window.
  ///   - stride: its step; the kernel by default.
  ///   - padding: cells on each side of the input.
  ///   - countsPadding: whether cells outside count as zeros, or not at all.
  /// - Throws: `TensorError` when a number is out of range.
  public convenience init(kernel: Int, stride: Int? = nil, padding: Int = 0, countsPadding: Bool = true) throws {
    try self.init(
      geometry: PoolingGeometry(kernel: kernel, stride: stride, padding: padding), countsPadding: countsPadding)
  }

  /// The pooled batch.
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try input.averagePool(geometry, countsPadding: countsPadding)
  }
}

/// Means over a grid of windows that share the image evenly: [B, C, H, W] to [B, C, height, width].
public final class AdaptiveAveragePool2d: Module {
  /// Windows from top to bottom.
  public let height: Int
  /// Windows from left to right.
  public let width: Int
  /// No parts.
  public var members: [ModuleMember] { [] }

  /// A layer with `height` × `width` windows; one by default, the mean of the image.
  public init(height: Int = 1, width: Int = 1) {
    self.height = height
    self.width = width
  }

  /// The pooled batch.
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try input.adaptiveAveragePool(height: height, width: width)
  }
}

/// Branches applied to one input, their outputs joined along the channels.
public final class Concatenation: Module {
  /// The branches in the order of their channels.
  public let branches: [(name: String, module: any Module)]

  /// Branches with names of your own.
  public init(_ branches: [(name: String, module: any Module)]) { self.branches = branches }

  /// The branches.
  public var members: [ModuleMember] { branches.map { .module($0.name, $0.module) } }

  /// [B, C₁ + C₂ + ..., H, W].
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try Tensor.concatenate(branches.map { try $0.module(input, in: context) }, dimension: 1)
  }
}

/// y = x + f(x).
public final class Residual: Module {
  /// f.
  public let body: any Module
  /// f as "body".
  public var members: [ModuleMember] { [.module("body", body)] }

  /// The sum of the identity and `body`, whose output has its input's shape.
  public init(_ body: any Module) { self.body = body }

  /// x + f(x).
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try input + body(input, in: context)
  }
}
