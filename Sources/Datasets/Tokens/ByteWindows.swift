// SPDX-License-Identifier: Apache-2.0

/// Windows of one length into the same bytes. They may overlap: a window takes four bytes of memory, however long it is.
public struct ByteWindows: Sendable {
  /// The bytes of a window.
  public let length: Int
  /// The number of windows.
  public var count: Int { starts.count }

  private let bytes: ByteStorage
  private let starts: [UInt32]

  /// - Throws: `DatasetError` unless every window lies within the bytes.
  init(_ bytes: ByteStorage, starts: [UInt32], length: Int) throws {
    let last = bytes.count - length
    guard length >= 1, starts.allSatisfy({ Int($0) <= last }) else {
      throw DatasetError("A window of \(length) bytes does not lie within \(bytes.count) bytes.")
    }
    (self.bytes, self.starts, self.length) = (bytes, starts, length)
  }

  /// Those at `indices`, which are in 0 ..< `count`, into the same bytes.
  func selecting(_ indices: some Collection<Int>) -> ByteWindows {
    ByteWindows(unchecked: bytes, indices.map { starts[$0] }, length)
  }

  private init(unchecked bytes: ByteStorage, _ starts: [UInt32], _ length: Int) {
    (self.bytes, self.starts, self.length) = (bytes, starts, length)
  }

  /// Calls `body` with each window at `indices`, which are in 0 ..< `count`, and its place in `indices`.
  func forEach(of indices: some Collection<Int>, _ body: (UnsafeRawBufferPointer, Int) throws -> Void) rethrows {
    try bytes.withUnsafeBytes { source in
      for (place, index) in indices.enumerated() {
        let start = Int(starts[index])
        try body(UnsafeRawBufferPointer(rebasing: source[start..<start + length]), place)
      }
    }
  }
}
