// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

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

  init(_ directory: RunDirectory) throws {
    name = directory.url.path
    manifest = try directory.manifest()
    metrics = Dictionary(grouping: try directory.metrics()) { "\($0.split)/\($0.group)" }
    let records = try directory.coherence().filter { $0.split == "train" && $0.layer == "all" }
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

  var seed: UInt64 { manifest.seed }
  var optimizer: OptimizerWord { OptimizerWord(manifest.optimizer ?? "sgd") }

  /// The noise level ε. Where labels came from elsewhere and only the share of changed labels is known, the level that
  /// would change as many.
  var noise: Double {
    let noise = manifest.noise
    guard noise.rate == 0, let realised = noise.realisedRate, realised > 0 else { return noise.rate }
    return min(1, realised * Double(classes) / Double(classes - 1))
  }

  /// The number of classes K.
  var classes: Int { max(2, manifest.dataset.classes ?? 10) }

  /// The share of labels left unchanged.
  var properAccuracy: Double { 1 - (manifest.noise.realisedRate ?? noise * Double(classes - 1) / Double(classes)) }

  /// Whether the run came to its end, be it a loss that was no longer finite.
  var hasEnded: Bool { manifest.status == .completed || manifest.status == .diverged }

  /// Accuracy on a split or on one group of it.
  func accuracy(_ split: String, _ group: String = "all") -> Curve {
    Curve((metrics["\(split)/\(group)"] ?? []).lazy.map { ($0.step, $0.accuracy1) })
  }

  /// Accuracy on examples whose label is unchanged: all of them in a run without noise.
  var pristineAccuracy: Curve {
    let group = accuracy("train", "pristine")
    return group.isEmpty && noise == 0 ? accuracy("train") : group
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
    let parts = word.lowercased().split(separator: ":", maxSplits: 1).map(String.init)
    name = parts.first ?? ""
    let pairs = (parts.count > 1 ? parts[1] : "").split(separator: ",").compactMap { setting -> (String, String)? in
      let sides = setting.split(separator: "=", maxSplits: 1).map(String.init)
      return sides.count == 2 ? (sides[0], sides[1]) : nil
    }
    settings = Dictionary(pairs, uniquingKeysWith: { _, last in last })
  }

  var isSGD: Bool { name == "sgd" }

  /// How many values are clipped on each side: 0 for plain SGD; nil for optimizers that do not winsorize.
  var clipped: Int? { isSGD ? 0 : name == "winsorized" ? settings["c"].flatMap { Int($0) } : nil }
}
