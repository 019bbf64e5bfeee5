// SPDX-License-Identifier: Apache-2.0

import RunStore
import Foundation

/// Two runs side by side at the same training losses: runs that learn at different speeds are compared where they have
/// come equally far.
struct EqualLoss {
  /// So many losses, evenly in the logarithm.
  static let levels = 10
  /// The losses that both runs go through have to span a factor of two.
  static let minimumSpan = 2.0

  /// r of both runs where each first gets down to a loss, from the largest common loss down; nil where one is not known.
  private let pairs: [(Double, Double)?]

  /// - Parameters:
  ///   - split: the examples that r was measured on.
  ///   - steps: where each run's initial fall of r ends: what comes before is left out.
  /// - Returns: nil when the runs have too little of training in common.
  init?(_ first: RunHistory, _ second: RunHistory, on split: String = "train", from steps: [Int]) {
    let runs = zip([first, second], steps).map { run, step in
      let loss = run.loss("train")
      return (r: run.mCoherence(split), loss: Curve(loss.points.filter { $0.step >= step }.map { ($0.step, $0.value) }))
    }
    let (tops, bottoms) = (
      runs.compactMap { $0.loss.points.first?.value }, runs.compactMap { $0.loss.points.map(\.value).min() }
    )
    guard tops.count == 2, let top = tops.min(), let bottom = bottoms.max(), bottom > 0,
      top >= Self.minimumSpan * bottom
    else { return nil }
    pairs = (0..<Self.levels).map { index in
      let level = top * pow(bottom / top, Double(index) / Double(Self.levels - 1))
      // A hair above, so that rounding does not lose the lowest level.
      let values = runs.compactMap { run in
        run.loss.firstStep(downTo: level * (1 + 1e-9)).flatMap(run.r.value).flatMap { $0 > 0 ? $0 : nil }
      }
      return values.count == 2 ? (values[0], values[1]) : nil
    }
  }

  /// The same from the end of each run's own initial fall.
  init?(_ first: RunHistory, _ second: RunHistory, on split: String = "train") {
    let courses = [first, second].compactMap { CoherenceCourse(of: $0.mCoherence(split)) }
    guard courses.count == 2 else { return nil }
    self.init(first, second, on: split, from: courses.map(\.trough.step))
  }

  /// The mean over the losses of a function of both values; nil when fewer than half of the losses have both.
  func mean(_ function: (Double, Double) -> Double) -> Double? {
    let known = pairs.compactMap { $0.map { function($0.0, $0.1) } }
    guard known.count >= Self.levels / 2 else { return nil }
    return known.reduce(0, +) / Double(known.count)
  }
}
