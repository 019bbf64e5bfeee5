// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// What probes of a synthetic run would have written: the shapes that the papers report, with some jitter.
extension SyntheticRun {
  static let probeSize = 2000
  static let permutationNulls = 20
  static let layers = ["fc1", "fc2", "fc3", "fc4", "fc5", "output"]

  /// Every step to 50, then about ten for each factor of ten that are evaluated too.
  var probed: [Int] {
    let later = stride(from: 1.7, through: log10(Double(steps)), by: 0.1).map { power in
      Int((pow(10, power) / Double(every)).rounded()) * every
    }
    return Set(Array(0...50) + later + [steps]).filter { $0 <= min(steps, until) }.sorted()
  }

  /// m-coherence: a fall from near m within some 25 steps, a rise and a decline towards 1.
  func coherence(_ step: Int, layer: Int = 3, split: String = "train") -> Double {
    let time = Double(step)
    let crash = 0.7 * Double(Self.probeSize) * exp(-time / (2.4 + 0.2 * Double(layer)))
    let peak = (1 - 0.86 * noise) * (split == "test" ? 64 : 90) * (0.4 + 0.22 * Double(layer))
    let middle = 220 + 1500 * noise
    let hump = peak * exp(-pow(log((time + 4) / middle), 2) / 2.2)
    return 1 + crash + hump + (split == "test" ? 1.5 * logistic(step, middle: 3000, slope: 2) : 0)
      + 0.15 * sin(time * 1.7 + Double(layer))
  }

  func appendProbes(to log: RunLogWriter) throws {
    for step in probed {
      let records = coherenceRecords(at: step, split: "train") + coherenceRecords(at: step, split: "test")
      try log.append(records)
      if hasIntervals { try appendIntervals(of: records, to: log) }
    }
    if hasMeasures { try appendMeasures(to: log) }
    guard noise > 0 else { return }
    for sample in ["paper", "population"] { try log.append(contributionRecords(sample: sample)) }
  }

  private func coherenceRecords(at step: Int, split: String) -> [CoherenceRecord] {
    let values = Self.layers.indices.map { coherence(step, layer: $0, split: split) }
    let shares = Self.layers.indices.map { Double($0 + 1) / 21 }
    let network = zip(values, shares).reduce(0) { $0 + $1.0 * $1.1 }
    let m = Double(Self.probeSize)
    func record(_ layer: String, _ r: Double, _ share: Double) -> CoherenceRecord {
      CoherenceRecord(
        step: step, split: split, layer: layer, m: Self.probeSize, alpha: r / m, mCoherence: r,
        alphaUnbiased: (r - 1) / (m - 1), share: share, batchNormPolicy: "none")
    }
    return [record("all", network, 1)]
      + Self.layers.indices.map { record(Self.layers[$0], values[$0], shares[$0]) }
  }

  /// fᵖ in a world: with the actual designations above one half at first and below later (at little noise), else around
  /// the share of pristine examples.
  func pristineShare(_ step: Int, sample: String, world: Int) -> Double {
    let pristine = 1 - 0.9 * noise
    let scale = sample == "paper" ? 1.0 : 0.3
    let seed = Double(world * 131 + (sample == "paper" ? 7 : 0))
    let jitter = sin(Double(step) * 2.39 + seed) * 0.5 + sin(Double(step * step % 977) * 0.7 + seed * 1.3) * 0.5
    guard world == 0 else { return pristine + 0.09 * scale * (sin(seed) + 0.6 * jitter) }
    let start = pristine + 0.36 * (1 - pristine)
    let end = logistic(step, middle: 4200, slope: 6)
    let middle = 0.62 * pristine * (1 - end) + 0.5 * end
    let share = logistic(step, middle: 160, slope: 1.5)
    return start * (1 - share) + middle * share + 0.05 * scale * jitter
  }

  private func contributionRecords(sample: String) -> [ContributionRecord] {
    let pristine = 1 - 0.9 * noise
    return (0...Self.permutationNulls).flatMap { world in
      var sums = (pristine: 0.0, corrupt: 0.0)
      return probed.map { step in
        let share = pristineShare(step, sample: sample, world: world)
        let norm = 0.21 * exp(-Double(step) / 60)
        sums.pristine += norm * share / max(0.05, pristine)
        sums.corrupt += norm * (1 - share) / max(0.05, 1 - pristine)
        return ContributionRecord(
          step: step, sample: sample, world: world, pristineShare: share, corruptShare: 1 - share,
          pristineCumulative: sums.pristine, corruptCumulative: sums.corrupt)
      }
    }
  }
}

/// What the probes of intervals, of related measures and of the stability bound would have written.
extension SyntheticRun {
  static let measures = [
    "stiffness_cosine_within", "stiffness_cosine_between", "gsnr_mean", "gradient_diversity", "noise_scale",
    "stability_log_sum", "stability_log_bound",
  ]

  /// r of the whole network as `appendProbes` wrote it, with an interval that reaches below 0 late in training.
  func appendIntervals(of records: [CoherenceRecord], to log: RunLogWriter) throws {
    try log.append(
      records.filter { $0.layer == "all" }.map { record in
        let r = record.mCoherence ?? 0
        let width = r * (0.1 + Double(record.step) / Double(steps))
        return CoherenceIntervalRecord(
          step: record.step, split: record.split, m: record.m, alphaUnbiasedLow: 0, alphaUnbiasedHigh: 1,
          mCoherenceLow: r - width, mCoherenceHigh: r + width,
          mCoherenceFromBatches: record.step % 2 == 0 ? r * 1.05 : nil)
      })
  }

  func appendMeasures(to log: RunLogWriter) throws {
    try log.append(
      probed.flatMap { step in
        Self.measures.enumerated().map { index, name in
          let isStability = name.hasPrefix("stability")
          let value = isStability ? Double(step) / 4 - Double(index) : 0.3 / Double(index + 1) + 1 / Double(step + 1)
          return MeasureRecord(
            step: step, split: "train", measure: name, m: 400, value: name.hasSuffix("between") ? -value : value)
        }
      })
  }
}
