// SPDX-License-Identifier: Apache-2.0

import Foundation

/// At which steps a probe measures: the steps of any of its parts.
public struct ProbeSchedule: Sendable, Equatable, CustomStringConvertible, ExpressibleByArrayLiteral {
  /// A rule that names steps.
  public enum Part: Sendable, Equatable {
    /// Ten times for every factor of ten, the first at 0, and once at the end.
    case logarithmic
    /// After every pass over the training examples, and at 0.
    case epoch
    /// After each of a range of passes, counted from 1.
    case epochs(ClosedRange<Int>)
    /// Every so many steps, and at 0.
    case every(Int)
    /// Each step of a range.
    case dense(ClosedRange<Int>)
  }

  /// The parts.
  public let parts: [Part]

  /// A schedule of several parts.
  public init(_ parts: [Part]) { self.parts = parts }
  /// A schedule of several parts.
  public init(arrayLiteral parts: Part...) { self.parts = parts }

  /// Ten measurements for every factor of ten.
  public static let logarithmic: ProbeSchedule = [.logarithmic]
  /// One measurement an epoch.
  public static let epoch: ProbeSchedule = [.epoch]
  /// A measurement every so many steps.
  public static func every(_ distance: Int) -> ProbeSchedule { [.every(distance)] }

  /// The word, such as "dense:0-50,log".
  public var description: String {
    parts.map { part in
      switch part {
      case .logarithmic: "log"
      case .epoch: "epoch"
      case .epochs(let range): "epoch:\(range.lowerBound)-\(range.upperBound)"
      case .every(let distance): "every:\(distance)"
      case .dense(let range): "dense:\(range.lowerBound)-\(range.upperBound)"
      }
    }.joined(separator: ",")
  }

  /// Whether the probe measures after `step` updates of a run.
  public func contains(_ step: Int, steps: Int, stepsPerEpoch: Int) -> Bool {
    parts.contains { part in
      switch part {
      case .logarithmic: step == 0 || step == steps || Self.isLogarithmic(step)
      case .epoch: step % max(stepsPerEpoch, 1) == 0
      case .epochs(let range):
        step % max(stepsPerEpoch, 1) == 0 && range.contains(step / max(stepsPerEpoch, 1))
      case .every(let distance): step % max(distance, 1) == 0
      case .dense(let range): range.contains(step)
      }
    }
  }

  /// How many times the probe is taken after `step` updates, up to the steps at which several parts agree.
  func count(after step: Int, steps: Int, stepsPerEpoch: Int) -> Int {
    guard step < steps else { return 0 }
    func multiples(of distance: Int) -> Int { steps / max(distance, 1) - step / max(distance, 1) }
    return parts.reduce(0) { count, part in
      switch part {
      case .logarithmic:
        let from = max(step + 1, 1)
        // In range: logarithms of steps.
        return count + Int((10 * (log10(Double(steps)) - log10(Double(from)))).rounded(.down)) + 1
      case .epoch: return count + multiples(of: stepsPerEpoch)
      case .epochs(let range):
        let (done, last) = (step / max(stepsPerEpoch, 1), steps / max(stepsPerEpoch, 1))
        return count + max(0, min(range.upperBound, last) - max(range.lowerBound - 1, done))
      case .every(let distance): return count + multiples(of: distance)
      case .dense(let range): return count + max(0, min(range.upperBound, steps) - max(range.lowerBound - 1, step))
      }
    }
  }

  /// Whether a step is 10^(k/10) rounded for some whole k.
  private static func isLogarithmic(_ step: Int) -> Bool {
    guard step >= 1 else { return false }
    let exponent = (log10(Double(step)) * 10).rounded()
    // In range: about the step itself.
    return Int(pow(10, exponent / 10).rounded()) == step
  }
}
