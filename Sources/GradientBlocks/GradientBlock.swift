// SPDX-License-Identifier: Apache-2.0

import Tensors

/// A layer's columns of the gradient matrix G for one batch: B rows (examples) by C columns (the layer's parameters, in
/// the order of its members, each row-major).
public protocol GradientBlock {
  /// The number of examples B.
  var exampleCount: Int { get }
  /// The number of columns C.
  var columnCount: Int { get }

  /// ‖rowᵢ‖² for every example: float64 [B].
  func rowSquaredNorms() throws -> Tensor

  /// Σᵢ uᵢ·rowᵢ into (or added to) `target` [C]; every uᵢ is 1 when `weights` [B] is nil.
  func columnSum(into target: Tensor, weights: Tensor?, accumulating: Bool) throws

  /// ⟨rowᵢ, v⟩ for every example, for v [C]: [B].
  func product(_ vector: Tensor) throws -> Tensor

  /// ⟨rowᵢ, rowⱼ⟩ for every pair: [B, B].
  func gram() throws -> Tensor

  /// ⟨rowᵢ, otherⱼ⟩ for every row of another block of the same columns: [B, the other's B].
  func gram(with other: any GradientBlock) throws -> Tensor

  /// The same rows in a form that other blocks take without further work in `gram(with:)`, and that needs nothing of the
  /// pass it came from: explicit rows, or the factors where they are enough.
  func prepared() throws -> any GradientBlock

  /// Some rows made explicit: [range.count, C].
  func rows(_ range: Range<Int>) throws -> Tensor

  /// ⟨rowᵢ, vₘ⟩ for every row of `vectors` [M, C], and in the last column ‖rowᵢ‖²: float64 [B, M + 1]; one pass where the
  /// two share work.
  func rowProducts(_ vectors: Tensor) throws -> Tensor

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

  /// A part of a group's mean, formed as `groupMedian` forms means: the sum of some consecutive rows over the number of
  /// the group's examples, into `target` [C].
  func groupMean(of range: Range<Int>, count: Int, into target: Tensor) throws

  /// Σᵢ sign rowᵢⱼ for every column j, into `target` [C].
  func signSum(into target: Tensor) throws
}

/// A block whose rows follow from fewer numbers than they have, by which they can be sent elsewhere.
public protocol FactoredBlock: GradientBlock {
  /// The factors of every example, [B, F].
  func factors() throws -> Tensor

  /// The block of any examples of the same layer from their factors.
  func block(ofFactors factors: Tensor) throws -> any FactoredBlock

  /// Some consecutive columns as a block of their own.
  func block(ofColumns range: Range<Int>) throws -> any GradientBlock
}

/// How many numbers of explicit rows are held at a time.
let explicitBudget = 1 << 24

extension GradientBlock {
  /// From explicit rows.
  public func rowSquaredNorms() throws -> Tensor { try explicitRowSquaredNorms() }

  /// From explicit rows.
  public func gram() throws -> Tensor { try explicitGram() }

  /// From explicit rows.
  public func gram(with other: any GradientBlock) throws -> Tensor { try explicitGram(with: other) }

  /// Explicit rows.
  public func prepared() throws -> any GradientBlock { RowsBlock(try rows(0..<exampleCount)) }

  /// Each by itself.
  public func rowProducts(_ vectors: Tensor) throws -> Tensor { try eachProduct(vectors) }

  /// Products with some vectors and norms, one after the other.
  func eachProduct(_ vectors: Tensor) throws -> Tensor {
    let products = try (0..<vectors.size(0)).map { place in
      try product(vectors.narrow(0, from: place, length: 1).reshape([columnCount])).to(.float64)
    }
    return try Tensor.concatenate(
      (products + [rowSquaredNorms()]).map { try $0.to(device: .cpu).reshape([exampleCount, 1]) }, dimension: 1)
  }

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
  public var rowChunks: [Range<Int>] {
    let size = max(1, explicitBudget / max(columnCount, 1))
    return stride(from: 0, to: exampleCount, by: size).map { $0..<min($0 + size, exampleCount) }
  }

  /// Row norms from explicit rows, a chunk at a time.
  public func explicitRowSquaredNorms() throws -> Tensor {
    try Tensor.concatenate(rowChunks.map { try rows($0).rowSquaredNorms() })
  }

  /// The Gram matrix from explicit rows, a pair of chunks at a time.
  public func explicitGram() throws -> Tensor {
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

  /// The inner products with all rows of another block, from explicit rows, a chunk of this block's at a time.
  public func explicitGram(with other: any GradientBlock) throws -> Tensor {
    let others = try other.rows(0..<other.exampleCount).transpose()
    return try Tensor.concatenate(rowChunks.map { try rows($0).matmul(others) })
  }

  /// Writes a sum into a target, or adds it.
  public func deliver(_ sum: Tensor, to target: Tensor, accumulating: Bool) throws {
    let shaped = try sum.reshape(target.shape)
    if accumulating { try target.add(shaped) } else { try target.copy(from: shaped) }
  }
}
