// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What a run has left on disk, and what follows from it: the one reader, for reports, rules and figures alike.
public struct RunHistory: Sendable {
  /// The folder.
  public let directory: RunDirectory
  /// The run's name among others: its path, below the folder that they have in common.
  public let name: String
  /// Where the run came from and how it ended.
  public let manifest: RunManifest
  /// What is known of each training example at the end.
  public let examples: [ExampleRecord]
  /// Contributions of pristine and corrupt examples.
  public let contributions: [ContributionRecord]
  /// Coherence by split and layer under the first treatment of batch normalisation that it was measured under.
  public let coherence: [CoherenceRecord]
  /// All numbers of `measures.csv`.
  public let measures: [MeasureRecord]
  private let metrics: [String: [MetricRecord]]
  private let intervals: [CoherenceIntervalRecord]
  private let probes: [String: [CoherenceRecord]]
  private let policies: [String: [String: [CoherenceRecord]]]
  private let measuresByName: [String: [MeasureRecord]]

  /// Reads a run.
  ///
  /// - Parameters:
  ///   - directory: the run directory.
  ///   - folder: a run inside this folder is named by its path below it.
  /// - Throws: `RunStoreError` naming file, line and column of what is damaged.
  public init(_ directory: RunDirectory, relativeTo folder: URL? = nil) throws {
    self.directory = directory
    name = Self.name(of: directory.url, in: folder)
    manifest = try directory.manifest()
    examples = try directory.examples()
    contributions = try directory.log(ContributionRecord.self)
    intervals = try directory.log(CoherenceIntervalRecord.self)
    measures = try directory.log(MeasureRecord.self)
    metrics = Dictionary(grouping: try directory.log(MetricRecord.self)) { "\($0.split)/\($0.group)" }
    let all = try directory.log(CoherenceRecord.self)
    // A run may be measured under several treatments of batch normalisation: the first is what is meant unless one is
    // named.
    let leading = all.filter { $0.batchNormPolicy == all.first?.batchNormPolicy }
    coherence = leading
    policies = Dictionary(grouping: all, by: \.batchNormPolicy).mapValues { records in
      Dictionary(grouping: records.filter { $0.layer == "all" }, by: \.split)
    }
    probes = Dictionary(grouping: leading) { "\($0.split)/\($0.layer)" }
    measuresByName = Dictionary(grouping: measures) { "\($0.split)/\($0.measure)" }
  }

  private static func name(of run: URL, in folder: URL?) -> String {
    guard let folder else { return run.path }
    let (path, root) = (run.standardizedFileURL.path, folder.standardizedFileURL.path)
    return path.hasPrefix(root + "/") ? String(path.dropFirst(root.count + 1)) : run.path
  }

  /// Whether nothing was written yet.
  public var isEmpty: Bool { metrics.isEmpty && probes.isEmpty && measures.isEmpty }
}

// MARK: - From the manifest

extension RunHistory {
  /// The seed of every random choice.
  public var seed: UInt64 { manifest.seed }

  /// How gradients become a step.
  public var optimizer: OptimizerDescription {
    manifest.optimization ?? OptimizerDescription(manifest.optimizer ?? "sgd")
  }

  /// The noise level ε.
  public var noise: Double { manifest.noiseLevel }

  /// The number of classes K.
  public var classes: Int { manifest.classCount }

  /// The share of labels left unchanged.
  public var properAccuracy: Double {
    1 - (manifest.noise.realisedRate ?? noise * Double(classes - 1) / Double(classes))
  }

  /// Whether the run is complete.
  public var hasEnded: Bool { manifest.status == .completed }

  /// Whether training ended with a loss that was no longer a finite number.
  public var isDiverged: Bool { manifest.status == .diverged }

  /// Whether the run was complete before the steps planned, at a wanted accuracy.
  public var isStoppedEarly: Bool {
    guard hasEnded, let done = manifest.summary?.steps, let planned = manifest.plannedSteps else { return false }
    return done < planned
  }

  /// Whether every step was taken on all training examples.
  public var isFullBatch: Bool {
    guard let size = manifest.batchSize, let examples = manifest.dataset.trainExamples else { return false }
    return size >= examples
  }

  /// Optimizer steps done, or planned.
  public var steps: Int? { manifest.summary?.steps ?? manifest.plannedSteps ?? accuracy("train").last?.step }
}

// MARK: - Evaluations

extension RunHistory {
  /// The evaluations of a split or of one group of it, by step.
  public func evaluations(_ split: String, _ group: String = "all") -> [MetricRecord] {
    (metrics["\(split)/\(group)"] ?? []).sorted { $0.step < $1.step }
  }

  /// Accuracy on a split or on one group of it.
  public func accuracy(_ split: String, _ group: String = "all") -> Curve {
    Curve((metrics["\(split)/\(group)"] ?? []).lazy.map { ($0.step, $0.accuracy1) })
  }

  /// The mean loss on a split or on one group of it.
  public func loss(_ split: String, _ group: String = "all") -> Curve {
    Curve((metrics["\(split)/\(group)"] ?? []).lazy.map { ($0.step, $0.loss) })
  }

