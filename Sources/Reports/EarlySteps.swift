// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

/// Steps along an axis that is logarithmic from about step 1 on, with step 0 at its left end.
package enum EarlySteps {
  private static let axis = FigureScale.logarithmicFromZero

  /// At most about `limit` of the steps, spread evenly over the axis, the first and the last among them.
  package static func thinned(_ steps: [Int], limit: Int) -> [Int] {
    guard steps.count > limit, let last = steps.last else { return steps }
    let width = axis.place(Double(last)) / Double(limit)
    var bin = -1
    var kept: [Int] = []
    for step in steps {
      let own = Int(clamping: axis.place(Double(step)) / width)
      if own > bin {
        kept.append(step)
        bin = own
      }
    }
    return kept.last == last ? kept : kept + [last]
  }

  /// The edges of the columns of a map of steps: half-way between neighbours on the axis; the first and the last step are
  /// the ends.
  ///
  /// - Parameter steps: at least one.
  package static func edges(of steps: [Int]) -> [Double] {
    let places = steps.map { axis.place(Double($0)) }
    let inner = zip(places, places.dropFirst()).map { axis.value(at: ($0 + $1) / 2) }
    return [Double(steps[0])] + inner + [Double(steps[steps.count - 1])]
  }

  /// The right edge of a column, a little under the next one, which is drawn over it: else the page shines through.
  package static func overlapped(_ edges: [Double], _ column: Int) -> Double {
    let edge = edges[column + 1]
    return column + 2 < edges.count ? min(axis.value(at: axis.place(edge) + 0.06), edges[column + 2]) : edge
  }
}
