// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// One point of a curve.
struct Point: Sendable, Equatable {
  var step: Int
  var value: Double
  /// The band behind it, such as the least and the greatest value over runs; nil where there is none.
  var low: Double?
  var high: Double?
}

/// A run as the figures see it.
struct RunData: Sendable {
  let directory: RunDirectory
  let manifest: RunManifest
  let examples: [ExampleRecord]
  let coherence: [CoherenceRecord]
  let contributions: [ContributionRecord]
  let intervals: [CoherenceIntervalRecord]
  let measures: [MeasureRecord]
  /// The name in legends, different for every run of a report.
  var label = ""
  var shade = Palette.categorical[0]
  /// The runs that this is the mean of; none for a single run.
  let members: [RunData]
  /// The evaluation that a report is about, where it is not the last.
  var chosen: (selection: WeightSelection, moment: RunSummary.Moment)?
  private var curves: [String: [MetricRecord]] = [:]

  init(_ directory: RunDirectory) throws {
    self.directory = directory
    members = []
    manifest = try directory.manifest()
    examples = try directory.examples()
    // A run may be measured under several treatments of batch normalisation: figures show the first.
    let measured = try directory.coherence()
    coherence = measured.filter { $0.batchNormPolicy == measured.first?.batchNormPolicy }
    contributions = try directory.contributions()
    intervals = try directory.coherenceIntervals()
    measures = try directory.measures()
    for record in try directory.metrics() {
      curves["\(record.split)/\(record.group)", default: []].append(record)
    }
    for key in curves.keys { curves[key]?.sort { $0.step < $1.step } }
  }

  /// Runs of one group as one: curves are means with bands, examples are those of all, and what is neither is that of
  /// the first run.
  init(pooling members: [RunData], first: RunData) {
    self.members = members
    directory = first.directory
    manifest = first.manifest
    examples = members.flatMap(\.examples)
    coherence = Self.means(members.map(\.coherence))
    contributions = first.contributions
    intervals = []
    measures = first.measures
    curves = first.curves
  }

  func records(_ split: String, _ group: String = "all") -> [MetricRecord] { curves["\(split)/\(group)"] ?? [] }

  func accuracy(_ split: String, _ group: String = "all") -> [Point] {
    pooled { $0.accuracy(split, group) }
      ?? records(split, group).map { Point(step: $0.step, value: $0.accuracy1) }
  }

  func loss(_ split: String, _ group: String = "all") -> [Point] {
    pooled { $0.loss(split, group) } ?? records(split, group).map { Point(step: $0.step, value: $0.loss) }
  }

  /// Accuracy on the examples whose label is unchanged: all of them in a run without noise.
  var pristineAccuracy: [Point] {
    let group = accuracy("train", "pristine")
    return group.isEmpty && noiseLevel == 0 ? accuracy("train") : group
  }

  var corruptAccuracy: [Point] { accuracy("train", "corrupt") }

  /// The noise level ε.
  var noiseLevel: Double { manifest.noiseLevel }

  /// The number of classes K.
  var classes: Int { manifest.classCount }

  /// Training accuracy and test accuracy at the steps that have both.
  var trainAndTest: [(step: Int, train: Double, test: Double)] {
    let test = Dictionary(accuracy("test").map { ($0.step, $0.value) }, uniquingKeysWith: { _, last in last })
    return accuracy("train").compactMap { point in test[point.step].map { (point.step, point.value, $0) } }
  }

  /// ta − va.
  var gap: [Point] {
    pooled(\.gap) ?? trainAndTest.map { Point(step: $0.step, value: $0.train - $0.test) }
  }

  /// ta − [ε/K + (1 − ε)·va].
  var overfit: [Point] {
    if let mean = pooled(\.overfit) { return mean }
    let level = noiseLevel
    let chance = 1 / Double(classes)
    return trainAndTest.map { Point(step: $0.step, value: $0.train - (level * chance + (1 - level) * $0.test)) }
  }

  /// The step of the last evaluation.
  var lastStep: Int? { records("train").last?.step ?? records("test").last?.step }
}

extension RunData {
  /// Reads runs and gives them names and colours: by noise level where the levels differ, else by what differs.
  ///
  /// - Parameter keys: Runs that differ in nothing else are taken together as their mean.
  static func load(_ directories: [RunDirectory], pooling keys: Set<PooledKey> = []) throws -> [RunData] {
    var runs = try directories.map(RunData.init)
    if !keys.isEmpty { runs = try pooled(runs, over: keys) }
    let levels = Set(runs.map(\.noiseLevel))
    if levels.count == runs.count, !keys.contains(.noise) {
      runs.sort { $0.noiseLevel < $1.noiseLevel }
      let shades = runs.count == 1 ? [Palette.categorical[0]] : Palette.noise(runs.map(\.noiseLevel))
      for index in runs.indices {
        runs[index].label = Wording.level(runs[index].noiseLevel) + " noise"
        runs[index].shade = shades[index]
      }
      return runs
    }
    let labels = distinctLabels(runs, besides: keys)
    for index in runs.indices {
      runs[index].label = labels[index]
      runs[index].shade = Palette.categorical[index % Palette.categorical.count]
    }
    return runs
  }

  private static func distinctLabels(_ runs: [RunData], besides keys: Set<PooledKey>) -> [String] {
    let traits: [(key: PooledKey, text: (RunData) -> String)] = [
      (.dataset, { $0.manifest.dataset.name }), (.model, { $0.manifest.model }),
      (.optimizer, { $0.manifest.optimizer ?? "" }), (.noise, { Wording.level($0.noiseLevel) + " noise" }),
      (.learningRate, { $0.manifest.learningRate.map { "lr \($0)" } ?? "" }),
      (.batchSize, { $0.manifest.batchSize.map { "batch \($0)" } ?? "" }), (.seed, { "seed \($0.manifest.seed)" }),
    ]
    let differing = traits.filter { trait in
      !keys.contains(trait.key) && Set(runs.map(trait.text)).count > 1
    }
    var labels = runs.map { run in differing.map { $0.text(run) }.filter { !$0.isEmpty }.joined(separator: ", ") }
    if Set(labels).count < runs.count || labels.contains("") { labels = runs.map(\.directory.name) }
    var seen: [String: Int] = [:]
    return labels.map { label in
      seen[label, default: 0] += 1
      let count = seen[label] ?? 1
      return count == 1 ? label : "\(label) (\(count))"
    }
  }
}
