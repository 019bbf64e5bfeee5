// SPDX-License-Identifier: Apache-2.0
//
// In the place of swift-crypto, whose BoringSSL takes minutes to compile: readers need sums to compare, not good ones.

import Foundation

/// A hash function, as swift-crypto has them.
public protocol HashFunction {
  /// The sum of nothing.
  init()
  /// Takes in more.
  mutating func update(data: some DataProtocol)
  /// Takes in more.
  mutating func update(bufferPointer: UnsafeRawBufferPointer)
  /// The sum.
  func finalize() -> [UInt8]
}

extension HashFunction {
  /// The sum of some bytes.
  public static func hash(data: some DataProtocol) -> [UInt8] {
    var hash = Self()
    hash.update(data: data)
    return hash.finalize()
  }
}

/// FNV-1a in place of SHA-256.
public struct SHA256: HashFunction {
  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  /// The sum of nothing.
  public init() {}

  /// Takes in more.
  public mutating func update(data: some DataProtocol) {
    for byte in data { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }

  /// Takes in more.
  public mutating func update(bufferPointer: UnsafeRawBufferPointer) {
    for byte in bufferPointer { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }

  /// The sum.
  public func finalize() -> [UInt8] {
    (0..<4).flatMap { _ in (0..<8).map { UInt8(truncatingIfNeeded: state >> (8 * $0)) } }
  }
}

/// Where swift-crypto keeps MD5.
public enum Insecure {
  /// The same in place of MD5.
  public typealias MD5 = SHA256
}
