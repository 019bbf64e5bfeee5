// SPDX-License-Identifier: Apache-2.0

/// Scores of all examples on one footing.
public enum Ranking {
  /// The share of the other examples that have a smaller value, those of the same value counted half: 0 for the least
  /// suspect, 1 for the most.
  ///
  /// - Parameter values: finite numbers.
  public static func shares(of values: [Double]) -> [Double] {
    guard values.count > 1 else { return [Double](repeating: 0.5, count: values.count) }
    let order = values.indices.sorted { values[$0] < values[$1] }
    var shares = values
    var start = 0
    while start < order.count {
      var end = start + 1
      while end < order.count, values[order[end]] == values[order[start]] { end += 1 }
      let share = (Double(start) + Double(end - start - 1) / 2) / Double(order.count - 1)
      for place in start..<end { shares[order[place]] = share }
      start = end
    }
    return shares
  }

  /// The mean of several scores' shares: no score outweighs another by its scale.
  ///
  /// - Parameter scores: values of each score, all of one length.
  public static func combined(_ scores: [[Double]]) -> [Double] {
    guard let first = scores.first else { return [] }
    return scores.map(shares).reduce([Double](repeating: 0, count: first.count)) { sums, shares in
      zip(sums, shares).map { $0 + $1 / Double(scores.count) }
    }
  }

  /// The examples from the most to the least suspect; of equal ones the first comes first.
  public static func order(of values: [Double]) -> [Int] {
    values.indices.sorted { values[$0] == values[$1] ? $0 < $1 : values[$0] > values[$1] }
  }
}
