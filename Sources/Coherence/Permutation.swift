// SPDX-License-Identifier: Apache-2.0

/// Shuffles that depend on the generator's words alone, so that a seed means the same in every Swift version.
enum Permutation {
  /// A number below `bound`, unbiased (Lemire 2019).
  static func integer(below bound: Int, using generator: inout some RandomNumberGenerator) -> Int {
    let limit = UInt64(max(bound, 1))
    var product = generator.next().multipliedFullWidth(by: limit)
    if product.low < limit {
      let threshold = (0 &- limit) % limit
      while product.low < threshold { product = generator.next().multipliedFullWidth(by: limit) }
    }
    return Int(product.high)
  }

  /// `count` different numbers below `total`, in the order drawn.
  static func choose(_ count: Int, of total: Int, using generator: inout some RandomNumberGenerator) -> [Int] {
    // The start of a Fisher-Yates shuffle, with only the places that moved written down.
    var moved: [Int: Int] = [:]
    return (0..<min(count, total)).map { place in
      let other = place + integer(below: total - place, using: &generator)
      let chosen = moved[other] ?? other
      moved[other] = moved[place] ?? place
      return chosen
    }
  }

  /// The elements in a random order.
  static func shuffled<Element>(_ elements: [Element], using generator: inout some RandomNumberGenerator) -> [Element] {
    var result = elements
    for place in stride(from: result.count - 1, to: 0, by: -1) {
      result.swapAt(place, integer(below: place + 1, using: &generator))
    }
    return result
  }
}
