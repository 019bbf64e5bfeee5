// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Datasets
import GradientMatrix
import RunStore
import Tensors

/// The example of Weak and Strong Gradient Directions §3.2: gradients gᵢ = c + uᵢ whose idiosyncratic parts uᵢ overlap
/// with nothing. The expectation of an SGD step over mini-batches drawn without replacement is c + (1/m)Σuᵢ, that of M3
/// is c.
///
/// The mean over the mini-batches of one pass has the same expectation and, for SGD, no variance: every example is in
/// exactly one of them.
enum MedianExpectation {
  private static let batch = 6
  private static let passes = 3

  /// - Parameter m: examples; rounded down to whole mini-batches.
  static func quantities(m: Int) throws -> [QuantityRecord] {
    let m = max(1, m / batch) * batch
    // Binary fractions, so that sums of the common part are exact.
    let common = [0.5, -1.25]
    func own(_ i: Int) -> Double { (i % 2 == 0 ? 1 : -1) * (0.25 + 0.125 * Double(i % 5)) }
    let gradients = (0..<m).map { i in common + (0..<m).map { $0 == i ? own(i) : 0 } }
    let rows = try RowGradients(widths: [common.count + m], dtype: .float32)
    let median = try MedianOfMeans(groupCount: 3)
    var generator = SeededGenerator(seed: 1, stream: .probe)
    var (meanSum, medianSum) = (
      [Double](repeating: 0, count: common.count + m), [Double](repeating: 0, count: common.count + m)
    )
    var steps = 0
    for _ in 0..<passes {
      let order = generator.permutation(count: m)
      for start in stride(from: 0, to: m, by: batch) {
        let matrix = try rows.matrix(order[start..<start + batch].map { gradients[$0] })
        let target = try Tensor.zeros([matrix.parameterCount])
        try matrix.columnSum(into: target)
        add(try target.values(as: Float.self), over: Double(batch), to: &meanSum)
        try median.aggregate(matrix, rows.store)
        add(try rows.store.gradient.values(as: Float.self), over: 1, to: &medianSum)
        steps += 1
      }
    }
    /// The largest deviation, as a share of the largest value there.
    func error(_ sum: [Double], _ expected: (Int) -> Double, _ range: Range<Int>, of scale: Double) -> Double {
      (range.map { abs(sum[$0] / Double(steps) - expected($0)) }.max() ?? 0) / scale
    }
    let (first, rest) = (0..<common.count, common.count..<common.count + m)
    let mean = { (column: Int) in own(column - common.count) / Double(m) }
    let (largest, largestMean) = (common.map(abs).max() ?? 1, rest.map { abs(mean($0)) }.max() ?? 1)
    return [
      QuantityRecord(quantity: "m", value: Double(m)),
      QuantityRecord(quantity: "sgd_common_error", value: error(meanSum, { common[$0] }, first, of: largest)),
      QuantityRecord(quantity: "sgd_idiosyncratic", value: error(meanSum, mean, rest, of: largestMean)),
      QuantityRecord(quantity: "m3_common_error", value: error(medianSum, { common[$0] }, first, of: largest)),
      QuantityRecord(quantity: "m3_idiosyncratic", value: error(medianSum, { _ in 0 }, rest, of: largestMean)),
    ]
  }

  private static func add(_ values: [Float], over divisor: Double, to sum: inout [Double]) {
    for (index, value) in values.enumerated() { sum[index] += Double(value) / divisor }
  }
}
