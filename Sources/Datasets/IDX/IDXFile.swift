// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// An IDX file of unsigned bytes, the format of MNIST (LeCun, Cortes and Burges): two zero bytes, the type (8 for
/// unsigned bytes), the number of dimensions, each dimension as a big-endian 32-bit number, then the values row-major.
public struct IDXFile: Sendable {
  /// The dimensions; the first one counts the examples.
  public let dimensions: [Int]
  /// The values: as many bytes as the product of the dimensions.
  public let values: ByteStorage
  /// SHA-256 of the file as it lies on disk, in lower-case hexadecimal; empty for one made in memory.
  public let fileChecksum: String

  /// Makes a file in memory.
  ///
  /// - Throws: `DatasetError` when there are no dimensions or more than 255, one does not fit in 32 bits, or the number
  ///   of bytes is not their product.
  public init(dimensions: [Int], values: ByteStorage) throws {
    guard (1...255).contains(dimensions.count), dimensions.allSatisfy({ $0 >= 0 && $0 <= Int(UInt32.max) }) else {
      throw DatasetError("\(dimensions) cannot be written as IDX: it takes 1 to 255 dimensions of at most 2³² − 1.")
    }
    guard checkedProduct(dimensions) == values.count else {
      throw DatasetError("\(values.count) bytes do not fill an IDX array of dimensions \(dimensions).")
    }
    self.init(dimensions: dimensions, values: values, fileChecksum: "")
  }

  private init(dimensions: [Int], values: ByteStorage, fileChecksum: String) {
    (self.dimensions, self.values, self.fileChecksum) = (dimensions, values, fileChecksum)
  }

  /// Reads a raw or gzip-compressed file; which one it is, its first bytes say.
  ///
  /// Nothing larger than the file can account for is ever allocated, whatever its header declares, and more than
  /// 2 GiB of values are refused.
  ///
  /// - Throws: `DatasetError` when the file is missing, truncated, damaged, followed by other bytes, not IDX, or not of
  ///   unsigned bytes.
  public static func read(path: String) throws -> IDXFile {
    let bytes = try FileReading.bytes(of: path, limit: IDXHeader.valueLimit)
    let checksum = hexadecimal(SHA256.hash(data: bytes))
    return try parse(bytes, path: path, checksum: checksum)
  }

  /// Reads a file from memory; `path` names it in errors.
  static func parse(_ bytes: Data, path: String, checksum: String = "") throws -> IDXFile {
    guard Gzip.isGzip(bytes) else {
      if path.hasSuffix(".gz"), !bytes.starts(with: [0, 0]) {
        throw DatasetError(
          "\(path) is neither gzip nor IDX: it starts with \(describe(bytes.prefix(4))).",
          remedy: "Fetch it again; a page of text in its place usually means a failed download.")
      }
      let header = try IDXHeader(bytes.prefix(IDXHeader.greatestSize), path: path)
      try header.checkRaw(size: bytes.count, path: path)
      return IDXFile(
        dimensions: header.dimensions, values: try ByteStorage(bytes.dropFirst(header.size)), fileChecksum: checksum)
    }
    let start = try Gzip.prefix(of: bytes, limit: IDXHeader.greatestSize, path: path)
    let header = try IDXHeader(Data(start), path: path)
    // The header comes out again in front of the values, so it is inflated into the same buffer and cut off.
    let (total, overflow) = header.valueCount.addingReportingOverflow(header.size)
    let (most, huge) = bytes.count.multipliedReportingOverflow(by: Gzip.greatestRatio)
    guard !overflow, huge || total <= most else {
      throw DatasetError(
        "\(path): the header declares \(header.valueCount) values (\(header.dimensions)), far more than a compressed "
          + "file of \(bytes.count) bytes can hold.", remedy: "Fetch it again.")
    }
    let whole = try ByteStorage(count: total) { buffer in try Gzip.inflateAll(bytes, into: buffer, path: path) }
    let values = whole.suffix(from: header.size)
    return IDXFile(dimensions: header.dimensions, values: values, fileChecksum: checksum)
  }

