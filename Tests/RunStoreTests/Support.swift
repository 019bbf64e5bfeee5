// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import TestSupport

extension Scratch {
  func newRun(_ name: String = "run") throws -> RunDirectory {
    let run = try RunDirectory.create(at: path(name), existing: .refuse)
    try run.write(manifest: sampleManifest())
    return run
  }
}

func sampleManifest() -> RunManifest {
  RunManifest(
    tool: .init(version: "0.1.0", commit: "abc"),
    libtorch: .init(compiled: "2.11.0", loaded: "2.11.0"),
    machine: .init(cpuModel: "Some CPU", device: "cpu", threads: 2, operatingSystem: "Linux"),
    created: Date(timeIntervalSince1970: 1_700_000_000.125),
    commandLine: ["coherent", "train", "--noise", "0.5"], seed: 18_446_744_073_709_551_615,
    dataset: .init(name: "mnist", folder: "data", files: ["a": "00ff"], trainExamples: 60_000, classes: 10),
    model: "mlp:2048", parameterCount: 1_628_170, optimizer: "sgd", learningRate: 0.1, batchSize: 100,
    noise: .init(kind: "permute", rate: 0.5, realisedRate: 0.4498, seed: 3),
    numerics: ["linear": "onednn"], status: .completed,
    summary: .init(
      last: .init(step: 6000, trainAccuracy: 0.9, testAccuracy: 0.8), steps: 6000, wallSeconds: 12.5,
      peakRSSBytes: 1 << 30),
    extra: ["note": "x"])
}

func metric(_ step: Int, group: String = "all") -> MetricRecord {
  MetricRecord(
    epoch: Double(step) / 600, step: step, split: "train", group: group, count: 100, loss: 2.302585092994046 / 3,
    accuracy1: 0.1 + 0.2)
}

func text(_ url: URL) throws -> String { String(decoding: try Data(contentsOf: url), as: UTF8.self) }

func message(_ body: () throws -> Void) -> String {
  do {
    try body()
    return ""
  } catch {
    return "\(error)"
  }
}
