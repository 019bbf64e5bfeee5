// SPDX-License-Identifier: Apache-2.0

import Datasets
import GradientMatrix
import Tensors

/// What the coordinate-wise median of three group means (M3) does to the mean gradients of mini-batches: how much of the
/// common direction it keeps, and how long it is (Weak and Strong Gradient Directions, §3).
///
/// A fixed sample of training examples, in a fixed random order, is cut into whole mini-batches of the run's size, and
/// each of those into three groups as M3 cuts them. With ḡ the mean gradient of the sample,
/// `median_along_mean` = Σ⟨median, ḡ⟩ / Σ⟨mean, ḡ⟩ over the batches, and `median_norm_ratio` is the mean over them of
/// ‖median‖ / ‖mean‖. Above 1 the median amplifies, below 1 it suppresses.
final class MedianLook: Probe {
  private let batches: [[CoherenceProbe]]
  private let sampleSize: Int
  private let split: String
  private static let groupCount = 3

  /// - Parameters:
  ///   - sample: the examples; those beyond the last whole mini-batch are left out.
  ///   - batchSize: examples in a mini-batch, at least 3.
  /// - Throws: `GradientMatrixError` when the mini-batches are too small for their groups.
  init(_ sample: CoherenceProbe, batchSize: Int, seed: UInt64) throws {
    // In the order of a data set that is sorted by class, a mini-batch would be of one class.
    var generator = SeededGenerator(seed: seed, stream: .probe, index: 2)
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

  func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    let values = plan.store.values
    let means = try Tensor.zeros([Self.groupCount, plan.store.count], dtype: values.dtype, device: values.device)
    let median = try Tensor.zeros([plan.store.count], dtype: values.dtype, device: values.device)
    let medianSum = try Tensor.zeros([plan.store.count], dtype: .float64, device: values.device)
    let meanSum = try Tensor.zeros([plan.store.count], dtype: .float64, device: values.device)
    var ratios = 0.0
    for groups in batches {
      let rows = try groups.indices.map { try means.select(0, $0) }
      for (row, group) in zip(rows, groups) {
        var isFirst = true
        try group.forEachChunk(plan) { matrix, _ in
          try matrix.columnSum(into: row, accumulating: !isFirst)
          isFirst = false
        }
        try row.multiply(by: 1 / Double(group.indices.count))
      }
      try median.setMedian(ofRows: means)
      // The mini-batch's mean takes the place of the first group's: large models have little memory to spare.
      let size = Double(groups.reduce(0) { $0 + $1.indices.count })
      let mean = rows[0]
      try mean.multiply(by: Double(groups[0].indices.count) / size)
      for (row, group) in zip(rows, groups).dropFirst() {
        try mean.add(row, scale: Double(group.indices.count) / size)
      }
      ratios += (try median.dot(median) / mean.dot(mean)).squareRoot()
      try medianSum.accumulate(median)
      try meanSum.accumulate(mean)
    }
    // ḡ is the mean of the batches' means, so both sums are products with it up to one factor.
    results.add(
      [
        ("median_along_mean", try medianSum.dot(meanSum) / meanSum.dot(meanSum)),
        ("median_norm_ratio", ratios / Double(batches.count)),
      ], step: step, split: split, m: sampleSize)
  }
}