  /// Writes the file, compressed when `path` ends in `.gz`; whole or not at all.
  ///
  /// - Throws: `DatasetError` when it cannot be written.
  public func write(path: String) throws {
    let data = encoded()
    try FileReading.write(path.hasSuffix(".gz") ? Gzip.deflate(data) : data, to: path)
  }

  /// The bytes of the raw file.
  func encoded() -> Data {
    var data = Data([0, 0, 8, UInt8(truncatingIfNeeded: dimensions.count)])
    for dimension in dimensions {
      let word = UInt32(truncatingIfNeeded: dimension)
      for shift in [24, 16, 8, 0] as [UInt32] { data.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
    values.withUnsafeBytes { data.append(contentsOf: $0) }
    return data
  }

  static func describe(_ bytes: some Collection<UInt8>) -> String {
    bytes.isEmpty ? "nothing" : "bytes " + bytes.map { hexadecimal([$0]) }.joined(separator: " ")
  }
}

/// The header of an IDX file.
struct IDXHeader {
  /// The size of a header with the most dimensions there can be.
  static let greatestSize = 4 + 4 * 255

  /// The most values that are read: 2 GiB, far above the data sets that this format serves.
  static let valueLimit = 1 << 31

  let dimensions: [Int]
  let valueCount: Int
  /// Bytes in the header itself.
  var size: Int { 4 + 4 * dimensions.count }

  init(_ start: Data, path: String) throws {
    let bytes = [UInt8](start)
    guard bytes.count >= 4 else {
      throw DatasetError("\(path) is too short for an IDX file: \(bytes.count) bytes.", remedy: "Fetch it again.")
    }
    guard bytes[0] == 0, bytes[1] == 0, bytes[3] > 0 else {
      throw DatasetError(
        "\(path) is not an IDX file: it starts with \(IDXFile.describe(bytes[0..<4])) where 00 00 08 and the number "
          + "of dimensions belong.", remedy: "Check that it is the right file, or fetch it again.")
    }
    guard bytes[2] == 8 else {
      throw DatasetError(
        "\(path) holds IDX values of type \(hexadecimal([bytes[2]])); only unsigned bytes (type 08) are read here.",
        remedy: "Convert it to unsigned bytes.")
    }
    let count = Int(bytes[3])
    guard bytes.count >= 4 + 4 * count else {
      throw DatasetError(
        "\(path) ends inside its header: \(count) dimensions take \(4 + 4 * count) bytes.", remedy: "Fetch it again.")
    }
    dimensions = (0..<count).map { place in bytes[(4 + 4 * place)..<(8 + 4 * place)].reduce(0) { $0 << 8 | Int($1) } }
    guard let product = checkedProduct(dimensions) else {
      throw DatasetError(
        "\(path): the header declares dimensions \(dimensions), more values than any file can hold.",
        remedy: "Fetch it again.")
    }
    guard product <= Self.valueLimit else {
      throw DatasetError(
        "\(path): the header declares \(product) values (\(dimensions)); at most \(Self.valueLimit) are read.",
        remedy: "Fetch it again, or split it.")
    }
    valueCount = product
  }

  /// Compares what a raw file of `size` bytes holds with what its header declares.
  func checkRaw(size fileSize: Int, path: String) throws {
    let present = fileSize - size
    if present < valueCount {
      throw DatasetError(
        "\(path) is truncated: its header declares \(valueCount) values (\(dimensions)), but \(present) follow.",
        remedy: "Fetch it again.")
    }
    if present > valueCount {
      throw DatasetError(
        "\(path) has \(present - valueCount) bytes after the \(valueCount) values that its header declares "
          + "(\(dimensions)), at byte \(size + valueCount).", remedy: "Fetch it again.")
    }
  }
}
