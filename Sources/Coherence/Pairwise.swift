// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import Tensors

/// Sums over pairs of different examples.
public struct PairSums: Sendable, Equatable, Codable {
  /// The number of pairs.
  public private(set) var count = 0
  /// Σ sign⟨gᵢ, gⱼ⟩.
  public private(set) var signSum = 0.0
  /// The number of pairs in which neither gradient is 0.
  public private(set) var cosineCount = 0
  /// Σ cos(gᵢ, gⱼ) over those.
  public private(set) var cosineSum = 0.0

  /// The mean sign, a pair with a zero product counting as 0; nil without pairs.
  public var sign: Double? { count > 0 ? signSum / Double(count) : nil }
  /// The mean cosine over the pairs that have one; nil without any.
  public var cosine: Double? { cosineCount > 0 ? cosineSum / Double(cosineCount) : nil }

  /// No pairs yet.
  public init() {}

  mutating func add(product: Double, lengths: Double) {
    count += 1
    signSum += product > 0 ? 1 : product < 0 ? -1 : 0
    if lengths > 0 {
      cosineCount += 1
      cosineSum += product / lengths
    }
  }

  /// Adds the pairs of another.
  public mutating func merge(_ other: PairSums) {
    count += other.count
    signSum += other.signSum
    cosineCount += other.cosineCount
    cosineSum += other.cosineSum
  }
}

/// Stiffness (Fort et al. 2019): E sign⟨g₁, g₂⟩ and E cos(g₁, g₂) over pairs of different examples, of one class and of
/// two. Positive when a step for one example helps the other.
///
/// Pairs are those within a batch; batches add up, and parts merge.
public struct Stiffness: Sendable, Equatable, Codable {
  /// Pairs of one class.
  public private(set) var within = PairSums()
  /// Pairs of two classes.
  public private(set) var between = PairSums()
  /// All pairs.
  public var all: PairSums {
    var sums = within
    sums.merge(between)
    return sums
  }

  /// No pairs yet.
  public init() {}

  /// Takes in a batch from its Gram matrix G·Gᵀ ([B, B]) and the examples' classes.
  ///
  /// - Throws: `CoherenceError` when the sizes do not fit, or an entry is not finite.
  public mutating func add(gram: Tensor, classes: [Int]) throws {
    let gram = try GramValues(gram)
    guard classes.count == gram.count else {
      throw CoherenceError("\(classes.count) classes were given for a Gram matrix of \(gram.count) examples")
    }
    gram.forEachPair { first, second, product, lengths in
      if classes[first] == classes[second] {
        within.add(product: product, lengths: lengths)
      } else {
        between.add(product: product, lengths: lengths)
      }
    }
  }

  /// Takes in a batch, over all parameters.
  public mutating func add(_ matrix: GradientMatrix, classes: [Int]) throws {
    try add(gram: matrix.networkGram(), classes: classes)
  }

  /// Adds the pairs of another.
  public mutating func merge(_ other: Stiffness) {
    within.merge(other.within)
    between.merge(other.between)
  }
}

/// Gradient confusion (Sankararaman et al. 2020): the worst conflict between two different examples of a batch.
public struct GradientConfusion: Sendable, Equatable, Codable {
  /// The least ⟨gᵢ, gⱼ⟩ seen; nil without pairs.
  public private(set) var minimumProduct: Double?
  /// The least cosine seen, over pairs in which neither gradient is 0; nil without any.
  public private(set) var minimumCosine: Double?

  /// η, the least number with ⟨gᵢ, gⱼ⟩ ≥ −η for all pairs: the paper's confusion bound, at least 0.
  public var bound: Double? { minimumProduct.map { max(0, -$0) } }

  /// No pairs yet.
  public init() {}

  /// Takes in a batch from its Gram matrix G·Gᵀ, [B, B].
  ///
  /// - Throws: `CoherenceError` when the matrix is not square, or an entry is not finite.
  public mutating func add(gram: Tensor) throws {
    try GramValues(gram).forEachPair { _, _, product, lengths in
      minimumProduct = min(minimumProduct ?? product, product)
      if lengths > 0 { minimumCosine = min(minimumCosine ?? 1, product / lengths) }
    }
  }

  /// Takes in a batch, over all parameters.
  public mutating func add(_ matrix: GradientMatrix) throws { try add(gram: matrix.networkGram()) }

  /// Adds the pairs of another.
  public mutating func merge(_ other: GradientConfusion) {
    minimumProduct = [minimumProduct, other.minimumProduct].compactMap { $0 }.min()
    minimumCosine = [minimumCosine, other.minimumCosine].compactMap { $0 }.min()
  }
}

extension GradientMatrix {
  /// G·Gᵀ over all parameters, float64 [B, B].
  public func networkGram() throws -> Tensor {
    let total = try Tensor.zeros([exampleCount, exampleCount], dtype: .float64, device: losses.device)
    for gram in try gram() { try total.add(gram.to(.float64)) }
    return total
  }
}

/// The entries of a Gram matrix, on the host.
private struct GramValues {
  let count: Int
  let values: [Double]
  let norms: [Double]

  init(_ gram: Tensor) throws {
    guard gram.rank == 2, gram.size(0) == gram.size(1) else {
      throw CoherenceError("a Gram matrix is square, [B, B]; this one has shape \(gram.shape)")
    }
    let count = gram.size(0)
    let values: [Double] = try gram.values()
    if let bad = values.firstIndex(where: { !$0.isFinite }) {
      throw CoherenceError(
        "the inner product of examples \(bad / count) and \(bad % count) of the batch is not finite: the model may have "
          + "diverged; measure an earlier checkpoint")
    }
    self.count = count
    self.values = values
    norms = (0..<count).map { max(0, values[$0 * count + $0]).squareRoot() }
  }

  /// Each unordered pair of different examples once: the two, their inner product, the product of their lengths.
  func forEachPair(_ body: (Int, Int, Double, Double) -> Void) {
    for first in 0..<count {
      for second in first + 1..<max(count, first + 1) {
        body(first, second, values[first * count + second], norms[first] * norms[second])
      }
    }
  }
}
