// SPDX-License-Identifier: Apache-2.0

import Tensors

extension GradientBlock {
  /// By way of explicit rows.
  public func group(_ range: Range<Int>) throws -> any GradientBlock {
    RowsBlock(exampleCount: range.count, columnCount: columnCount) {
      try rows(range.lowerBound + $0.lowerBound..<range.lowerBound + $0.upperBound)
    }
  }

  /// From explicit columns, as many at a time as the budget holds.
  public func clippedSum(into target: Tensor, _ clipping: Clipping) throws {
    if exampleCount * columnCount <= explicitBudget {
      return try target.setClippedSum(ofRows: rows(0..<exampleCount).contiguous(), clipping)
    }
    let size = max(1, explicitBudget / max(exampleCount, 1))
    for start in stride(from: 0, to: columnCount, by: size) {
      let count = min(size, columnCount - start)
      try target.narrow(0, from: start, length: count)
        .setClippedSum(ofRows: columns(Array(start..<start + count)).contiguous(), clipping)
    }
  }

  /// From the means of the groups, [groups, C].
  public func groupMedian(into target: Tensor, groups: [Range<Int>]) throws {
    try medianOfMeans(into: target, groups: groups)
  }

  /// The sum first.
  public func groupMean(of range: Range<Int>, count: Int, into target: Tensor) throws {
    try group(range).columnSum(into: target, weights: nil, accumulating: false)
    try target.multiply(by: 1 / Double(count))
  }

  /// From the means of the groups, [groups, C].
  func medianOfMeans(into target: Tensor, groups: [Range<Int>]) throws {
    let means = try Tensor.empty([groups.count, columnCount], dtype: target.dtype, device: target.device)
    for (index, range) in groups.enumerated() {
      try groupMean(of: range, count: range.count, into: means.select(0, index))
    }
    try target.setMedian(ofRows: means)
  }

  /// From explicit rows, a chunk at a time.
  public func signSum(into target: Tensor) throws {
    for (index, chunk) in rowChunks.enumerated() {
      try deliver(rows(chunk).sign().sum([0]), to: target, accumulating: index > 0)
    }
  }
}
