// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How much steps of the sampled Gaussian mechanism reveal of any one example, as Rényi differential privacy.
///
/// A step draws every example by itself with probability q, adds up vectors of length C at most, and adds Gaussian noise
/// of standard deviation σ·C to every coordinate. Two data sets are neighbours when one is the other with one example
/// more. Of order α a step is then (α, ε(α))-RDP with ε(α) = ln A(α)/(α − 1), and for whole α
///
///     A(α) = Σₖ (α over k)·(1 − q)ᵅ⁻ᵏ·qᵏ·exp((k² − k)/(2σ²)),  k = 0 ... α
///
/// (Mironov, Talwar and Zhang, Rényi Differential Privacy of the Sampled Gaussian Mechanism, 2019, §3.3, which has the
/// series for other orders too). Steps add up. T of them are (ε, δ)-differentially private with
///
///     ε = min over α of T·ε(α) + ln((α − 1)/α) − ln(δα)/(α − 1)
///
/// (Canonne, Kamath and Steinke, The Discrete Gaussian for Differential Privacy, 2020, proposition 12; also Balle et al.,
/// Hypothesis Testing Interpretations and Rényi Differential Privacy, 2020, theorem 21).
public struct PrivacyAccountant: Sendable, Equatable {
  /// σ: the standard deviation of the noise over the length C that an example's vector can have; 0 for none.
  public let noiseMultiplier: Double
  /// q: with what probability a step sees an example.
  public let sampleRate: Double
  /// ε(α) of one step, for each of `orders`.
  private let divergences: [Double]

  /// The orders α among which the best is taken: 1.1 to 10.9 by tenths, 11 to 63, and four large ones for small ε.
  public static let orders: [Double] = {
    let tenths: [Double] = (11..<110).map { Double($0) / 10 }
    let whole: [Double] = (11..<64).map { Double($0) }
    return tenths + whole + [128, 256, 512, 1024]
  }()

  /// An accountant of steps of one kind.
  ///
  /// - Throws: `AggregationError` unless σ ≥ 0 and 0 < q ≤ 1.
  public init(noiseMultiplier: Double, sampleRate: Double) throws {
    guard noiseMultiplier >= 0, noiseMultiplier.isFinite else {
      throw AggregationError("the noise must be a number of at least 0, not \(noiseMultiplier)")
    }
    guard sampleRate > 0, sampleRate <= 1 else {
      throw AggregationError("the share of the examples in a step must be above 0 and at most 1, not \(sampleRate)")
    }
    (self.noiseMultiplier, self.sampleRate) = (noiseMultiplier, sampleRate)
    divergences = Self.orders.map {
      Self.divergence(order: $0, noiseMultiplier: noiseMultiplier, sampleRate: sampleRate)
    }
  }

  /// ε at δ after so many steps: 0 before the first, infinite without noise.
  public func epsilon(steps: Int, delta: Double) -> Double {
    guard steps > 0 else { return 0 }
    let all = zip(Self.orders, divergences).map { order, divergence in
      Double(steps) * divergence + log1p(-1 / order) - log(delta * order) / (order - 1)
    }
    return max(0, all.reduce(.infinity) { $1 < $0 ? $1 : $0 })
  }

  /// ε(α) of one step; infinite without noise, or where the series cannot be added up in double precision. An order left
  /// out only makes the bound larger.
  ///
  /// - Parameter order: α, above 1.
  static func divergence(order: Double, noiseMultiplier: Double, sampleRate: Double) -> Double {
    guard noiseMultiplier > 0 else { return .infinity }
    if sampleRate == 1 { return order / (2 * noiseMultiplier * noiseMultiplier) }
    let moment =
      order == order.rounded()
      ? wholeMoment(order, noiseMultiplier, sampleRate) : fractionalMoment(order, noiseMultiplier, sampleRate)
    guard let moment, !moment.isNaN else { return .infinity }
    return max(0, moment) / (order - 1)
  }

  /// ln A(α) for a whole α.
  private static func wholeMoment(_ order: Double, _ sigma: Double, _ rate: Double) -> Double? {
    var logBinomial = 0.0
    var sum = -Double.infinity
    var k = 0.0
    while k <= order {
      sum = logSum(
        sum, logBinomial + k * log(rate) + (order - k) * log1p(-rate) + (k * k - k) / (2 * sigma * sigma))
      logBinomial += log((order - k) / (k + 1))
      k += 1
    }
    return sum
  }

