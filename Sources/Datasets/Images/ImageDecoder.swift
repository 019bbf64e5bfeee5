// SPDX-License-Identifier: Apache-2.0

import CImageCodecs
import Foundation

/// Why a picture cannot be used, as a clause.
struct ImageProblem: Error { let reason: String }

/// Reads picture files, one at a time; each thread has its own.
final class ImageDecoder {
  private let workspace: OpaquePointer
  // The bytes of a file; grown as needed and used again.
  private var bytes = UnsafeMutableRawBufferPointer(start: nil, count: 0)

  init() throws {
    guard let workspace = ic_workspace_create() else { throw DatasetError("Not enough memory to decode images.") }
    self.workspace = workspace
  }

  deinit {
    ic_workspace_free(workspace)
    bytes.deallocate()
  }

  /// Decodes a file into planes of red, green and blue.
  ///
  /// - Parameters:
  ///   - view: what to make of a picture of a size.
  ///   - target: as many bytes as the view has.
  /// - Throws: `ImageProblem` when the file cannot be read or decoded.
  func decode(_ path: String, into target: UnsafeMutableRawBufferPointer, view: (ic_size) throws -> ic_view) throws {
    try show(view(open(path)), into: target)
  }

  /// Decodes a file, for `show`.
  ///
  /// - Returns: the picture's size.
  /// - Throws: `ImageProblem` when the file cannot be read or decoded.
  func open(_ path: String) throws -> ic_size {
    var size = ic_size()
    try read(path).bytes.withMemoryRebound(to: UInt8.self) { bytes in
      guard let start = bytes.baseAddress else { throw ImageProblem(reason: "it is empty") }
      try Self.check(ic_decode(workspace, start, bytes.count, &size))
    }
    return size
  }

  /// Takes a picture in planes, of one or three channels, for `show`.
  ///
  /// - Throws: `ImageProblem` when the buffer does not fit the size, or there are other channels.
  func take(_ planes: UnsafeRawBufferPointer, channels: Int, size: ic_size) throws {
    guard let source = planes.baseAddress, planes.count == channels * Int(size.width) * Int(size.height) else {
      throw ImageProblem(reason: "its buffer has the wrong size")
    }
    try Self.check(ic_take(workspace, source.assumingMemoryBound(to: UInt8.self), Int32(channels), size))
  }

  /// Writes a view of the picture that was opened or taken last, as planes of red, green and blue.
  ///
  /// - Throws: `ImageProblem` when the view lies outside the picture, or the buffer does not have its size.
  func show(_ view: ic_view, into target: UnsafeMutableRawBufferPointer) throws {
    guard let planes = target.baseAddress,
      target.count == 3 * Int(view.cropped.width) * Int(view.cropped.height)
    else { throw ImageProblem(reason: "its buffer has the wrong size") }
    try Self.check(ic_resample(workspace, view, planes.assumingMemoryBound(to: UInt8.self)))
  }

  /// Resizes a picture in planes, of one or three channels, as Pillow does (bilinear, antialiased).
  ///
  /// - Throws: `ImageProblem` when the buffers do not fit the sizes.
  func resize(
    _ planes: UnsafeRawBufferPointer, channels: Int, from size: ic_size, to wanted: ic_size,
    into target: UnsafeMutableRawBufferPointer
  ) throws {
    let pixels = Int(wanted.width) * Int(wanted.height)
    guard target.count == channels * pixels else { throw ImageProblem(reason: "its buffer has the wrong size") }
    try take(planes, channels: channels, size: size)
    var view = ic_view()
    (view.source, view.scaled, view.cropped) = (size, wanted, wanted)
    if channels == 3 { return try show(view, into: target) }
    // Three equal planes, of which one is kept.
    var colours = [UInt8](repeating: 0, count: 3 * pixels)
    try colours.withUnsafeMutableBytes { try show(view, into: $0) }
    target.copyBytes(from: colours[..<pixels])
  }

  /// Looks at the header, and at whether the end of a JPEG is there; costs a small part of decoding.
  ///
  /// - Throws: `ImageProblem` when the file cannot be read, or is no picture that can be used.
  func checkHeader(_ path: String) throws {
    let start = try read(path, limit: 1 << 16)
    if try isSound(start.bytes, end: start.end) { return }
    // A header that is longer, or a JPEG without its end marker, which breaks off or has something behind it: only the
    // whole file tells.
    try read(path).bytes.withMemoryRebound(to: UInt8.self) { bytes in
      guard let first = bytes.baseAddress else { throw ImageProblem(reason: "it is empty") }
      var size = ic_size()
      try Self.check(ic_decode(workspace, first, bytes.count, &size))
    }
  }

  // Whether the first bytes of a file hold a header, and its last two the end marker of a JPEG.
  private func isSound(_ start: UnsafeMutableRawBufferPointer, end: [UInt8]) throws -> Bool {
    try start.withMemoryRebound(to: UInt8.self) { bytes in
      guard let first = bytes.baseAddress, !bytes.isEmpty else { throw ImageProblem(reason: "it is empty") }
      var size = ic_size()
      let status = ic_read_size(first, bytes.count, &size)
      if status.kind == IC_TRUNCATED { return false }
      try Self.check(status)
      return bytes[0] != 0xFF || end == [0xFF, 0xD9]
    }
  }

  static func check(_ status: ic_status) throws {
    guard status.kind != IC_OK else { return }
    var message = status.message
    let text = withUnsafeBytes(of: &message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    throw ImageProblem(reason: text)
  }

  // The first `limit` bytes of a file, and its last two. Plain reads into memory that is kept: a fresh buffer for each of a million files costs more than reading them.
  private func read(_ path: String, limit: Int = .max) throws -> (bytes: UnsafeMutableRawBufferPointer, end: [UInt8]) {
    func problem() -> ImageProblem { ImageProblem(reason: "it cannot be read: \(String(cString: strerror(errno)))") }
    let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw problem() }
    defer { close(descriptor) }
    var facts = stat()
    guard fstat(descriptor, &facts) == 0 else { throw problem() }
    // A pipe would be waited for, and a device never ends.
    guard facts.st_mode & S_IFMT == S_IFREG else { throw ImageProblem(reason: "it is not a regular file") }
    guard facts.st_size <= 1 << 30 else {
      throw ImageProblem(reason: "it has \(facts.st_size) bytes, too many for an image")
    }
    let size = min(Int(facts.st_size), limit)
    if size > bytes.count {
      bytes.deallocate()
      bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: size + size / 4, alignment: 16)
    }
    var done = 0
    while done < size {
      let count = Foundation.read(descriptor, bytes.baseAddress.map { $0 + done }, size - done)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw problem() }
      if count == 0 { break }
      done += count
    }
    var end: [UInt8] = [0, 0]
    if pread(descriptor, &end, 2, max(0, facts.st_size - 2)) != 2 { end = [] }
    return (UnsafeMutableRawBufferPointer(rebasing: bytes[..<done]), end)
  }
}
