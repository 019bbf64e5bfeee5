// SPDX-License-Identifier: Apache-2.0

import CLibTorch

extension Tensor {
  /// The sum over the given dimensions, or over all.
  public func sum(_ dimensions: [Int] = [], keepingDimensions keep: Bool = false) throws -> Tensor {
    try Tensor.producing("sum", [self], shape: dimensions) { ct_sum($0, pointer, $1, $2, keep) }
  }

  /// The mean over the given dimensions, or over all.
  public func mean(_ dimensions: [Int] = [], keepingDimensions keep: Bool = false) throws -> Tensor {
    try Tensor.producing("mean", [self], shape: dimensions) { ct_mean($0, pointer, $1, $2, keep) }
  }

  /// The largest element along a dimension.
  public func largest(_ dimension: Int, keepingDimension keep: Bool = false) throws -> Tensor {
    try Tensor.producing("largest", [self]) { ct_largest($0, pointer, Int64(dimension), keep) }
  }

  /// Where the largest element along a dimension stands, int64.
  public func argmax(_ dimension: Int, keepingDimension keep: Bool = false) throws -> Tensor {
    try Tensor.producing("argmax", [self]) { ct_argmax($0, pointer, Int64(dimension), keep) }
  }

  /// The k largest along a dimension in descending order, and where they stand.
  public func top(_ k: Int, dimension: Int = -1) throws -> (values: Tensor, indices: Tensor) {
    try Tensor.producingPair("top", self) { ct_top($0, $1, pointer, Int64(k), Int64(dimension)) }
  }

  /// The elements in order along a dimension (stable), and where they stood.
  public func sorted(dimension: Int = -1, descending: Bool = false) throws -> (values: Tensor, indices: Tensor) {
    try Tensor.producingPair("sorted", self) { ct_sort($0, $1, pointer, Int64(dimension), descending) }
  }

  /// Σ aᵢ·bᵢ, accumulated in double whatever the element type.
  public func dot(_ other: Tensor) throws -> Double {
    var out = 0.0
    try check(ct_dot_double(&out, pointer, other.pointer), "dot", [self, other])
    return out
  }

  /// exp(aᵢ)/Σ exp(aⱼ) along a dimension.
  public func softmax(_ dimension: Int = -1) throws -> Tensor {
    try Tensor.producing("softmax", [self]) { ct_softmax($0, pointer, Int64(dimension)) }
  }

  /// ln softmax along a dimension.
  public func logSoftmax(_ dimension: Int = -1) throws -> Tensor {
    try Tensor.producing("logSoftmax", [self]) { ct_log_softmax($0, pointer, Int64(dimension)) }
  }

  static func producingPair(
    _ operation: String, _ operand: Tensor,
    _ body: (UnsafeMutablePointer<OpaquePointer?>, UnsafeMutablePointer<OpaquePointer?>) -> OpaquePointer?
  ) throws -> (Tensor, Tensor) {
    var first: OpaquePointer?
    var second: OpaquePointer?
    try check(body(&first, &second), operation, [operand])
    guard let first, let second else {
      throw TensorError(kind: .internal, operation: operation, reason: "no result came back")
    }
    return (Tensor(owning: first), Tensor(owning: second))
  }
}
