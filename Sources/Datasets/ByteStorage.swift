// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Immutable bytes shared by reference, so that copying a `Dataset` never copies its images.
///
/// The bytes are written once, by the closure given at creation, and only read afterwards; this is what makes sharing
/// them between threads safe.
public final class ByteStorage: @unchecked Sendable {
  private let bytes: UnsafeRawBufferPointer
  // The storage whose memory this one is a part of; nil when it owns its memory.
  private let owner: ByteStorage?

  /// Number of bytes.
  public var count: Int { bytes.count }

  /// Creates `count` bytes, zero at first, that `fill` writes. A negative count is taken as zero.
  ///
  /// - Throws: `DatasetError` when there is no memory for them, or whatever `fill` throws; nothing is leaked then.
  public init(count: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void) throws {
    let count = max(count, 0)
    // calloc hands out zero pages as they are touched: a header that announces too much costs no memory.
    guard let memory = calloc(max(count, 1), 1) else {
      throw DatasetError("Not enough memory for \(count) bytes.", remedy: "Take fewer examples.")
    }
    let buffer = UnsafeMutableRawBufferPointer(start: memory, count: count)
    bytes = UnsafeRawBufferPointer(buffer)
    owner = nil
    try fill(buffer)
  }

  /// Copies the bytes of a collection such as `[UInt8]` or `Data`.
  ///
  /// - Throws: `DatasetError` when there is no memory for them.
  public convenience init(_ source: some Collection<UInt8>) throws {
    try self.init(count: source.count) { buffer in buffer.copyBytes(from: source) }
  }

  private init(_ range: Range<Int>, of storage: ByteStorage) {
    bytes = UnsafeRawBufferPointer(rebasing: storage.bytes[range])
    owner = storage.owner ?? storage
  }

  deinit { if owner == nil { free(UnsafeMutableRawPointer(mutating: bytes.baseAddress)) } }

  /// The first `count` bytes (as many as there are when fewer), sharing the memory of this storage.
  public func prefix(_ count: Int) -> ByteStorage { ByteStorage(0..<min(max(count, 0), bytes.count), of: self) }

  /// The bytes from `start` on (none when there are not so many), sharing the memory of this storage.
  public func suffix(from start: Int) -> ByteStorage {
    ByteStorage(min(max(start, 0), bytes.count)..<bytes.count, of: self)
  }

  /// Calls `body` with the bytes, which are valid only during the call.
  public func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    try body(bytes)
  }
}

extension UnsafeRawBufferPointer {
  /// Row number `index` of a table with `size` bytes a row.
  func row(_ index: Int, of size: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: self[(index * size)..<((index + 1) * size)])
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Row number `index` of a table with `size` bytes a row.
  func row(_ index: Int, of size: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: self[(index * size)..<((index + 1) * size)])
  }
}
