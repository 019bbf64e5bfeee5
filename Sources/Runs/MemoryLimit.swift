// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How much memory this process can have.
public enum MemoryLimit {
  /// What is free or could be freed plus what the process has, or its control group's limit when that is lower; nil
  /// where the system does not tell.
  ///
  /// - Parameter root: the root of the file system, for tests.
  public static func current(root: String = "/") -> Int? {
    func read(_ path: String) -> String? { try? String(contentsOfFile: root + path, encoding: .utf8) }
    let available = read("proc/meminfo").flatMap(available(in:)).map { $0 + (residentBytes(root: root) ?? 0) }
    let groups = (read("proc/self/cgroup") ?? "").split(separator: "\n").flatMap { line -> [Int] in
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return [] }
      // Version 2 has one hierarchy without names; in version 1 the memory controller has its own.
      let (folder, file) =
        parts[1].isEmpty ? ("sys/fs/cgroup", "memory.max") : ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
      guard parts[1].isEmpty || parts[1].split(separator: ",").contains("memory") else { return [] }
      // Every group above limits too.
      var names = parts[2].split(separator: "/").map(String.init)
      var limits: [Int] = []
      repeat {
        let path = ([folder] + names + [file]).joined(separator: "/")
        if let text = read(path), let limit = Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) {
          limits.append(limit)
        }
      } while names.popLast() != nil
      return limits
    }
    return ([available].compactMap { $0 } + groups).min()
  }

  private static func available(in text: String) -> Int? {
    for line in text.split(separator: "\n") where line.hasPrefix("MemAvailable:") {
      return line.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 << 10 }
    }
    return nil
  }

  /// What the process has in memory now; nil where the system does not tell.
  public static func residentBytes(root: String = "/") -> Int? { ownStatus("VmRSS:", root: root) }

  /// The most that the process had in memory since `forgetPeak()`, where `Runtime.peakResidentBytes` is that of its whole
  /// life; nil where the system does not tell.
  public static func peakBytes(root: String = "/") -> Int? { ownStatus("VmHWM:", root: root) }

  /// Lets the peak begin anew at what is in memory now.
  ///
  /// - Returns: whether the system has such a thing; otherwise the peak stays that of the process.
  public static func forgetPeak() -> Bool {
    guard let file = FileHandle(forWritingAtPath: "/proc/self/clear_refs") else { return false }
    defer { try? file.close() }
    return (try? file.write(contentsOf: Data("5".utf8))) != nil
  }

  private static func ownStatus(_ key: String, root: String) -> Int? {
    guard let text = try? String(contentsOfFile: root + "proc/self/status", encoding: .utf8) else { return nil }
    for line in text.split(separator: "\n") where line.hasPrefix(key) {
      return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 << 10 }
    }
    return nil
  }
}
