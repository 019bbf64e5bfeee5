// SPDX-License-Identifier: Apache-2.0

import Foundation

/// At which steps a run evaluates: always at 0 and at the end.
public struct EvaluationSchedule: Sendable, Equatable {
  /// Steps in the whole run.
  public let steps: Int
  private let every: Int
  private let early: Set<Int>

  /// - Parameters:
  ///   - steps: steps in the whole run.
  ///   - stepsPerEpoch: steps in one pass over the training set.
  ///   - every: a fixed distance; when nil, every step up to 10 and eight evaluations for every factor of ten at
  ///     first, where learning is fastest, then one an epoch, or fifty over the run if that is fewer.
  public init(steps: Int, stepsPerEpoch: Int, every: Int?) {
    self.steps = steps
    if let every {
      self.every = max(every, 1)
      early = []
    } else {
      let distance = max(stepsPerEpoch, steps / 50, 1)
      self.every = distance
      // The first ten steps one by one: the slope of the loss is the squared norm of the gradient there.
      let spread = (0...72).map { Int(pow(10, Double($0) / 8).rounded()) }
      early = Set((Array(1...10) + spread).filter { $0 < distance })
    }
  }

  /// How often the run evaluates.
  public var count: Int { (0...steps).count { contains($0) } }

  /// Whether the run evaluates after `step` updates.
  public func contains(_ step: Int) -> Bool {
    step == 0 || step == steps || step % every == 0 || early.contains(step)
  }
}
