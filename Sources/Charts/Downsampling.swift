// SPDX-License-Identifier: Apache-2.0

/// Thins curves for the screen.
enum Downsampling {
  /// The most points a curve keeps.
  static let limit = 2000

  /// At most about `limit` points: both ends, and from each equal stretch of points its lowest and highest, in order,
  /// so that no spike is lost. Shorter curves stay as they are.
  static func thinned<Element>(_ points: [Element], limit: Int, value: KeyPath<Element, Double>) -> [Element] {
    guard points.count > limit, limit >= 4, let first = points.first, let last = points.last else { return points }
    let stretches = (limit - 2) / 2
    let inner = points.dropFirst().dropLast()
    var result = [first]
    for stretch in 0..<stretches {
      let start = inner.startIndex + inner.count * stretch / stretches
      let end = inner.startIndex + inner.count * (stretch + 1) / stretches
      guard start < end else { continue }
      var low = start
      var high = start
      for index in start..<end {
        if inner[index][keyPath: value] < inner[low][keyPath: value] { low = index }
        if inner[index][keyPath: value] > inner[high][keyPath: value] { high = index }
      }
      result.append(inner[min(low, high)])
      if low != high { result.append(inner[max(low, high)]) }
    }
    return result + [last]
  }
}
