// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// One point of a curve.
struct Point: Sendable, Equatable {
  var step: Int
  var value: Double
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
  private var curves: [String: [MetricRecord]] = [:]

  init(_ directory: RunDirectory) throws {
    self.directory = directory
    manifest = try directory.manifest()
    examples = try directory.examples()
    coherence = try directory.coherence()
    contributions = try directory.contributions()
    intervals = try directory.coherenceIntervals()
    measures = try directory.measures()
    for record in try directory.metrics() {
      curves["\(record.split)/\(record.group)", default: []].append(record)
    }
    for key in curves.keys { curves[key]?.sort { $0.step < $1.step } }
  }

  func records(_ split: String, _ group: String = "all") -> [MetricRecord] { curves["\(split)/\(group)"] ?? [] }

  func accuracy(_ split: String, _ group: String = "all") -> [Point] {
    records(split, group).map { Point(step: $0.step, value: $0.accuracy1) }
  }

  func loss(_ split: String, _ group: String = "all") -> [Point] {
    records(split, group).map { Point(step: $0.step, value: $0.loss) }
  }

  /// Accuracy on the examples whose label is unchanged: all of them in a run without noise.
  var pristineAccuracy: [Point] {
    let group = accuracy("train", "pristine")
    return group.isEmpty && noiseLevel == 0 ? accuracy("train") : group
  }

  var corruptAccuracy: [Point] { accuracy("train", "corrupt") }

  /// The noise level ε: the share of examples chosen for noise. Where labels came from elsewhere and only the share of
  /// changed labels is known, the level that would change as many.
  var noiseLevel: Double {
    let noise = manifest.noise
    guard noise.rate == 0, let realised = noise.realisedRate, realised > 0 else { return noise.rate }
    return min(1, realised * Double(classes) / Double(classes - 1))
  }

  /// The number of classes K.
  var classes: Int { max(2, manifest.dataset.classes ?? 10) }

  /// Training accuracy and test accuracy at the steps that have both.
  var trainAndTest: [(step: Int, train: Double, test: Double)] {
    let test = Dictionary(accuracy("test").map { ($0.step, $0.value) }, uniquingKeysWith: { _, last in last })
    return accuracy("train").compactMap { point in test[point.step].map { (point.step, point.value, $0) } }
  }

  /// ta − va.
  var gap: [Point] { trainAndTest.map { Point(step: $0.step, value: $0.train - $0.test) } }

  /// ta − [ε/K + (1 − ε)·va].
  var overfit: [Point] {
    let level = noiseLevel
    let chance = 1 / Double(classes)
    return trainAndTest.map { Point(step: $0.step, value: $0.train - (level * chance + (1 - level) * $0.test)) }
  }

  /// The step of the last evaluation.
  var lastStep: Int? { records("train").last?.step ?? records("test").last?.step }
}

extension RunData {
  /// Reads runs and gives them names and colours: by noise level where the levels differ, else by what differs.
  static func load(_ directories: [RunDirectory]) throws -> [RunData] {
    var runs = try directories.map(RunData.init)
    let levels = Set(runs.map(\.noiseLevel)).sorted()
    if levels.count == runs.count {
      runs.sort { $0.noiseLevel < $1.noiseLevel }
      let shades = Palette.ordered(runs.count)
      for index in runs.indices {
        runs[index].label = Wording.level(runs[index].noiseLevel) + " noise"
        runs[index].shade = shades[index]
      }
      return runs
    }
    let labels = distinctLabels(runs)
    for index in runs.indices {
      runs[index].label = labels[index]
      runs[index].shade = Palette.categorical[index % Palette.categorical.count]
    }
    return runs
  }

  private static func distinctLabels(_ runs: [RunData]) -> [String] {
    let traits: [(RunData) -> String] = [
      { $0.manifest.dataset.name }, { $0.manifest.model }, { $0.manifest.optimizer ?? "" },
      { Wording.level($0.noiseLevel) + " noise" },
      { $0.manifest.learningRate.map { "lr \($0)" } ?? "" }, { "seed \($0.manifest.seed)" },
    ]
    let differing = traits.filter { trait in Set(runs.map(trait)).count > 1 }
    var labels = runs.map { run in differing.map { $0(run) }.filter { !$0.isEmpty }.joined(separator: ", ") }
    if Set(labels).count < runs.count || labels.contains("") { labels = runs.map(\.directory.name) }
    var seen: [String: Int] = [:]
    return labels.map { label in
      seen[label, default: 0] += 1
      let count = seen[label] ?? 1
      return count == 1 ? label : "\(label) (\(count))"
    }
  }
}
