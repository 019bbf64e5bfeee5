// SPDX-License-Identifier: Apache-2.0

import Foundation

@testable import RunStore
@testable import Runs
@testable import Training

/// A run and an audit whose files are as this program writes them: what readers find beside an input, and what inputs
/// begin with.
enum Sound {
  struct Run {
    let folder: URL
    /// By their paths below the folder.
    let files: [String: Data]
    /// Those that are in the folder itself.
    let top: [String: Data]
  }

  /// A small training with every probe.
  static let configuration = certain("a configuration") {
    try TrainingConfiguration(
      yaml: """
        dataset: digits
        subset: 16
        test-subset: 4
        validation: 4
        noise: 0.5
        model: mlp:3
        batch-size: 3
        steps: 6
        eval-every: 2
        checkpoint-every: 2
        momentum: 0.9
        threads: 1
        probe: [coherence:m=4@every:2, contributions:m=4@every:2, measures:m=4@every:2, push:m=2@every:2]
        """, source: "seed")
  }

  /// A few steps of it, stopped in the middle. The folder is the fuzzer's to change.
  static let run: Run = {
    do {
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sound-run-\(getpid())")
      try? FileManager.default.removeItem(at: folder)
      let run = try TrainingRun(
        configuration, at: folder.path, commandLine: ["x"], tool: .init(version: "0"), checksMemory: false)
      _ = try run.train(shouldStop: { run.trainer.step == 4 })
      var files: [String: Data] = [:]
      for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path) where !name.hasSuffix(".lock") {
        if let data = try? readFile(folder.appendingPathComponent(name)) { files[name] = data }
      }
      let endings = ["csv", "json", "jsonl", "yaml"]
      let top = files.filter { !$0.key.contains("/") && endings.contains(($0.key as NSString).pathExtension) }
      let short = top.map { ($0.key, $0.key.hasSuffix(".csv") ? beginning(of: $0.value) : $0.value) }
      return Run(folder: folder, files: files, top: Dictionary(uniqueKeysWithValues: short))
    } catch {
      require(false, "no run to begin with: \(error)")
      exit(1)
    }
  }()

  /// A table's first lines, of which every kind is soon there: an input is read many times a second.
  private static func beginning(of file: Data) -> Data {
    let lines = file.split(separator: 0x0A, omittingEmptySubsequences: false)
    guard lines.count > 20 else { return file }
    return Data(lines.prefix(20).joined(separator: [0x0A])) + [0x0A]
  }

  /// An audit of a few examples with names that need care.
  static let audit: [String: Data] = {
    do {
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sound-audit-\(getpid())")
      defer { try? FileManager.default.removeItem(at: folder) }
      let classes = ["cat", "dog, big", "=1"]
      let suspects = (0..<4).map { place in
        SuspectRecord(
          rank: place + 1, index: 3 - place, file: place == 1 ? nil : "\(place),.png", given: place % 3,
          suggested: (place + 1) % 3, suspicion: 1 - Double(place) / 4, isFlagged: place < 2,
          scores: [place == 2 ? nil : 0.5])
      }
      let record = AuditRecord(
        created: Date(timeIntervalSince1970: 1.7e9), dataset: "small", count: 4, classes: classes,
        scores: [.init(name: "margin", title: "Margin", formula: "x", source: "y")],
        estimate: .init(errors: 1, low: 0, high: 2, method: "z"), flagged: 2,
        precision: [.init(count: 1, precision: 0.9)],
        confused: [.init(given: "cat", suggested: "dog, big", count: 1)],
        duplicates: [.init(indices: [0, 1], labels: ["cat", "dog, big"])], run: "run")
      let neighbours = AuditNeighbours(
        step: 4, examples: [3: .init(helpers: [.init(index: 1, label: "cat", cosine: 0.5, dot: 2)], opponents: [])])
      let audit = AuditDirectory(at: folder.path)
      try audit.write(
        record, suspects: suspects, thumbnails: AuditThumbnails(side: 8, columns: 2, rows: 2, indices: [3, 2]),
        neighbours: neighbours)
      var files: [String: Data] = [:]
      for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where !name.hasPrefix(".") {
        files[name] = try readFile(folder.appendingPathComponent(name))
      }
      files["corrections.csv"] = Data((CorrectionText.header + "3,\"0,.png\",cat,relabel,\"dog, big\",\n").utf8)
      return files
    } catch {
      require(false, "no audit to begin with: \(error)")
      exit(1)
    }
  }()

  /// Inputs that a reader begins with, each with its first byte.
  static func writeSeeds(of reader: String, into folder: URL) {
    func write(_ bytes: Data, _ name: String) {
      try? bytes.write(to: folder.appendingPathComponent(name.replacingOccurrences(of: "/", with: "-")))
    }
    func write(_ files: [String: Data]) {
      for (number, file) in files.sorted(by: { $0.key < $1.key }).enumerated() {
        write(Data([UInt8(number)]) + file.value, file.key)
      }
    }
    switch reader {
    case "run": write(run.top)
    case "audit": write(audit)
    default:
      for (name, data) in run.files where name.hasPrefix("checkpoints/") {
        let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let kind: UInt8 = name.hasSuffix(".json") ? 0 : name.hasSuffix(".state.safetensors") ? 1 : 2
        write(Data([kind]) + (kind == 0 ? data : data.dropFirst(8).prefix(length)), name)
      }
    }
  }
}
