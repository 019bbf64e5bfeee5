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

  /// Parses the word.
  ///
  /// - Throws: `TrainingError` that says what was expected.
  public init(_ text: String) throws {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    switch (parts[0], parts.count) {
    case ("constant", 1): self = .constant
    case ("cosine", 1): self = .cosine
    case ("step", 2), ("step", 3):
      let milestones = parts[1].split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
      let steps = milestones.compactMap { $0 }
      guard steps.count == milestones.count, steps.allSatisfy({ $0 > 0 }), zip(steps, steps.dropFirst()).allSatisfy(<)
      else {
        throw TrainingError(
          .configuration,
          "schedule \"\(text)\": the steps after \"step:\" must be increasing whole "
            + "numbers above 0, such as step:40000,60000:0.1")
      }
      guard let factor = parts.count == 3 ? Double(parts[2]) : 0.1, factor > 0, factor.isFinite else {
        throw TrainingError(.configuration, "schedule \"\(text)\": the factor must be a number above 0, such as 0.1")
      }
      self = .step(milestones: steps, factor: factor)
    default:
      throw TrainingError(
        .configuration, "there is no schedule \"\(text)\"; choose constant, cosine or step:STEP[,STEP...][:FACTOR]")
    }
  }

  /// The factor on the learning rate for the update that follows `step` finished ones, t, of `steps` in all, T.
  ///
  /// With a warm-up of N updates the schedule's factor is multiplied by (t + 1)/N for t < N (P. Goyal et al. 2017, §2.2):
  /// the first update has an Nth of the learning rate, and the N-th the first that is whole.
  ///
  /// - Parameter warmup: N; 0 or less for none.
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
