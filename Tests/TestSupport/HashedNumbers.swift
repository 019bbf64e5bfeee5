// SPDX-License-Identifier: Apache-2.0

import Tensors

/// Deterministic numbers for weights and inputs: those of Tests/Fixtures/make_zoo_fixture.py, bit by bit.
public enum HashedNumbers {
  static let period = 999_983

  static let table: [Float] = (0..<UInt32(period)).map { index in
    var h = index &* 0x9E37_79B1 &+ 0x85EB_CA6B
    h ^= h >> 16
    h = h &* 0x85EB_CA6B
    h ^= h >> 13
    h = h &* 0xC2B2_AE35
    h ^= h >> 16
    return Float(Int32(h >> 8) - (1 << 23)) * 0x1p-23
  }

  /// The start that a name decides: 32-bit FNV-1a.
  static func start(_ name: String) -> Int {
    var hash: UInt32 = 0x811C_9DC5
    for byte in name.utf8 { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
    return Int(hash) % period
  }

  /// `count` entries of the table, read round and round.
  public static func values(_ name: String, _ shape: [Int]) throws -> Tensor {
    let count = shape.reduce(1, *)
    let first = start(name)
    let turned = try Tensor(Array(table[first...] + table[..<first]))
    let copies = max(1, (count + period - 1) / period)
    return try turned.expand([copies, period]).reshape([-1]).narrow(0, from: 0, length: count).reshape(shape)
  }

  /// What a parameter or buffer holds.
  public static func content(_ name: String, _ shape: [Int], gain: Double) throws -> Tensor {
    let unit = try values(name, shape)
    if name.hasSuffix("running_var") { return try unit * 0.5 + 1 }
    if name.hasSuffix("running_mean") { return try unit * 0.125 }
    if shape.count > 1 {
      let scale = Float((gain / Double(shape.dropFirst().reduce(1, *))).squareRoot())
      return try unit * Double(scale)
    }
    return try name.hasSuffix("weight") ? unit * 0.25 + 1 : unit * 0.125
  }
}
