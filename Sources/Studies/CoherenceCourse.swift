// SPDX-License-Identifier: Apache-2.0

import RunStore
import Foundation

/// The course of m-coherence along a run: a fall at the start, a rise to a peak, an end.
struct CoherenceCourse {
  /// A rise from the least value so far by this factor ends the initial fall,
  static let riseFactor = 1.5
  /// if it lasts for so many probes. Early on one step can double r and the next take it back: in probes at every step
  /// a single rise is noise.
  static let riseProbes = 3
  /// Fewer probes than this have no shape.
  static let minimumProbes = 10

  let start, trough, peak, end: CurvePoint
  /// Where r is at or above half of its peak, around the peak: interpolated between probes along log(1 + step), as the
  /// probes' own steps would always be too narrow.
  let aboveHalf: ClosedRange<Double>
  /// The 95 % intervals at trough and peak, where they were measured.
  let troughInterval, peakInterval: ClosedRange<Double>?

  /// The course of the whole network on training examples; nil with too few probes.
  init?(of run: RunHistory) {
    let intervals = run.coherenceIntervals("train").map { ($0.step, $0.mCoherenceLow...$0.mCoherenceHigh) }
    self.init(of: run.mCoherence("train"), intervals: Dictionary(intervals, uniquingKeysWith: { _, last in last }))
  }

  /// Nil with too few probes.
  init?(of curve: Curve, intervals: [Int: ClosedRange<Double>] = [:]) {
    let points = curve.points
    guard points.count >= Self.minimumProbes, let first = points.first, let last = points.last else { return nil }
    var least = 0
    for index in points.indices {
      let rise = points[index...].prefix(Self.riseProbes)
      if rise.allSatisfy({ $0.value > Self.riseFactor * points[least].value }) { break }
      if points[index].value < points[least].value { least = index }
    }
    var top = least
    for index in least..<points.count where points[index].value > points[top].value { top = index }
    let half = points[top].value / 2
    var (left, right) = (top, top)
    while left > least, points[left - 1].value >= half { left -= 1 }
    while right + 1 < points.count, points[right + 1].value >= half { right += 1 }
    (start, trough, peak, end) = (first, points[least], points[top], last)
    let from = left > least ? Self.crossing(points[left], points[left - 1], at: half) : Double(points[left].step)
    let to =
      right + 1 < points.count ? Self.crossing(points[right], points[right + 1], at: half) : Double(points[right].step)
    aboveHalf = from...max(from, to)
    troughInterval = intervals[trough.step]
    peakInterval = intervals[peak.step]
  }

  /// The step between a point at or above a level and one below it at which the line between them is at the level.
  private static func crossing(_ above: CurvePoint, _ below: CurvePoint, at level: Double) -> Double {
    let (from, to) = (log1p(Double(above.step)), log1p(Double(below.step)))
    return expm1(from + (to - from) * (above.value - level) / (above.value - below.value))
  }
}
