// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import GradientMatrix
import RunStore
import Testing

@testable import Runs
@testable import Training

/// A few built-in digits as IDX files under the names of MNIST: loaded in a moment, where drawing them takes longer.
enum SmallData {
  static let trainCount = 600
  static let testCount = 200

  /// The folder, made once in a process and deleted at its end.
  static let folder: String = {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("training-data-\(UUID().uuidString)").path
    do {
      for (split, count) in [(Split.train, trainCount), (.test, testCount)] {
        let digits = try DatasetLoader.load(name: "digits", split: split, count: count)
        try DatasetLoader.exportIDX(digits, to: path)
      }
    } catch {
      Issue.record("The small data set could not be written: \(error)")
    }
    atexit { try? FileManager.default.removeItem(atPath: SmallData.folder) }
    return path
  }()
}

/// A run of a few milliseconds: sixty digits, batches of ten, six batches an epoch.
func smallConfiguration(_ change: (inout TrainingConfiguration) -> Void = { _ in }) -> TrainingConfiguration {
  var configuration = TrainingConfiguration()
  configuration.dataset = "mnist"
  configuration.dataDir = SmallData.folder
  configuration.subset = 60
  configuration.model = "mlp:8"
  configuration.batchSize = 10
  configuration.steps = 20
  configuration.noise = 0.5
  // One thread: tests in other threads of this process must not change how sums are split.
  configuration.threads = 1
  change(&configuration)
  return configuration
}

func startRun(
  _ configuration: TrainingConfiguration, at path: String, existing: ExistingRunPolicy = .refuse
) throws -> TrainingRun {
  try TrainingRun(configuration, at: path, existing: existing, commandLine: ["test"], tool: .init(version: "test"))
}

func resumeRun(_ path: String) throws -> TrainingRun {
  try TrainingRun(resuming: path, commandLine: ["test"], tool: .init(version: "test"))
}

/// What `body` throws, as text; nothing when it does not throw.
func message(_ body: () throws -> Void) -> String {
  do {
    try body()
    return ""
  } catch {
    return "\(error)"
  }
}

/// Expects a `TrainingError` of a kind whose text has every one of the given parts.
func expectError(
  _ kind: TrainingError.Kind, _ parts: String..., at location: SourceLocation = #_sourceLocation,
  from body: () throws -> Void
) {
  do {
    try body()
    Issue.record("No error was thrown.", sourceLocation: location)
  } catch let error as TrainingError {
    #expect(error.kind == kind, "\(error)", sourceLocation: location)
    for part in parts { #expect(error.description.contains(part), "\(error)", sourceLocation: location) }
  } catch {
    Issue.record("Another kind of error: \(error)", sourceLocation: location)
  }
}

/// What a run leaves that may not depend on how often it was stopped, by file name. Of checkpoints the two data files:
/// the description holds seconds, which differ.
func lastingFiles(_ run: String) throws -> [String: Data] {
  let folder = URL(fileURLWithPath: run)
  var files: [String: Data] = [:]
  for name in ["config.yaml", "metrics.csv", "examples.csv", "labels.csv", "classes.csv", "coherence.csv"] {
    files[name] = try Data(contentsOf: folder.appendingPathComponent(name))
  }
  // Made with their first record, so only some runs have them.
  for name in ["contributions.csv", "coherence-intervals.csv", "measures.csv"] {
    files[name] = try? Data(contentsOf: folder.appendingPathComponent(name))
  }
  let records = folder.appendingPathComponent("example-gradients")
  for name in (try? FileManager.default.contentsOfDirectory(atPath: records.path)) ?? [] {
    files["example-gradients/" + name] = try Data(contentsOf: records.appendingPathComponent(name))
  }
  let checkpoints = folder.appendingPathComponent("checkpoints")
  let newest = try Checkpoint.latest(in: checkpoints)
  for file in [newest?.weights, newest?.state].compactMap({ $0 }) {
    files[file.name] = try Data(contentsOf: checkpoints.appendingPathComponent(file.name))
  }
  for name in (try? FileManager.default.contentsOfDirectory(atPath: checkpoints.path)) ?? []
  where name.hasPrefix("kept-") || ["best.json", "selected.json"].contains(name) {
    files[name] = try Data(contentsOf: checkpoints.appendingPathComponent(name))
  }
  return files
}

/// Expects two runs to have ended in the same bytes.
func expectSameEnd(_ a: String, _ b: String, at location: SourceLocation = #_sourceLocation) throws {
  let (left, right) = (try lastingFiles(a), try lastingFiles(b))
  #expect(left.keys.sorted() == right.keys.sorted(), sourceLocation: location)
  for (name, data) in left { #expect(right[name] == data, "\(name) differs", sourceLocation: location) }
}

extension Trainer {
  /// What a probe of this trainer can draw on.
  func setup(_ plan: GradientPlan, chunkSize: Int = ProbeSample.usualChunkSize) -> ProbeSetup {
    ProbeSetup(
      data: data, seed: settings.seed, batchSize: settings.batchSize, stepsPerEpoch: stepsPerEpoch,
      chunkSize: chunkSize, group: group, loss: settings.loss, plan: plan, leadingPolicy: .running)
  }
}
