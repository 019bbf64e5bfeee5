// SPDX-License-Identifier: Apache-2.0

/// What pristine examples (p) and corrupt ones (c) contribute to the reduction of the loss at one step (Coherent
/// Gradients, §2.4).
///
/// With g = Σgᵢ over the m examples of the sample, gᵖ and gᶜ its parts, and ḡ = g/m:
///
/// | measure | formula |
/// |---|---|
/// | fᵖ | ⟨g, gᵖ⟩/⟨g, g⟩ = Σ over p of ⟨gᵢ, ḡ⟩ / (m‖ḡ‖²); likewise fᶜ, and fᵖ + fᶜ = 1 |
/// | iᵖ | Σ over steps so far of (1/\|p\|) Σ over p of ⟨gᵢ, ḡ⟩; likewise iᶜ |
///
/// The paper's i is a multiple of this one: it has g where this has ḡ. Times the learning rate, iᵖ is the reduction of a
/// pristine example's loss so far, on average and to first order, under full-batch steps at the steps measured.
public struct Contribution: Sendable, Equatable, Codable {
  /// fᵖ; nil when ⟨g, g⟩ = 0.
  public let pristineShare: Double?
  /// fᶜ; nil when ⟨g, g⟩ = 0.
  public let corruptShare: Double?
  /// iᵖ; nil without pristine examples.
  public let pristineCumulative: Double?
  /// iᶜ; nil without corrupt examples.
  public let corruptCumulative: Double?

  /// iᵖ − iᶜ; nil when either group is empty.
  public var cumulativeDifference: Double? {
    guard let pristineCumulative, let corruptCumulative else { return nil }
    return pristineCumulative - corruptCumulative
  }
}

/// A statistic beside its values in permutation nulls.
public struct NullComparison: Sendable, Equatable, Codable {
  /// The statistic for the real designations.
  public let actual: Double
  /// The least and the greatest value in the permutation nulls.
  public let minimum, maximum: Double
  /// The 5 % and the 95 % quantile in the permutation nulls, interpolated linearly.
  public let low, high: Double
  /// (1 + number of worlds with at least the actual value)/(N + 1): small when the actual value is unusually large.
  public let pUpper: Double
  /// (1 + number of worlds with at most the actual value)/(N + 1): small when the actual value is unusually small.
  public let pLower: Double

  /// The smaller of the two, doubled: the two-sided p-value.
  public var pTwoSided: Double { min(1, 2 * min(pUpper, pLower)) }

  /// Compares a value with the permutation nulls'; nil without any.
  ///
  /// The 1 in the p-values counts the real world among the permutations, so that a test at level a errs with
  /// probability at most a, and no finite number of worlds gives p = 0.
  public init?(actual: Double, nulls: [Double]) {
    let sorted = nulls.sorted()
    guard let first = sorted.first, let last = sorted.last else { return nil }
    self.actual = actual
    (minimum, maximum) = (first, last)
    low = Self.quantile(sorted, 0.05)
    high = Self.quantile(sorted, 0.95)
    let worlds = Double(nulls.count + 1)
    pUpper = Double(1 + nulls.count { $0 >= actual }) / worlds
    pLower = Double(1 + nulls.count { $0 <= actual }) / worlds
  }

  private static func quantile(_ sorted: [Double], _ share: Double) -> Double {
    let place = share * Double(sorted.count - 1)
    // In range: a place in the list.
    let below = Int(place)
    let above = min(below + 1, sorted.count - 1)
    return sorted[below] + (place - Double(below)) * (sorted[above] - sorted[below])
  }
}

/// The contributions at one step, with the actual designations and with permuted ones.
public struct ContributionPoint: Sendable, Equatable, Codable {
  /// With the real designations.
  public let actual: Contribution
  /// With permuted ones, world by world.
  public let nulls: [Contribution]

  /// fᵖ against the permutation nulls; nil where it is undefined, or without permutation nulls.
  public var pristineShare: NullComparison? { compare(\.pristineShare) }

  /// iᵖ − iᶜ against the permutation nulls; nil where it is undefined, or without permutation nulls.
  public var cumulativeDifference: NullComparison? { compare(\.cumulativeDifference) }

  /// Any other part of a contribution against the permutation nulls.
  public func compare(_ part: (Contribution) -> Double?) -> NullComparison? {
    part(actual).flatMap { NullComparison(actual: $0, nulls: nulls.compactMap(part)) }
  }
}

/// Worlds in which there is no difference between pristine and corrupt examples: the designations permuted at random,
/// their numbers kept.
public struct PermutationNulls: Sendable, Equatable {
  /// For each world a bit for each example: a thousand worlds of all MNIST are 60 MB as truth values.
  private let words: [[UInt64]]

  /// `count` independent permutations.
  public init(count: Int, isCorrupt: [Bool], using generator: inout some RandomNumberGenerator) {
    words = (0..<max(0, count)).map { _ in Self.packed(Permutation.shuffled(isCorrupt, using: &generator)) }
  }

  /// The number of worlds.
  public var count: Int { words.count }

  /// For each example, whether it counts as corrupt in a world.
  ///
  /// - Parameters:
  ///   - world: from 0 to `count` − 1.
  ///   - examples: how many examples there are.
  public func designations(in world: Int, of examples: Int) -> [Bool] {
    (0..<examples).map { words[world][$0 / 64] >> UInt64($0 % 64) & 1 == 1 }
  }

