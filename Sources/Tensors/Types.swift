// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// The type of a tensor's elements.
public enum DType: String, Sendable, CaseIterable, CustomStringConvertible {
  case float32, float64, float16, bfloat16, int64, int32, uint8, bool

  init(_ value: ct_dtype) {
    switch value {
    case CT_FLOAT64: self = .float64
    case CT_FLOAT16: self = .float16
    case CT_BFLOAT16: self = .bfloat16
    case CT_INT64: self = .int64
    case CT_INT32: self = .int32
    case CT_UINT8: self = .uint8
    case CT_BOOL: self = .bool
    default: self = .float32
    }
  }

  var native: ct_dtype {
    switch self {
    case .float32: CT_FLOAT32
    case .float64: CT_FLOAT64
    case .float16: CT_FLOAT16
    case .bfloat16: CT_BFLOAT16
    case .int64: CT_INT64
    case .int32: CT_INT32
    case .uint8: CT_UINT8
    case .bool: CT_BOOL
    }
  }

  /// Bytes per element.
  public var byteCount: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16: 2
    case .uint8, .bool: 1
    }
  }

  /// The name, such as "float32".
  public var description: String { rawValue }
}

/// Where a tensor's elements live.
public enum Device: Sendable, Hashable, CustomStringConvertible {
  /// The host's memory.
  case cpu
  /// The memory of a CUDA device, by its index.
  case cuda(Int)

  init(_ value: ct_device) { self = value.kind == CT_CUDA ? .cuda(Int(value.index)) : .cpu }

  var native: ct_device {
    switch self {
    case .cpu: ct_device(kind: CT_CPU, index: 0)
    case .cuda(let index): ct_device(kind: CT_CUDA, index: Int32(clamping: index))
    }
  }

  /// Parses "cpu", "cuda" or "cuda:1"; nil for anything else.
  public init?(_ text: String) {
    if text == "cpu" {
      self = .cpu
    } else if text == "cuda" {
      self = .cuda(0)
    } else if text.hasPrefix("cuda:"), let index = Int(text.dropFirst(5)), index >= 0 {
      self = .cuda(index)
    } else {
      return nil
    }
  }

  /// "cpu" or "cuda:0".
  public var description: String {
    switch self {
    case .cpu: "cpu"
    case .cuda(let index): "cuda:\(index)"
    }
  }
}

/// A Swift type that tensors can hold.
public protocol TensorElement: Sendable {
  /// The element type this Swift type stands for.
  static var dtype: DType { get }
}

extension Float: TensorElement {
  /// float32
  public static var dtype: DType { .float32 }
}
extension Double: TensorElement {
  /// float64
  public static var dtype: DType { .float64 }
}
extension Int64: TensorElement {
  /// int64
  public static var dtype: DType { .int64 }
}
extension Int: TensorElement {
  /// int64
  public static var dtype: DType { .int64 }
}
extension Int32: TensorElement {
  /// int32
  public static var dtype: DType { .int32 }
}
extension UInt8: TensorElement {
  /// uint8
  public static var dtype: DType { .uint8 }
}
extension Bool: TensorElement {
  /// bool
  public static var dtype: DType { .bool }
}
