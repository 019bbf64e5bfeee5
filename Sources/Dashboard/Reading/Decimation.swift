// SPDX-License-Identifier: Apache-2.0

import Charts

/// Thins curves to what a plot can show: from the points that fall on one column of pixels the lowest and the highest.
enum Decimation {
  /// About one column for every pixel or two of a plot: more points take longer to draw than to read, and who zooms in gets
  /// them. A card keeps 2000 points, so that it thins no further.
  static let columns = 400

  /// The places of the points that a plot shows, ascending: of each column of pixels the lowest and the highest, both on
  /// an even and on a logarithmic axis of steps, which readers switch between, and the first and the last point. Points
  /// without a finite value are left out; O(n).
  ///
  /// - Parameters:
  ///   - x: the places of the points along the axis, ascending.
  ///   - y: their values.
  ///   - columns: how many columns of pixels there are.
  static func places(x: [Double], y: [Double], columns: Int = columns) -> [Int] {
    guard x.count > 4 * columns else { return x.indices.filter { y[$0].isFinite } }
    let even = places(x: x, y: y, columns: columns, scale: .linear)
    return union(even, places(x: x, y: y, columns: columns / 2, scale: .logarithmicFromZero))
  }

  private static func places(x: [Double], y: [Double], columns: Int, scale: FigureScale) -> [Int] {
    guard let first = x.first, let last = x.last, columns > 0 else { return [] }
    let start = scale.place(first)
    let width = (scale.place(last) - start) / Double(columns)
    var found: [Int] = []
    found.reserveCapacity(2 * columns + 2)
    var (lowest, highest) = (-1, -1)
    var column = 0
    // Edges rather than the columns of the points: a logarithm for each edge and none for each point.
    var edge = scale.value(at: start + width)
    func close() {
      guard lowest >= 0 else { return }
      found.append(min(lowest, highest))
      if lowest != highest { found.append(max(lowest, highest)) }
      (lowest, highest) = (-1, -1)
    }
    x.withUnsafeBufferPointer { x in
      y.withUnsafeBufferPointer { y in
        for index in x.indices where y[index].isFinite {
          if x[index] >= edge, column < columns - 1 {
            close()
            while x[index] >= edge, column < columns - 1 {
              column += 1
              edge = scale.value(at: start + width * Double(column + 1))
            }
          }
          if lowest < 0 || y[index] < y[lowest] { lowest = index }
          if highest < 0 || y[index] > y[highest] { highest = index }
        }
      }
    }
    close()
    guard let end = y.lastIndex(where: \.isFinite), let begin = y.firstIndex(where: \.isFinite) else { return [] }
    return union(found, begin == end ? [begin] : [begin, end])
  }

  /// What is in either of two ascending lists.
  private static func union(_ left: [Int], _ right: [Int]) -> [Int] {
    var merged: [Int] = []
    merged.reserveCapacity(left.count + right.count)
    var (i, j) = (0, 0)
    while i < left.count || j < right.count {
      let next = j >= right.count || i < left.count && left[i] <= right[j] ? left[i] : right[j]
      merged.append(next)
      while i < left.count, left[i] == next { i += 1 }
      while j < right.count, right[j] == next { j += 1 }
    }
    return merged
  }
}
