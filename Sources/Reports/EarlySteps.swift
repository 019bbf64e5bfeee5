// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

/// Steps along an axis that is logarithmic from about step 1 on, with step 0 at its left end.
enum EarlySteps {
  /// A step's place on the axis.
  static func place(_ step: Double) -> Double { log1p(step) }

  /// The step at a place on the axis.
  static func step(at place: Double) -> Double { expm1(place) }

  /// At most about `limit` of the steps, spread evenly over the axis, the first and the last among them.
  static func thinned(_ steps: [Int], limit: Int) -> [Int] {
    guard steps.count > limit, let last = steps.last else { return steps }
    let width = place(Double(last)) / Double(limit)
    var bin = -1
    var kept: [Int] = []
    for step in steps {
      let own = Int(place(Double(step)) / width)
      if own > bin {
        kept.append(step)
        bin = own
      }
    }
    return kept.last == last ? kept : kept + [last]
  }
}
