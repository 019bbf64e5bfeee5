// SPDX-License-Identifier: Apache-2.0

import CLibTorch

// MARK: - Copies

extension Tensor {
  /// A copy with elements of its own.
  public func clone() throws -> Tensor { try unary("clone", ct_clone) }

  /// Itself when contiguous, else a contiguous copy.
  public func contiguous() throws -> Tensor { try unary("contiguous", ct_contiguous) }

  /// Itself, or a copy, of four dimensions [B, C, H, W] with the channels of a pixel side by side in memory: the order
  /// that convolutions are fastest in. Recorded for gradients.
  ///
  /// - Throws: `TensorError` unless there are four dimensions.
  public func channelsLast() throws -> Tensor { try unary("channelsLast", ct_channels_last) }

  /// The elements as another type, on another device, or both; itself when nothing changes.
  public func to(_ dtype: DType? = nil, device: Device? = nil) throws -> Tensor {
    let type = try dtype ?? self.dtype
    let place = device ?? self.device
    return try Tensor.producing("to", [self]) { ct_to($0, pointer, type.native, place.native) }
  }

  /// Overwrites the elements with another tensor's of the same shape, converting type and device; not recorded.
  public func copy(from source: Tensor) throws {
    try check(ct_copy_into(pointer, source.pointer), "copy", [self, source])
  }

  /// Overwrites every element; not recorded.
  public func fill(_ value: Double) throws { try check(ct_fill(pointer, value), "fill", [self]) }
}

// MARK: - Views

extension Tensor {
  /// The same elements outside any graph.
  public func detach() throws -> Tensor { try unary("detach", ct_detach) }

  /// The same elements in another shape; one size may be −1.
  public func reshape(_ shape: [Int]) throws -> Tensor {
    try Tensor.producing("reshape", [self], shape: shape) { ct_reshape($0, pointer, $1, $2) }
  }

  /// Dimensions of size 1 repeated to the given sizes without copying.
  public func expand(_ shape: [Int]) throws -> Tensor {
    try Tensor.producing("expand", [self], shape: shape) { ct_expand($0, pointer, $1, $2) }
  }

  /// Two dimensions exchanged.
  public func transpose(_ first: Int = -2, _ second: Int = -1) throws -> Tensor {
    try Tensor.producing("transpose", [self]) { ct_transpose($0, pointer, Int64(first), Int64(second)) }
  }

  /// The dimensions in another order.
  public func permute(_ order: [Int]) throws -> Tensor {
    try Tensor.producing("permute", [self], shape: order) { ct_permute($0, pointer, $1, $2) }
  }

  /// `length` elements from `start` along a dimension.
  public func narrow(_ dimension: Int, from start: Int, length: Int) throws -> Tensor {
    try Tensor.producing("narrow", [self]) { ct_narrow($0, pointer, Int64(dimension), Int64(start), Int64(length)) }
  }

  /// One index of a dimension, which disappears.
  public func select(_ dimension: Int, _ index: Int) throws -> Tensor {
    try Tensor.producing("select", [self]) { ct_select($0, pointer, Int64(dimension), Int64(index)) }
  }

  /// A new dimension of size 1.
  public func unsqueeze(_ dimension: Int) throws -> Tensor {
    try Tensor.producing("unsqueeze", [self]) { ct_unsqueeze($0, pointer, Int64(dimension)) }
  }

  /// Without a dimension of size 1.
  public func squeeze(_ dimension: Int) throws -> Tensor {
    try Tensor.producing("squeeze", [self]) { ct_squeeze($0, pointer, Int64(dimension)) }
  }
}

// MARK: - Assembling and picking

extension Tensor {
  /// Tensors joined along a dimension.
  public static func concatenate(_ tensors: [Tensor], dimension: Int = 0) throws -> Tensor {
    // The array keeps the handles alive through the call.
    let pointers = tensors.map(\.pointer)
    return try withExtendedLifetime(tensors) {
      try pointers.withUnsafeBufferPointer { buffer in
        try producing("concatenate", tensors) {
          ct_concatenate($0, buffer.baseAddress, Int64(buffer.count), Int64(dimension))
        }
      }
    }
  }

  /// The slices at `indices` (int64, one dimension) along a dimension.
  public func indexSelect(_ dimension: Int, _ indices: Tensor) throws -> Tensor {
    try Tensor.producing("indexSelect", [self, indices]) {
      ct_index_select($0, pointer, Int64(dimension), indices.pointer)
    }
  }

  /// A tensor of `rows` slices, zero but for this tensor's slices added at `indices` (int64 [count]).
  public func indexAdd(rows: Int, _ indices: Tensor) throws -> Tensor {
    try Tensor.producing("indexAdd", [self, indices]) { ct_index_add($0, Int64(rows), indices.pointer, pointer) }
  }

  /// Elements picked one by one along a dimension; `indices` has this tensor's rank.
  public func gather(_ dimension: Int, _ indices: Tensor) throws -> Tensor {
    try Tensor.producing("gather", [self, indices]) { ct_gather($0, pointer, Int64(dimension), indices.pointer) }
  }
}
