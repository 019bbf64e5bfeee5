// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How the learning rate changes over a run, as a word: "constant", "cosine", "step:40000,60000:0.1".
public enum Schedule: Sendable, Equatable, CustomStringConvertible {
  /// η throughout.
  case constant
  /// η multiplied by `factor` at each of the milestones (steps).
  case step(milestones: [Int], factor: Double)
  /// η·½(1 + cos(π·t/T)) over the T steps of the run.
  case cosine

  /// The factor on the learning rate for the update that follows `step` finished ones, t, of `steps` in all, T.
  ///
  /// With a warm-up of N updates the schedule's factor is multiplied by (t + 1)/N for t < N (P. Goyal et al. 2017, §2.2):
  /// the first update has an Nth of the learning rate, and the N-th the first that is whole.
  ///
  /// - Parameters:
  ///   - step: finished updates, t.
  ///   - steps: updates in the whole run, T.
  ///   - warmup: N; 0 or less for none.
  public func factor(at step: Int, of steps: Int, warmup: Int = 0) -> Double {
    let factor: Double =
      switch self {
      case .constant: 1
      case .step(let milestones, let factor): pow(factor, Double(milestones.count { $0 <= step }))
      case .cosine: 0.5 * (1 + cos(.pi * Double(step) / Double(max(steps, 1))))
      }
    return step < warmup ? factor * (Double(step + 1) / Double(warmup)) : factor
  }

  /// The word.
  public var description: String {
    switch self {
    case .constant: "constant"
    case .cosine: "cosine"
    case .step(let milestones, let factor): "step:\(milestones.map(String.init).joined(separator: ",")):\(factor)"
    }
  }
}

/// The learning rate of every update of a run.
public struct LearningRate: Sendable, Equatable, ExpressibleByFloatLiteral {
  /// η at the start.
  public var initial: Double
  /// How it changes over the run.
  public var schedule: Schedule
  /// Updates over which it rises to the schedule's; see `Schedule.factor`.
  public var warmup: Int

  /// A rate from its parts.
  public init(_ initial: Double, _ schedule: Schedule = .constant, warmup: Int = 0) {
    (self.initial, self.schedule, self.warmup) = (initial, schedule, warmup)
  }

  /// A constant rate.
  public init(floatLiteral value: Double) { self.init(value) }

  /// The rate of the update that follows `step` finished ones of `steps` in all.
  public func value(at step: Int, of steps: Int) -> Double {
    initial * schedule.factor(at: step, of: steps, warmup: warmup)
  }
}