  /// ln A(α) for any α, from two series that converge from both sides of z₀ = σ²·ln(1/q − 1) + ½; nil where they cannot
  /// be added up.
  private static func fractionalMoment(_ order: Double, _ sigma: Double, _ rate: Double) -> Double? {
    let middle = sigma * sigma * log(1 / rate - 1) + 0.5
    func logTail(_ distance: Double) -> Double { log(0.5) + logErfc(distance / (2.0.squareRoot() * sigma)) }
    var logBinomial = 0.0
    var isPositive = true
    var sums: (Double?, Double?) = (-.infinity, -.infinity)
    for index in 0..<20_000 {
      let (i, j) = (Double(index), order - Double(index))
      let first =
        logBinomial + i * log(rate) + j * log1p(-rate) + (i * i - i) / (2 * sigma * sigma) + logTail(i - middle)
      let second =
        logBinomial + j * log(rate) + i * log1p(-rate) + (j * j - j) / (2 * sigma * sigma) + logTail(middle - j)
      sums.0 = sums.0.flatMap { isPositive ? logSum($0, first) : logDifference($0, first) }
      sums.1 = sums.1.flatMap { isPositive ? logSum($0, second) : logDifference($0, second) }
      guard let left = sums.0, let right = sums.1 else { return nil }
      // Beyond α the terms alternate and shrink.
      if i > order, max(first, second) < -30 { return logSum(left, right) }
      let factor = j / (i + 1)
      logBinomial += log(abs(factor))
      if factor < 0 { isPositive.toggle() }
    }
    return nil
  }

  /// ln(eᵃ + eᵇ).
  private static func logSum(_ a: Double, _ b: Double) -> Double {
    let (low, high) = (min(a, b), max(a, b))
    return low == -.infinity ? high : high + log1p(exp(low - high))
  }

  /// ln(eᵃ − eᵇ); nil where that is negative.
  private static func logDifference(_ a: Double, _ b: Double) -> Double? {
    if b == -.infinity { return a }
    guard b < a else { return a == b ? -.infinity : nil }
    return a + log1p(-exp(b - a))
  }

  /// ln erfc x, also where erfc x itself is too small for a double: by its asymptotic series from 20 on.
  private static func logErfc(_ x: Double) -> Double {
    guard x > 20 else { return log(erfc(x)) }
    let square = x * x
    let series = -1 / (2 * square) * (1 - 3 / (2 * square) * (1 - 5 / (2 * square) * (1 - 7 / (2 * square))))
    return -square - log(x * Double.pi.squareRoot()) + log1p(series)
  }
}

extension PrivacyAccountant {
  /// The least σ, to a millionth of it, with which so many steps stay within ε at δ.
  ///
  /// - Throws: `AggregationError` when there is none, or a number is out of its range.
  public static func noiseMultiplier(
    epsilon: Double, delta: Double, sampleRate: Double, steps: Int
  ) throws -> Double {
    guard epsilon > 0, epsilon.isFinite else {
      throw AggregationError("epsilon must be a number above 0, not \(epsilon)")
    }
    guard delta > 0, delta < 1 else { throw AggregationError("delta must be above 0 and below 1, not \(delta)") }
    func isEnough(_ noise: Double) throws -> Bool {
      try Self(noiseMultiplier: noise, sampleRate: sampleRate).epsilon(steps: steps, delta: delta) <= epsilon
    }
    var high = 1.0
    while try !isEnough(high) {
      guard high < maximumNoise else {
        throw AggregationError(
          "no noise keeps \(steps) steps within epsilon \(shortest(epsilon)) at delta \(delta), as far as Rényi differential "
            + "privacy can show; give a larger epsilon or delta")
      }
      high *= 4
    }
    var low = high / 4
    while low > minimumNoise, try isEnough(low) { (low, high) = (low / 4, low) }
    while high - low > 1e-6 * high {
      let middle = (low + high) / 2
      if try isEnough(middle) { high = middle } else { low = middle }
    }
    return high
  }

  /// Beyond any use: steps without a signal, and without noise.
  private static let (maximumNoise, minimumNoise) = (1e6, 1e-3)
}
