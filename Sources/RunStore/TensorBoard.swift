// SPDX-License-Identifier: Apache-2.0

import Foundation

/// CRC-32C (Castagnoli), the checksum of TensorBoard records.
enum CRC32C {
  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? (value >> 1) ^ 0x82F6_3B78 : value >> 1 }
  }

  static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(~UInt32(0)) { sum, byte in table[Int((sum ^ UInt32(byte)) & 0xFF)] ^ (sum >> 8) }
  }

  /// The checksum as records store it: rotated and shifted, so that a checksum of checksums stays a good one.
  static func masked(_ bytes: some Sequence<UInt8>) -> UInt32 {
    let sum = checksum(bytes)
    return ((sum >> 15) | (sum << 17)) &+ 0xA282_EAD8
  }
}

/// Encodes what TensorBoard reads: protocol-buffer `Event` messages in length-prefixed, checksummed records.
enum TensorBoard {
  /// The first record of every event file.
  static func versionRecord(wallTime: Double) -> Data {
    var event = wallTimeField(wallTime)
    appendBytes(Array("brain.Event:2".utf8), field: 3, to: &event)
    return record(event)
  }

  /// A record with one number under a tag, at a step.
  static func scalarRecord(tag: String, value: Double, step: Int, wallTime: Double) -> Data {
    var entry: [UInt8] = []
    appendBytes(Array(tag.utf8), field: 1, to: &entry)
    entry.append(2 << 3 | 5)
    appendLittleEndian(Float(value).bitPattern, to: &entry)
    var summary: [UInt8] = []
    appendBytes(entry, field: 1, to: &summary)
    var event = wallTimeField(wallTime)
    event.append(2 << 3)
    appendVarint(UInt64(bitPattern: Int64(step)), to: &event)
    appendBytes(summary, field: 5, to: &event)
    return record(event)
  }

  /// Length (8 bytes), masked checksum of the length, message, masked checksum of the message.
  static func record(_ message: [UInt8]) -> Data {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(message.count + 16)
    appendLittleEndian(UInt64(message.count), to: &bytes)
    appendLittleEndian(CRC32C.masked(bytes), to: &bytes)
    bytes.append(contentsOf: message)
    appendLittleEndian(CRC32C.masked(message), to: &bytes)
    return Data(bytes)
  }

  private static func wallTimeField(_ time: Double) -> [UInt8] {
    var bytes: [UInt8] = [1 << 3 | 1]
    appendLittleEndian(time.bitPattern, to: &bytes)
    return bytes
  }

  private static func appendBytes(_ content: [UInt8], field: UInt8, to bytes: inout [UInt8]) {
    bytes.append(field << 3 | 2)
    appendVarint(UInt64(content.count), to: &bytes)
    bytes.append(contentsOf: content)
  }

  private static func appendVarint(_ value: UInt64, to bytes: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private static func appendLittleEndian(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }
}
