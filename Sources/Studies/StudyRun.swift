// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Runs
import Training

/// A run as the rules see it.
struct StudyRun {
  let name: String
  let manifest: RunManifest
  private let metrics: [String: [MetricRecord]]
  /// m-coherence of the whole network on training examples, where it is defined.
  let coherence: Curve
  /// The numbers of training examples that coherence was measured on.
  let probeSizes: Set<Int>
  /// The 95 % interval of m-coherence by step, where it was measured.
  let intervals: [Int: ClosedRange<Double>]
  let contributions: [ContributionRecord]
  private let directory: RunDirectory
  private let probes: [String: [CoherenceRecord]]
  private let policies: [String: [String: [CoherenceRecord]]]
  /// The layers that coherence was measured on, in the order of the network.
  let layers: [String]
  private let measures: [String: [MeasureRecord]]

  /// - Parameter folder: A run inside this folder is named by its path below it.
  init(_ directory: RunDirectory, relativeTo folder: URL? = nil) throws {
    self.directory = directory
    name = Self.name(of: directory.url, in: folder)
    manifest = try directory.manifest()
    metrics = Dictionary(grouping: try directory.metrics()) { "\($0.split)/\($0.group)" }
    let all = try directory.coherence()
    // A run may be measured under several treatments of batch normalisation: the first is what is meant unless one is
    // named.
    let measured = all.filter { $0.batchNormPolicy == all.first?.batchNormPolicy }
    policies = Dictionary(grouping: all, by: \.batchNormPolicy).mapValues { records in
      Dictionary(grouping: records.filter { $0.layer == "all" }, by: \.split)
    }
    probes = Dictionary(grouping: measured) { "\($0.split)/\($0.layer)" }
    let records = probes["train/all"] ?? []
    var seen: Set<String> = ["all"]
    layers = measured.map(\.layer).filter { seen.insert($0).inserted }
    measures = Dictionary(grouping: try directory.measures()) { "\($0.split)/\($0.measure)" }
    coherence = Curve(records.compactMap { record in record.mCoherence.map { (record.step, $0) } })
    probeSizes = Set(records.map(\.m))
    intervals = Dictionary(
      try directory.coherenceIntervals().compactMap { record in
        guard record.split == "train", record.layer == "all", record.mCoherenceLow <= record.mCoherenceHigh else {
          return nil
        }
        return (record.step, record.mCoherenceLow...record.mCoherenceHigh)
      }, uniquingKeysWith: { _, last in last })
    contributions = try directory.contributions()
  }

  private static func name(of run: URL, in folder: URL?) -> String {
    guard let folder else { return run.path }
    let (path, root) = (run.standardizedFileURL.path, folder.standardizedFileURL.path)
    return path.hasPrefix(root + "/") ? String(path.dropFirst(root.count + 1)) : run.path
  }

  var seed: UInt64 { manifest.seed }

  /// The file that says which examples were trained and tested on; nil for all of them.
  var split: String? { manifest.extra["split"] }

  /// The file of weights that training started from; nil for a random start.
  var weights: String? { manifest.extra["weights"] }

  /// The normalisation of the model's layers, and how training examples were changed; nil for the usual: batch
  /// statistics, and as they are.
  var normalization: String? { manifest.extra["norm"] }
  var augmentation: String? { manifest.extra["augment"] }

  /// Whether the model normalises by the statistics of a batch, so that an example's gradient depends on others.
  var hasBatchNorm: Bool {
    let model = manifest.model.lowercased()
    let has = ["resnet", "inception", "efficientnet"].contains(where: model.hasPrefix) || model.contains("_bn")
    return has && normalization == nil
  }

  /// Whether every step was taken on all training examples.
  var isFullBatch: Bool {
    guard let size = manifest.batchSize, let examples = manifest.dataset.trainExamples else { return false }
    return size >= examples
  }

  /// Whether the run was complete before the steps planned, at a wanted accuracy.
  var isStoppedEarly: Bool {
    guard manifest.status == .completed, let done = manifest.summary?.steps, let planned = manifest.plannedSteps else {
      return false
    }
    return done < planned
  }

  var optimizer: OptimizerWord { OptimizerWord(manifest.optimizer ?? "sgd") }

  /// The noise level ε.
  var noise: Double { manifest.noiseLevel }

  /// The number of classes K.
  var classes: Int { manifest.classCount }

  /// The share of labels left unchanged.
  var properAccuracy: Double { 1 - (manifest.noise.realisedRate ?? noise * Double(classes - 1) / Double(classes)) }

  /// The share of the most frequent of the labels trained with; nil where the run has left no labels.
  var majorityShare: Double? {
    guard let labels = try? directory.labels(), !labels.isEmpty else { return nil }
    let counts = Dictionary(grouping: labels, by: \.assigned).values.map(\.count)
    return Double(counts.max() ?? 0) / Double(labels.count)
  }

  /// Whether the run may be judged for a claim: some of a study's are about a few claims alone.
  func isAbout(_ claim: Claim) -> Bool {
    manifest.extra["claims"].map { $0.split(separator: " ").contains { $0 == claim.id } } ?? true
  }

  /// Whether the run is complete.
  var hasEnded: Bool { manifest.status == .completed }

  /// Whether training ended with a loss that was no longer a finite number.
  var isDiverged: Bool { manifest.status == .diverged }

