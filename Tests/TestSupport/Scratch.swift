// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A folder that is deleted with everything in it when the test ends.
public final class Scratch {
  /// The folder.
  public let url: URL

  /// Makes the folder: in memory where there is a gigabyte of it, since hundreds of small runs, each flushing its files,
  /// would wait for a disk.
  public init() throws {
    let memory = "/dev/shm"
    let manager = FileManager.default
    let free = try? manager.attributesOfFileSystem(forPath: memory)[.systemFreeSize] as? Int
    let isRoomy = manager.isWritableFile(atPath: memory) && (free ?? 0) > 1 << 30
    let base = isRoomy ? URL(fileURLWithPath: memory) : manager.temporaryDirectory
    // Resolved, so that it is the path that a program prints.
    url = base.resolvingSymlinksInPath().appendingPathComponent("test-\(UUID().uuidString)")
    try manager.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// The path of a file or folder inside.
  public func path(_ name: String) -> String { url.appendingPathComponent(name).path }

  /// Writes a file, with the folders above it.
  ///
  /// - Returns: its path.
  @discardableResult
  public func write(_ bytes: some Collection<UInt8>, _ name: String) throws -> String {
    let file = url.appendingPathComponent(name)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: file)
    return file.path
  }

  /// Writes a file of text.
  ///
  /// - Returns: its path.
  @discardableResult
  public func write(_ text: String, _ name: String) throws -> String { try write(Array(text.utf8), name) }

  /// The bytes of a file.
  public func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: url.appendingPathComponent(name)))
  }

  /// The text of a file.
  public func text(_ name: String) throws -> String { String(decoding: try bytes(name), as: UTF8.self) }

  /// A stand-in for the JavaScript bundle, with text that must not end the page's script.
  public func bundle() throws -> URL {
    try write("window.vegaEmbed = () => '</script><!-- '; // STAND-IN", "bundle.js")
    return url.appendingPathComponent("bundle.js")
  }
}
