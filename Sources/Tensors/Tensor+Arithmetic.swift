// SPDX-License-Identifier: Apache-2.0

import CLibTorch

// MARK: - Elementwise, one operand

extension Tensor {
  /// −a.
  public func negated() throws -> Tensor { try unary("negated", ct_negate) }

  /// |a|.
  public func magnitude() throws -> Tensor { try unary("magnitude", ct_absolute) }

  /// a².
  public func squared() throws -> Tensor { try unary("squared", ct_square) }

  /// √a.
  public func squareRoot() throws -> Tensor { try unary("squareRoot", ct_square_root) }

  /// eᵃ.
  public func exponential() throws -> Tensor { try unary("exponential", ct_exponential) }

  /// ln a.
  public func logarithm() throws -> Tensor { try unary("logarithm", ct_logarithm) }

  /// −1, 0 or 1.
  public func sign() throws -> Tensor { try unary("sign", ct_sign) }

  /// Whether each element is neither NaN nor infinite.
  public func isFinite() throws -> Tensor { try unary("isFinite", ct_is_finite) }

  /// max(a, 0).
  public func relu() throws -> Tensor { try unary("relu", ct_relu) }

  /// a·Φ(a), exact.
  public func gelu() throws -> Tensor { try unary("gelu", ct_gelu) }

  /// a·σ(a).
  public func silu() throws -> Tensor { try unary("silu", ct_silu) }

  /// σ(a) = 1/(1 + e⁻ᵃ).
  public func sigmoid() throws -> Tensor { try unary("sigmoid", ct_sigmoid) }

  /// tanh a.
  public func tanh() throws -> Tensor { try unary("tanh", ct_tanh) }

  /// Whether each element is 0.
  public func logicalNot() throws -> Tensor { try unary("logicalNot", ct_logical_not) }

  /// Whether every element is non-zero, as a scalar.
  public func all() throws -> Tensor { try unary("all", ct_all) }

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
  public static func + (a: Tensor, b: Tensor) throws -> Tensor { try a.binary("+", b, ct_add) }

  /// a − b.
  public static func - (a: Tensor, b: Tensor) throws -> Tensor { try a.binary("-", b, ct_subtract) }

  /// a·b, elementwise.
  public static func * (a: Tensor, b: Tensor) throws -> Tensor { try a.binary("*", b, ct_multiply) }

  /// a / b, elementwise.
  public static func / (a: Tensor, b: Tensor) throws -> Tensor { try a.binary("/", b, ct_divide) }

  /// a + b for a constant b.
  public static func + (a: Tensor, b: Double) throws -> Tensor {
    try producing("+", [a]) { ct_add_scalar($0, a.pointer, b) }
  }

  /// a·b for a constant b.
  public static func * (a: Tensor, b: Double) throws -> Tensor {
    try producing("*", [a]) { ct_multiply_scalar($0, a.pointer, b) }
  }

  /// The smaller of each pair; NaN wins.
  public func minimum(_ other: Tensor) throws -> Tensor { try binary("minimum", other, ct_minimum) }

  /// The larger of each pair; NaN wins.
  public func maximum(_ other: Tensor) throws -> Tensor { try binary("maximum", other, ct_maximum) }

  /// Whether the elements of each pair are equal.
  public func equal(_ other: Tensor) throws -> Tensor { try binary("equal", other, ct_equal) }

  /// Whether the first of each pair is smaller.
  public func less(_ other: Tensor) throws -> Tensor { try binary("less", other, ct_less) }

  /// Whether the first of each pair is larger.
  public func greater(_ other: Tensor) throws -> Tensor { try binary("greater", other, ct_greater) }

  /// Whether both of each pair are non-zero.
  public func logicalAnd(_ other: Tensor) throws -> Tensor { try binary("logicalAnd", other, ct_logical_and) }

  /// The matrix product over the last two dimensions, batched and broadcast over the others.
  public func matmul(_ other: Tensor) throws -> Tensor { try binary("matmul", other, ct_matmul) }

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
