// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// The windows of a two-dimensional pooling: height first, then width.
public struct PoolingGeometry: Sendable, Equatable {
  /// The window.
  public var kernel: [Int]
  /// The step of the window.
  public var stride: [Int]
  /// Cells around the input, on each side; at most half the window.
  public var padding: [Int]
  /// Whether a window that ends outside counts when it begins inside: extents round up, not down.
  public var roundsUp: Bool

  /// Square windows.
  ///
  /// - Parameters:
  ///   - kernel: the side of the window, from 1 on.
  ///   - stride: its step; the kernel by default.
  ///   - padding: cells on each side.
  ///   - roundsUp: whether extents round up.
  /// - Throws: `TensorError` when a number is out of range.
  public init(kernel: Int, stride: Int? = nil, padding: Int = 0, roundsUp: Bool = false) throws {
    let step = stride ?? kernel
    try self.init(kernel: [kernel, kernel], stride: [step, step], padding: [padding, padding], roundsUp: roundsUp)
  }

  /// Windows by (height, width) pairs; the step is the kernel by default.
  ///
  /// - Throws: `TensorError` unless every list holds two fitting numbers.
  public init(kernel: [Int], stride: [Int]? = nil, padding: [Int] = [0, 0], roundsUp: Bool = false) throws {
    let stride = stride ?? kernel
    guard [kernel, stride].allSatisfy({ $0.count == 2 && $0.allSatisfy { $0 >= 1 } }), padding.count == 2,
      zip(padding, kernel).allSatisfy({ $0 >= 0 && $0 <= $1 / 2 })
    else {
      throw TensorError(
        kind: .invalid, operation: "PoolingGeometry",
        reason: "kernel and stride take two numbers from 1 on, and padding two from 0 to half the kernel")
    }
    (self.kernel, self.stride, self.padding, self.roundsUp) = (kernel, stride, padding, roundsUp)
  }

  var numbers: [Int64] { (kernel + stride + padding).map(Int64.init) }
}

extension Tensor {
  /// The largest element of every window of this [B, C, H, W] tensor; outside lies −∞.
  public func maxPool(_ geometry: PoolingGeometry) throws -> Tensor {
    try Tensor.producing("maxPool", [self]) { ct_max_pool($0, pointer, geometry.numbers + [1, 1], geometry.roundsUp) }
  }

  /// The mean of every window of this [B, C, H, W] tensor.
  ///
  /// - Parameters:
  ///   - geometry: window, stride and padding.
  ///   - countsPadding: whether cells outside count as zeros, or not at all.
  public func averagePool(_ geometry: PoolingGeometry, countsPadding: Bool = true) throws -> Tensor {
    try Tensor.producing("averagePool", [self]) {
      ct_average_pool($0, pointer, geometry.numbers, geometry.roundsUp, countsPadding)
    }
  }

  /// Means over a grid of `height` × `width` windows of nearly equal size: [B, C, H, W] to [B, C, height, width].
  public func adaptiveAveragePool(height: Int, width: Int) throws -> Tensor {
    try Tensor.producing("adaptiveAveragePool", [self]) {
      ct_adaptive_average_pool($0, pointer, Int64(height), Int64(width))
    }
  }

  /// Every `stride`-th row and column of this [B, C, H, W] tensor, then channels of zeros up to `channels`.
  public func paddedShortcut(stride: Int, channels: Int) throws -> Tensor {
    try Tensor.producing("paddedShortcut", [self]) { ct_padded_shortcut($0, pointer, Int64(stride), Int64(channels)) }
  }
}
