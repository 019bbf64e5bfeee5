// SPDX-License-Identifier: Apache-2.0

import Tensors

/// A layer's columns of the gradient matrix G for one batch: B rows (examples) by C columns (the layer's parameters, in
/// the order of its members, each row-major).
public protocol GradientBlock {
  /// B.
  var exampleCount: Int { get }
  /// C.
  var columnCount: Int { get }

  /// ‖rowᵢ‖² for every example: float64 [B].
  func rowSquaredNorms() throws -> Tensor

  /// Σᵢ uᵢ·rowᵢ into (or added to) `target` [C]; every uᵢ is 1 when `weights` [B] is nil.
  func columnSum(into target: Tensor, weights: Tensor?, accumulating: Bool) throws

  /// ⟨rowᵢ, v⟩ for every example, for v [C]: [B].
  func product(_ vector: Tensor) throws -> Tensor

  /// ⟨rowᵢ, rowⱼ⟩ for every pair: [B, B].
  func gram() throws -> Tensor

  /// Some rows made explicit: [range.count, C].
  func rows(_ range: Range<Int>) throws -> Tensor

  /// Row norms and column sum together; one pass where the two share work.
  func rowSquaredNorms(addingColumnSumTo target: Tensor, accumulating: Bool) throws -> Tensor

  /// Σᵢ rowᵢⱼ² for every column j, into (or added to) `target` [C].
  func columnSquareSum(into target: Tensor, accumulating: Bool) throws

  /// Some columns made explicit, in the order of the indices: [B, indices.count].
  func columns(_ indices: [Int]) throws -> Tensor

  /// Some consecutive examples as a block of their own.
  func group(_ range: Range<Int>) throws -> any GradientBlock

  /// The sum of the rows, clipped coordinate by coordinate, into `target` [C].
  func clippedSum(into target: Tensor, _ clipping: Clipping) throws

  /// The coordinate-wise median of the means over some groups of consecutive rows (an odd number of groups that
  /// together are all rows), into `target` [C].
  func groupMedian(into target: Tensor, groups: [Range<Int>]) throws

  /// Σᵢ sign rowᵢⱼ for every column j, into `target` [C].
  func signSum(into target: Tensor) throws
}

/// How many numbers of explicit rows are held at a time.
let explicitBudget = 1 << 24

extension GradientBlock {
  /// Both, one after the other.
  public func rowSquaredNorms(addingColumnSumTo target: Tensor, accumulating: Bool) throws -> Tensor {
    try columnSum(into: target, weights: nil, accumulating: accumulating)
    return try rowSquaredNorms()
  }

  /// From explicit rows, a chunk at a time.
  public func columnSquareSum(into target: Tensor, accumulating: Bool) throws {
    for (index, chunk) in rowChunks.enumerated() {
      try deliver(rows(chunk).squared().sum([0]), to: target, accumulating: accumulating || index > 0)
    }
  }

  /// From explicit rows, a chunk at a time.
  public func columns(_ indices: [Int]) throws -> Tensor {
    let places = try Tensor(indices)
    return try Tensor.concatenate(
      rowChunks.map { chunk in
        let part = try rows(chunk)
        return try part.indexSelect(1, places.to(device: part.device))
      })
  }

  /// Ranges of rows that together keep to the budget.
  var rowChunks: [Range<Int>] {
    let size = max(1, explicitBudget / max(columnCount, 1))
    return stride(from: 0, to: exampleCount, by: size).map { $0..<min($0 + size, exampleCount) }
  }

  /// Row norms from explicit rows, a chunk at a time.
  func explicitRowSquaredNorms() throws -> Tensor {
    try Tensor.concatenate(rowChunks.map { try rows($0).rowSquaredNorms() })
  }

  /// The Gram matrix from explicit rows, a pair of chunks at a time.
  func explicitGram() throws -> Tensor {
    let chunks = rowChunks
    if chunks.count == 1 {
      let all = try rows(chunks[0])
      return try all.matmul(all.transpose())
    }
    return try Tensor.concatenate(
      chunks.map { left in
        let leftRows = try rows(left)
        return try Tensor.concatenate(
          chunks.map { right in try leftRows.matmul(rows(right).transpose()) }, dimension: 1)
      })
  }

  /// Writes a sum into a target, or adds it.
  func deliver(_ sum: Tensor, to target: Tensor, accumulating: Bool) throws {
    let shaped = try sum.reshape(target.shape)
    if accumulating {
      try target.add(shaped)
    } else {
      try target.copy(from: shaped)
    }
  }
}

/// A block whose rows are made explicit when asked for: the general case, and the reference for the others.
public struct RowsBlock: GradientBlock {
  /// B.
  public let exampleCount: Int
  /// C.
  public let columnCount: Int
  private let make: (Range<Int>) throws -> Tensor

  /// A block from a function that makes rows explicit: [range.count, columns].
  public init(exampleCount: Int, columnCount: Int, _ make: @escaping (Range<Int>) throws -> Tensor) {
    self.exampleCount = exampleCount
    self.columnCount = columnCount
    self.make = make
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
  public func rowSquaredNorms() throws -> Tensor { try explicitRowSquaredNorms() }

  /// From explicit rows.
  public func gram() throws -> Tensor { try explicitGram() }

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

/// Several applications that share parameters: the row of an example is the sum of its rows in the parts.
struct SumBlock: GradientBlock {
  /// A part and where its parameters lie among the columns of the whole.
  struct Part {
    let block: any GradientBlock
    /// For each of the part's parameters in order, its columns in the whole.
    let columns: [Range<Int>]
  }

  let exampleCount: Int
  let columnCount: Int
  let parts: [Part]

  func rows(_ range: Range<Int>) throws -> Tensor {
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

  func rowSquaredNorms() throws -> Tensor { try explicitRowSquaredNorms() }
  func gram() throws -> Tensor { try explicitGram() }

  func group(_ range: Range<Int>) throws -> any GradientBlock {
    SumBlock(
      exampleCount: range.count, columnCount: columnCount,
      parts: try parts.map { Part(block: try $0.block.group(range), columns: $0.columns) })
  }

  func product(_ vector: Tensor) throws -> Tensor {
    var total: Tensor?
    for part in parts {
      let own = try part.block.product(
        Tensor.concatenate(part.columns.map { try vector.narrow(0, from: $0.lowerBound, length: $0.count) }))
      total = try total.map { try $0 + own } ?? own
    }
    return try total ?? Tensor.zeros([exampleCount])
  }

  func columnSum(into target: Tensor, weights: Tensor?, accumulating: Bool) throws {
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
