// SPDX-License-Identifier: Apache-2.0

import Coherence
import Foundation
import Tensors
import Testing

@Suite("Contributions and permutation nulls")
struct ContributionTests {
  private let rows: [[Double]] = [[1, 0], [1, 1], [0, -3], [2, 0.5]]
  private let isCorrupt = [false, false, true, false]

  private func dots(_ rows: [[Double]]) -> (dots: [Double], square: Double) {
    let mean = (0..<rows[0].count).map { column in rows.reduce(0) { $0 + $1[column] } / Double(rows.count) }
    let square = mean.reduce(0) { $0 + $1 * $1 }
    return (rows.map { zip($0, mean).reduce(0) { $0 + $1.0 * $1.1 } }, square)
  }

  @Test("f and i by the paper's formulas, accumulated over steps")
  func formulas() throws {
    var generator = SplitMix(seed: 1)
    var tracker = ContributionTracker(isCorrupt: isCorrupt, permutationNulls: 0, using: &generator)
    // g = (4, −1.5), gᵖ = (4, 1.5), gᶜ = (0, −3): ⟨g, g⟩ = 18.25, ⟨g, gᵖ⟩ = 13.75, ⟨g, gᶜ⟩ = 4.5.
    let (values, square) = dots(rows)
    for step in 1...3 {
      let point = try tracker.add(dots: values, meanSquaredNorm: square)
      #expect(isClose(point.actual.pristineShare, 13.75 / 18.25))
      #expect(isClose(point.actual.corruptShare, 4.5 / 18.25))
      #expect(isClose(point.actual.pristineCumulative, Double(step) * 13.75 / 4 / 3))
      #expect(isClose(point.actual.corruptCumulative, Double(step) * 4.5 / 4 / 1))
      #expect(point.nulls.isEmpty && point.pristineShare == nil && point.cumulativeDifference == nil)
    }
  }

  @Test("Shares add up to 1 in every world, and the worlds keep the numbers of both groups")
  func sums() throws {
    var generator = SplitMix(seed: 2)
    let corrupt = (0..<60).map { $0 % 4 == 0 }
    var tracker = ContributionTracker(isCorrupt: corrupt, permutationNulls: 25, using: &generator)
    let worlds = (0..<tracker.permutationNulls.count).map {
      tracker.permutationNulls.designations(in: $0, of: corrupt.count)
    }
    #expect(worlds.count == 25)
    #expect(worlds.allSatisfy { $0.count { $0 } == 15 })
    #expect(Set(worlds).count == 25)
    let values: [Double] = try Tensor.normal(
      [60 * 5], mean: 0.3, dtype: .float64, generator: Generator(seed: 1)
    ).values()
    let (inner, square) = dots((0..<60).map { Array(values[$0 * 5..<$0 * 5 + 5]) })
    let point = try tracker.add(dots: inner, meanSquaredNorm: square)
    for world in [point.actual] + point.nulls {
      #expect(isClose((world.pristineShare ?? .nan) + (world.corruptShare ?? .nan), 1))
    }
    let comparison = try #require(point.pristineShare)
    #expect(comparison.minimum <= comparison.low && comparison.low <= comparison.high)
    #expect(comparison.high <= comparison.maximum && comparison.actual == point.actual.pristineShare)
  }

  @Test("Undefined, not NaN, where there is no gradient or no group")
  func undefined() throws {
    var generator = SplitMix(seed: 3)
    var tracker = ContributionTracker(isCorrupt: [false, true], permutationNulls: 5, using: &generator)
    let point = try tracker.add(dots: [0, 0], meanSquaredNorm: 0)
    #expect(point.actual.pristineShare == nil && point.actual.corruptShare == nil && point.pristineShare == nil)
    #expect(point.actual.pristineCumulative == 0 && point.cumulativeDifference?.pUpper == 1)
    var pure = ContributionTracker(isCorrupt: [false, false], permutationNulls: 5, using: &generator)
    let clean = try pure.add(dots: [1, 1], meanSquaredNorm: 1)
    #expect(clean.actual.pristineShare == 1 && clean.actual.corruptShare == 0)
    #expect(clean.actual.corruptCumulative == nil && clean.cumulativeDifference == nil)
  }

  @Test("A planted difference stands out; without one the p-values are uniform")
  func pValues() throws {
    let generator = try Generator(seed: 4)
    var shuffler = SplitMix(seed: 4)
    let corrupt = (0..<100).map { $0 % 2 == 0 }
    var small = 0
    for _ in 0..<400 {
      let noise: [Double] = try Tensor.normal([100], mean: 1, dtype: .float64, generator: generator).values()
      var tracker = ContributionTracker(isCorrupt: corrupt, permutationNulls: 19, using: &shuffler)
      let point = try tracker.add(dots: noise, meanSquaredNorm: noise.reduce(0, +) / 100)
      let p = try #require(point.pristineShare).pUpper
      #expect(p >= 0.05 && p <= 1)
      if p <= 0.1 { small += 1 }
    }
    // 10 % expected: 40 of 400, standard deviation 6.
    #expect(abs(small - 40) <= 20, "\(small)")

    let planted = (0..<100).map { corrupt[$0] ? 0.1 : 1.0 + Double($0) * 1e-3 }
    var tracker = ContributionTracker(isCorrupt: corrupt, permutationNulls: 99, using: &shuffler)
    let point = try tracker.add(dots: planted, meanSquaredNorm: planted.reduce(0, +) / 100)
    for comparison in [point.pristineShare, point.cumulativeDifference] {
      let comparison = try #require(comparison)
      #expect(comparison.pUpper == 0.01 && comparison.pLower == 1 && comparison.pTwoSided == 0.02)
      #expect(comparison.actual > comparison.maximum)
    }
  }

