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
    public init(block: any GradientBlock, columns: [Range<Int>]) { (self.block, self.columns) = (block, columns) }
  }

  /// The number of examples B.
  public let exampleCount: Int
  /// The number of columns C of the whole.
  public let columnCount: Int
  /// What is added up.
  public let parts: [Part]
  /// Whether no two parts share a column: there are no cross terms then.
  private let isDisjoint: Bool

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
          reason: "a part of \(part.block.exampleCount)×\(part.block.columnCount) with columns \(part.columns) "
            + "does not fit into \(exampleCount)×\(columnCount)")
      }
    }
    (self.exampleCount, self.columnCount, self.parts) = (exampleCount, columnCount, parts)
    let ranges = parts.flatMap(\.columns).filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
    isDisjoint = zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound }
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
    try self.init(exampleCount: first.exampleCount, columnCount: blocks.reduce(0) { $0 + $1.columnCount }, parts: parts)
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

  /// The sum of the parts' where no two share a column; else from explicit rows, as cross terms count.
  public func rowSquaredNorms() throws -> Tensor {
    guard isDisjoint, !parts.isEmpty else { return try explicitRowSquaredNorms() }
    return try added { try $0.rowSquaredNorms() }
  }

  /// The sum of the parts' where no two share a column; else from explicit rows.
  public func gram() throws -> Tensor {
    guard isDisjoint, !parts.isEmpty else { return try explicitGram() }
    return try added { try $0.gram() }
  }

  private func added(_ measure: (any GradientBlock) throws -> Tensor) throws -> Tensor {
    // Some blocks measure on their device, others on the host.
    let first = try measure(parts[0].block)
    return try parts.dropFirst().reduce(first) { try $0 + measure($1.block).to(device: first.device) }
  }

  /// Part by part where no two share a column, and all together are all columns; else from explicit rows.
  public func columnSquareSum(into target: Tensor, accumulating: Bool) throws {
    guard coversOnce else { return try explicit.columnSquareSum(into: target, accumulating: accumulating) }
    try delivering(to: target, accumulating: accumulating) { try $0.columnSquareSum(into: $1, accumulating: false) }
  }

  /// As `columnSquareSum`.
  public func clippedSum(into target: Tensor, _ clipping: Clipping) throws {
    guard coversOnce else { return try explicit.clippedSum(into: target, clipping) }
    try delivering(to: target, accumulating: false) { try $0.clippedSum(into: $1, clipping) }
  }

  /// Part by part where no two share a column, and all together are all columns; else from the means of the groups.
  public func groupMedian(into target: Tensor, groups: [Range<Int>]) throws {
    guard coversOnce else { return try medianOfMeans(into: target, groups: groups) }
    try delivering(to: target, accumulating: false) { try $0.groupMedian(into: $1, groups: groups) }
  }

  /// As `columnSquareSum`.
  public func signSum(into target: Tensor) throws {
    guard coversOnce else { return try explicit.signSum(into: target) }
    try delivering(to: target, accumulating: false) { try $0.signSum(into: $1) }
  }

  private var explicit: RowsBlock { RowsBlock(exampleCount: exampleCount, columnCount: columnCount, rows) }

  private var coversOnce: Bool { isDisjoint && parts.reduce(0) { $0 + $1.block.columnCount } == columnCount }

  /// Adds what `body` writes for each part, [its columns], to the part's columns of a target that starts as 0 unless
  /// `accumulating`.
  private func delivering(
    to target: Tensor, accumulating: Bool, _ body: (any GradientBlock, Tensor) throws -> Void
  ) throws {
    if !accumulating { try target.fill(0) }
    for part in parts {
      let own = try Tensor.empty([part.block.columnCount], dtype: target.dtype, device: target.device)
      try body(part.block, own)
      var start = 0
      for columns in part.columns {
        try target.narrow(0, from: columns.lowerBound, length: columns.count)
          .add(own.narrow(0, from: start, length: columns.count))
        start += columns.count
      }
    }
  }

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
    try delivering(to: target, accumulating: accumulating) {
      try $0.columnSum(into: $1, weights: weights, accumulating: false)
    }
  }
}
