// SPDX-License-Identifier: Apache-2.0

import Datasets
import GradientMatrix
import NeuralNetworks
import Tensors

/// What the coordinate-wise median of three group means (M3) does to the mean gradients of mini-batches: how much of the
/// common direction it keeps, and how long it is (Weak and Strong Gradient Directions, §3).
///
/// A fixed sample of training examples, in a fixed random order, is cut into whole mini-batches of the run's size, and
/// each of those into three groups as M3 cuts them. With ḡ the mean gradient of the sample,
/// `median_along_mean` = Σ⟨median, ḡ⟩ / Σ⟨mean, ḡ⟩ over the batches, and `median_norm_ratio` is the mean over them of
/// ‖median‖ / ‖mean‖. Above 1 the median amplifies, below 1 it suppresses.
///
/// ḡ mixes strong directions with weak ones, so the strong ones are also looked at by themselves. Of two halves of the
/// mini-batches, one says which coordinates are strong: those in which the mean s of its groups' means is not 0 and at least
/// their standard deviation, a signal-to-noise ratio of 1 or more. The other says what becomes of them:
/// `median_along_strong` = Σ s·median / Σ s·mean over those coordinates and its mini-batches, and the halves change
/// places. `strong_share` is their share of all coordinates.
public final class MedianProbe: SampledProbe {
  /// The sample where its size is not given.
  public static let usualSize = SampleSize.atMost(1000)
  private var batches: [[ProbeSample]] = []
  private var sampleSize = 0
  private var split = ""
  private static let groupCount = 3

  /// - Parameters:
  ///   - m: training examples of the sample; those beyond the last whole mini-batch are left out.
  ///   - schedule: when it measures.
  ///   - batchNorm: what batch normalisation does in its passes.
  public init(
    m: SampleSize = usualSize, at schedule: ProbeSchedule = .logarithmic, batchNorm: BatchNormPolicy = .running
  ) { super.init(m, schedule, batchNorm) }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension MedianProbe: Probe {
  public var name: String { "median" }

  /// - Throws: `TrainingError` when mini-batches have no three groups, or the sample holds no whole mini-batch.
  public func check(trainingExamples: Int?, batchSize: Int) throws {
    try checkThirds(of: batchSize)
    guard size.isLimit || size.count >= batchSize else {
      throw TrainingError(
        .configuration, "probe \"\(self)\" uses whole mini-batches; m must be at least the batch-size, \(batchSize)")
    }
    try size.check(of: trainingExamples)
  }

  public func prepare(_ setup: ProbeSetup) throws {
    let batchSize = setup.batchSize
    let sample = try setup.trainSample(size.isLimit ? .atMost(max(size.count, batchSize)) : size)
    // In the order of a data set that is sorted by class, a mini-batch would be of one class.
    var generator = SeededGenerator(seed: setup.seed, stream: .probe, index: 2)
    let order = generator.permutation(count: sample.indices.count).map { sample.indices[$0] }
    let groups = try GradientMatrix.groups(of: batchSize, count: Self.groupCount)
    batches = (0..<sample.indices.count / batchSize).map { batch in
      groups.map { group in
        var part = sample
        part.indices = group.map { order[batch * batchSize + $0] }
        return part
      }
    }
    sampleSize = batches.count * batchSize
    split = sample.split
  }

  public func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    let values = plan.store.values
    let means = try Tensor.zeros([Self.groupCount, plan.store.count], dtype: values.dtype, device: values.device)
    let median = try Tensor.zeros([plan.store.count], dtype: values.dtype, device: values.device)
    let medianSum = try Tensor.zeros([plan.store.count], dtype: .float64, device: values.device)
    let meanSum = try Tensor.zeros([plan.store.count], dtype: .float64, device: values.device)
    let halves = try (0..<2).map { _ in try Half(like: values, count: plan.store.count) }
    var ratios = 0.0
    for (place, groups) in batches.enumerated() {
      let half = halves[place % 2]
      let rows = try groups.indices.map { try means.select(0, $0) }
      for (row, group) in zip(rows, groups) {
        try group.meanGradient(plan, into: row)
        try half.note(group: row)
      }
      try median.setMedian(ofRows: means)
      // The mini-batch's mean takes the place of the first group's: large models have little memory to spare.
      let size = Double(groups.reduce(0) { $0 + $1.indices.count })
      let mean = rows[0]
      try mean.multiply(by: Double(groups[0].indices.count) / size)
      for (row, group) in zip(rows, groups).dropFirst() { try mean.add(row, scale: Double(group.indices.count) / size) }
      ratios += (try median.dot(median) / mean.dot(mean)).squareRoot()
      try medianSum.accumulate(median)
      try meanSum.accumulate(mean)
      try half.note(median: median, mean: mean)
    }
    // ḡ is the mean of the batches' means, so both sums are products with it up to one factor.
    results.add(
      [
        ("median_along_mean", try medianSum.dot(meanSum) / meanSum.dot(meanSum)),
        ("median_norm_ratio", ratios / Double(batches.count)),
      ], step: step, split: split, m: sampleSize)
    guard batches.count > 1 else { return }
    let strong = try halves.map { try $0.strongDirection(groups: Self.groupCount) }
    let (first, second) = try (halves[1].products(with: strong[0].signal), halves[0].products(with: strong[1].signal))
    let mean = first.mean + second.mean
    let share = (strong[0].share + strong[1].share) / 2
    results.add(
      (mean > 0 ? [("median_along_strong", (first.median + second.median) / mean)] : []) + [("strong_share", share)],
      step: step, split: split, m: sampleSize)
  }

  /// Sums over half of the mini-batches.
  private final class Half {
    private let groupSum, groupSquareSum, medianSum, meanSum: Tensor
    private var batchCount = 0

    init(like values: Tensor, count: Int) throws {
      func zeros() throws -> Tensor { try Tensor.zeros([count], dtype: values.dtype, device: values.device) }
      (groupSum, groupSquareSum, medianSum, meanSum) = try (zeros(), zeros(), zeros(), zeros())
    }

    func note(group mean: Tensor) throws {
      try groupSum.add(mean)
      try groupSquareSum.add(mean.squared())
    }

    func note(median: Tensor, mean: Tensor) throws {
      try medianSum.add(median)
      try meanSum.add(mean)
      batchCount += 1
    }

    /// s where s² is at least the groups' variance, and 0 elsewhere; and the share of coordinates where it is not 0.
    func strongDirection(groups: Int) throws -> (signal: Tensor, share: Double) {
      let count = Double(groups * batchCount)
      let signal = try groupSum * (1 / count)
      // s² ≥ v is 2s² ≥ mean of squares.
      let isWeak = try (signal.squared() * 2).less(groupSquareSum * (1 / count))
      // Where every gradient is 0, as for a pixel that no picture has, there is no signal.
      let isThere = try signal.equal(Tensor.zeros([], dtype: signal.dtype, device: signal.device)).logicalNot()
      let isStrong = try isWeak.logicalNot().to(signal.dtype) * isThere.to(signal.dtype)
      let strong = try signal * isStrong
      return (strong, try isStrong.mean().item())
    }

    func products(with signal: Tensor) throws -> (median: Double, mean: Double) {
      try (medianSum.dot(signal), meanSum.dot(signal))
    }
  }
}
