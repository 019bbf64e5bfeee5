// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// The statistics of `contributions.csv` that figures show for pristine and for corrupt examples.
enum ContributionMeasure {
  /// fᵖ and fᶜ.
  case share
  /// iᵖ and iᶜ.
  case cumulative

  func pristine(_ record: ContributionRecord) -> Double? { finite(pristineValue(record)) }
  func corrupt(_ record: ContributionRecord) -> Double? { finite(corruptValue(record)) }

  private func pristineValue(_ record: ContributionRecord) -> Double? {
    self == .share ? record.pristineShare : record.pristineCumulative
  }

  private func corruptValue(_ record: ContributionRecord) -> Double? {
    self == .share ? record.corruptShare : record.corruptCumulative
  }

  private func finite(_ value: Double?) -> Double? { value.flatMap { $0.isFinite ? $0 : nil } }
}

/// A statistic in the permutation nulls of one step.
struct NullBand: Sendable, Equatable {
  let step: Int
  /// The least and the greatest value.
  let minimum, maximum: Double
  /// The 5 % and the 95 % quantile, interpolated linearly.
  let low, high: Double

  /// Nil without values.
  init?(step: Int, values: [Double]) {
    let sorted = values.filter(\.isFinite).sorted()
    guard let first = sorted.first, let last = sorted.last else { return nil }
    self.step = step
    (minimum, maximum) = (first, last)
    low = Self.quantile(sorted, 0.05)
    high = Self.quantile(sorted, 0.95)
  }

  private static func quantile(_ sorted: [Double], _ share: Double) -> Double {
    let place = share * Double(sorted.count - 1)
    let below = Int(clamping: place)
    let above = min(below + 1, sorted.count - 1)
    return sorted[below] + (place - Double(below)) * (sorted[above] - sorted[below])
  }
}

/// One sample's contributions along a run, with the actual designations and with permuted ones.
struct ContributionCurves: Sendable {
  let sample: String
  /// With the actual designations, by step.
  let actual: [ContributionRecord]
  /// With permuted ones, by step.
  let nulls: [Int: [ContributionRecord]]

  /// How many permutation nulls there are at most.
  var worlds: Int { nulls.values.map(\.count).max() ?? 0 }

  /// What the sample is, in words.
  var description: String {
    switch sample {
    case "paper": "400 examples and 300 weights of each layer, as in the paper"
    case "population": "all examples of the probe and all weights"
    default: "the sample “\(sample)”"
    }
  }

  /// The sample in a title.
  var title: String {
    switch sample {
    case "paper": "the paper’s sample"
    case "population": "whole population"
    default: sample
    }
  }

  func points(_ value: (ContributionRecord) -> Double?) -> [Point] {
    actual.compactMap { record in value(record).map { Point(step: record.step, value: $0) } }
  }

  func bands(_ value: (ContributionRecord) -> Double?) -> [NullBand] {
    actual.compactMap { NullBand(step: $0.step, values: (nulls[$0.step] ?? []).compactMap(value)) }
  }
}

extension RunData {
  /// The splits that coherence was measured on: train, then test, then any other.
  var coherenceSplits: [String] {
    let found = Set(coherence.map(\.split))
    let known = ["train", "test"].filter(found.contains)
    return known + found.subtracting(known).sorted()
  }

  /// The coherence of the whole network (layer `all`) or of one layer, by step. Where a step was logged twice the later
  /// line counts.
  func coherence(_ split: String, layer: String = "all") -> [CoherenceRecord] {
    let records = coherence.filter { $0.split == split && $0.layer == layer }
    let byStep = Dictionary(records.map { ($0.step, $0) }, uniquingKeysWith: { _, last in last })
    return byStep.values.sorted { $0.step < $1.step }
  }

  /// The layers in the order of the network, without `all`.
  func coherenceLayers(_ split: String) -> [String] {
    var seen = Set(["all"])
    return coherence.lazy.filter { $0.split == split }.map(\.layer).filter { seen.insert($0).inserted }
  }

  /// r(t) where it is defined and above 0, so that a logarithmic axis can show it.
  func mCoherence(_ split: String) -> [Point] { curve { $0.positiveMCoherence(split) } }

  /// The 95 % intervals of the whole network's r, by step; none for a mean.
  func coherenceIntervals(_ split: String) -> [CoherenceIntervalRecord] {
    members.isEmpty ? history.coherenceIntervals(split) : []
  }

  /// One number of `measures.csv` by step: of training examples, or of the first split there is.
  func measure(_ name: String) -> [Point] {
    curve { history in
      let split = history.measures.first { $0.measure == name && $0.value.isFinite }?.split ?? "train"
      let onTrain = history.measure(name)
      return onTrain.isEmpty ? history.measure(name, split: split) : onTrain
    }
  }

  /// The numbers of examples that coherence was measured on.
  var probeSizes: Set<Int> { Set(coherence.map(\.m)) }

  /// The contributions by sample, the paper's first, of samples with pristine and corrupt examples.
  var contributionCurves: [ContributionCurves] {
    let bySample = Dictionary(grouping: contributions, by: \.sample)
    let known = ["paper", "population"].filter { bySample[$0] != nil }
    return (known + Set(bySample.keys).subtracting(known).sorted()).compactMap { sample in
      let records = bySample[sample] ?? []
      let byStep = Dictionary(
        records.filter { $0.world == 0 }.map { ($0.step, $0) }, uniquingKeysWith: { _, last in last })
      let actual = byStep.values.sorted { $0.step < $1.step }
      let hasCorrupt = actual.contains { $0.corruptCumulative != nil || ($0.corruptShare ?? 0) != 0 }
      guard noiseLevel > 0, hasCorrupt else { return nil }
      return ContributionCurves(
        sample: sample, actual: actual, nulls: Dictionary(grouping: records.filter { $0.world > 0 }, by: \.step))
    }
  }
}
