// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors

/// Gradient agreement filtering: gradients that point away from the others' are left out (Chaubard et al., Beyond
/// Gradient Averaging in Parallel Optimization, 2024, §3).
///
/// G begins as the first gradient. Each further one joins where its cosine distance to G, 1 − cos(G, gⱼ), is at most t: as
/// the authors coded it G ← (G + gⱼ)/2, where late gradients count most and the order matters; as a mean, G ← the mean of
/// all that have joined. Where none joins, there is no step (a gradient of 0).
///
/// G is a combination of the gradients, so the rule runs on weights and on the gradients' inner products.
public final class AgreementFilter: GradientMatrixAggregator {
  /// How an accepted gradient joins.
  public enum Joining: Sendable {
    /// G ← (G + gⱼ)/2.
    case halving
    /// G ← the mean of all accepted.
    case mean
  }

  /// t, from 0 to 2.
  public let threshold: Double
  /// How an accepted gradient joins.
  public let joining: Joining
  /// The number of groups whose means are compared, k; nil for the examples' own gradients.
  public let groupCount: Int?
  /// Steps in which no gradient joined another.
  public private(set) var emptySteps = 0

  /// The authors' t.
  public static let usualThreshold = 0.97

  /// - Throws: `AggregationError` unless 0 ≤ t ≤ 2 and there are 2 to 64 groups.
  public init(threshold: Double = usualThreshold, joining: Joining = .halving, groupCount: Int? = nil) throws {
    guard (0...2).contains(threshold) else {
      throw AggregationError("the cosine distance t of agreement filtering must be from 0 to 2, not \(threshold)")
    }
    guard groupCount.map({ (2...64).contains($0) }) ?? true else {
      throw AggregationError("agreement filtering needs k = 2 to 64 group means, not \(groupCount ?? 0)")
    }
    (self.threshold, self.joining, self.groupCount) = (threshold, joining, groupCount)
  }

  /// Such as "gaf:t=0.97", "gaf:t=0.97:k=5" or "gaf:t=0.97:mean".
  public var description: String {
    "gaf:t=\(shortest(threshold))" + (groupCount.map { ":k=\($0)" } ?? "") + (joining == .mean ? ":mean" : "")
  }

  /// Two to compare.
  public var minimumBatchSize: Int { groupCount ?? 2 }

  /// Inner products.
  public var sumsOverShards: Bool { true }

  /// The combination of the gradients that agree.
  public func aggregate(_ matrix: GradientMatrix, _ store: ParameterStore) throws {
    let gradient = store.gradient
    guard let groupCount else {
      let weights = try combination(of: products(of: matrix, store), count: matrix.exampleCount, matrix)
      return try matrix.columnSum(
        into: gradient, weights: Tensor(weights).to(gradient.dtype, device: gradient.device))
    }
    let means = try Tensor.zeros([groupCount, store.count], dtype: gradient.dtype, device: gradient.device)
    try matrix.groupMeans(into: means, groups: GradientMatrix.groups(of: matrix.exampleCount, count: groupCount))
    // Only what is trained agrees or disagrees.
    for range in store.frozenRanges { try means.narrow(1, from: range.lowerBound, length: range.count).fill(0) }
    let weights = try combination(of: blockProducts(of: means), count: groupCount, matrix)
    try gradient.fill(0)
    for (index, weight) in weights.enumerated() where weight != 0 {
      try gradient.add(means.select(0, index), scale: weight)
    }
  }

  /// The inner products of the examples' gradients over the parameters that are trained.
  private func products(of matrix: GradientMatrix, _ store: ParameterStore) throws -> [Double] {
    let count = matrix.exampleCount
    var total = [Double](repeating: 0, count: count * count)
    for layer in matrix.layers where !layer.ranges.isEmpty {
      let gram = try gram(of: layer, frozen: store.frozenRanges).to(.float64).to(device: .cpu)
      for (place, value) in try gram.reshape([count * count]).values(as: Double.self).enumerated() {
        total[place] += value
      }
    }
    return total
  }

  private func gram(of layer: GradientMatrix.Layer, frozen: [Range<Int>]) throws -> Tensor {
    guard layer.ranges.contains(where: { range in frozen.contains { $0.overlaps(range) } }) else {
      return try layer.block.gram()
    }
    let rows = try layer.block.rows(0..<layer.block.exampleCount).clone()
    var start = 0
    for range in layer.ranges {
      for common in frozen.map({ $0.clamped(to: range) }) where !common.isEmpty {
        try rows.narrow(1, from: start + common.lowerBound - range.lowerBound, length: common.count).fill(0)
      }
      start += range.count
    }
    return try rows.matmul(rows.transpose())
  }

  private func combination(of products: [Double], count: Int, _ matrix: GradientMatrix) throws -> [Double] {
    let weights = Self.weights(gram: try matrix.sumOverShards(products), count: count, threshold, joining)
    if weights.allSatisfy({ $0 == 0 }) { emptySteps += 1 }
    return weights
  }

  /// The weights of the gradients with these inner products; all 0 where none joins the first.
  static func weights(gram: [Double], count: Int, _ threshold: Double, _ joining: Joining) -> [Double] {
    var weights = [Double](repeating: 0, count: count)
    // ⟨G, gᵢ⟩ for every i, and ‖G‖².
    var products = Array(gram[0..<count])
    var square = gram[0]
    weights[0] = 1
    var joined = 1
    for other in 1..<count {
      let norms = (max(0, square) * max(0, gram[other * count + other])).squareRoot()
      // A gradient of 0 has no direction to disagree in, and none to agree in.
      guard norms > 0, 1 - products[other] / norms <= threshold else { continue }
      let share = joining == .halving ? 0.5 : 1 / Double(joined + 1)
      square =
        (1 - share) * (1 - share) * square + 2 * share * (1 - share) * products[other]
        + share * share * gram[other * count + other]
      for index in weights.indices {
        weights[index] *= 1 - share
        products[index] = (1 - share) * products[index] + share * gram[other * count + index]
      }
      weights[other] += share
      joined += 1
    }
    return joined > 1 ? weights : [Double](repeating: 0, count: count)
  }
}

/// The inner products of the rows of [k, P], in double, a block of columns at a time: k² numbers.
func blockProducts(of points: Tensor) throws -> [Double] {
  let block = 1 << 18
  let count = points.size(0)
  var total = Array(repeating: 0.0, count: count * count)
  for start in stride(from: 0, to: points.size(1), by: block) {
    let part = try points.narrow(1, from: start, length: min(block, points.size(1) - start)).to(.float64)
    let products: [Double] = try part.matmul(part.transpose()).values()
    for index in total.indices { total[index] += products[index] }
  }
  return total
}
