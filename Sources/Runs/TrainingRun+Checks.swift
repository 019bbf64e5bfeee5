// SPDX-License-Identifier: Apache-2.0

import Datasets
import NeuralNetworks
import RunStore
import Tensors
import Training

/// What a run that continues must have in common with the one that began.
extension TrainingRun {
  static func labelRecords(of trainer: Trainer) -> [LabelRecord] {
    let (labels, examples) = (trainer.data.labels, trainer.data.train)
    return labels.original.indices.map {
      LabelRecord(index: $0, original: labels.original[$0], assigned: labels.assigned[$0], file: examples.file(at: $0))
    }
  }

  static func policy(in manifest: RunManifest) -> LinearPolicy? {
    guard let rule = manifest.numerics["linear_rule"].flatMap(LinearPolicy.Rule.init(rawValue:)),
      let threshold = manifest.numerics["linear_threshold"].flatMap({ Int($0) })
    else { return nil }
    let precision = manifest.numerics["precision"].flatMap(ProductPrecision.init(rawValue:))
    return LinearPolicy(rule: rule, threshold: threshold, precision: precision ?? .float32)
  }

  /// A trainer that was made by a program has to compute as the run began.
  static func check(_ trainer: Trainer, _ policy: LinearPolicy?) throws {
    guard let policy, policy != trainer.linearPolicy else { return }
    throw TrainingError(
      .checkpoint,
      "the run computes products by the rule \(policy.rule.rawValue) from \(policy.threshold) multiplications on in "
        + "\(policy.precision.rawValue), the trainer by \(trainer.linearPolicy.rule.rawValue) from "
        + "\(trainer.linearPolicy.threshold) in \(trainer.linearPolicy.precision.rawValue); give the trainer that linearPolicy"
    )
  }

  /// The labels of a run never change under way: noise settings or a label file that now say otherwise are an error.
  static func checkLabels(_ trainer: Trainer, in directory: RunDirectory) throws {
    let (before, now) = (try directory.labels(), labelRecords(of: trainer))
    if before.isEmpty { return try directory.write(labels: now) }
    // Runs of earlier versions do not name the files.
    func isSame(_ a: LabelRecord, _ b: LabelRecord) -> Bool {
      a.index == b.index && a.original == b.original && a.assigned == b.assigned && (a.file == nil || a.file == b.file)
    }
    guard before.count == now.count, zip(before, now).allSatisfy(isSame) else {
      throw TrainingError(
        .checkpoint,
        "config.yaml no longer gives the labels that the run started with (\(directory.url.path)/labels.csv); restore "
          + "its noise settings or label file, or start over with --force")
    }
  }

  /// A split decides what is trained on, so it cannot change, come or go under way.
  static func checkSplit(_ split: ExampleSplit?, against manifest: RunManifest) throws {
    guard split?.checksum != manifest.dataset.files[TrainingData.splitKey] else { return }
    throw TrainingError(
      .checkpoint,
      (split.map { "the split file \($0.path) is not the one the run started with" }
        ?? "config.yaml no longer names the split file that the run started with")
        + "; restore the original file or start over")
  }

  static func checkData(_ trainer: Trainer, against manifest: RunManifest) throws {
    let data = trainer.data
    try checkSplit(data.split, against: manifest)
    for (name, sum) in data.checksums {
      if let before = manifest.dataset.files[name], before != sum {
        throw TrainingError(
          .checkpoint,
          "the data file \(name) is not the one the run started with; restore the original file or start over")
      }
    }
    guard manifest.dataset.trainExamples ?? data.trainIndices.count == data.trainIndices.count else {
      throw TrainingError(.checkpoint, "the number of training examples is not the one the run started with")
    }
  }
}
