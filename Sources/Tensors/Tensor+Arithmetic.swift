// SPDX-License-Identifier: Apache-2.0

import CLibTorch

// MARK: - Elementwise, one operand

extension Tensor {
  /// −a.
  public func negated() throws -> Tensor { try Tensor.producing("negated", [self]) { ct_negate($0, pointer) } }

  /// |a|.
  public func magnitude() throws -> Tensor { try Tensor.producing("magnitude", [self]) { ct_absolute($0, pointer) } }

  /// a².
  public func squared() throws -> Tensor { try Tensor.producing("squared", [self]) { ct_square($0, pointer) } }

  /// √a.
  public func squareRoot() throws -> Tensor {
    try Tensor.producing("squareRoot", [self]) { ct_square_root($0, pointer) }
  }

  /// eᵃ.
  public func exponential() throws -> Tensor {
    try Tensor.producing("exponential", [self]) { ct_exponential($0, pointer) }
  }

  /// ln a.
  public func logarithm() throws -> Tensor { try Tensor.producing("logarithm", [self]) { ct_logarithm($0, pointer) } }

  /// −1, 0 or 1.
  public func sign() throws -> Tensor { try Tensor.producing("sign", [self]) { ct_sign($0, pointer) } }

  /// Whether each element is neither NaN nor infinite.
  public func isFinite() throws -> Tensor { try Tensor.producing("isFinite", [self]) { ct_is_finite($0, pointer) } }

  /// max(a, 0).
  public func relu() throws -> Tensor { try Tensor.producing("relu", [self]) { ct_relu($0, pointer) } }

  /// a·Φ(a), exact.
  public func gelu() throws -> Tensor { try Tensor.producing("gelu", [self]) { ct_gelu($0, pointer) } }

  /// a·σ(a).
  public func silu() throws -> Tensor { try Tensor.producing("silu", [self]) { ct_silu($0, pointer) } }

  /// σ(a) = 1/(1 + e⁻ᵃ).
  public func sigmoid() throws -> Tensor { try Tensor.producing("sigmoid", [self]) { ct_sigmoid($0, pointer) } }

  /// tanh a.
  public func tanh() throws -> Tensor { try Tensor.producing("tanh", [self]) { ct_tanh($0, pointer) } }

  /// Whether each element is 0.
  public func logicalNot() throws -> Tensor {
    try Tensor.producing("logicalNot", [self]) { ct_logical_not($0, pointer) }
  }

  /// Whether every element is non-zero, as a scalar.
  public func all() throws -> Tensor { try Tensor.producing("all", [self]) { ct_all($0, pointer) } }

  /// a where positive, else slope·a.
  public func leakyReLU(slope: Double = 0.01) throws -> Tensor {
    try Tensor.producing("leakyReLU", [self]) { ct_leaky_relu($0, pointer, slope) }
  }

  /// Elements outside [low, high] moved to its nearer end.
  public func clamp(_ low: Double, _ high: Double) throws -> Tensor {
    try Tensor.producing("clamp", [self]) { ct_clamp($0, pointer, low, high) }
  }

  /// a to a constant power.
  public func power(_ exponent: Double) throws -> Tensor {
    try Tensor.producing("power", [self]) { ct_power($0, pointer, exponent) }
  }
}

// MARK: - Elementwise, two operands, broadcast

extension Tensor {
  /// a + b.
  public static func + (a: Tensor, b: Tensor) throws -> Tensor {
    try producing("+", [a, b]) { ct_add($0, a.pointer, b.pointer) }
  }

  /// a − b.
  public static func - (a: Tensor, b: Tensor) throws -> Tensor {
    try producing("-", [a, b]) { ct_subtract($0, a.pointer, b.pointer) }
  }

  /// a·b, elementwise.
  public static func * (a: Tensor, b: Tensor) throws -> Tensor {
    try producing("*", [a, b]) { ct_multiply($0, a.pointer, b.pointer) }
  }

  /// a / b, elementwise.
  public static func / (a: Tensor, b: Tensor) throws -> Tensor {
    try producing("/", [a, b]) { ct_divide($0, a.pointer, b.pointer) }
  }

  /// a + b for a constant b.
  public static func + (a: Tensor, b: Double) throws -> Tensor {
    try producing("+", [a]) { ct_add_scalar($0, a.pointer, b) }
  }

  /// a·b for a constant b.
  public static func * (a: Tensor, b: Double) throws -> Tensor {
    try producing("*", [a]) { ct_multiply_scalar($0, a.pointer, b) }
  }

  /// The smaller of each pair; NaN wins.
  public func minimum(_ other: Tensor) throws -> Tensor {
    try Tensor.producing("minimum", [self, other]) { ct_minimum($0, pointer, other.pointer) }
  }

  /// The larger of each pair; NaN wins.
  public func maximum(_ other: Tensor) throws -> Tensor {
    try Tensor.producing("maximum", [self, other]) { ct_maximum($0, pointer, other.pointer) }
  }

  /// Whether the elements of each pair are equal.
  public func equal(_ other: Tensor) throws -> Tensor {
    try Tensor.producing("equal", [self, other]) { ct_equal($0, pointer, other.pointer) }
  }

  /// Whether the first of each pair is smaller.
  public func less(_ other: Tensor) throws -> Tensor {
    try Tensor.producing("less", [self, other]) { ct_less($0, pointer, other.pointer) }
  }

  /// Whether the first of each pair is larger.
  public func greater(_ other: Tensor) throws -> Tensor {
    try Tensor.producing("greater", [self, other]) { ct_greater($0, pointer, other.pointer) }
  }

  /// Whether both of each pair are non-zero.
  public func logicalAnd(_ other: Tensor) throws -> Tensor {
    try Tensor.producing("logicalAnd", [self, other]) { ct_logical_and($0, pointer, other.pointer) }
  }

  /// The matrix product over the last two dimensions, batched and broadcast over the others.
  public func matmul(_ other: Tensor) throws -> Tensor {
    try Tensor.producing("matmul", [self, other]) { ct_matmul($0, pointer, other.pointer) }
  }

  /// Elements of `a` where the condition holds, of `b` elsewhere.
  public static func select(_ a: Tensor, where condition: Tensor, else b: Tensor) throws -> Tensor {
    try producing("select", [condition, a, b]) { ct_where($0, condition.pointer, a.pointer, b.pointer) }
  }

  /// a += scale·b, in place; not recorded.
  public func add(_ other: Tensor, scale: Double = 1) throws {
    try check(ct_add_in_place(pointer, other.pointer, scale), "add", [self, other])
  }

  /// a *= b, in place; not recorded.
  public func multiply(by factor: Double) throws {
    try check(ct_multiply_in_place(pointer, factor), "multiply", [self])
  }
}