  /// Accuracy on a split or on one group of it.
  func accuracy(_ split: String, _ group: String = "all") -> Curve {
    Curve((metrics["\(split)/\(group)"] ?? []).lazy.map { ($0.step, $0.accuracy1) })
  }

  /// The mean loss on a split or on one group of it.
  func loss(_ split: String, _ group: String = "all") -> Curve {
    Curve((metrics["\(split)/\(group)"] ?? []).lazy.map { ($0.step, $0.loss) })
  }

  /// How many examples a group of a split has.
  func count(_ split: String, _ group: String = "all") -> Int { metrics["\(split)/\(group)"]?.last?.count ?? 0 }

  /// The groups that a split was evaluated in, in alphabetical order.
  func groups(of split: String) -> [String] {
    metrics.keys.filter { $0.hasPrefix(split + "/") }.map { String($0.dropFirst(split.count + 1)) }.sorted()
  }

  /// Whether nothing was written yet.
  var isEmpty: Bool { metrics.isEmpty && probes.isEmpty && measures.isEmpty }

  /// Passes over the training examples for each step, by the evaluations; nil before the second.
  var epochsPerStep: Double? {
    let last = (metrics["train/all"] ?? []).max { $0.step < $1.step }
    guard let last, last.step > 0, last.epoch > 0 else { return nil }
    return last.epoch / Double(last.step)
  }

  /// m-coherence on a split, of the whole network or of one layer.
  func coherence(_ split: String, layer: String = "all") -> Curve {
    Curve((probes["\(split)/\(layer)"] ?? []).lazy.compactMap { record in record.mCoherence.map { (record.step, $0) } })
  }

  /// m-coherence on a split under one treatment of batch normalisation, of the whole network.
  func coherence(_ split: String, policy: String) -> Curve {
    Curve((policies[policy]?[split] ?? []).lazy.compactMap { record in record.mCoherence.map { (record.step, $0) } })
  }

  /// The numbers of examples of a split that coherence was measured on.
  func probeSizes(_ split: String) -> Set<Int> { Set((probes["\(split)/all"] ?? []).map(\.m)) }

  /// A measure on training examples.
  func measure(_ name: String) -> Curve { Curve((measures["train/\(name)"] ?? []).lazy.map { ($0.step, $0.value) }) }

  /// How many training examples a measure was taken on.
  func measureSize(_ name: String) -> Int? { measures["train/\(name)"]?.first?.m }

  /// Accuracy on examples whose label is unchanged: all of them in a run without noise.
  var pristineAccuracy: Curve {
    let group = accuracy("train", "pristine")
    return group.isEmpty && noise == 0 ? accuracy("train") : group
  }

  /// How many examples `pristineAccuracy` is about.
  var pristineCount: Int {
    let count = count("train", "pristine")
    return count == 0 && noise == 0 ? self.count("train") : count
  }

  /// ta − [ε/K + (1 − ε)·va] at the steps that have both.
  var overfit: Curve {
    let test = accuracy("test")
    return Curve(
      accuracy("train").points.compactMap { point in
        test[point.step].map { (point.step, point.value - (noise / Double(classes) + (1 - noise) * $0)) }
      })
  }

  /// ta − va at the last step that has both.
  var finalGap: Double? {
    let test = accuracy("test")
    return accuracy("train").points.last { test[$0.step] != nil }.flatMap { point in
      test[point.step].map { point.value - $0 }
    }
  }

  /// Whether (nearly) every training example is classified as its label at the end.
  var isFitted: Bool { (accuracy("train").last?.value ?? 0) >= Self.fittedAccuracy }

  /// The step from which on the training set counts as fitted; nil when it never does.
  var fittedStep: Int? { accuracy("train").firstStep(reaching: Self.fittedAccuracy) }

  /// One example in a hundred may still be wrong: what mini-batch noise undoes between two evaluations.
  static let fittedAccuracy = 0.99

  /// Optimizer steps done, or planned.
  var steps: Int? { manifest.summary?.steps ?? manifest.plannedSteps ?? accuracy("train").last?.step }
}

/// The optimizer as the manifest names it, such as `sgd`, `winsorized:c=2` or `rm3`.
struct OptimizerWord: Hashable {
  let name: String
  private let settings: [String: String]

  init(_ word: String) {
    // "rm3:decay=after+adamw" is not the RM3 of the papers, which SGD follows, nor is "adamw" their SGD.
    let (aggregator, update) = OptimizerSpecification.parts(of: word.lowercased())
    let parts = aggregator.split(separator: ":", maxSplits: 1).map(String.init)
    name = (parts.first ?? "") + (update.map { "+" + $0 } ?? "")
    let pairs = (parts.count > 1 ? parts[1] : "").split(separator: ",").compactMap { setting -> (String, String)? in
      let sides = setting.split(separator: "=", maxSplits: 1).map(String.init)
      return sides.count == 2 ? (sides[0], sides[1]) : nil
    }
    settings = Dictionary(pairs, uniquingKeysWith: { _, last in last })
  }

  var isSGD: Bool { name == "sgd" }

  /// Below which percentile values are clipped, on each side: 0 for plain SGD; nil for optimizers that do not winsorize
  /// by percentile.
  var clipped: Int? { isSGD ? 0 : name == "winsorized" ? settings["c"].flatMap { Int($0) } : nil }

  /// How many values are clipped on each side: 0 for plain SGD; nil for optimizers that do not winsorize by count.
  var clippedCount: Int? { isSGD ? 0 : name == "winsorized" ? settings["s"].flatMap { Int($0) } : nil }
}
