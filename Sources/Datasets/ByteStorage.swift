// SPDX-License-Identifier: Apache-2.0

/// Immutable bytes shared by reference, so that copying a `Dataset` never copies its images.
///
/// The bytes are written once, by the closure given at creation, and only read afterwards; this is what makes sharing
/// them between threads safe.
public final class ByteStorage: @unchecked Sendable {
  private let bytes: UnsafeRawBufferPointer
  // The storage whose memory this one is a prefix of; nil when it owns its memory.
  private let owner: ByteStorage?

  /// Number of bytes.
  public var count: Int { bytes.count }

  /// Creates `count` bytes, zero at first, that `fill` writes. A negative count is taken as zero.
  ///
  /// - Throws: whatever `fill` throws; nothing is leaked then.
  public init<E: Error>(count: Int, fill: (UnsafeMutableRawBufferPointer) throws(E) -> Void) throws(E) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 0), alignment: 64)
    buffer.initializeMemory(as: UInt8.self, repeating: 0)
    bytes = UnsafeRawBufferPointer(buffer)
    owner = nil
    try fill(buffer)
  }

  /// Copies the bytes of a sequence such as `[UInt8]` or `Data`.
  public convenience init(_ source: some Collection<UInt8>) {
    self.init(count: source.count) { buffer in buffer.copyBytes(from: source) }
  }

  private init(prefix count: Int, of storage: ByteStorage) {
    bytes = UnsafeRawBufferPointer(rebasing: storage.bytes[0..<count])
    owner = storage.owner ?? storage
  }

  deinit {
    if owner == nil { UnsafeMutableRawBufferPointer(mutating: bytes).deallocate() }
  }

  /// The first `count` bytes (as many as there are when fewer), sharing the memory of this storage.
  public func prefix(_ count: Int) -> ByteStorage {
    ByteStorage(prefix: min(max(count, 0), bytes.count), of: self)
  }

  /// Calls `body` with the bytes, which are valid only during the call.
  public func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    try body(bytes)
  }
}
