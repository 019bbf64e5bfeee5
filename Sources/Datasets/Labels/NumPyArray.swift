// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Arrays as NumPy reads them: the `.npy` format, version 1, little-endian, row-major.
public enum NumPyArray {
  /// float32 values.
  ///
  /// - Parameters:
  ///   - values: row by row.
  ///   - shape: their shape; its product is their number.
  public static func encoded(_ values: [Float], shape: [Int]) -> Data {
    encoded(values.map(\.bitPattern.littleEndian), type: "<f4", shape: shape)
  }

  /// int64 values.
  ///
  /// - Parameters:
  ///   - values: row by row.
  ///   - shape: their shape; its product is their number.
  public static func encoded(_ values: [Int64], shape: [Int]) -> Data {
    encoded(values.map(\.littleEndian), type: "<i8", shape: shape)
  }

  private static func encoded(_ values: [some FixedWidthInteger], type: String, shape: [Int]) -> Data {
    let sides = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var header = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(sides)), }"
    // The values begin at a multiple of 64 bytes.
    header += String(repeating: " ", count: (64 - (10 + header.utf8.count + 1) % 64) % 64) + "\n"
    let length = UInt16(header.utf8.count)
    var data = Data([0x93]) + Data("NUMPY".utf8) + Data([1, 0, UInt8(length & 0xFF), UInt8(length >> 8)])
    data.append(contentsOf: header.utf8)
    values.withUnsafeBytes { data.append(contentsOf: $0) }
    return data
  }
}
