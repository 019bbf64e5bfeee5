// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// Owns one libtorch handle.
struct TensorHandle: ~Copyable {
  let pointer: OpaquePointer
  deinit { ct_tensor_free(pointer) }
}

final class TensorStorage {
  let handle: TensorHandle
  init(_ pointer: OpaquePointer) { handle = TensorHandle(pointer: pointer) }
}

/// An n-dimensional array on a device, as in libtorch: a reference to shared elements with a shape of its own.
///
/// Copying a `Tensor` value copies the reference, not the elements; `clone()` copies them. A tensor is not `Sendable`:
/// grad mode and graphs belong to one thread. Every operation throws `TensorError`, which names the operation and the
/// shapes and element types it was given; none traps.
public struct Tensor {
  let storage: TensorStorage

  var pointer: OpaquePointer { storage.handle.pointer }

  /// Takes ownership of a handle.
  init(owning pointer: OpaquePointer) { storage = TensorStorage(pointer) }

  /// Runs a call of the shim that produces one tensor.
  static func producing(
    _ operation: String, _ operands: @autoclosure () -> [Tensor] = [],
    _ body: (UnsafeMutablePointer<OpaquePointer?>) -> OpaquePointer?
  ) throws -> Tensor { try Tensor(owning: handle("no result came back", operation, operands(), body)) }

  /// The handle that a call of the shim makes.
  static func handle(
    _ absence: String, _ operation: String, _ operands: @autoclosure () -> [Tensor] = [],
    _ body: (UnsafeMutablePointer<OpaquePointer?>) -> OpaquePointer?
  ) throws -> OpaquePointer {
    var out: OpaquePointer?
    try check(body(&out), operation, operands())
    guard let out else { throw TensorError(kind: .internal, operation: operation, reason: absence) }
    return out
  }

  /// Runs a call that produces one tensor and takes a list of sizes or dimensions.
  static func producing(
    _ operation: String, _ operands: @autoclosure () -> [Tensor] = [], shape: [Int],
    _ body: (UnsafeMutablePointer<OpaquePointer?>, UnsafePointer<Int64>?, Int64) -> OpaquePointer?
  ) throws -> Tensor {
    try shape.map(Int64.init).withUnsafeBufferPointer { list in
      try producing(operation, operands()) { body($0, list.baseAddress, Int64(list.count)) }
    }
  }

  /// The result of a call that takes this tensor alone.
  func unary(
    _ operation: String, _ call: (UnsafeMutablePointer<OpaquePointer?>, OpaquePointer) -> OpaquePointer?
  ) throws -> Tensor {
    try Tensor.producing(operation, [self]) { call($0, pointer) }
  }

  /// The result of a call that takes this tensor and another.
  func binary(
    _ operation: String, _ other: Tensor,
    _ call: (UnsafeMutablePointer<OpaquePointer?>, OpaquePointer, OpaquePointer) -> OpaquePointer?
  ) throws -> Tensor { try Tensor.producing(operation, [self, other]) { call($0, pointer, other.pointer) } }
}

// MARK: - Facts

extension Tensor {
  /// The number of dimensions; 0 for a scalar.
  public var rank: Int { Int(ct_rank(pointer)) }

  /// The extent of every dimension.
  public var shape: [Int] { (0..<ct_rank(pointer)).map { Int(ct_size(pointer, $0)) } }

  /// The step in elements along every dimension.
  public var strides: [Int] { (0..<ct_rank(pointer)).map { Int(ct_stride(pointer, $0)) } }

  /// The extent of one dimension; negative dimensions count from the end. 0 when there is no such dimension.
  public func size(_ dimension: Int) -> Int {
    Int(ct_size(pointer, Int64(dimension < 0 ? dimension + rank : dimension)))
  }

  /// The number of elements.
  public var count: Int { Int(ct_element_count(pointer)) }

  /// The element type.
  public var dtype: DType {
    get throws {
      var out = CT_FLOAT32
      try check(ct_dtype_of(&out, pointer), "dtype")
      return DType(out)
    }
  }

  /// Where the elements live.
  public var device: Device { Device(ct_device_of(pointer)) }

  /// Whether the elements lie in row-major order without gaps.
  public var isContiguous: Bool { ct_is_contiguous(pointer) }

  /// Whether operations on this tensor are recorded for gradients.
  public var requiresGradient: Bool { ct_requires_gradient(pointer) }

  /// Starts or stops the recording of operations on this tensor, in place.
  public func setRequiresGradient(_ value: Bool) throws {
    try check(ct_set_requires_gradient(pointer, value), "setRequiresGradient", [self])
  }

  /// "float32 [100, 784]", for messages.
  public var summary: String { "\((try? dtype).map(\.description) ?? "unknown") \(shape)" }
}

// MARK: - Elements

extension Tensor {
  /// The single element of a one-element tensor, as a double.
  public func item() throws -> Double {
    var out = 0.0
    try check(ct_item(&out, pointer), "item", [self])
    return out
  }

  /// The single element of a one-element integer tensor.
  public func itemInteger() throws -> Int {
    var out: Int64 = 0
    try check(ct_item_integer(&out, pointer), "itemInteger", [self])
    return Int(out)
  }

  /// All elements in row-major order, copied to the host, whatever the layout, device and element type.
  public func values<Element: TensorElement>(as type: Element.Type = Element.self) throws -> [Element] {
    // Contiguous first: libtorch throws where the elements of an expanded view do not fit in memory, an array traps.
    let source = try to(Element.dtype, device: .cpu).contiguous()
    return try [Element](unsafeUninitializedCapacity: source.count) { buffer, initialized in
      let bytes = source.count * MemoryLayout<Element>.stride
      try check(ct_copy_to_bytes(source.pointer, buffer.baseAddress, Int64(bytes)), "values", [self])
      initialized = source.count
    }
  }

  /// Copies the elements' bytes in row-major order to the host.
  ///
  /// - Throws: `TensorError` unless the buffer has exactly their size.
  public func copyBytes(into buffer: UnsafeMutableRawBufferPointer) throws {
    try check(ct_copy_to_bytes(pointer, buffer.baseAddress, Int64(buffer.count)), "copyBytes", [self])
  }

  /// Reads the elements in place. The buffer is valid inside `body` only.
  ///
  /// - Throws: `TensorError` unless the tensor is contiguous, on the CPU and of `Element`'s type.
  public func withElements<Element: TensorElement, Result>(
    of type: Element.Type, _ body: (UnsafeBufferPointer<Element>) throws -> Result
  ) throws -> Result { try withMutableElements(of: type) { try body(UnsafeBufferPointer($0)) } }

  /// Reads and writes the elements in place. The buffer is valid inside `body` only.
  ///
  /// - Throws: `TensorError` unless the tensor is contiguous, on the CPU and of `Element`'s type.
  public func withMutableElements<Element: TensorElement, Result>(
    of type: Element.Type, _ body: (UnsafeMutableBufferPointer<Element>) throws -> Result
  ) throws -> Result {
    guard try dtype == Element.dtype else {
      throw TensorError(
        kind: .type, operation: "withElements", operands: [summary], reason: "the elements are not \(Element.dtype)")
    }
    var data: UnsafeMutableRawPointer?
    try check(ct_data(&data, pointer), "withElements", [self])
    let start = data?.bindMemory(to: Element.self, capacity: count)
    defer { withExtendedLifetime(storage) {} }
    return try body(UnsafeMutableBufferPointer(start: start, count: start == nil ? 0 : count))
  }
}