  @Test("Bands and p-values by hand")
  func bands() throws {
    let comparison = try #require(NullComparison(actual: 18, nulls: (0...20).map(Double.init)))
    #expect(comparison.minimum == 0 && comparison.maximum == 20)
    #expect(isClose(comparison.low, 1) && isClose(comparison.high, 19))
    #expect(comparison.pUpper == 4.0 / 22 && comparison.pLower == 20.0 / 22)
    #expect(comparison.pTwoSided == 8.0 / 22)
    #expect(NullComparison(actual: 1, nulls: []) == nil)
  }

  @Test("A resumed tracker goes on where it was, and a seed repeats itself")
  func resumed() throws {
    var (first, second, third) = (SplitMix(seed: 5), SplitMix(seed: 5), SplitMix(seed: 5))
    var tracker = ContributionTracker(isCorrupt: isCorrupt, permutationNulls: 7, using: &first)
    #expect(tracker == ContributionTracker(isCorrupt: isCorrupt, permutationNulls: 7, using: &second))
    let (values, square) = dots(rows)
    _ = try tracker.add(dots: values, meanSquaredNorm: square)
    var copy = ContributionTracker(isCorrupt: isCorrupt, permutationNulls: 7, using: &third)
    try copy.restore(
      JSONDecoder().decode(ContributionTracker.Progress.self, from: JSONEncoder().encode(tracker.progress)))
    #expect(try copy.add(dots: values, meanSquaredNorm: square) == tracker.add(dots: values, meanSquaredNorm: square))
    var others = [
      ContributionTracker(isCorrupt: isCorrupt, permutationNulls: 6, using: &third),
      ContributionTracker(isCorrupt: isCorrupt.map { !$0 }, permutationNulls: 7, using: &third),
    ]
    for place in others.indices {
      #expect(throws: CoherenceError.self) { try others[place].restore(tracker.progress) }
    }
  }

  @Test("Null worlds of any size sum what their permutations designate", arguments: [1, 63, 64, 65, 200])
  func nullSums(_ count: Int) throws {
    let flags = (0..<count).map { $0 % 3 == 0 }
    let values = (0..<count).map { Double($0 * $0 % 17) + 5 }
    var generator = SplitMix(seed: 8)
    var tracker = ContributionTracker(isCorrupt: flags, permutationNulls: 9, using: &generator)
    let total = values.reduce(0, +)
    let point = try tracker.add(dots: values, meanSquaredNorm: total / Double(count))
    for (world, null) in point.nulls.enumerated() {
      let designations = tracker.permutationNulls.designations(in: world, of: count)
      #expect(designations.count { $0 } == flags.count { $0 })
      let expected = zip(values, designations).reduce(0) { $1.1 ? $0 + $1.0 : $0 } / total
      #expect(isClose(null.corruptShare, expected, 1e-12))
    }
  }

  @Test("Inner products that do not belong to the sample are refused, and change nothing")
  func refusals() throws {
    var generator = SplitMix(seed: 6)
    var tracker = ContributionTracker(isCorrupt: isCorrupt, permutationNulls: 2, using: &generator)
    let before = tracker
    #expect(throws: CoherenceError.self) { try tracker.add(dots: [1], meanSquaredNorm: 1) }
    #expect(throws: CoherenceError.self) { try tracker.add(dots: [1, 1, 1, .nan], meanSquaredNorm: 1) }
    #expect(throws: CoherenceError.self) { try tracker.add(dots: [1, 1, 1, 1], meanSquaredNorm: 2) }
    #expect(tracker == before)
  }

  @Test("From a network's records: the shares of a real gradient add up")
  func network() throws {
    let reference = try Reference(dtype: .float32)
    let accumulator = try CoherenceAccumulator(reference.plan, expectedCount: 12)
    let matrix = try reference.matrix()
    try accumulator.add(matrix)
    let mean = try accumulator.meanGradient()
    let records = try matrix.exampleRecords(
      indices: Array(0..<12), targets: Tensor(Reference.labels), meanGradient: mean)
    var generator = SplitMix(seed: 7)
    var tracker = ContributionTracker(isCorrupt: (0..<12).map { $0 < 4 }, using: &generator)
    let point = try tracker.add(records, meanSquaredNorm: mean.dot(mean))
    #expect(isClose((point.actual.pristineShare ?? 0) + (point.actual.corruptShare ?? 0), 1, 1e-5))
    #expect(
      isClose(
        point.actual.corruptShare, ReferenceTests.dots[..<4].reduce(0, +) / ReferenceTests.dots.reduce(0, +), 1e-5))
  }
}
