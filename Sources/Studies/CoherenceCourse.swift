// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The course of m-coherence along a run: a fall at the start, a rise to a peak, an end.
struct CoherenceCourse {
  /// A rise from the least value so far by this factor ends the initial fall: more than a wobble between probes.
  static let riseFactor = 1.5
  /// Fewer probes than this have no shape.
  static let leastProbes = 10

  let start, trough, peak, end: CurvePoint
  /// The least and the greatest step at which r is at or above half of its peak, around the peak.
  let aboveHalf: ClosedRange<Int>
  /// The 95 % intervals at trough and peak, where they were measured.
  let troughInterval, peakInterval: ClosedRange<Double>?

  /// Nil with too few probes.
  init?(of run: StudyRun) {
    let points = run.coherence.points
    guard points.count >= Self.leastProbes, let first = points.first, let last = points.last else { return nil }
    var least = 0
    for index in points.indices {
      if points[index].value > Self.riseFactor * points[least].value { break }
      if points[index].value < points[least].value { least = index }
    }
    var top = least
    for index in least..<points.count where points[index].value > points[top].value { top = index }
    var (left, right) = (top, top)
    while left > least, points[left - 1].value >= points[top].value / 2 { left -= 1 }
    while right + 1 < points.count, points[right + 1].value >= points[top].value / 2 { right += 1 }
    (start, trough, peak, end) = (first, points[least], points[top], last)
    aboveHalf = points[left].step...points[right].step
    troughInterval = run.intervals[trough.step]
    peakInterval = run.intervals[peak.step]
  }
}
