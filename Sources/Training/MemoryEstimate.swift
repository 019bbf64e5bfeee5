// SPDX-License-Identifier: Apache-2.0

import Foundation
import NeuralNetworks
import Tensors

/// What a training will need of memory, in bytes. An estimate: libraries' scratch memory and gaps between blocks are
/// not in it.
public struct MemoryEstimate: Sendable, Equatable {
  /// The program with its data set, before anything was computed.
  public var base = 0
  /// The parameters.
  public var parameters = 0
  /// The gradient.
  public var gradient = 0
  /// Momentum, and the gradients that the optimizer remembers.
  public var optimizer = 0
  /// The forward and backward pass of a mini-batch at its worst moment.
  public var training = 0
  /// The evaluation of a chunk of examples at its worst moment.
  public var evaluation = 0

  /// All of it. Training and evaluation take turns, but blocks of other sizes are of little use to each other.
  public var total: Int { base + parameters + gradient + optimizer + training + evaluation }

  /// Refuses a run that would not fit.
  ///
  /// - Parameters:
  ///   - limit: how much this process can have, `MemoryLimit.current()`; nil when unknown.
  ///   - batchSize: examples in a mini-batch.
  /// - Throws: `TrainingError` with the estimate, the limit and the remedy.
  public func check(against limit: Int?, batchSize: Int) throws {
    guard let limit, total > limit else { return }
    let largest = [
      (training, "\(Self.text(training)) for a mini-batch of \(batchSize)"),
      (evaluation, "\(Self.text(evaluation)) for evaluation"),
      (parameters + gradient + optimizer, "\(Self.text(parameters + gradient + optimizer)) for parameters"),
    ].max { $0.0 < $1.0 }
    throw TrainingError(
      .configuration,
      "the run would take about \(Self.text(total)) of memory\(largest.map { ", \($0.1) alone" } ?? ""), but only "
        + "\(Self.text(limit)) is available; choose a smaller --batch-size or model, or continue at your own risk with "
        + "--ignore-memory-estimate")
  }

  static func text(_ bytes: Int) -> String {
    if bytes >= 1 << 40 { return String(format: "%.1f TB", Double(bytes) / Double(1 << 40)) }
    if bytes >= 1 << 30 { return String(format: "%.1f GB", Double(bytes) / Double(1 << 30)) }
    return "\(max(1, bytes >> 20)) MB"
  }
}

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
        parts[1].isEmpty
        ? ("sys/fs/cgroup", "memory.max") : ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
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
