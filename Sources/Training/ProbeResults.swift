// SPDX-License-Identifier: Apache-2.0

import Coherence
import NeuralNetworks
import RunStore

/// What the probes due at one step saw.
public struct ProbeResults: Sendable {
  /// Lines of coherence.csv.
  public var coherence: [CoherenceRecord] = []
  /// Lines of coherence-intervals.csv.
  public var intervals: [CoherenceIntervalRecord] = []
  /// Lines of contributions.csv.
  public var contributions: [ContributionRecord] = []
  /// Lines of push.csv.
  public var pushes: [PushRecord] = []
  /// Lines of measures.csv.
  public var measures: [MeasureRecord] = []
  /// How every example's gradient stands to the mean; nil when it was not looked at.
  public var examples: ExampleGradients?

  /// Nothing seen.
  public init() {}

  /// Whether nothing was seen.
  public var isEmpty: Bool {
    coherence.isEmpty && intervals.isEmpty && contributions.isEmpty && measures.isEmpty && pushes.isEmpty
      && examples == nil
  }

  /// Takes in measures under their names; those that are undefined or infinite have no line.
  mutating func add(_ values: [(name: String, value: Double?)], step: Int, split: String, m: Int) {
    for case (let name, let value?) in values where value.isFinite {
      measures.append(MeasureRecord(step: step, split: split, measure: name, m: m, value: value))
    }
  }
}

extension CoherenceResult {
  private var parts: [LayerCoherence] { [network] + layers }

  /// The lines of coherence.csv: the network under "all", then its layers.
  func records(step: Int, split: String, policy: BatchNormPolicy) -> [CoherenceRecord] {
    parts.map { part in
      CoherenceRecord(
        step: step, split: split, layer: part.layer, m: part.coherence.m, alpha: part.coherence.alpha,
        mCoherence: part.coherence.mCoherence, alphaUnbiased: part.coherence.alphaUnbiased, share: part.share,
        batchNormPolicy: policy.rawValue)
    }
  }

  /// The lines of coherence-intervals.csv, for the parts that have an interval.
  func intervalRecords(step: Int, split: String) -> [CoherenceIntervalRecord] {
    parts.enumerated().compactMap { place, part in
      guard let unbiased = part.unbiasedInterval, let mCoherence = part.mCoherenceInterval else { return nil }
      return CoherenceIntervalRecord(
        step: step, split: split, layer: part.layer, m: part.coherence.m, alphaUnbiasedLow: unbiased.low,
        alphaUnbiasedHigh: unbiased.high, mCoherenceLow: mCoherence.low, mCoherenceHigh: mCoherence.high,
        mCoherenceFromBatches: place == 0 ? fromBatches : nil)
    }
  }
}
