// SPDX-License-Identifier: Apache-2.0
//
// In the place of swift-crypto, whose BoringSSL takes minutes to compile: readers need sums to compare, not good ones.

import Foundation

/// A hash function, as swift-crypto has them.
public protocol HashFunction {
  init()
  mutating func update(data: some DataProtocol)
  mutating func update(bufferPointer: UnsafeRawBufferPointer)
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

  public init() {}

  public mutating func update(data: some DataProtocol) {
    for byte in data { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }

  public mutating func update(bufferPointer: UnsafeRawBufferPointer) {
    for byte in bufferPointer { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }

  public func finalize() -> [UInt8] {
    (0..<4).flatMap { _ in (0..<8).map { UInt8(truncatingIfNeeded: state >> (8 * $0)) } }
  }
}

/// Where swift-crypto keeps MD5.
public enum Insecure {
  public typealias MD5 = SHA256
}
