// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

/// Two heaps in the margins d = max_{j≠y} p̄_j − p̄_y of given labels y: right labels below the valley between them, wrong
/// ones above. A network that has learned the classes shows them, one that has not shows a single heap.
struct MarginHeaps: Equatable {
  /// The margin at the lowest place between the heaps.
  let valley: Double
  /// The margins at their tops.
  let tops: (right: Double, wrong: Double)

  static func == (a: MarginHeaps, b: MarginHeaps) -> Bool { a.valley == b.valley && a.tops == b.tops }

  private static let binCount = 20
  /// How far from 0, where prediction and label are even, the valley is at most. A lowest place at this distance is the
  /// slope of hard examples, which make a heap of their own at 0.
  private static let middle = 0.2
  /// How high the valley may be, of the lower top.
  private static let depth = 0.7
  /// By how many standard deviations of counts the lower top has to stand out of the valley.
  private static let deviations = 3.0

  /// The heaps of a histogram with bins 0.1 wide, smoothed by weights ¼ ½ ¼; nil where the valley is no deeper than chance
  /// or the slope of one heap would make it.
  ///
  /// - Parameter margins: from −1 to 1.
  init?(_ margins: [Double]) {
    let width = 2 / Double(Self.binCount)
    var counts = [Double](repeating: 0, count: Self.binCount)
    for margin in margins { counts[max(0, min(Self.binCount - 1, Int(clamping: (margin + 1) / width)))] += 1 }
    let smooth = counts.indices.map { bin in
      0.25 * counts[max(0, bin - 1)] + 0.5 * counts[bin] + 0.25 * counts[min(Self.binCount - 1, bin + 1)]
    }
    func centre(_ bin: Int) -> Double { (Double(bin) + 0.5) * width - 1 }
    let lower = smooth.indices.filter { centre($0) < -Self.middle }
    let upper = smooth.indices.filter { centre($0) > Self.middle }
    let between = smooth.indices.filter { abs(centre($0)) < Self.middle + width }
    guard let left = lower.max(by: { smooth[$0] < smooth[$1] }), let right = upper.max(by: { smooth[$0] < smooth[$1] }),
      let deepest = between.min(by: { smooth[$0] < smooth[$1] })
    else { return nil }
    guard abs(centre(deepest)) < Self.middle else { return nil }
    let (top, bottom) = (min(smooth[left], smooth[right]), smooth[deepest])
    // A smoothed count has 3/8 of the variance of a single one.
    guard top > 0, bottom <= Self.depth * top, top - bottom >= Self.deviations * (0.375 * (top + bottom)).squareRoot()
    else {
      return nil
    }
    valley = centre(deepest)
    tops = (centre(left), centre(right))
  }

  /// The probability that a label with a margin is wrong: ½ at the valley, rising with the steepness that leaves little
  /// doubt at the tops.
  func probability(_ margin: Double) -> Double { 1 / (1 + exp(-8 * (margin - valley) / (tops.wrong - tops.right))) }
}
