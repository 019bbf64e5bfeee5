// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

/// Steps along an axis that is logarithmic from about step 1 on, with step 0 at its left end.
enum EarlySteps {
  /// At most about `limit` of the steps, spread evenly over the axis, the first and the last among them.
  static func thinned(_ steps: [Int], limit: Int) -> [Int] {
    guard steps.count > limit, let last = steps.last else { return steps }
    let width = FigureScale.logarithmicFromZero.place(Double(last)) / Double(limit)
    var bin = -1
    var kept: [Int] = []
    for step in steps {
      let own = Int(FigureScale.logarithmicFromZero.place(Double(step)) / width)
      if own > bin {
        kept.append(step)
        bin = own
      }
    }
    return kept.last == last ? kept : kept + [last]
  }
}
