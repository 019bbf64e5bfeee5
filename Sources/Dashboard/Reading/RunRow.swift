// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// A run as the table of runs shows it.
struct RunRow: Sendable {
  /// How far a run has come, as far as its folder tells.
  enum Status: String, Sendable, CaseIterable {
    case running, finished, interrupted, diverged
    /// Its manifest cannot be read.
    case unreadable
  }

  /// How far it has come.
  var status: Status
  /// What is wrong with it; nil unless it is unreadable.
  var problem: String?
  /// Where it came from; nil where it is unreadable.
  var manifest: RunManifest?
  /// The last step with a record.
  var step: Int?
  /// Accuracy at the last evaluation, from 0 to 1.
  var train, test: Double?
  /// α of the whole network on training examples (or the first split) at the last probe.
  var alpha: Double?

  /// The files that a row is made from.
  static let files = ["manifest.json", "metrics.csv", "coherence.csv"]

  /// Reads what a row shows.
  ///
  /// - Parameters:
  ///   - folder: the run directory.
  ///   - isHeld: whether a process holds the right to write it.
  init(_ folder: URL, isHeld: Bool) {
    do {
      let manifest = try RunDirectory.open(at: folder.path).manifest()
      status = Self.status(manifest, in: folder, isHeld: isHeld)
      self.manifest = manifest
      readLogs(of: manifest, in: folder)
    } catch {
      status = .unreadable
      problem = "\(error)"
    }
  }

  private mutating func readLogs(of manifest: RunManifest, in folder: URL) {
    let metrics = LogTail(folder.appendingPathComponent("metrics.csv"))
    let coherence = LogTail(folder.appendingPathComponent("coherence.csv"))
    let last = manifest.summary?.last
    train = metrics.last("acc1", where: ["split": "train", "group": "all"]) ?? last?.trainAccuracy
    test = metrics.last("acc1", where: ["split": "test", "group": "all"]) ?? last?.testAccuracy
    alpha =
      coherence.last("alpha", where: ["split": "train", "layer": "all"])
      ?? coherence.last("alpha", where: ["layer": "all"])
    step =
      [manifest.summary?.steps, metrics.last("step", where: [:]).flatMap(Int.init(exactly:))].compactMap { $0 }.max()
  }

  /// Looks again whether the run is still going on.
  ///
  /// - Parameters:
  ///   - folder: the run directory.
  ///   - isHeld: whether a process holds the right to write it.
  mutating func refreshStatus(_ folder: URL, isHeld: Bool) {
    if let manifest { status = Self.status(manifest, in: folder, isHeld: isHeld) }
  }

  private static func status(_ manifest: RunManifest, in folder: URL, isHeld: Bool) -> Status {
    switch manifest.status {
    case .completed: return .finished
    case .interrupted: return .interrupted
    case .diverged: return .diverged
    case .running:
      // Killed without notice, unless somebody holds the lock, or writes: programs of one's own may hold none.
      return isHeld || isFresh(folder) ? .running : .interrupted
    }
  }

  /// How long after its last record a run without a lock counts as running.
  static let patience: Double = 120

  private static func isFresh(_ folder: URL) -> Bool {
    let written = files.compactMap { FileStamp(of: folder.appendingPathComponent($0))?.written }.max() ?? 0
    return Date().timeIntervalSince1970 - Double(written) / 1e9 < patience
  }
}

/// Which runs are being written, by the locks that the system knows of. Nothing is locked to find out: a training that
/// starts at that moment would be turned away.
struct HeldLocks: Sendable {
  /// The numbers of the locked files; nil on systems that do not say.
  private let numbers: Set<UInt64>?

  /// Asks the system.
  init() {
    guard let text = try? String(contentsOfFile: "/proc/locks", encoding: .utf8) else {
      numbers = nil
      return
    }
    // 1: FLOCK  ADVISORY  WRITE 1234 08:01:393229 0 EOF
    numbers = Set(
      text.split(separator: "\n").compactMap { line in
        line.split(separator: " ").first { $0.contains(":") && $0.last != ":" }
          .flatMap { $0.split(separator: ":").last }.flatMap { UInt64($0) }
      })
  }

  /// Whether a process holds the right to write a run directory; where the system does not say, whether there is a lock.
  func holds(_ folder: URL) -> Bool {
    guard let lock = FileStamp(of: folder.appendingPathComponent(".lock")) else { return false }
    return numbers?.contains(lock.fileNumber) ?? true
  }
}
