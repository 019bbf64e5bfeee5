// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import Tensors

/// Streams gradient matrices and keeps what coherence needs: S = Σgᵢ (double), Q = Σ‖gᵢ‖² for each layer (double), m.
///
/// Memory does not grow with m. Batches add up in the model's own precision over a group of at most 10 000 examples, then
/// go to the double sum; for the jackknife the sums of the groups are also set aside in a temporary file.
public final class CoherenceAccumulator {
  private let plan: GradientPlan
  /// m so far.
  public private(set) var count = 0
  private let total: Tensor
  private let pending: Tensor
  private var pendingCount = 0
  private var squaredNorms: [Double]
  private let layers: [(name: String, ranges: [Range<Int>])]
  /// The place in the whole sample of the first example that is taken in here.
  private let first: Int
  private let cuts: [Range<Int>]
  private var groups: GroupSums?
  private var parts: PartSums?
  private var exchange: (any SampleExchange)?
  /// Why there will be no intervals, when they were asked for.
  public private(set) var intervalProblem: String?
  private static let largestGroup = 10_000
  private static let largestFile = 4 << 30

  /// - Parameters:
  ///   - plan: the model as it is looked at. Measuring leaves its store as it is, so it can happen amid training.
  ///   - expectedCount: m in the end; it decides where the groups of the jackknife are cut.
  ///   - first: the place in the sample of the first example that is taken in here, where other processes take the others
  ///     (`combine`).
  ///   - groupCount: groups for the jackknife; 0 for none.
  ///   - dividesLayers: whether parts of layers, such as heads, are measured by themselves, too. That takes the norms of
  ///     these layers' rows once more.
  /// - Throws: `TensorError` when memory runs out.
  public init(
    _ plan: GradientPlan, expectedCount: Int, first: Int = 0, groupCount: Int = 10, dividesLayers: Bool = false
  ) throws {
    (self.plan, self.first) = (plan, first)
    layers = Array(zip(plan.layerNames, plan.layerRanges))
    parts = dividesLayers ? PartSums() : nil
    cuts = Self.groups(of: expectedCount, count: groupCount)
    total = try Tensor.zeros([plan.store.count], dtype: .float64, device: plan.store.values.device)
    pending = try Tensor.zeros([plan.store.count], dtype: plan.store.values.dtype, device: plan.store.values.device)
    squaredNorms = Array(repeating: 0, count: plan.layerNames.count)
    guard groupCount >= 2, expectedCount >= 2 * cuts.count else { return }
    guard plan.store.count < Self.largestFile / 4 / cuts.count else {
      intervalProblem =
        "the sums of \(cuts.count) groups of examples do not fit in 4 GB, so there are no confidence intervals"
      return
    }
    do {
      groups = try GroupSums(store: plan.store)
    } catch let error as CoherenceError {
      intervalProblem = error.description
    }
  }

  /// Where the groups of a sample end: as many as asked for, of sizes that differ by at most one, and more where they would
  /// have more than 10 000 examples. A group ends with the batch that reaches its end.
  ///
  /// - Parameters:
  ///   - expectedCount: m.
  ///   - groupCount: groups for the jackknife; 0 for none.
  public static func groups(of expectedCount: Int, count groupCount: Int) -> [Range<Int>] {
    let least = (max(expectedCount, 0) + largestGroup - 1) / largestGroup
    let count = max(groupCount, least, 1)
    guard expectedCount >= count else { return [0..<max(0, expectedCount)] }
    return (try? GradientMatrix.groups(of: expectedCount, count: count)) ?? []
  }

