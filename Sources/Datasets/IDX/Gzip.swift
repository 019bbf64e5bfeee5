// SPDX-License-Identifier: Apache-2.0

import CZlib
import Foundation

/// Gzip (RFC 1952) in memory, through zlib.
enum Gzip {
  /// Deflate cannot shrink bytes by more than this factor, so a file bounds what it can hold.
  static let greatestRatio = 1032

  /// Whether bytes start with the gzip magic number.
  static func isGzip(_ bytes: Data) -> Bool { bytes.count >= 2 && bytes.starts(with: [0x1F, 0x8B]) }

  /// The size that the last four bytes of a single-member stream of less than 4 GiB announce.
  ///
  /// - Throws: `DatasetError` when it is no gzip, or announces more than its bytes can hold.
  static func announcedSize(of bytes: Data, path: String) throws -> Int {
    let size = bytes.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
    guard isGzip(bytes), size <= bytes.count.multipliedReportingOverflow(by: greatestRatio).partialValue else {
      throw DatasetError("\(path) is not a complete gzip file.", remedy: "Fetch it again.")
    }
    return size
  }

  /// Decompresses at most `limit` bytes from the start, without checking what follows.
  ///
  /// - Throws: `DatasetError` when the stream is damaged or ends before its first `limit` bytes and its own end.
  static func prefix(of bytes: Data, limit: Int, path: String) throws -> [UInt8] {
    var result = [UInt8](repeating: 0, count: limit)
    let count = try result.withUnsafeMutableBytes { buffer in try inflate(bytes, into: buffer, path: path, whole: false)
    }
    return Array(result[0..<count])
  }

  /// Decompresses everything into `buffer`, which it must fill exactly; checks the CRC and that nothing follows.
  ///
  /// - Throws: `DatasetError` when the stream is truncated, damaged, shorter or longer than the buffer, or followed by
  ///   other bytes.
  static func inflateAll(_ bytes: Data, into buffer: UnsafeMutableRawBufferPointer, path: String) throws {
    _ = try inflate(bytes, into: buffer, path: path, whole: true)
  }

  /// Compresses bytes as one gzip member without a time stamp, so that equal bytes give equal files.
  static func deflate(_ bytes: Data) throws -> Data {
    var stream = z_stream()
    let version = ZLIB_VERSION
    guard
      deflateInit2_(
        &stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, version, Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else { throw DatasetError("zlib could not start to compress.") }
    defer { deflateEnd(&stream) }
    var output = [UInt8](repeating: 0, count: 1 << 16)
    var result = Data()
    var input = bytes[...]
    while true {
      let piece = [UInt8](input.prefix(1 << 20))
      input = input.dropFirst(piece.count)
      let flush = input.isEmpty ? Z_FINISH : Z_NO_FLUSH
      let status = piece.withUnsafeBufferPointer { source -> Int32 in
        stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
        stream.avail_in = UInt32(source.count)
        var status = Z_OK
        repeat {
          output.withUnsafeMutableBufferPointer { target in
            stream.next_out = target.baseAddress
            stream.avail_out = UInt32(target.count)
            status = CZlib.deflate(&stream, flush)
          }
          result.append(contentsOf: output[0..<(output.count - Int(stream.avail_out))])
        } while stream.avail_out == 0
        return status
      }
      if status == Z_STREAM_END { return result }
      guard status == Z_OK || status == Z_BUF_ERROR else { throw DatasetError("zlib could not compress (\(status)).") }
    }
  }

  // Inflates into the buffer piece by piece; returns how many bytes came out.
  private static func inflate(
    _ bytes: Data, into buffer: UnsafeMutableRawBufferPointer, path: String, whole: Bool
  ) throws -> Int {
    var stream = z_stream()
    guard inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw DatasetError("zlib could not start to decompress \(path).")
    }
    defer { inflateEnd(&stream) }
    return try bytes.withUnsafeBytes { source in
      var inflater = Inflater(source: source, target: buffer, path: path)
      return try inflater.run(&stream, whole: whole)
    }
  }
}

/// One run of zlib's inflate from a source to a target of known size.
private struct Inflater {
  let source: UnsafeRawBufferPointer
  let target: UnsafeMutableRawBufferPointer
  let path: String
  var consumed = 0
  var produced = 0

  mutating func run(_ stream: inout z_stream, whole: Bool) throws -> Int {
    while true {
      let status = step(&stream)
      switch status {
      case Z_STREAM_END:
        // Several members one after the other are one file (RFC 1952 §2.2).
        guard try startsNextMember(whole: whole), inflateReset(&stream) == Z_OK else { return try finish(whole) }
      case Z_OK, Z_BUF_ERROR:
        if !whole && produced >= target.count { return target.count }
        if produced > target.count { throw tooLong() }
        if consumed == source.count && stream.avail_out > 0 { throw truncated() }
      default:
        let detail = stream.msg.map { String(cString: $0) } ?? "error \(status)"
        throw DatasetError(
          "\(path) is damaged: the compressed data is wrong near byte \(consumed) of \(source.count) (\(detail)).",
          remedy: "Fetch it again.")
      }
    }
  }

  // One call of inflate over at most 1 GiB on each side; one spare byte of output shows data beyond the target.
  private mutating func step(_ stream: inout z_stream) -> Int32 {
    var spare: UInt8 = 0
    let inCount = min(source.count - consumed, 1 << 30)
    let outCount = min(target.count - produced, 1 << 30)
    stream.next_in = source.baseAddress.map {
      UnsafeMutablePointer(mutating: ($0 + consumed).assumingMemoryBound(to: UInt8.self))
    }
    stream.avail_in = UInt32(inCount)
    let status = withUnsafeMutablePointer(to: &spare) { spare -> Int32 in
      if outCount > 0, let base = target.baseAddress {
        stream.next_out = (base + produced).assumingMemoryBound(to: UInt8.self)
        stream.avail_out = UInt32(outCount)
      } else {
        stream.next_out = spare
        stream.avail_out = 1
      }
      let room = Int(stream.avail_out)
      let status = CZlib.inflate(&stream, Z_NO_FLUSH)
      produced += room - Int(stream.avail_out)
      stream.next_out = nil
      return status
    }
    consumed += inCount - Int(stream.avail_in)
    return status
  }

  private func startsNextMember(whole: Bool) throws -> Bool {
    let rest = source[consumed...]
    if rest.isEmpty { return false }
    if rest.starts(with: [0x1F, 0x8B]) { return true }
    guard whole else { return false }
    throw DatasetError(
      "\(path) has \(rest.count) bytes after the end of its compressed data, at byte \(consumed).",
      remedy: "Fetch it again.")
  }

  private func finish(_ whole: Bool) throws -> Int {
    if whole && produced > target.count { throw tooLong() }
    if whole && produced < target.count { throw tooShort() }
    return min(produced, target.count)
  }

  private func truncated() -> DatasetError {
    DatasetError(
      "\(path) is truncated: its compressed data ends after \(source.count) bytes.",
      remedy: "Fetch it again; `coherent data fetch` resumes where a download stopped.")
  }

  private func tooLong() -> DatasetError {
    DatasetError(
      "\(path) holds more than the \(target.count) bytes that its header declares.", remedy: "Fetch it again.")
  }

  private func tooShort() -> DatasetError {
    DatasetError(
      "\(path) is truncated: it holds \(produced) of the \(target.count) bytes that its header declares.",
      remedy: "Fetch it again.")
  }
}
