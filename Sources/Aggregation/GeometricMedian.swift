// SPDX-License-Identifier: Apache-2.0

import Foundation
import GradientMatrix
import NeuralNetworks
import Tensors

/// The geometric median of the means of k groups of the mini-batch: the point with the least sum of distances to them,
/// by Weiszfeld's iteration.
///
/// Every iterate is a weighted mean of the k points, so the iteration runs on the k weights and on the points' k×k inner
/// products; only the products and the result are passes over the parameters.
public final class GeometricMedian: GradientMatrixAggregator {
  /// How an iteration ended.
  public struct Convergence: Sendable, Equatable {
    /// Iterations made.
    public let iterations: Int
    /// The largest change of a weight in the last one.
    public let change: Double
    /// Whether that is within the tolerance.
    public let isConverged: Bool
  }

  /// The number of groups, k.
  public var groupCount: Int? { count }
  private let count: Int
  /// The change of weights at which the iteration ends.
  public let tolerance: Double
  /// The most iterations.
  public let maximumIterations: Int
  /// How the last iteration ended; nil before the first.
  public private(set) var convergence: Convergence?
  private var means: Tensor?

  /// - Throws: `AggregationError` unless k ≥ 3, the tolerance is above 0 and there is at least one iteration.
  public init(groupCount: Int = 5, tolerance: Double = usualTolerance, maximumIterations: Int = usualIterations) throws
  {
    guard groupCount >= 3, groupCount <= 64 else {
      throw AggregationError("the geometric median needs k = 3 to 64 group means, not \(groupCount)")
    }
    guard tolerance > 0, maximumIterations >= 1 else {
      throw AggregationError("the geometric median needs a tolerance above 0 and at least one iteration")
    }
    count = groupCount
    self.tolerance = tolerance
    self.maximumIterations = maximumIterations
  }

  /// An example for every group.
  public var minimumBatchSize: Int { count }
  /// As the median, a robust average that momentum would mix with what it left out.
  public var supportsMomentum: Bool { false }

  /// Such as "geomed:k=5".
  public var description: String {
    "geomed:k=\(count)" + (tolerance == Self.usualTolerance ? "" : ":tolerance=\(shortest(tolerance))")
      + (maximumIterations == Self.usualIterations ? "" : ":iterations=\(maximumIterations)")
  }
  /// The tolerance where none is given.
  public static let usualTolerance = 1e-6
  /// The most iterations where no number is given.
  public static let usualIterations = 200

  /// Inner products.
  public var sumsOverShards: Bool { true }

  /// The geometric median of the group means.
  public func aggregate(_ matrix: GradientMatrix, _ store: ParameterStore) throws {
    let points: Tensor
    if let means, means.size(1) == store.count {
      points = means
    } else {
      let gradient = store.gradient
      points = try Tensor.empty([count, store.count], dtype: gradient.dtype, device: gradient.device)
      means = points
    }
    try matrix.groupMeans(into: points, groups: GradientMatrix.groups(of: matrix.exampleCount, count: count))
    // Distances are those of what is trained.
    for range in store.frozenRanges { try points.narrow(1, from: range.lowerBound, length: range.count).fill(0) }
    // About their mean, or the differences of distances would drown in rounding.
    let centre = try points.mean([0])
    try store.gradient.copy(from: centre)
    for index in 0..<count { try points.select(0, index).add(centre, scale: -1) }
    let gram = try matrix.sumOverShards(blockProducts(of: points))
    let (weights, convergence) = Self.weights(gram: gram, count: count, tolerance, maximumIterations)
    self.convergence = convergence
    for index in 0..<count { try store.gradient.add(points.select(0, index), scale: weights[index]) }
  }

  /// The weights of the geometric median of `count` points with these inner products (about their mean).
  static func weights(
    gram: [Double], count: Int, _ tolerance: Double, _ maximumIterations: Int
  ) -> ([Double], Convergence) {
    func product(_ a: [Double], _ b: [Double]) -> Double {
      var sum = 0.0
      for i in 0..<count where a[i] != 0 { for j in 0..<count { sum += a[i] * gram[i * count + j] * b[j] } }
      return sum
    }
    func distance(_ weights: [Double], _ point: Int) -> Double {
      var difference = weights
      difference[point] -= 1
      return max(0, product(difference, difference)).squareRoot()
    }
    let uniform = Array(repeating: 1 / Double(count), count: count)
    guard gram.allSatisfy(\.isFinite) else {
      return (Array(repeating: .nan, count: count), Convergence(iterations: 0, change: .nan, isConverged: false))
    }
    // A point is the median where the pulls of the others do not outweigh its own; Weiszfeld would only creep there.
    for point in 0..<count {
      var own = Array(repeating: 0.0, count: count)
      own[point] = 1
      var pull = Array(repeating: 0.0, count: count)
      var coinciding = 1.0
      for other in 0..<count where other != point {
        let length = distance(own, other)
        guard length > 0 else {
          coinciding += 1
          continue
        }
        pull[other] += 1 / length
        pull[point] -= 1 / length
      }
      if max(0, product(pull, pull)).squareRoot() <= coinciding {
        return (own, Convergence(iterations: 0, change: 0, isConverged: true))
      }
    }
    var weights = uniform
    var change = Double.infinity
    for iteration in 1...maximumIterations {
      // Not at a point, for none of them is the median; a hair's breadth keeps a step away from one finite.
      let inverse = (0..<count).map { 1 / max(distance(weights, $0), .leastNormalMagnitude.squareRoot()) }
      let total = inverse.reduce(0, +)
      let next = inverse.map { $0 / total }
      change = zip(next, weights).map { abs($0 - $1) }.max() ?? 0
      weights = next
      if change <= tolerance { return (weights, Convergence(iterations: iteration, change: change, isConverged: true)) }
    }
    return (weights, Convergence(iterations: maximumIterations, change: change, isConverged: false))
  }
}
