// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// What runs may differ in and still be drawn as one: a mean with a band.
public enum PooledKey: String, Sendable, CaseIterable {
  /// The seed.
  case seed
  /// The data set.
  case dataset
  /// The number of training examples.
  case examples
  /// The model.
  case model
  /// The optimizer, with its settings.
  case optimizer
  /// The learning rate.
  case learningRate = "lr"
  /// Momentum, weight decay and the learning rate's schedule.
  case schedule
  /// The examples of a step.
  case batchSize = "batch-size"
  /// The optimizer steps planned.
  case steps
  /// Kind and level of the label noise.
  case noise
  /// Tags, the names of files of weights and splits, normalisation and augmentation.
  case tags

  /// What two runs have to agree in, unless it is pooled over.
  func text(of run: RunData) -> String {
    let manifest = run.manifest
    func word(_ value: (some CustomStringConvertible)?) -> String { value.map { "\($0)" } ?? "" }
    switch self {
    case .seed: return word(manifest.seed)
    case .dataset: return manifest.dataset.name
    case .examples: return word(manifest.dataset.trainExamples)
    case .model: return manifest.model
    case .optimizer: return manifest.optimizer ?? "sgd"
    case .learningRate: return word(manifest.learningRate)
    case .schedule:
      return [word(manifest.momentum), word(manifest.weightDecay), manifest.schedule ?? "", word(manifest.warmup)]
        .joined(separator: " ")
    case .batchSize: return word(manifest.batchSize)
    case .steps: return word(manifest.plannedSteps)
    case .noise: return Wording.level(run.noiseLevel) + (run.noiseLevel > 0 ? " " + manifest.noise.kind : "")
    case .tags:
      let entries = manifest.extra.filter { $0.key != "memory_estimate_bytes" }
      return entries.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
    }
  }
}

extension RunData {
  /// Runs that agree in everything but the keys as one each, in order of appearance.
  ///
  /// - Throws: `RunStoreError` when no two runs agree, with what they differ in.
  static func pooled(_ runs: [RunData], over keys: Set<PooledKey>) throws -> [RunData] {
    let fixed = PooledKey.allCases.filter { !keys.contains($0) }
    func identity(_ run: RunData) -> [String] { fixed.map { $0.text(of: run) } }
    let groups = Dictionary(grouping: runs, by: identity)
    guard groups.count < runs.count else {
      let differing = fixed.filter { key in Set(runs.map(key.text)).count > 1 }.map(\.rawValue)
      let words = keys.map(\.rawValue).sorted().joined(separator: ", ")
      throw RunStoreError(
        runs.count == 1
          ? "There is only one run to group over \(words)."
          : "No two of the \(runs.count) runs differ in \(words) alone: they differ in \(differing.joined(separator: ", ")).",
        remedy: runs.count == 1
          ? "Name several runs, or leave out --group."
          : "Name runs that differ only in \(words), or add what else they may differ in with another --group.")
    }
    var seen: Set<[String]> = []
    return runs.map(identity).filter { seen.insert($0).inserted }.compactMap { key in
      guard let members = groups[key], let first = members.first else { return nil }
      return members.count == 1 ? first : RunData(pooling: members, first: first)
    }
  }

  /// This run, or the runs behind a mean, with its colour and names of their own.
  var each: [RunData] {
    guard !members.isEmpty else { return [self] }
    let seeds = members.map { "\(label), seed \($0.manifest.seed)" }
    let names = Set(seeds).count == members.count ? seeds : members.map(\.directory.name)
    return zip(members, names).map { member, name in
      var run = member
      (run.label, run.shade) = (name, shade)
      return run
    }
  }

  /// The mean of a curve over the runs behind this one, with the least and the greatest value as its band, at the steps
  /// that all of them have: a mean over other runs at every step would jump. Nil where this is a single run.
  func pooled(_ curve: (RunData) -> [Point]) -> [Point]? {
    guard !members.isEmpty else { return nil }
    let curves = members.map(curve).filter { !$0.isEmpty }.map { points in
      Dictionary(points.map { ($0.step, $0.value) }, uniquingKeysWith: { _, last in last })
    }
    guard let first = curves.first else { return [] }
    return first.keys.sorted().compactMap { step in
      let values = curves.compactMap { $0[step] }.filter(\.isFinite)
      guard values.count == curves.count, let low = values.min(), let high = values.max() else { return nil }
      return Point(step: step, value: values.reduce(0, +) / Double(values.count), low: low, high: high)
    }
  }

  /// Means of coherence by split, layer and step, where all runs have it.
  static func means(_ records: [[CoherenceRecord]]) -> [CoherenceRecord] {
    struct Place: Hashable {
      let split, layer: String
      let step: Int
    }
    let tables = records.map { records in
      Dictionary(records.map { (Place(split: $0.split, layer: $0.layer, step: $0.step), $0) }, uniquingKeysWith: { $1 })
    }
    return (records.first ?? []).compactMap { record in
      let place = Place(split: record.split, layer: record.layer, step: record.step)
      let all = tables.compactMap { $0[place] }
      guard all.count == tables.count else { return nil }
      func mean(_ value: (CoherenceRecord) -> Double?) -> Double? {
        let values = all.compactMap(value)
        return values.count == all.count ? values.reduce(0, +) / Double(values.count) : nil
      }
      var result = record
      result.alpha = mean(\.alpha)
      result.mCoherence = mean(\.mCoherence)
      result.alphaUnbiased = mean(\.alphaUnbiased)
      result.share = mean(\.share)
      return result
    }
  }

  /// What captions say of means and bands; empty where every run stands for itself.
  static func poolingNote(_ runs: [RunData]) -> String {
    let sizes = Set(runs.filter { !$0.members.isEmpty }.map(\.members.count)).sorted()
    guard !sizes.isEmpty else { return "" }
    let numbers = sizes.map(String.init).joined(separator: " or ")
    return " Line: mean of n = \(numbers) runs; band: from the least to the greatest of them."
  }

  /// What captions of learning curves say where early evaluations see samples; empty where all see everything.
  static func sampleNote(_ runs: [RunData]) -> String {
    let samples = runs.flatMap(\.each).compactMap { run -> Int? in
      guard let plan = run.manifest.evaluation, let all = run.manifest.dataset.trainExamples else { return nil }
      return plan.early.train < all ? plan.early.train : nil
    }
    guard let least = samples.min(), let most = samples.max() else { return "" }
    let size = Wording.integer(least) + (most > least ? " to " + Wording.integer(most) : "")
    return " Early evaluations see fixed samples of \(size) examples of each split (evaluation in manifest.json)."
  }

  /// What captions of figures say that show the first of several runs alone.
  var firstRunNote: String {
    members.isEmpty ? "" : " Of \(members.count) runs this is the first, with seed \(manifest.seed)."
  }
}
