// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import Tensors

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
    try delivering(to: target) { block, part, _ in try block.clippedSum(into: part, clipping) }
  }

  /// The coordinate-wise median of the means over groups of rows, into a flat buffer [P].
  public func groupMedian(into target: Tensor, groups: [Range<Int>]) throws {
    try delivering(to: target) { block, part, _ in try block.groupMedian(into: part, groups: groups) }
  }

  /// The means over groups of rows, into the columns of [groups.count, P] that this matrix has.
  ///
  /// - Parameters:
  ///   - target: a row for each group.
  ///   - groups: the rows of each group that this matrix has.
  ///   - counts: the numbers of examples that the sums are divided by, where other processes have more of a group.
  public func groupMeans(into target: Tensor, groups: [Range<Int>], counts: [Int]? = nil) throws {
    for (index, range) in groups.enumerated() {
      try delivering(to: target.select(0, index)) { block, part, _ in
        try block.groupMean(of: range, count: counts?[index] ?? range.count, into: part)
      }
    }
  }

  /// Some consecutive rows as a matrix of their own; they share its memory. Where several processes share the columns,
  /// output and losses stay those of the process's own examples.
  ///
  /// - Throws: `GradientMatrixError` when there are no such rows.
  public func group(_ range: Range<Int>) throws -> GradientMatrix {
    guard !range.isEmpty, range.lowerBound >= 0, range.upperBound <= exampleCount else {
      throw GradientMatrixError("rows \(range) were requested from a batch of \(exampleCount)")
    }
    func rows(_ tensor: Tensor) throws -> Tensor {
      guard tensor.size(0) == exampleCount else { return tensor }
      return try tensor.narrow(0, from: range.lowerBound, length: range.count)
    }
    return GradientMatrix(
      shard: try layers.map {
        Layer(name: $0.name, ranges: $0.ranges, block: try $0.block.group(range), columnParts: $0.columnParts)
      }, exampleCount: range.count, parameterCount: parameterCount, passed: (try rows(output), try rows(losses)),
      batchNormPolicy: batchNormPolicy, sumOverShards: sumOverShards)
  }

  /// Σᵢ sign Gᵢⱼ for every parameter j, into a flat buffer [P].
  public func signSum(into target: Tensor) throws {
    try delivering(to: target) { block, part, _ in try block.signSum(into: part) }
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
