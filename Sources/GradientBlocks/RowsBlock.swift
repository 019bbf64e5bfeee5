// SPDX-License-Identifier: Apache-2.0

import Tensors

/// A block whose rows are made explicit when asked for: the general case, and the reference for the others.
public struct RowsBlock: GradientBlock {
  /// The number of examples B.
  public let exampleCount: Int
  /// The number of columns C.
  public let columnCount: Int
  private let make: (Range<Int>) throws -> Tensor

  /// A block from a function that makes rows explicit: [range.count, columns].
  public init(exampleCount: Int, columnCount: Int, _ make: @escaping (Range<Int>) throws -> Tensor) {
    (self.exampleCount, self.columnCount, self.make) = (exampleCount, columnCount, make)
  }

  /// A block from all of its rows, [B, C].
  public init(_ rows: Tensor) {
    self.init(exampleCount: rows.size(0), columnCount: rows.size(1)) { range in
      try rows.narrow(0, from: range.lowerBound, length: range.count)
    }
  }

  /// Some rows made explicit.
  public func rows(_ range: Range<Int>) throws -> Tensor { try make(range) }

  /// From explicit rows.
  public func product(_ vector: Tensor) throws -> Tensor {
    try Tensor.concatenate(rowChunks.map { try rows($0).matmul(vector) })
  }

  /// From explicit rows.
  public func columnSum(into target: Tensor, weights: Tensor?, accumulating: Bool) throws {
    for (index, chunk) in rowChunks.enumerated() {
      let part = try rows(chunk)
      let sum =
        try weights.map { try $0.narrow(0, from: chunk.lowerBound, length: chunk.count).matmul(part) } ?? part.sum([0])
      try deliver(sum, to: target, accumulating: accumulating || index > 0)
    }
  }

  /// In one pass over rows that are few enough.
  public func groupMedian(into target: Tensor, groups: [Range<Int>]) throws {
    guard exampleCount * columnCount <= explicitBudget, groups.count >= 3, groups.count <= 9, target.isContiguous,
      try target.device == .cpu && target.dtype == .float32
    else { return try medianOfMeans(into: target, groups: groups) }
    let all = try rows(0..<exampleCount).contiguous()
    guard try all.dtype == .float32 else { return try medianOfMeans(into: target, groups: groups) }
    try target.setMedian(ofMeansOver: groups, rows: all)
  }

  /// Each chunk of rows is made once for both.
  public func rowSquaredNorms(addingColumnSumTo target: Tensor, accumulating: Bool) throws -> Tensor {
    var norms: [Tensor] = []
    for (index, chunk) in rowChunks.enumerated() {
      let part = try rows(chunk)
      norms.append(try part.rowSquaredNorms())
      try deliver(part.sum([0]), to: target, accumulating: accumulating || index > 0)
    }
    return try Tensor.concatenate(norms)
  }
}
