// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The ends of accuracy axes: 0 and 100 %, or closer where curves would otherwise lie on top of each other at one end.
package enum AccuracyAxis {
  package static let whole = 0.0...1.0

  /// Marks the charts whose axis shows accuracies, which all have the same ends.
  static let mark: JSON = ["axis": "accuracy"]

  /// Values closer than this are not told apart well on an axis from 0 to 100 %.
  private static let narrowBand = 0.15

  /// A value and its place along the axis of training, from 0 at its start to 1 at its end.
  package struct Moment {
    let place, value: Double

    package init(place: Double, value: Double) { (self.place, self.value) = (place, value) }
  }

  /// The ends for curves that are to be compared: close around their second halves where all of these lie in a narrow
  /// band; what comes before may then lie outside.
  package static func ends(of curves: [[Moment]]) -> ClosedRange<Double> {
    let settled = curves.flatMap { curve in
      let late = curve.filter { $0.place >= 0.5 }
      return late.isEmpty ? curve.suffix(1) : late
    }.map(\.value).filter(\.isFinite)
    guard let low = settled.min(), let high = settled.max(), high - low <= narrowBand, low >= 0, high <= 1 else {
      return whole
    }
    let air = max(0.3 * (high - low), 0.005)
    let step = FigureAxis.roundStep(atLeast: (high - low + 2 * air) / 4, factors: [1, 2, 5, 10])
    let start = max(0, floor((low - air) / step) * step)
    // Of a little room above 100 % a line along it needs half its width.
    let end = high + air >= 1 ? 1 + 0.015 * (1 - start) : ceil((high + air) / step) * step
    return end - start > 0.6 ? whole : start...end
  }

  /// What captions say of an axis that does not begin at 0.
  package static func note(_ ends: ClosedRange<Double>) -> String {
    guard ends != whole else { return "" }
    return ends.lowerBound > 0
      ? " Accuracy axes begin at \(Wording.level(ends.lowerBound)): what lies below is not shown."
      : " Accuracy axes end at \(Wording.level(ends.upperBound))."
  }
}
