// SPDX-License-Identifier: Apache-2.0

import Aggregation
import GradientMatrix
import Runs
import Testing
import TestSupport
import Tensors

/// The AND-mask against explicit rows.
@Suite struct AndMaskTests {
  private static func reference(
    _ rows: [[Double]], layers: [[Range<Int>]], threshold: Double, isRescaled: Bool
  ) -> [Double] {
    let count = Double(rows.count)
    let isKept = rows[0].indices.map { column in
      abs(rows.reduce(0) { $0 + ($1[column] > 0 ? 1 : $1[column] < 0 ? -1 : 0) }) / count >= threshold - 1e-9
    }
    var result = rows[0].indices.map { column in
      isKept[column] ? rows.reduce(0) { $0 + $1[column] } / count : 0
    }
    guard isRescaled else { return result }
    for ranges in layers {
      let columns = ranges.flatMap(Array.init)
      let kept = Double(columns.count { isKept[$0] })
      for column in columns where isKept[column] { result[column] *= Double(columns.count) / kept }
    }
    return result
  }

  @Test(arguments: [0, 0.2, 0.35, 9.0 / 11, 1], [false, true])
  func theMaskKeepsWhatExamplesAgreeOn(_ threshold: Double, _ isRescaled: Bool) throws {
    for (dtype, tolerance) in [(DType.float64, 1e-10), (.float32, 2e-5)] {
      for isConvolutional in [false, true] {
        let network = try Network(batch: 11, dtype: dtype, isConvolutional: isConvolutional)
        let rows = try network.explicit()
        let matrix = try network.matrix()
        let mask = try AndMask(threshold: threshold, isRescaled: isRescaled)
        try mask.aggregate(matrix, network.store)
        let expected = Self.reference(
          rows, layers: matrix.layers.map(\.ranges), threshold: threshold, isRescaled: isRescaled)
        if threshold == 0.35 { #expect(expected.contains(0) && expected.contains { $0 != 0 }) }
        try expectClose(
          network.store.gradient, expected, shape: [network.store.count], rtol: tolerance, atol: tolerance)
      }
    }
  }

  @Test func wordsAndTheirMistakes() throws {
    for word in ["and-mask:t=0.2", "and-mask:t=1:rescaled"] {
      #expect(try AggregatorSpecification(word).make().description == word)
    }
    for (word, part) in [
      ("and-mask:t=1.5", "from 0 to 1"), ("and-mask:x", "and-mask:t=T or and-mask:t=T:rescaled"),
      ("and-mask:t=x", "valid value"), ("and-mask:t=0.2:rescaled=1", "not understood"),
    ] {
      #expect { _ = try AggregatorSpecification(word) } throws: { "\($0)".contains(part) }
    }
  }
}
