// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Labels from a NumPy `.npy` file, versions 1 to 3: magic, version, header length (little-endian), a Python dictionary
/// with `descr`, `fortran_order` and `shape`, then the values. Pickled objects are never read.
enum NumPyLabels {
  static func parse(_ data: Data, path: String) throws -> [Int] {
    let bytes = [UInt8](data)
    guard bytes.starts(with: [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]), bytes.count >= 10 else {
      throw DatasetError("\(path) is not a NumPy array: it does not start with \\x93NUMPY.", remedy: "Use numpy.save.")
    }
    guard (1...3).contains(bytes[6]) else {
      throw DatasetError("\(path) is a NumPy array of unknown version \(bytes[6]).", remedy: "Use numpy.save.")
    }
    let start = bytes[6] == 1 ? 10 : 12
    let length = integer(bytes[8..<min(start, bytes.count)], bigEndian: false, signed: false) ?? 0
    guard bytes.count >= start, bytes.count - start >= length else {
      throw DatasetError("\(path) ends inside its header.", remedy: "Write it again.")
    }
    let header = String(decoding: bytes[start..<(start + length)], as: UTF8.self)
    let type = try valueType(header, path: path)
    let count = try length1(header, path: path)
    let body = bytes[(start + length)...]
    let (needed, overflow) = count.multipliedReportingOverflow(by: type.size)
    guard !overflow, body.count == needed else {
      throw DatasetError(
        "\(path) has \(body.count) bytes of values, but its header declares \(count) of \(type.size) bytes each.",
        remedy: "Write it again.")
    }
    return try (0..<count).map { index in
      let from = body.startIndex + index * type.size
      guard let value = integer(body[from..<(from + type.size)], bigEndian: type.bigEndian, signed: type.signed) else {
        throw DatasetError("\(path): label \(index) is too large for a class.")
      }
      return value
    }
  }

  private struct ValueType {
    let size: Int
    let signed: Bool
    let bigEndian: Bool
  }

  private static func valueType(_ header: String, path: String) throws -> ValueType {
    let text = entry("descr", header).map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " '\"")) } ?? ""
    let order = text.first ?? " "
    let kind = text.dropFirst().first ?? " "
    let size = Int(text.dropFirst(2)) ?? 0
    let known = (kind == "i" || kind == "u") && [1, 2, 4, 8].contains(size) || kind == "b" && size == 1
    guard known, "<>|=".contains(order) else {
      throw DatasetError(
        "\(path) holds NumPy values of type '\(text)', but labels are whole numbers.",
        remedy: kind == "U" || kind == "S" || kind == "O"
          ? "Names of classes are read from a .csv: a line for each, or columns file and label."
          : "Save them with .astype('int64').")
    }
    return ValueType(size: size, signed: kind == "i", bigEndian: order == ">")
  }

  private static func length1(_ header: String, path: String) throws -> Int {
    let text = entry("shape", header) ?? ""
    let inner = text.drop { $0 != "(" }.dropFirst().prefix { $0 != ")" }
    let sizes = inner.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    guard sizes.count == 1, let count = Int(sizes[0]), count >= 0 else {
      throw DatasetError(
        "\(path) has the shape (\(inner)), but labels are an array of one dimension.", remedy: "Save it with .ravel().")
    }
    return count
  }

  // The text after a key of the header's dictionary: up to the closing bracket for a tuple, else up to the comma.
  private static func entry(_ key: String, _ header: String) -> String? {
    guard let found = header.range(of: "'\(key)'") ?? header.range(of: "\"\(key)\"") else { return nil }
    let rest = header[found.upperBound...].drop { $0 == ":" || $0 == " " }
    if rest.first == "(" { return rest.prefix { $0 != ")" } + ")" }
    return String(rest.prefix { $0 != "," && $0 != "}" })
  }

  // A whole number of 1 to 8 bytes; nil when it does not fit in Int.
  private static func integer(_ bytes: ArraySlice<UInt8>, bigEndian: Bool, signed: Bool) -> Int? {
    guard let top = bigEndian ? bytes.first : bytes.last else { return nil }
    var value: UInt64 = signed && top >= 0x80 ? .max : 0
    if bigEndian {
      for byte in bytes { value = value << 8 | UInt64(byte) }
    } else {
      for byte in bytes.reversed() { value = value << 8 | UInt64(byte) }
    }
    return signed ? Int(Int64(bitPattern: value)) : Int(exactly: value)
  }
}
