// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// The weight gradients of one convolution example by example ("rows", each of O·C/groups·kh·kw numbers), implicit in
/// its input [B, C, H, W] and the gradient [B, O, H', W'] at its output.
public struct ConvolutionFactors {
  /// [B, C, H, W].
  public let input: Tensor
  /// [B, O, H', W'].
  public let delta: Tensor
  /// Window, stride, padding, dilation and groups.
  public let geometry: ConvolutionGeometry
  /// Whether kernels of our own serve these factors: float32 on the CPU. The operations on rows need them; explicit
  /// rows can always be had.
  public let haveKernels: Bool

  /// Factors of one application.
  public init(input: Tensor, delta: Tensor, geometry: ConvolutionGeometry) throws {
    (self.input, self.delta, self.geometry) = (input, delta, geometry)
    func suits(_ tensor: Tensor) throws -> Bool {
      try tensor.device == .cpu && tensor.dtype == .float32 && tensor.rank == 4 && tensor.count > 0
    }
    haveKernels = try suits(input) && suits(delta)
  }

  /// The rows: [B, O, C/groups, kh, kw].
  public func rows() throws -> Tensor {
    try Tensor.producing("ConvolutionFactors.rows", [input, delta]) {
      haveKernels
        ? ct_convolution_rows($0, input.pointer, delta.pointer, geometry.window, geometry.numbers, count)
        : ct_convolution_example_gradients($0, input.pointer, delta.pointer, geometry.window, geometry.numbers, count)
    }
  }

  /// The sum of the rows by libtorch, [O, C/groups, kh, kw]; whatever type and device.
  public func weightGradient() throws -> Tensor {
    try Tensor.producing("ConvolutionFactors.weightGradient", [input, delta]) {
      ct_convolution_weight_gradient($0, input.pointer, delta.pointer, geometry.window, geometry.numbers, count)
    }
  }

  /// ‖rowᵢ‖², float64 [B]; with `target` [O·C/groups·kh·kw], the sum of the rows goes there (or is added) too.
  ///
  /// - Throws: `TensorError` unless `haveKernels` and the target is contiguous and of the right size.
  public func squaredNorms(sum target: Tensor? = nil, accumulating: Bool = false) throws -> Tensor {
    try Tensor.producing("ConvolutionFactors.squaredNorms", [input, delta]) {
      ct_convolution_row_norms(
        $0, target?.pointer, input.pointer, delta.pointer, geometry.window, geometry.numbers, count, accumulating)
    }
  }

  /// ⟨rowᵢ, vₘ⟩ for every row of `vectors` [M, O·C/groups·kh·kw], and in the last column ‖rowᵢ‖²: float64 [B, M + 1],
  /// from one formation of each row.
  ///
  /// - Throws: `TensorError` unless `haveKernels` and the vectors are contiguous and of the right size.
  public func products(_ vectors: Tensor) throws -> Tensor {
    try Tensor.producing("ConvolutionFactors.products", [vectors, input, delta]) {
      ct_convolution_row_products(
        $0, vectors.pointer, input.pointer, delta.pointer, geometry.window, geometry.numbers, count)
    }
  }

  /// The sum of the rows into, or added to, `target`.
  ///
  /// - Throws: as `squaredNorms`.
  public func sum(into target: Tensor, accumulating: Bool) throws {
    try check(
      ct_convolution_row_sum(
        target.pointer, input.pointer, delta.pointer, geometry.window, geometry.numbers, count, accumulating),
      "ConvolutionFactors.sum", [target, input, delta])
  }

  /// The median, entry by entry, of the means of the rows over groups of consecutive examples, into `target`.
  ///
  /// - Throws: as `squaredNorms`, and unless 3, 5, 7 or 9 groups cover the batch.
  public func median(into target: Tensor, groups: [Range<Int>]) throws {
    try check(
      ct_convolution_row_median(
        target.pointer, input.pointer, delta.pointer, geometry.window, geometry.numbers, count,
        groups.map(ct_range.init), Int64(groups.count)),
      "ConvolutionFactors.median", [target, input, delta])
  }

  /// The clipped sum of the rows into `target`.
  ///
  /// - Throws: as `squaredNorms`, and when there are no more examples than are clipped.
  public func clippedSum(into target: Tensor, _ clipping: Clipping) throws {
    try check(
      ct_convolution_clipped_sum(
        target.pointer, input.pointer, delta.pointer, geometry.window, geometry.numbers, count, clipping.native),
      "ConvolutionFactors.clippedSum", [target, input, delta])
  }

  private var count: Int64 { Int64(geometry.groups) }
}
