// SPDX-License-Identifier: Apache-2.0

import Datasets
import Testing

@testable import Audit

/// Two heaps of margins, and one.
@Suite struct MarginHeapsTests {
  /// Sums of uniform numbers around a centre, about normal, cut to −1 ... 1.
  private func heap(_ count: Int, at centre: Double, width: Double, seed: UInt64) -> [Double] {
    var generator = SeededGenerator(seed: seed, stream: .probe)
    return (0..<count).map { _ in
      let draw = (0..<12).reduce(0) { sum, _ in sum + generator.unit() } - 6
      return max(-1, min(1, centre + width * draw))
    }
  }

  @Test(arguments: [0.02, 0.2, 0.5, 0.8]) func theValleyLiesBetweenTheHeaps(rate: Double) throws {
    let wrong = Int(5000 * rate)
    let margins =
      heap(5000 - wrong, at: -0.6, width: 0.15, seed: 1) + heap(wrong, at: 0.5, width: 0.15, seed: 2)
    let heaps = try #require(MarginHeaps(margins))
    #expect(heaps.tops.right < -0.4 && heaps.tops.wrong > 0.3 && abs(heaps.valley) < 0.3)
    let found = margins.count { $0 > heaps.valley }
    #expect(abs(found - wrong) < 50, "\(found) of \(wrong)")
    #expect(heaps.probability(heaps.valley) == 0.5)
    #expect(heaps.probability(heaps.tops.right) < 0.05 && heaps.probability(heaps.tops.wrong) > 0.95)
  }

  @Test func oneHeapHasNoValley() {
    #expect(MarginHeaps(heap(2000, at: 0, width: 0.2, seed: 3)) == nil)
    #expect(MarginHeaps(heap(60, at: -0.3, width: 0.3, seed: 4)) == nil)
    #expect(MarginHeaps([]) == nil)
    #expect(MarginHeaps([Double](repeating: 1, count: 100)) == nil)
    // A few stray labels are no heap.
    #expect(MarginHeaps(heap(70, at: -0.6, width: 0.1, seed: 5) + [0.5, 0.5, 0.5]) == nil)
  }
}
