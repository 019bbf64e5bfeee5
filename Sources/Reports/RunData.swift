// SPDX-License-Identifier: Apache-2.0

import Charts
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

/// A run as the figures see it: its history with a name and a colour, or the mean of several.
struct RunData: Sendable {
  let history: RunHistory
  /// The examples of the run, or of all runs behind a mean.
  let examples: [ExampleRecord]
  /// Coherence by split and layer, or its means.
  let coherence: [CoherenceRecord]
  /// The name in legends, different for every run of a report.
  var label = ""
  var shade = Palette.categorical[0]
  /// The runs that this is the mean of; none for a single run.
  let members: [RunData]
  /// The evaluation that a report is about, where it is not the last.
  var chosen: (selection: WeightSelection, moment: RunSummary.Moment)?

  init(_ directory: RunDirectory) throws {
    history = try RunHistory(directory)
    members = []
    (examples, coherence) = (history.examples, history.coherence)
  }

  /// Runs of one group as one: curves are means with bands, examples are those of all, and what is neither is that of
  /// the first run.
  init(pooling members: [RunData], first: RunData) {
    self.members = members
    history = first.history
    examples = members.flatMap(\.examples)
    coherence = Self.means(members.map(\.coherence))
  }

  var directory: RunDirectory { history.directory }
  var manifest: RunManifest { history.manifest }
  var contributions: [ContributionRecord] { history.contributions }
  var measures: [MeasureRecord] { history.measures }
  var hasIntervals: Bool { members.isEmpty && history.hasIntervals }

  /// A curve of the history, or its mean over the runs behind this one.
  func curve(_ curve: (RunHistory) -> Curve) -> [Point] {
    pooled { $0.curve(curve) } ?? curve(history).points.map { Point(step: $0.step, value: $0.value) }
  }

  func accuracy(_ split: String, _ group: String = "all") -> [Point] { curve { $0.accuracy(split, group) } }
  func loss(_ split: String, _ group: String = "all") -> [Point] { curve { $0.loss(split, group) } }
  var pristineAccuracy: [Point] { curve(\.pristineAccuracy) }
  var corruptAccuracy: [Point] { accuracy("train", "corrupt") }
  /// Training accuracy and test accuracy at the steps that have both, of means too.
  var trainAndTest: [(step: Int, train: Double, test: Double)] {
    let test = Dictionary(accuracy("test").map { ($0.step, $0.value) }, uniquingKeysWith: { _, last in last })
    return accuracy("train").compactMap { point in test[point.step].map { (point.step, point.value, $0) } }
  }

  /// ta − va.
  var gap: [Point] { curve(\.gap) }
  /// ta − [ε/K + (1 − ε)·va].
  var overfit: [Point] { curve(\.overfit) }

  /// The noise level ε.
  var noiseLevel: Double { history.noise }

  /// The number of classes K.
  var classes: Int { history.classes }

  /// The step of the last evaluation.
  var lastStep: Int? { history.evaluations("train").last?.step ?? history.evaluations("test").last?.step }
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
    let differing = traits.filter { trait in !keys.contains(trait.key) && Set(runs.map(trait.text)).count > 1 }
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
