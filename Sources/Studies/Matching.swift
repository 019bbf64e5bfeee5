// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore
import Foundation

/// What a manifest says that decides whether two runs compare.
enum Factor: CaseIterable {
  case dataset, examples, split, augmentation, model, normalization, weights, frozen, optimizer, learningRate, schedule,
    momentum, weightDecay, batchSize, steps, ending, noise, seed

  func text(of run: RunHistory) -> String {
    let manifest = run.manifest
    switch self {
    case .dataset: return manifest.dataset.name
    case .examples: return manifest.dataset.trainExamples.map { "\($0) training examples" } ?? ""
    case .split: return run.split.map { "split \($0)" } ?? ""
    case .augmentation: return run.augmentation.map { "augmented by \($0)" } ?? ""
    case .model: return manifest.model
    case .normalization: return run.normalization.map { "norm \($0)" } ?? ""
    case .weights: return run.weights.map { "from weights \($0)" } ?? ""
    case .frozen: return run.manifest.extra["freeze"].map { "frozen \($0)" } ?? ""
    case .optimizer:
      return (manifest.optimizer ?? "sgd").lowercased()
        + (manifest.extra["clip_norm"].map { ", clipped at \($0)" } ?? "")
    case .learningRate: return manifest.learningRate.map { "lr \($0)" } ?? ""
    // Its kind: milestones are steps, and differ where steps do.
    case .schedule:
      let kind = manifest.schedule?.split(separator: ":").first ?? "constant"
      let words = [
        kind == "constant" ? "" : "\(kind) schedule", manifest.warmup.map { "warm-up of \($0) steps" } ?? "",
      ]
      return words.filter { !$0.isEmpty }.joined(separator: ", ")
    case .momentum: return manifest.momentum.flatMap { $0 == 0 ? nil : "momentum \($0)" } ?? ""
    case .weightDecay: return manifest.weightDecay.flatMap { $0 == 0 ? nil : "weight decay \($0)" } ?? ""
    case .batchSize:
      let rest = manifest.extra["drop_last"] == nil ? "" : ", the rest of an epoch left out"
      return manifest.batchSize.map { "batch \($0)\(rest)" } ?? ""
    case .steps: return (manifest.plannedSteps ?? run.steps).map { "\($0) steps" } ?? ""
    case .ending: return run.isStoppedEarly ? "stopped early" : ""
    case .noise: return Level.text(run.noise)
    case .seed: return "seed \(run.seed)"
    }
  }
}

/// Noise levels: how they are written and compared.
enum Level {
  /// The levels of the papers.
  static let all = [0, 0.25, 0.5, 0.75, 1]

  /// Such as `25 % noise`.
  static func text(_ level: Double) -> String { Wording.level(level) + " noise" }

  static func isEqual(_ a: Double, _ b: Double) -> Bool { abs(a - b) < 1e-6 }

  static func contains(_ level: Double, in levels: [Double]) -> Bool { levels.contains { isEqual($0, level) } }
}

enum Matching {
  /// Runs that agree in everything but the given traits, in the order in which they came. Runs without noise compare
  /// with runs of every kind of noise.
  static func groups(_ runs: [RunHistory], varying: Set<Factor>) -> [[RunHistory]] {
    let fixed = Factor.allCases.filter { !varying.contains($0) }
    return grouped(runs) { run in fixed.map { $0.text(of: run) }.joined(separator: "|") }.flatMap { group in
      let noisy = grouped(group.filter { $0.noise > 0 }) { $0.manifest.noise.kind }
      let clean = group.filter { $0.noise == 0 }
      return noisy.isEmpty ? [clean] : noisy.map { clean + $0 }
    }
  }

  private static func grouped(_ runs: [RunHistory], by key: (RunHistory) -> String) -> [[RunHistory]] {
    var order: [String] = []
    var found: [String: [RunHistory]] = [:]
    for run in runs {
      let key = key(run)
      if found[key] == nil { order.append(key) }
      found[key, default: []].append(run)
    }
    return order.compactMap { found[$0] }
  }

  /// What was trained, in one line: what differs is listed.
  static func description(of runs: [RunHistory]) -> String {
    let traits = Factor.allCases.filter { ![.noise, .seed].contains($0) }
    func words(_ texts: [String]) -> [String] { unique(texts.filter { !$0.isEmpty }) }
    let parts = traits.map { trait in words(runs.map(trait.text)).joined(separator: " / ") }
    let profile = words(runs.compactMap { $0.manifest.extra["profile"] }).map { "profile \($0)" }
    return (parts.filter { !$0.isEmpty } + profile).joined(separator: ", ")
  }
}

extension [RunHistory] {
  /// The run at a noise level; of several the one trained longest.
  func at(_ level: Double) -> RunHistory? {
    filter { Level.isEqual($0.noise, level) }.max { ($0.steps ?? 0) < ($1.steps ?? 0) }
  }

  /// The noise levels there are.
  var levels: [Double] {
    reduce(into: [Double]()) { found, run in
      if !found.contains(where: { Level.isEqual($0, run.noise) }) { found.append(run.noise) }
    }.sorted()
  }

  /// For every seed the run trained longest.
  var onePerSeed: [RunHistory] {
    seeds.compactMap { seed in filter { $0.seed == seed }.max { ($0.steps ?? 0) < ($1.steps ?? 0) } }
  }

  /// The runs at one batch size: that at which the most optimizers were run, the smallest of several. An optimizer that
  /// was run at other sizes only counts with the nearest of them, as M3's batch has to be a multiple of three.
  var atOneBatchSize: [RunHistory] {
    let sizes = Dictionary(grouping: compactMap(\.manifest.batchSize)) { $0 }.keys.sorted()
    func optimizers(at size: Int) -> Int { Set(filter { $0.manifest.batchSize == size }.map(\.optimizer.name)).count }
    guard let most = sizes.map(optimizers).max(), let base = sizes.first(where: { optimizers(at: $0) == most }) else {
      return self
    }
    func distance(_ size: Int) -> Double { abs(log(Double(size) / Double(base))) }
    return filter { run in
      guard let own = run.manifest.batchSize else { return true }
      let known = filter { $0.optimizer.name == run.optimizer.name }.compactMap(\.manifest.batchSize)
      return known.allSatisfy { distance(own) <= distance($0) }
    }
  }

  var seeds: [UInt64] { Set(map(\.seed)).sorted() }
}
