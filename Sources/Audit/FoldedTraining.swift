// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import Runs
import Training

/// Opinions from outside: the training set in K parts, and for each a model trained on the others (Northcutt et al.,
/// Confident Learning, 2021).
public struct FoldedTraining {
  /// K.
  public let folds: Int
  /// How each model is trained.
  public let configuration: TrainingConfiguration
  /// Where the runs are: a folder for each part.
  public let folder: URL

  /// - Parameters:
  ///   - folds: K, at least 2.
  ///   - configuration: how each model is trained.
  ///   - folder: where the runs are.
  /// - Throws: `AuditError` for fewer than two parts, a configuration that has a split file already, or one that holds
  ///   pictures out.
  public init(folds: Int, configuration: TrainingConfiguration, folder: URL) throws {
    guard folds >= 2 else { throw AuditError("folds must be at least 2, not \(folds)") }
    guard configuration.split == nil else {
      throw AuditError("folds divide the training set themselves; leave --split out")
    }
    guard (configuration.testFraction ?? 0) == 0 else {
      throw AuditError("folds need every picture of the folder; audit without --test-fraction and --retrain")
    }
    (self.folds, self.folder) = (folds, folder)
    var configuration = configuration
    // The parts say which pictures to test on.
    configuration.testFraction = nil
    configuration.probe = []
    self.configuration = configuration
  }

  /// Trains the models that are not there yet and asks each for its own part.
  ///
  /// - Parameters:
  ///   - indices: the examples, by place in the data set.
  ///   - tool: recorded in the manifests.
  ///   - train: trains a run to its end; false when it was interrupted.
  /// - Returns: probabilities by index; nil when a training was interrupted.
  /// - Throws: `RunStoreError`, `TrainingError`, `DatasetError`.
  public func probabilities(
    of indices: [Int], tool: RunManifest.Tool, train: (TrainingRun) throws -> Bool
  ) throws -> [Int: [Float]]? {
    var generator = SeededGenerator(seed: configuration.seed, stream: .probe, index: 8)
    let order = generator.permutation(count: indices.count).map { indices[$0] }
    var result: [Int: [Float]] = [:]
    for fold in 0..<folds {
      let held = Set(order.indices.filter { $0 % folds == fold }.map { order[$0] })
      let place = folder.appendingPathComponent("fold-\(fold + 1)", isDirectory: true)
      let file = folder.appendingPathComponent("fold-\(fold + 1).csv")
      guard !held.isEmpty, held.count < indices.count else {
        throw AuditError("\(indices.count) examples do not make \(folds) parts; give fewer folds")
      }
      try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      let rows = indices.map { "\($0),\(held.contains($0) ? "test" : "train"),\n" }
      try writeAtomically(Data(("index,split,group\n" + rows.joined()).utf8), to: file)
      guard try train(run(at: place.path, split: file.path, tool)) else { return nil }
      let model = try TrainedModel(run: place.path, split: .test)
      let predictions = try model.predictions()
      // The run's test examples are its held-out ones in the order of the file.
      for (row, index) in indices.filter(held.contains).enumerated() {
        result[index] = predictions.probabilities(of: row).map(Float.init)
      }
    }
    return result
  }

  private func run(at path: String, split: String, _ tool: RunManifest.Tool) throws -> TrainingRun {
    if (try? RunDirectory.open(at: path)) != nil { return try TrainingRun(resuming: path, tool: tool) }
    var configuration = configuration
    configuration.split = split
    return try TrainingRun(configuration, at: path, existing: .refuse, tool: tool)
  }
}