  private static func packed(_ flags: [Bool]) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: (flags.count + 63) / 64)
    for (place, flag) in flags.enumerated() where flag { words[place / 64] |= 1 << UInt64(place % 64) }
    return words
  }

  /// For every world the sum of the values of those who count as corrupt there, in their order.
  ///
  /// - Parameter values: one for each example.
  func corruptSums(_ values: [Double]) -> [Double] {
    words.map { world in
      var sum = 0.0
      for (place, word) in world.enumerated() {
        var rest = word
        while rest != 0 {
          sum += values[place * 64 + rest.trailingZeroBitCount]
          rest &= rest - 1
        }
      }
      return sum
    }
  }
}

/// Contributions along a run, for a fixed sample of examples, with permutation nulls evaluated on the same inner products.
public struct ContributionTracker: Sendable, Equatable {
  /// What earlier steps came to, with which a tracker of the same sample and seed goes on.
  public struct Progress: Sendable, Equatable, Codable {
    /// Which examples of the sample are corrupt.
    public let isCorrupt: [Bool]
    /// Σ over steps of Σ over the group of ⟨gᵢ, ḡ⟩: the real world's first.
    fileprivate var cumulative: [GroupPair]
  }

  fileprivate struct GroupPair: Sendable, Equatable, Codable {
    var pristine = 0.0
    var corrupt = 0.0
  }

  /// The permutation nulls.
  public let permutationNulls: PermutationNulls
  /// What earlier steps came to.
  public private(set) var progress: Progress
  private let corruptCount: Int

  /// Which examples of the sample are corrupt.
  public var isCorrupt: [Bool] { progress.isCorrupt }

  /// A tracker at the start of a run.
  ///
  /// - Parameters:
  ///   - isCorrupt: for every example of the sample.
  ///   - permutationNulls: their number; the p-values cannot go below 1/(number + 1).
  ///   - generator: the source of the permutations.
  public init(isCorrupt: [Bool], permutationNulls: Int = 20, using generator: inout some RandomNumberGenerator) {
    self.permutationNulls = PermutationNulls(count: permutationNulls, isCorrupt: isCorrupt, using: &generator)
    progress = Progress(
      isCorrupt: isCorrupt, cumulative: Array(repeating: GroupPair(), count: self.permutationNulls.count + 1))
    corruptCount = isCorrupt.count { $0 }
  }

  /// Goes on from what a tracker of the same sample has come to.
  ///
  /// - Throws: `CoherenceError` when it is of another sample, or of another number of permutation nulls.
  public mutating func restore(_ progress: Progress) throws {
    guard progress.isCorrupt == isCorrupt, progress.cumulative.count == self.progress.cumulative.count else {
      throw CoherenceError("the saved contributions are of another sample or with another number of permutations")
    }
    self.progress = progress
  }

  /// Takes in a step: ⟨gᵢ, ḡ⟩ for every example of the sample, in its order, and ‖ḡ‖² of the sample's mean gradient.
  ///
  /// - Throws: `CoherenceError` when the numbers do not fit the sample, are not finite, or the shares do not add up to 1
  ///   within a thousandth, which means that the inner products were not taken with the mean of this very sample.
  public mutating func add(dots: [Double], meanSquaredNorm: Double) throws -> ContributionPoint {
    guard dots.count == isCorrupt.count else {
      throw CoherenceError("\(dots.count) inner products were given for a sample of \(isCorrupt.count) examples")
    }
    guard meanSquaredNorm.isFinite, let total = Self.finiteSum(dots) else {
      throw CoherenceError.diverged("an inner product is not finite")
    }
    let whole = Double(dots.count) * meanSquaredNorm
    if whole > 0, abs(total / whole - 1) > 1e-3 {
      throw CoherenceError(
        "pristine and corrupt shares add up to \(total / whole) instead of 1: take the inner products with the mean "
          + "gradient of the same examples")
    }
    let actual = zip(dots, isCorrupt).reduce(0) { $1.1 ? $0 + $1.0 : $0 }
    let pristineCount = dots.count - corruptCount
    let contributions = ([actual] + permutationNulls.corruptSums(dots)).enumerated().map { world, corrupt in
      progress.cumulative[world].corrupt += corrupt
      progress.cumulative[world].pristine += total - corrupt
      let sums = progress.cumulative[world]
      return Contribution(
        pristineShare: whole > 0 ? (total - corrupt) / whole : nil, corruptShare: whole > 0 ? corrupt / whole : nil,
        pristineCumulative: pristineCount > 0 ? sums.pristine / Double(pristineCount) : nil,
        corruptCumulative: corruptCount > 0 ? sums.corrupt / Double(corruptCount) : nil)
    }
    return ContributionPoint(actual: contributions[0], nulls: Array(contributions.dropFirst()))
  }

  /// The same from records.
  public mutating func add(_ records: [ExampleGradientRecord], meanSquaredNorm: Double) throws -> ContributionPoint {
    try add(dots: records.map(\.dot), meanSquaredNorm: meanSquaredNorm)
  }

  private static func finiteSum(_ values: [Double]) -> Double? {
    let sum = values.reduce(0, +)
    return sum.isFinite ? sum : nil
  }
}