  /// How many examples a group of a split has.
  public func count(_ split: String, _ group: String = "all") -> Int { metrics["\(split)/\(group)"]?.last?.count ?? 0 }

  /// The groups that a split was evaluated in, in alphabetical order.
  public func groups(of split: String) -> [String] {
    metrics.keys.filter { $0.hasPrefix(split + "/") }.map { String($0.dropFirst(split.count + 1)) }.sorted()
  }

  /// Accuracy on examples whose label is unchanged: all of them in a run without noise.
  public var pristineAccuracy: Curve {
    let group = accuracy("train", "pristine")
    return group.isEmpty && noise == 0 ? accuracy("train") : group
  }

  /// How many examples `pristineAccuracy` is about.
  public var pristineCount: Int {
    let count = count("train", "pristine")
    return count == 0 && noise == 0 ? self.count("train") : count
  }

  /// Training accuracy ta and test accuracy va at the steps that have both.
  public var trainAndTest: [(step: Int, train: Double, test: Double)] {
    let test = accuracy("test")
    return accuracy("train").points.compactMap { point in test[point.step].map { (point.step, point.value, $0) } }
  }

  /// ta − va.
  public var gap: Curve { Curve(trainAndTest.lazy.map { ($0.step, $0.train - $0.test) }) }

  /// ta − va at the last step that has both.
  public var finalGap: Double? { gap.last?.value }

  /// ta − [ε/K + (1 − ε)·va], what training accuracy has beyond what the labels of new examples would give.
  public var overfit: Curve {
    let share = manifest.redrawnShare
    return Curve(trainAndTest.lazy.map { ($0.step, $0.train - (share / Double(classes) + (1 - share) * $0.test)) })
  }

  /// Passes over the training examples for each step: by the evaluations, or by the sizes before the second; 0 where
  /// neither is known.
  public var epochsPerStep: Double {
    let last = (metrics["train/all"] ?? []).max { $0.step < $1.step }
    if let last, last.step > 0, last.epoch > 0 { return last.epoch / Double(last.step) }
    guard let size = manifest.batchSize, let examples = manifest.dataset.trainExamples, examples > 0 else { return 0 }
    return Double(size) / Double(examples)
  }

  /// The share of the most frequent of the labels trained with; nil where the run has left no labels.
  public var majorityShare: Double? {
    guard let labels = try? directory.labels(), !labels.isEmpty else { return nil }
    let counts = Dictionary(grouping: labels, by: \.assigned).values.map(\.count)
    return Double(counts.max() ?? 0) / Double(labels.count)
  }
}

// MARK: - Probes

extension RunHistory {
  /// The layers that coherence was measured on, in the order of the network, without `all`.
  ///
  /// - Parameter split: on this split; on any by default.
  public func layers(of split: String? = nil) -> [String] {
    var seen: Set<String> = ["all"]
    return coherence.lazy.filter { $0.split == split ?? $0.split }.map(\.layer).filter { seen.insert($0).inserted }
  }

  /// m-coherence on a split, of the whole network or of one layer.
  public func mCoherence(_ split: String, layer: String = "all") -> Curve {
    Curve((probes["\(split)/\(layer)"] ?? []).lazy.compactMap { record in record.mCoherence.map { (record.step, $0) } })
  }

  /// The same where it is above 0, as a logarithmic axis needs it.
  public func positiveMCoherence(_ split: String, layer: String = "all") -> Curve {
    Curve(mCoherence(split, layer: layer).points.lazy.filter { $0.value > 0 }.map { ($0.step, $0.value) })
  }

  /// m-coherence on a split under one treatment of batch normalisation, of the whole network.
  public func mCoherence(_ split: String, policy: String) -> Curve {
    Curve((policies[policy]?[split] ?? []).lazy.compactMap { record in record.mCoherence.map { (record.step, $0) } })
  }

  /// The 95 % intervals of the whole network's m-coherence on a split, by step. Where a step was logged twice the later
  /// line counts.
  public func coherenceIntervals(_ split: String) -> [CoherenceIntervalRecord] {
    let records = intervals.filter { record in
      record.split == split && record.layer == "all" && record.mCoherenceLow.isFinite
        && record.mCoherenceHigh.isFinite && record.mCoherenceLow <= record.mCoherenceHigh
    }
    return Dictionary(records.map { ($0.step, $0) }, uniquingKeysWith: { _, last in last }).values
      .sorted { $0.step < $1.step }
  }

  /// Whether there are intervals of any split or layer.
  public var hasIntervals: Bool { !intervals.isEmpty }

  /// The numbers of examples of a split that coherence was measured on.
  public func probeSizes(_ split: String) -> Set<Int> { Set((probes["\(split)/all"] ?? []).map(\.m)) }

  /// One number of `measures.csv` by step.
  public func measure(_ name: String, split: String = "train") -> Curve {
    Curve((measuresByName["\(split)/\(name)"] ?? []).lazy.map { ($0.step, $0.value) })
  }

  /// How many training examples a measure was taken on.
  public func measureSize(_ name: String) -> Int? { measuresByName["train/\(name)"]?.first?.m }
}
