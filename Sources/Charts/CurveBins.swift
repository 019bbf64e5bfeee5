// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Takes points together that lie closer along the drawn axis than a line can show: there it would be a scribble.
struct CurveBins {
  /// The scatter of the values taken together has to be this part of the axis to be seen at all.
  private static let visible = 0.015

  /// What captions say where it shows.
  static let note =
    "Where measurements lie closer than a line can show, it is their mean, and the light band their scatter about it."

  /// How many points fit side by side.
  let count: Int
  /// How values lie along the axes.
  let x, y: FigureScale
  /// The ends of the y axis; nil for the curve's own.
  var range: ClosedRange<Double>?

  /// The points of a bin, in places along the axes.
  private struct Bin {
    let points: [FigurePoint]
    let x, y: Double
  }

  /// The curve with one point for each bin: the mean of its values as drawn, with their scatter as the band where it can
  /// be seen (or the bands' range, where the points have some). Its ends stay as they are.
  func joined(_ points: [FigurePoint]) -> [FigurePoint] {
    guard points.count > 3, count > 0, let first = points.first, let last = points.last else { return points }
    let start = x.place(first.x)
    let width = (x.place(last.x) - start) / Double(count)
    guard width > 0 else { return points }
    var groups: [[FigurePoint]] = []
    var current = -1
    for point in points.dropFirst().dropLast() {
      let own = min(count - 1, Int(clamping: (x.place(point.x) - start) / width))
      if own > current {
        groups.append([])
        current = own
      }
      groups[groups.count - 1].append(point)
    }
    guard groups.contains(where: { $0.count > 1 }) else { return points }
    let bins = ([[first]] + groups + [[last]]).map { points in
      func mean(_ places: [Double]) -> Double { places.reduce(0, +) / Double(places.count) }
      return Bin(points: points, x: mean(points.map { x.place($0.x) }), y: mean(points.map { y.place($0.y) }))
    }
    let hasBands = points.contains { $0.low != nil }
    let joined = bins.indices.map { hasBands ? range(of: bins[$0]) : scatter(of: $0, among: bins) }
    return hasBands || isVisible(joined) ? joined : joined.map { FigurePoint(x: $0.x, y: $0.y) }
  }

  private func point(_ bin: Bin, low: Double, high: Double) -> FigurePoint {
    guard bin.points.count > 1 else { return FigurePoint(x: bin.points[0].x, y: bin.points[0].y, low: low, high: high) }
    return FigurePoint(x: x.value(at: bin.x), y: y.value(at: bin.y), low: low, high: high)
  }

  /// A bin of points with bands: from the least to the greatest value of these.
  private func range(of bin: Bin) -> FigurePoint {
    let values = bin.points.flatMap { [$0.low ?? $0.y, $0.high ?? $0.y] }
    return point(bin, low: values.min() ?? .nan, high: values.max() ?? .nan)
  }

  /// A bin of bare points: how far they lie from the line between its neighbours, which is not the slope's doing.
  private func scatter(of index: Int, among bins: [Bin]) -> FigurePoint {
    let bin = bins[index]
    guard bin.points.count > 1 else { return point(bin, low: bin.points[0].y, high: bin.points[0].y) }
    let (before, after) = (bins[max(0, index - 1)], bins[min(bins.count - 1, index + 1)])
    let slope = (after.y - before.y) / (after.x - before.x)
    let distances = bin.points.map { y.place($0.y) - bin.y - slope * (x.place($0.x) - bin.x) }
    return point(
      bin, low: y.value(at: bin.y + min(0, distances.min() ?? 0)),
      high: y.value(at: bin.y + max(0, distances.max() ?? 0)))
  }

  private func isVisible(_ points: [FigurePoint]) -> Bool {
    let values = points.map(\.y)
    guard let least = range?.lowerBound ?? values.min(), let greatest = range?.upperBound ?? values.max() else {
      return false
    }
    let height = y.place(greatest) - y.place(least)
    return points.contains { point in
      guard let low = point.low, let high = point.high else { return false }
      return y.place(high) - y.place(low) > Self.visible * height
    }
  }
}

extension FigureScale {
  /// A value's place along the axis.
  package func place(_ value: Double) -> Double {
    switch self {
    case .linear: value
    case .logarithmic: log(value)
    case .logarithmicFromZero: log1p(value)
    case .signedLogarithmic: value < 0 ? -log1p(-value) : log1p(value)
    }
  }

  /// The value at a place.
  package func value(at place: Double) -> Double {
    switch self {
    case .linear: place
    case .logarithmic: exp(place)
    case .logarithmicFromZero: expm1(place)
    case .signedLogarithmic: place < 0 ? -expm1(-place) : expm1(place)
    }
  }
}
