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

  /// From the means of the groups, [groups, C].
  func medianOfMeans(into target: Tensor, groups: [Range<Int>]) throws {
    let means = try Tensor.empty([groups.count, columnCount], dtype: target.dtype, device: target.device)
    for (index, range) in groups.enumerated() {
      let mean = try means.select(0, index)
      try group(range).columnSum(into: mean, weights: nil, accumulating: false)
      try mean.multiply(by: 1 / Double(range.count))
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

extension GradientMatrix {
  /// The clipped sum of the rows, coordinate by coordinate, into a flat buffer [P].
  ///
  /// - Throws: `GradientMatrixError` unless more examples are there than are clipped; `TensorError`.
  public func clippedSum(into target: Tensor, _ clipping: Clipping) throws {
    guard clipping.low >= 0, clipping.high >= 0, clipping.low + clipping.high < exampleCount else {
      throw GradientMatrixError(
        "clipping \(clipping.low) examples at one end and \(clipping.high) at the other needs a batch of at least "
          + "\(clipping.low + clipping.high + 1), not \(exampleCount)")
    }
    for layer in layers {
      try layer.delivering(to: target, accumulating: false) { part, _ in
        try layer.block.clippedSum(into: part, clipping)
      }
    }
  }

  /// The coordinate-wise median of the means over groups of rows, into a flat buffer [P].
  public func groupMedian(into target: Tensor, groups: [Range<Int>]) throws {
    for layer in layers {
      try layer.delivering(to: target, accumulating: false) { part, _ in
        try layer.block.groupMedian(into: part, groups: groups)
      }
    }
  }

  /// The means over groups of rows, into [groups.count, P].
  public func groupMeans(into target: Tensor, groups: [Range<Int>]) throws {
    for (index, range) in groups.enumerated() {
      let row = try target.select(0, index)
      for layer in layers {
        try layer.delivering(to: row, accumulating: false) {
          try layer.block.group(range).columnSum(into: $0, weights: nil, accumulating: $1)
        }
      }
      try row.multiply(by: 1 / Double(range.count))
    }
  }

  /// Σᵢ sign Gᵢⱼ for every parameter j, into a flat buffer [P].
  public func signSum(into target: Tensor) throws {
    for layer in layers {
      try layer.delivering(to: target, accumulating: false) { part, _ in try layer.block.signSum(into: part) }
    }
  }

  /// The examples of a batch in `count` groups of consecutive ones, as equal as can be: the first are larger by one.
  ///
  /// - Throws: `GradientMatrixError` when there are fewer examples than groups.
  public static func groups(of exampleCount: Int, count: Int) throws -> [Range<Int>] {
    guard count >= 1, exampleCount >= count else {
      throw GradientMatrixError("a batch of \(exampleCount) examples does not divide into \(count) groups")
    }
    let (size, rest) = exampleCount.quotientAndRemainder(dividingBy: count)
    return (0..<count).map { index in
      let start = index * size + min(index, rest)
      return start..<start + size + (index < rest ? 1 : 0)
    }
  }
}
