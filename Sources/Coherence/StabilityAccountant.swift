// SPDX-License-Identifier: Apache-2.0

import Foundation
import Tensors

/// The stability bound along a run (On the Generalization Mystery): for a loss that is L-Lipschitz and β-smooth in the
/// weights, the generalisation gap after T steps on m examples is at most
///
/// **(L²/m) · Σₜ [Πₖ₌ₜ₊₁…T (1 + ηₖβ)] · ηₜ · √(2(1 − α(wₜ₋₁)))**.
///
/// L and β are not known for a network. In their place stand the largest per-example gradient norm and the largest
/// ratio ‖∇(w′) − ∇(w)‖/‖w′ − w‖ of the mean gradient along the steps observed: both *under*estimate the true constants.
/// The product grows exponentially with training, so the number itself says nothing; it is **qualitative**, for the
/// order of runs of the same length, such as real below random labels. Everything is kept in logarithms, where it cannot
/// overflow.
///
/// α is held constant from one measurement to the next. The state is `Codable`, so a run can be resumed.
public struct StabilityAccountant: Sendable, Equatable, Codable {
  /// m, the number of training examples.
  public let m: Int
  /// L as far as seen: the largest norm of one example's gradient.
  public private(set) var lipschitz: Double?
  /// β as far as seen: the largest change of the mean gradient per distance moved.
  public private(set) var smoothness: Double?
  /// The coherence in force.
  public private(set) var alpha: Double?
  /// T, the number of steps so far.
  public private(set) var steps = 0

  /// Steps of one learning rate at one coherence. They are kept, because β may still rise and then counts for the
  /// earlier steps as well.
  private struct Segment: Sendable, Equatable, Codable {
    let learningRate: Double
    let alpha: Double
    var count: Int
  }
  private var segments: [Segment] = []

  /// An accountant at the start of a run on `m` training examples.
  ///
  /// - Throws: `CoherenceError` unless m is at least 1.
  public init(m: Int) throws {
    guard m >= 1 else { throw CoherenceError("the stability bound needs at least one training example, not \(m)") }
    self.m = m
  }

  /// Takes in a measured coherence α, in force from the next step on. Nil, for gradients that are all 0, counts as 1: such
  /// steps add nothing, as all examples agree.
  ///
  /// - Throws: `CoherenceError` unless α is a number.
  public mutating func observe(alpha: Double?) throws {
    let value = alpha ?? 1
    guard value.isFinite else { throw CoherenceError("a coherence of \(value) cannot be used in the stability bound") }
    self.alpha = min(max(value, 0), 1)
  }

  /// Takes in the norm of an example's gradient, for L.
  ///
  /// - Throws: `CoherenceError` unless it is a number.
  public mutating func observe(gradientNorm: Double) throws {
    guard gradientNorm.isFinite, gradientNorm >= 0 else {
      throw CoherenceError("a gradient norm of \(gradientNorm) cannot be used in the stability bound")
    }
    lipschitz = max(lipschitz ?? 0, gradientNorm)
  }

  /// Takes in the mean gradient on the same examples before and after a move of the weights, for β; a move of no length
  /// says nothing. All four are [P].
  ///
  /// - Throws: `CoherenceError` when a number is not finite; `TensorError` when the shapes differ.
  public mutating func observe(weights: Tensor, gradient: Tensor, movedWeights: Tensor, movedGradient: Tensor) throws {
    let way = try movedWeights.to(.float64) - weights.to(.float64)
    let change = try movedGradient.to(.float64) - gradient.to(.float64)
    try observe(gradientChange: change.dot(change).squareRoot(), distance: way.dot(way).squareRoot())
  }

  /// The same from the two norms.
  public mutating func observe(gradientChange: Double, distance: Double) throws {
    guard gradientChange.isFinite, distance.isFinite, gradientChange >= 0, distance >= 0 else {
      throw CoherenceError(
        "a gradient change of \(gradientChange) over a distance of \(distance) cannot be used in the stability bound")
    }
    guard distance > 0 else { return }
    smoothness = max(smoothness ?? 0, gradientChange / distance)
  }

  /// Takes in one or more steps of a learning rate η.
  ///
  /// - Throws: `CoherenceError` when no coherence was measured before, or the learning rate is not a number from 0 on.
  public mutating func step(learningRate: Double, count: Int = 1) throws {
    guard let alpha else {
      throw CoherenceError("the stability bound needs a coherence before its first step: measure it at step 0")
    }
    guard learningRate.isFinite, learningRate >= 0, count >= 0 else {
      throw CoherenceError("\(count) steps of learning rate \(learningRate) cannot be used in the stability bound")
    }
    guard count > 0 else { return }
    steps += count
    if let last = segments.last, last.learningRate == learningRate, last.alpha == alpha {
      segments[segments.count - 1].count += count
    } else {
      segments.append(Segment(learningRate: learningRate, alpha: alpha, count: count))
    }
  }

  /// ln of the bound with the L and β seen so far; −∞ when it is 0. Nil before L and β were observed.
  public var logBound: Double? {
    guard let lipschitz, let smoothness else { return nil }
    return 2 * log(lipschitz) - log(Double(m)) + logSum(smoothness: smoothness)
  }

  /// ln Σₜ [Π (1 + ηₖβ)] ηₜ √(2(1 − α)) for a β of one's own; −∞ when it is 0. With β = 0 the plain sum of
  /// η√(2(1 − α)).
  ///
  /// Each step is B ← B(1 + ηβ) + η√(2(1 − α)); n equal ones at once are B ← qⁿB + η√(2(1 − α))·(qⁿ − 1)/(q − 1) with
  /// q = 1 + ηβ.
  public func logSum(smoothness: Double) -> Double {
    segments.reduce(-Double.infinity) { sum, segment in
      let count = Double(segment.count)
      let increment = log(segment.learningRate) + 0.5 * log(2 * (1 - segment.alpha))
      let rate = segment.learningRate * smoothness
      guard rate > 0 else { return Self.logAdded(sum, increment + log(count)) }
      let growth = count * log1p(rate)
      // ln(eˣ − 1), without overflow for large x and without loss for small ones.
      let series = growth > 30 ? growth + log1p(-exp(-growth)) : log(expm1(growth))
      return Self.logAdded(sum + growth, increment + series - log(rate))
    }
  }

  private static func logAdded(_ a: Double, _ b: Double) -> Double {
    let (low, high) = (min(a, b), max(a, b))
    return high == -.infinity ? high : high + log1p(exp(low - high))
  }
}
