// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import TestSupport

/// Run directories with curves of the shape that label noise gives, without training anything.
struct SyntheticRun {
  var noise = 0.5
  var noiseKind = "permute"
  var steps = 6000
  var every = 50
  var examples = 4000
  var optimizer = "sgd"
  var seed: UInt64 = 1
  var status = RunManifest.Status.completed
  /// Whether coherence and contributions were probed.
  var isProbed = false
  /// Whether the probes also wrote intervals, and related measures.
  var hasIntervals = false
  var hasMeasures = false
  /// Stop writing after this step, as a run does that is still going on.
  var until = Int.max

  func write(to folder: URL, name: String) throws -> RunDirectory {
    let run = try RunDirectory.create(at: folder.appendingPathComponent(name).path, existing: .refuse)
    let log = try run.logWriter()
    for step in evaluated where step <= until { try log.append(metrics(at: step)) }
    if isProbed { try appendProbes(to: log) }
    try log.close()
    let records = exampleRecords()
    if status == .completed { try run.write(examples: records) }
    let realised = Double(records.count(where: \.isCorrupt)) / Double(examples)
    try run.write(manifest: manifest(name: name, realised: realised))
    return run
  }

  var evaluated: [Int] {
    Set([0, 1, 2, 3, 5, 7, 10, 14, 20, 28, 40] + Array(stride(from: 0, through: steps, by: every))).sorted()
  }

  func logistic(_ step: Int, middle: Double, slope: Double) -> Double {
    step == 0 ? 0 : 1 / (1 + pow(middle / Double(step), slope))
  }

  private func wiggle(_ step: Int, _ phase: Double) -> Double {
    sin(Double(step) * 0.37 + phase) * 0.004 * exp(-Double(step) / 4000)
  }

  func pristine(_ step: Int) -> Double {
    min(1, max(0, 0.1 + 0.899 * logistic(step, middle: 12 + 900 * pow(noise, 2.4), slope: 1.25) + wiggle(step, 0)))
  }

  func corrupt(_ step: Int) -> Double {
    min(1, max(0, 0.06 + 0.94 * logistic(step, middle: 1500 + 1100 * noise, slope: 3.4) + wiggle(step, 2)))
  }

  func test(_ step: Int) -> Double {
    let clean = 0.1 + (0.882 - 0.25 * noise * noise) * logistic(step, middle: 12 + 500 * pow(noise, 2.2), slope: 1.3)
    return max(0.08, clean * (1 - 0.75 * noise * logistic(step, middle: 2300, slope: 3)) + wiggle(step, 1))
  }

  private func metrics(at step: Int) -> [MetricRecord] {
    let share = noise * 0.9
    let groups = [("pristine", pristine(step), 1 - share), ("corrupt", corrupt(step), share)].filter { $0.2 > 0 }
    let total = groups.reduce(0) { $0 + $1.1 * $1.2 }
    func record(_ split: String, _ group: String, _ accuracy: Double, _ count: Double) -> MetricRecord {
      MetricRecord(
        epoch: Double(step) * 100 / Double(examples), step: step, split: split, group: group, count: Int(count),
        loss: 2.302 * pow(1 - accuracy, 1.1) + 0.004, accuracy1: accuracy)
    }
    let count = Double(examples)
    let parts = noise > 0 ? groups.map { record("train", $0.0, $0.1, $0.2 * count) } : []
    return [record("train", "all", total, count)] + parts + [record("test", "all", test(step), 1000)]
  }

  /// The example at quantile q is learned at the first evaluation where its group's curve is above q.
  private func exampleRecords() -> [ExampleRecord] {
    let corruptCount = Int(noise * 0.9 * Double(examples))
    return (0..<examples).map { index in
      let isCorrupt = index < corruptCount
      let rank = isCorrupt ? index : index - corruptCount
      let quantile = (Double(rank) + 0.5) / Double(isCorrupt ? corruptCount : examples - corruptCount)
      let first = evaluated.first { (isCorrupt ? corrupt($0) : pristine($0)) >= quantile }
      return ExampleRecord(
        index: index, label: index % 10, isCorrupt: isCorrupt, firstLearned: first, lastLearned: first,
        forgettingEvents: index % 3, finalLoss: first == nil ? 2 : 0.01, finalCorrect: first != nil)
    }
  }

  private func manifest(name: String, realised: Double) -> RunManifest {
    let best = evaluated.max { test($0) < test($1) } ?? 0
    let rate = "\(noise)"
    return RunManifest(
      tool: .init(version: "0.1.0", commit: "0f869d1"),
      libtorch: .init(compiled: "2.11.0", loaded: "2.11.0"),
      machine: .init(cpuModel: "Example CPU", device: "cpu", threads: 2),
      created: Date(timeIntervalSince1970: 1_767_225_600),
      commandLine: ["coherent", "train", "--dataset", "mnist", "--model", "mlp:2048", "--noise", rate, "--out", name],
      seed: seed,
      dataset: .init(name: "mnist", files: ["train-images.gz": String(repeating: "a1", count: 32)], classes: 10),
      model: "mlp:2048", parameterCount: 1_628_170, optimizer: optimizer, learningRate: 0.1, batchSize: 100,
      noise: .init(
        kind: noise > 0 ? noiseKind : "none", rate: noise, realisedRate: realised, seed: 7),
      numerics: ["linear": "onednn"], status: status,
      summary: status == .running
        ? nil
        : .init(
          last: .init(step: steps, testAccuracy: test(steps)), best: .init(step: best, testAccuracy: test(best)),
          steps: steps, wallSeconds: 34.2, peakRSSBytes: 431 << 20))
  }
}
