// SPDX-License-Identifier: Apache-2.0

import CLibTorch

extension Tensor {
  /// Uninitialised elements.
  public static func empty(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
    try producing("empty", shape: shape) { ct_empty($0, $1, $2, dtype.native, device.native) }
  }

  /// Every element `value`.
  public static func full(
    _ shape: [Int], _ value: Double, dtype: DType = .float32, device: Device = .cpu
  ) throws -> Tensor {
    try producing("full", shape: shape) { ct_full($0, $1, $2, value, dtype.native, device.native) }
  }

  /// Every element 0.
  public static func zeros(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
    try full(shape, 0, dtype: dtype, device: device)
  }

  /// Every element 1.
  public static func ones(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
    try full(shape, 1, dtype: dtype, device: device)
  }

  /// The integers of a range, int64.
  public static func arange(_ range: Range<Int>, device: Device = .cpu) throws -> Tensor {
    try producing("arange") { ct_arange($0, Int64(range.lowerBound), Int64(range.upperBound), device.native) }
  }

  /// A copy of `elements` in row-major order; the shape defaults to one dimension.
  ///
  /// - Throws: `TensorError` when the shape does not hold exactly as many elements.
  public init<Element: TensorElement>(_ elements: [Element], shape: [Int]? = nil, device: Device = .cpu) throws {
    self = try elements.withUnsafeBytes { bytes in
      try Tensor(bytes: bytes, shape: shape ?? [elements.count], dtype: Element.dtype, device: device)
    }
  }

  /// A copy of raw memory that holds the elements in row-major order.
  ///
  /// - Throws: `TensorError` when the memory's size is not what the shape and element type need.
  public init(bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType, device: Device = .cpu) throws {
    self = try Tensor.producing("Tensor.init", shape: shape) {
      ct_from_bytes($0, bytes.baseAddress, Int64(bytes.count), $1, $2, dtype.native, device.native)
    }
  }

  /// A scalar.
  public init(_ value: Double, dtype: DType = .float32, device: Device = .cpu) throws {
    self = try Tensor.full([], value, dtype: dtype, device: device)
  }

  /// Independent draws from the uniform distribution on [low, high), on the generator's device.
  public static func uniform(
    _ shape: [Int], _ low: Double = 0, _ high: Double = 1, dtype: DType = .float32, generator: Generator
  ) throws -> Tensor {
    try producing("uniform", shape: shape) { ct_uniform($0, $1, $2, low, high, dtype.native, generator.pointer) }
  }

  /// Independent draws from the uniform distribution on [0, 1), on the generator's device: PyTorch's name for it.
  public static func rand(_ shape: [Int], dtype: DType = .float32, generator: Generator) throws -> Tensor {
    try uniform(shape, dtype: dtype, generator: generator)
  }

  /// Independent draws from the standard normal distribution, mean 0 and variance 1, on the generator's device: PyTorch's
  /// name for it.
  public static func randn(_ shape: [Int], dtype: DType = .float32, generator: Generator) throws -> Tensor {
    try normal(shape, dtype: dtype, generator: generator)
  }

  /// Independent draws from the normal distribution, on the generator's device.
  public static func normal(
    _ shape: [Int], mean: Double = 0, standardDeviation: Double = 1, dtype: DType = .float32, generator: Generator
  ) throws -> Tensor {
    try producing("normal", shape: shape) {
      ct_normal($0, $1, $2, mean, standardDeviation, dtype.native, generator.pointer)
    }
  }

  /// 1 with the given probability, else 0, independently, on the generator's device.
  public static func bernoulli(
    _ shape: [Int], probability: Double, dtype: DType = .float32, generator: Generator
  ) throws -> Tensor {
    try producing("bernoulli", shape: shape) { ct_bernoulli($0, $1, $2, probability, dtype.native, generator.pointer) }
  }
}

/// A source of random numbers with a seed and a state that can be saved, on one device.
public final class Generator {
  let pointer: OpaquePointer

  /// A generator started from a seed.
  public init(seed: UInt64, device: Device = .cpu) throws {
    pointer = try Tensor.handle("no generator came back", "Generator") { ct_generator_create($0, device.native, seed) }
  }

  deinit { ct_generator_free(pointer) }

  /// The whole state, as bytes; setting it continues the sequence from there.
  public func state() throws -> [UInt8] {
    try Tensor.producing("Generator.state") { ct_generator_get_state($0, pointer) }.values()
  }

  /// Continues from a saved state.
  ///
  /// - Throws: `TensorError` when the bytes are no state of this kind of generator.
  public func restore(state: [UInt8]) throws {
    let bytes = try Tensor(state)
    try check(ct_generator_set_state(pointer, bytes.pointer), "Generator.restore")
  }
}