  /// Takes in the gradients of a batch, and gives their squared norms over all parameters.
  ///
  /// - Throws: `CoherenceError` that names layer and example (by its place in the stream) when a gradient is not
  ///   finite; the accumulator is then of no further use.
  @discardableResult
  public func add(_ matrix: GradientMatrix) throws -> [Double] {
    let norms = try matrix.rowSquaredNorms(addingColumnSumTo: pending, accumulating: pendingCount > 0)
    for (layer, values) in norms.enumerated() {
      if let bad = values.firstIndex(where: { !$0.isFinite }) {
        throw CoherenceError.diverged(
          "the gradient of example \(first + count + bad) of the sample is not finite in layer \(matrix.layers[layer].name)"
        )
      }
    }
    try parts?.add(matrix)
    let sums = norms.map { $0.reduce(0, +) }
    for layer in sums.indices { squaredNorms[layer] += sums[layer] }
    let before = first + count
    count += matrix.exampleCount
    pendingCount += matrix.exampleCount
    groups?.note(count: matrix.exampleCount, squaredNorms: sums)
    let endsGroup = cuts.contains { $0.upperBound > before && $0.upperBound <= first + count }
    if endsGroup || pendingCount >= Self.largestGroup { try flush() }
    return norms.dropFirst().reduce(norms.first ?? []) { total, layer in zip(total, layer).map { $0 + $1 } }
  }

  /// Ends the current group.
  private func flush() throws {
    guard pendingCount > 0 else { return }
    try total.accumulate(pending)
    try withGroups { try $0.close(sum: pending) }
    pendingCount = 0
  }

  /// A full disk costs the intervals, not the measurement.
  private func withGroups(_ body: (GroupSums) throws -> Void) throws {
    guard let groups else { return }
    do {
      try body(groups)
    } catch let error as CoherenceError {
      self.groups = nil
      intervalProblem = error.description
    }
  }

  /// Takes in what another accumulator of the same model saw. Both can be any part of a sample; the intervals of the
  /// result are built from the groups of both.
  ///
  /// - Throws: `CoherenceError` when the models differ.
  public func merge(_ other: CoherenceAccumulator) throws {
    guard other.squaredNorms.count == squaredNorms.count, other.total.count == total.count else {
      throw CoherenceError("accumulators of different models cannot be merged")
    }
    guard (parts == nil) == (other.parts == nil) else {
      throw CoherenceError(
        "an accumulator that divides layers cannot be merged with one that does not: make both alike")
    }
    try flush()
    try other.flush()
    try total.accumulate(other.total)
    count += other.count
    for layer in squaredNorms.indices { squaredNorms[layer] += other.squaredNorms[layer] }
    if let theirs = other.parts { parts?.merge(theirs) }
    if let theirs = other.groups {
      try withGroups { try $0.absorb(theirs) }
    } else {
      groups = nil
      intervalProblem = intervalProblem ?? other.intervalProblem
    }
  }

  /// Adds up what the processes saw that take parts of one sample, so that each has the result of all of it. The sums of the
  /// jackknife's groups stay where they are: their products with the total are exchanged.
  ///
  /// - Parameter exchange: the processes. Each has taken in its part, which may be empty but for the first one's, and is
  ///   done with adding.
  /// - Throws: what the exchange throws.
  public func combine(over exchange: any SampleExchange) throws {
    try flush()
    try exchange.sum(total)
    let numbers = try exchange.gather([Double(count), groups == nil ? 1 : 0] + squaredNorms)
    let sums = numbers.reduce([Double](repeating: 0, count: squaredNorms.count + 2)) { zip($0, $1).map(+) }
    (count, squaredNorms) = (Int(exactly: sums[0]) ?? count, Array(sums[2...]))
    if let own = parts {
      parts = own.adding(try exchange.concatenated(own.squaredNorms))
    }
    if sums[1] > 0 {
      intervalProblem = intervalProblem ?? (groups == nil ? nil : Self.otherProblem)
      groups = nil
    }
    try groups?.share(over: exchange)
    self.exchange = exchange
  }

  /// ḡ = Σgᵢ/m over the sample in the model's element type, [P].
  ///
  /// - Throws: `CoherenceError` when nothing was taken in.
  public func meanGradient() throws -> Tensor {
    guard count > 0 else { throw CoherenceError("there is no mean gradient: the sample is empty") }
    try flush()
    return try (total * (1 / Double(count))).to(plan.store.values.dtype)
  }

