// SPDX-License-Identifier: Apache-2.0

/// The coherence of a sample of m per-example gradients, from S = Σgᵢ and Q = Σ‖gᵢ‖².
///
/// | measure | formula | range |
/// |---|---|---|
/// | α | ‖S‖² / (m·Q) | 0 … 1 |
/// | m-coherence r | ‖S‖² / Q = m·α | 0 … m; orthogonal gradients give 1, identical ones m |
/// | unbiased α | (r − 1)/(m − 1) | estimates the population's α without the 1/m of the diagonal |
///
/// All are undefined (nil) when every gradient is 0. r grows with m, so m is always reported beside it. Sources: Making
/// Coherence Out of Nothing At All, §2; On the Generalization Mystery, §3.
public struct Coherence: Sendable, Equatable {
  /// m, the number of gradients.
  public let m: Int
  /// ‖S‖².
  public let sumSquaredNorm: Double
  /// Q.
  public let squaredNormSum: Double

  /// Coherence from its two sums.
  public init(m: Int, sumSquaredNorm: Double, squaredNormSum: Double) {
    (self.m, self.sumSquaredNorm, self.squaredNormSum) = (m, sumSquaredNorm, squaredNormSum)
  }

  /// r = ‖S‖²/Q.
  public var mCoherence: Double? { squaredNormSum > 0 ? sumSquaredNorm / squaredNormSum : nil }

  /// α = ‖S‖²/(m·Q).
  public var alpha: Double? { mCoherence.map { $0 / Double(m) } }

  /// (r − 1)/(m − 1); nil for fewer than two gradients.
  public var alphaUnbiased: Double? { m > 1 ? mCoherence.map { ($0 - 1) / Double(m - 1) } : nil }

  /// Gradient diversity Q/‖S‖² = 1/r (Yin et al. 2018); nil when the sum vanishes.
  public var gradientDiversity: Double? { sumSquaredNorm > 0 ? squaredNormSum / sumSquaredNorm : nil }

  /// The simple noise scale tr Σ/‖g‖² (McCandlish et al. 2018, §2.2), both from unbiased estimates:
  /// tr Σ ≈ (Q − ‖S‖²/m)/(m − 1), ‖g‖² ≈ ‖S‖²/m² − tr Σ/m. Nil when the estimate of ‖g‖² is not positive.
  public var simpleNoiseScale: Double? {
    guard m > 1 else { return nil }
    let count = Double(m)
    let trace = (squaredNormSum - sumSquaredNorm / count) / (count - 1)
    let signal = sumSquaredNorm / (count * count) - trace / count
    return signal > 0 ? trace / signal : nil
  }
}

/// An estimate with its uncertainty: a 95 % confidence interval by the delete-one-group jackknife.
public struct ConfidenceInterval: Sendable, Equatable, Codable {
  /// The ends.
  public let low, high: Double
  /// The standard error.
  public let standardError: Double

  /// The interval around `estimate` from the estimates that leave out one group each:
  /// SE² = (K − 1)/K · Σ(θ₋ₖ − mean)², ends at ± t(K − 1)·SE. Nil for fewer than two groups.
  public init?(estimate: Double, leavingOut: [Double]) {
    let count = Double(leavingOut.count)
    guard leavingOut.count >= 2 else { return nil }
    let mean = leavingOut.reduce(0, +) / count
    let squares = leavingOut.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    standardError = ((count - 1) / count * squares).squareRoot()
    let width = Self.studentQuantile(degrees: leavingOut.count - 1) * standardError
    (low, high) = (estimate - width, estimate + width)
  }

  /// The same interval through a rising straight line.
  func mapped(slope: Double, offset: Double) -> ConfidenceInterval {
    ConfidenceInterval(low: low * slope + offset, high: high * slope + offset, standardError: standardError * slope)
  }

  private init(low: Double, high: Double, standardError: Double) {
    (self.low, self.high, self.standardError) = (low, high, standardError)
  }

  /// The 97.5 % point of Student's t, by its expansion around the normal quantile for more than 15 degrees.
  static func studentQuantile(degrees: Int) -> Double {
    let table = [
      12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
      2.1314,
    ]
    if degrees <= table.count { return table[max(degrees, 1) - 1] }
    let z = 1.959964
    let n = Double(degrees)
    let cube = z * z * z
    let fifth = cube * z * z
    let seventh = fifth * z * z
    return z + (cube + z) / (4 * n) + (5 * fifth + 16 * cube + 3 * z) / (96 * n * n)
      + (3 * seventh + 19 * fifth + 17 * cube - 15 * z) / (384 * n * n * n)
  }
}

/// The coherence of one layer within the network.
public struct LayerCoherence: Sendable, Equatable {
  /// The layer's name, or "all" for the network.
  public let layer: String
  /// Its coherence.
  public let coherence: Coherence
  /// f, its share of Q: the network's α is Σ f·α over the layers. 1 for the network; nil when every gradient is 0.
  public let share: Double?
  /// A 95 % interval for the unbiased α, by the jackknife over groups of examples.
  public let unbiasedInterval: ConfidenceInterval?

  /// The same interval for α: α = (1 + (m − 1)·unbiased)/m.
  public var alphaInterval: ConfidenceInterval? {
    let m = Double(coherence.m)
    return unbiasedInterval?.mapped(slope: (m - 1) / m, offset: 1 / m)
  }

  /// The same interval for the m-coherence: r = 1 + (m − 1)·unbiased.
  public var mCoherenceInterval: ConfidenceInterval? {
    unbiasedInterval?.mapped(slope: Double(coherence.m - 1), offset: 1)
  }
}

/// The coherence of a network and its layers, as measured on one sample.
public struct CoherenceResult: Sendable, Equatable {
  /// The whole network, under the name "all".
  public let network: LayerCoherence
  /// The layers in the order of the parameters.
  public let layers: [LayerCoherence]
  /// Parts of layers, such as heads, where they were asked for: they are in their layers too.
  public internal(set) var parts: [LayerCoherence] = []
  /// m-coherence of the network estimated from sums over disjoint batches alone, as a cross-check.
  public let fromBatches: Double?
}

extension Coherence {
  /// m-coherence when only the gradients of n disjoint batches of k examples are known, m = n·k. From the batch sums
  /// Wⱼ, R = ‖ΣWⱼ‖²/Σ‖Wⱼ‖² and c = (k − 1)/(m − 1): **r = R(1 − c)/(1 − R·c)**.
  ///
  /// With a the population's coherence, E‖Wⱼ‖² ∝ k(1 + (k − 1)a) and E‖S‖² ∝ m(1 + (m − 1)a), so
  /// R = (1 + (m − 1)a)/(1 + (k − 1)a), which is solved for r = 1 + (m − 1)a. High variance near r = 1 with few
  /// batches: a cross-check, and the estimate for models whose per-example gradients cannot be had.
  ///
  /// - Returns: nil when the batches' gradients vanish, there are fewer than two, or the estimate has no finite value.
  public static func mCoherence(fromBatchSums squaredNorms: [Double], total: Double, batchSize: Int) -> Double? {
    let sum = squaredNorms.reduce(0, +)
    let m = squaredNorms.count * batchSize
    guard squaredNorms.count >= 2, sum > 0, m > 1 else { return nil }
    let ratio = total / sum
    let c = Double(batchSize - 1) / Double(m - 1)
    let denominator = 1 - ratio * c
    return denominator > 0 ? ratio * (1 - c) / denominator : nil
  }
}
