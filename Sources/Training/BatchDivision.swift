// SPDX-License-Identifier: Apache-2.0

import GradientMatrix

/// How the examples of a mini-batch are divided among ranks: consecutive ones to each, in the order of the ranks.
struct BatchDivision {
  /// Each rank's examples.
  let parts: [Range<Int>]
  /// The groups of the mini-batch that means or batch statistics are taken over; none for neither.
  let groups: [Range<Int>]

  /// The examples of the mini-batch.
  var count: Int { parts.last?.upperBound ?? 0 }

  /// The groups that a rank has examples of, with these examples, counted from its own first one.
  func pieces(of rank: Int) -> [(group: Int, examples: Range<Int>)] {
    let part = parts[rank]
    return groups.enumerated().compactMap { index, group in
      let common = group.clamped(to: part)
      guard !common.isEmpty else { return nil }
      return (index, common.lowerBound - part.lowerBound..<common.upperBound - part.lowerBound)
    }
  }
}

/// What decides a `BatchDivision`.
struct BatchDivider: Sendable {
  /// N.
  var ranks = 1
  /// The groups of a mini-batch, k; nil for none.
  var groupCount: Int?
  /// Whether batch statistics are taken over the groups: then each is one rank's.
  var keepsGroupsWhole = false

  /// The division of a mini-batch of so many examples.
  ///
  /// - Throws: `GradientMatrixError` when there are too few for the ranks or the groups.
  func division(of count: Int) throws -> BatchDivision {
    let groups = try groupCount.map { try GradientMatrix.groups(of: count, count: $0) } ?? []
    guard keepsGroupsWhole, !groups.isEmpty else {
      return BatchDivision(parts: try GradientMatrix.groups(of: count, count: ranks), groups: groups)
    }
    let parts = try GradientMatrix.groups(of: groups.count, count: ranks).map {
      groups[$0.lowerBound].lowerBound..<groups[$0.upperBound - 1].upperBound
    }
    return BatchDivision(parts: parts, groups: groups)
  }

  /// The fewest examples that a mini-batch can have.
  var minimumBatchSize: Int { max(ranks, groupCount ?? 1) }
}
