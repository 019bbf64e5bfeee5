// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A file system of a few megabytes in memory, unmounted when the test ends.
public final class SmallDisk {
  /// Where it is mounted.
  public let path: String
  private var filler: String { path + "/filler" }

  /// Whether one can be had: mounting takes the right to.
  public static let isAvailable: Bool = (try? SmallDisk(bytes: 1 << 20)) != nil

  /// A disk of so many bytes.
  public init(bytes: Int) throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("disk-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    guard try Self.run("mount", ["-t", "tmpfs", "-o", "size=\(bytes)", "tmpfs", path]) == 0 else {
      try? FileManager.default.removeItem(atPath: path)
      throw CocoaError(.fileWriteNoPermission)
    }
  }

  deinit {
    _ = try? Self.run("umount", ["-l", path])
    try? FileManager.default.removeItem(atPath: path)
  }

  /// Fills the disk but for some bytes.
  public func fill(leaving room: Int) throws {
    let free = try FileManager.default.attributesOfFileSystem(forPath: path)[.systemFreeSize] as? NSNumber
    try Data(count: max(0, (free?.intValue ?? 0) - room)).write(to: URL(fileURLWithPath: filler))
  }

  /// Takes back what filled it.
  public func makeRoom() throws { try FileManager.default.removeItem(atPath: filler) }

  private static func run(_ tool: String, _ arguments: [String]) throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [tool] + arguments
    process.standardError = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }
}
