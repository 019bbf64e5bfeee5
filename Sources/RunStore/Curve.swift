// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A value at a training step.
public struct CurvePoint: Sendable, Equatable {
  /// The step.
  public let step: Int
  /// The value.
  public let value: Double
}

/// Finite values by step, in order; where a step was logged twice the later line counts.
public struct Curve: Sendable {
  /// One point for each step, ascending.
  public let points: [CurvePoint]
  private let values: [Int: Double]

  /// A curve of steps and values; values that are not finite are left out.
  public init(_ pairs: some Sequence<(Int, Double)>) {
    values = Dictionary(pairs.filter { $0.1.isFinite }, uniquingKeysWith: { _, last in last })
    points = values.map { CurvePoint(step: $0.key, value: $0.value) }.sorted { $0.step < $1.step }
  }

  /// Whether there is no point.
  public var isEmpty: Bool { points.isEmpty }
  /// The point of the last step.
  public var last: CurvePoint? { points.last }
  /// The point of the greatest value.
  public var peak: CurvePoint? { points.max { $0.value < $1.value } }
  /// The value at a step; nil where there is none.
  public subscript(step: Int) -> Double? { values[step] }

  /// The part of the curve at or below a value.
  public func upTo(_ greatest: Double) -> Curve {
    Curve(points.filter { $0.value <= greatest }.map { ($0.step, $0.value) })
  }

  /// The first step at which the curve is at a level or above.
  public func firstStep(reaching level: Double) -> Int? { points.first { $0.value >= level }?.step }

  /// The value at a step, between two points that have one along log(1 + step); nil outside of the curve.
  public func value(at step: Int) -> Double? {
    if let value = self[step] { return value }
    guard let after = points.firstIndex(where: { $0.step > step }), after > 0 else { return nil }
    let (left, right) = (points[after - 1], points[after])
    let (from, to) = (log1p(Double(left.step)), log1p(Double(right.step)))
    return left.value + (right.value - left.value) * (log1p(Double(step)) - from) / (to - from)
  }

  /// The first step at which the curve is at a level or below.
  public func firstStep(downTo level: Double) -> Int? { points.first { $0.value <= level }?.step }

  /// The geometric mean of this curve over another one from a step on, along log(1 + step), where both are positive.
  public func meanRatio(to other: Curve, from step: Int = 0) -> Double? {
    func positive(_ curve: Curve) -> Curve {
      Curve(curve.points.lazy.filter { $0.step >= step && $0.value > 0 }.map { ($0.step, $0.value) })
    }
    return positive(self).logarithmicMean(against: positive(other)) { log($0 / $1) }.map(exp)
  }

  /// The mean of a function of two curves over their common steps, along log(1 + step): the first steps are where
  /// learning happens, and a plain mean would hardly see them. Nil with fewer common steps than `least`.
  public func logarithmicMean(against other: Curve, minimum: Int = 5, _ function: (Double, Double) -> Double) -> Double?
  {
    let common = points.compactMap { point in
      other[point.step].map { (log1p(Double(point.step)), function(point.value, $0)) }
    }
    guard common.count >= minimum, let first = common.first, let last = common.last, last.0 > first.0 else {
      return nil
    }
    let area = zip(common, common.dropFirst()).reduce(0) { sum, pair in
      sum + (pair.1.0 - pair.0.0) * (pair.0.1 + pair.1.1) / 2
    }
    return area / (last.0 - first.0)
  }

  /// The mean up to a step, by step, with straight lines between points; nil with fewer than three points.
  public func mean(upTo step: Int) -> Double? {
    let used = points.filter { $0.step <= step }
    guard used.count >= 3, let first = used.first, let last = used.last else { return nil }
    let area = zip(used, used.dropFirst()).reduce(0) { sum, pair in
      sum + Double(pair.1.step - pair.0.step) * (pair.0.value + pair.1.value) / 2
    }
    return area / Double(last.step - first.step)
  }
}
