// SPDX-License-Identifier: Apache-2.0

import Tensors

/// Several applications that share parameters: the row of an example is the sum of its rows in the parts, each of which
/// may cover some of the columns only. A layer with several parameters of its own, each with a rule, is such a sum too.
public struct SummedBlock: GradientBlock {
  /// A part and where its parameters lie among the columns of the whole.
  public struct Part {
    /// The rows of the part.
    public let block: any GradientBlock
    /// For each of the part's parameters in order, its columns in the whole.
    public let columns: [Range<Int>]

    /// A part with the columns that its own columns, in order, are in the whole.
    public init(block: any GradientBlock, columns: [Range<Int>]) {
      (self.block, self.columns) = (block, columns)
    }
  }

  /// The number of examples B.
  public let exampleCount: Int
  /// The number of columns C of the whole.
  public let columnCount: Int
  /// What is added up.
  public let parts: [Part]

  /// A sum of parts.
  ///
  /// - Throws: `TensorError` when a part has another number of examples, or columns that are not those of its block or lie
  ///   outside the whole.
  public init(exampleCount: Int, columnCount: Int, parts: [Part]) throws {
    for part in parts {
      guard part.block.exampleCount == exampleCount,
        part.block.columnCount == part.columns.reduce(0, { $0 + $1.count }),
        part.columns.allSatisfy({ $0.lowerBound >= 0 && $0.upperBound <= columnCount })
      else {
        throw TensorError(
          kind: .invalid, operation: "SummedBlock",
          reason:
            "a part of \(part.block.exampleCount)×\(part.block.columnCount) with columns \(part.columns) "
            + "does not fit into \(exampleCount)×\(columnCount)")
      }
    }
    self.exampleCount = exampleCount
    self.columnCount = columnCount
    self.parts = parts
  }

  /// A sum of blocks that all have the same columns.
  ///
  /// - Throws: `TensorError` when there is none, or they differ in examples or columns.
  public init(_ blocks: [any GradientBlock]) throws {
    guard let first = blocks.first else {
      throw TensorError(kind: .invalid, operation: "SummedBlock", reason: "there is no block to add up")
    }
    try self.init(
      exampleCount: first.exampleCount, columnCount: first.columnCount,
      parts: blocks.map { Part(block: $0, columns: [0..<first.columnCount]) })
  }

  /// Blocks of different parameters, one after the other.
  ///
  /// - Throws: `TensorError` when there is none, or they differ in examples.
  public init(concatenating blocks: [any GradientBlock]) throws {
    guard let first = blocks.first else {
      throw TensorError(kind: .invalid, operation: "SummedBlock", reason: "there is no block to concatenate")
    }
    var start = 0
    let parts = blocks.map { block in
      defer { start += block.columnCount }
      return Part(block: block, columns: [start..<start + block.columnCount])
    }
    try self.init(
      exampleCount: first.exampleCount, columnCount: blocks.reduce(0) { $0 + $1.columnCount }, parts: parts)
  }

  /// Some rows made explicit: [range.count, C].
  public func rows(_ range: Range<Int>) throws -> Tensor {
    var total: Tensor?
    for part in parts {
      let own = try part.block.rows(range)
      let whole = try total ?? Tensor.zeros([range.count, columnCount], dtype: own.dtype, device: own.device)
      var start = 0
      for columns in part.columns {
        try whole.narrow(1, from: columns.lowerBound, length: columns.count)
          .add(own.narrow(1, from: start, length: columns.count))
        start += columns.count
      }
      total = whole
    }
    return try total ?? Tensor.zeros([range.count, columnCount])
  }

  /// From explicit rows, as cross terms between the parts count.
  public func rowSquaredNorms() throws -> Tensor { try explicitRowSquaredNorms() }
  /// From explicit rows.
  public func gram() throws -> Tensor { try explicitGram() }

  /// Some consecutive examples as a block of their own.
  public func group(_ range: Range<Int>) throws -> any GradientBlock {
    try SummedBlock(
      exampleCount: range.count, columnCount: columnCount,
      parts: parts.map { Part(block: try $0.block.group(range), columns: $0.columns) })
  }

  /// The sum of the products of the parts.
  public func product(_ vector: Tensor) throws -> Tensor {
    var total: Tensor?
    for part in parts {
      let own = try part.block.product(
        Tensor.concatenate(part.columns.map { try vector.narrow(0, from: $0.lowerBound, length: $0.count) }))
      total = try total.map { try $0 + own } ?? own
    }
    return try total ?? Tensor.zeros([exampleCount])
  }

  /// The sum of the column sums of the parts.
  public func columnSum(into target: Tensor, weights: Tensor?, accumulating: Bool) throws {
    if !accumulating { try target.fill(0) }
    for part in parts {
      let own = try Tensor.empty([part.block.columnCount], dtype: target.dtype, device: target.device)
      try part.block.columnSum(into: own, weights: weights, accumulating: false)
      var start = 0
      for columns in part.columns {
        try target.narrow(0, from: columns.lowerBound, length: columns.count)
          .add(own.narrow(0, from: start, length: columns.count))
        start += columns.count
      }
    }
  }
}