  /// The coherence of what was taken in. More can be added afterwards.
  ///
  /// - Throws: `CoherenceError` when nothing was, or the sum of the gradients overflows.
  public func result() throws -> CoherenceResult {
    guard count > 0 else { throw CoherenceError("there are no gradients to measure: the sample is empty") }
    // A sample smaller than expected ends amid a group, which has to count too.
    try flush()
    let all = squaredNorms.reduce(0, +)
    let products = try products()
    let byLayer = try layers.enumerated().map { index, layer in
      let sumSquaredNorm = try layer.ranges.reduce(0.0) {
        let part = try total.narrow(0, from: $1.lowerBound, length: $1.count)
        return try $0 + part.dot(part)
      }
      guard sumSquaredNorm.isFinite else {
        throw CoherenceError.diverged("the sum of the gradients overflows in layer \(layer.name)")
      }
      let coherence = Coherence(m: count, sumSquaredNorm: sumSquaredNorm, squaredNormSum: squaredNorms[index])
      return LayerCoherence(
        layer: layer.name, coherence: coherence, share: all > 0 ? squaredNorms[index] / all : nil,
        unbiasedInterval: interval(coherence, products: products?[index]) { $0[index] })
    }
    let network = Coherence(
      m: count, sumSquaredNorm: byLayer.reduce(0) { $0 + $1.coherence.sumSquaredNorm }, squaredNormSum: all)
    let allProducts = products.map { Self.added($0) }
    return try CoherenceResult(
      network: LayerCoherence(
        layer: "all", coherence: network, share: all > 0 ? 1 : nil,
        unbiasedInterval: interval(network, products: allProducts) { $0.reduce(0, +) }),
      layers: byLayer, parts: parts?.coherence(m: count, total: total, all: all) ?? [],
      fromBatches: fromBatches(network, products: allProducts))
  }

  /// The products of every group, of all processes; nil without groups, and where those of one cannot be read back.
  private func products() throws -> [[GroupSums.Products]]? {
    let isShared = groups != nil
    var products: [[GroupSums.Products]]?
    try withGroups { products = try $0.products(with: total, layers: layers.map(\.ranges)) }
    guard isShared, let exchange else { return products }
    // All processes go on, or none.
    guard try exchange.gather([products == nil ? 1 : 0]).allSatisfy({ $0[0] == 0 }), let own = products, let groups
    else {
      intervalProblem = intervalProblem ?? Self.otherProblem
      groups = nil
      return nil
    }
    return try groups.allProducts(own, over: exchange)
  }

  private static let otherProblem =
    "another process could not keep the sums of its groups, so there are no confidence intervals"

  /// The delete-one-group jackknife: ‖S − Sₖ‖² = ‖S‖² − 2⟨S, Sₖ⟩ + ‖Sₖ‖².
  private func interval(
    _ whole: Coherence, products: [GroupSums.Products]?, squaredNorm: ([Double]) -> Double
  ) -> ConfidenceInterval? {
    guard let products, let groups, let estimate = whole.alphaUnbiased else { return nil }
    let others = zip(groups.all, products).compactMap { group, product in
      Coherence(
        m: whole.m - group.count,
        // Rounding must not make a square negative.
        sumSquaredNorm: max(0, whole.sumSquaredNorm - 2 * product.withTotal + product.own),
        squaredNormSum: whole.squaredNormSum - squaredNorm(group.squaredNorms)
      ).alphaUnbiased
    }
    return others.count == groups.all.count ? ConfidenceInterval(estimate: estimate, leavingOut: others) : nil
  }

  private func fromBatches(_ network: Coherence, products: [GroupSums.Products]?) -> Double? {
    guard let products, let all = groups?.all, let size = all.first?.count, all.allSatisfy({ $0.count == size }) else {
      return nil
    }
    return Coherence.mCoherence(fromBatchSums: products.map(\.own), total: network.sumSquaredNorm, batchSize: size)
  }

  /// The products over the whole network from those of its layers.
  private static func added(_ byLayer: [[GroupSums.Products]]) -> [GroupSums.Products] {
    guard let first = byLayer.first else { return [] }
    return first.indices.map { group in
      byLayer.reduce(into: GroupSums.Products()) {
        $0.own += $1[group].own
        $0.withTotal += $1[group].withTotal
      }
    }
  }
}
