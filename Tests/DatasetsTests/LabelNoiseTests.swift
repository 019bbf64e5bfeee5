// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Datasets

@Suite struct LabelNoiseTests {
  let labels: [Int]

  init() {
    var generator = SeededGenerator(seed: 100)
    labels = (0..<20_000).map { _ in generator.integer(below: 10) }
  }

  func counts(_ labels: [Int]) -> [Int] {
    labels.reduce(into: [Int](repeating: 0, count: 10)) { $0[$1] += 1 }
  }

  @Test(arguments: [0.1, 0.5, 1.0]) func permutingKeepsClassCounts(rate: Double) throws {
    let noisy = try LabelNoise(kind: .permute, rate: rate, seed: 3).apply(to: labels, classCount: 10)
    #expect(counts(noisy.assigned) == counts(labels))
    // About 1/10 of the chosen keep their label; five standard deviations at 20 000.
    #expect(abs(noisy.realisedRate - 0.9 * rate) < 5 * (0.25 / 20_000).squareRoot())
  }

  @Test(arguments: [0.1, 0.5, 1.0]) func uniformNoiseHasItsRate(rate: Double) throws {
    let noisy = try LabelNoise(kind: .uniform, rate: rate, seed: 3).apply(to: labels, classCount: 10)
    #expect(abs(noisy.realisedRate - 0.9 * rate) < 5 * (0.25 / 20_000).squareRoot())
    let flipped = counts(noisy.corruptIndices.map { noisy.assigned[$0] })
    let mean = Double(noisy.corruptCount) / 10
    #expect(flipped.allSatisfy { abs(Double($0) - mean) < 6 * mean.squareRoot() })
  }

  @Test(arguments: NoiseKind.allCases) func noNoiseChangesNothing(kind: NoiseKind) throws {
    let noisy = try LabelNoise(kind: kind, rate: 0, seed: 3).apply(to: labels, classCount: 10)
    #expect(noisy.assigned == labels)
    #expect(noisy.realisedRate == 0)
    #expect(noisy.corruptIndices.isEmpty)
    #expect(noisy.pristineIndices == Array(labels.indices))
  }

  @Test(arguments: NoiseKind.allCases) func corruptMeansChanged(kind: NoiseKind) throws {
    let noisy = try LabelNoise(kind: kind, rate: 0.3, seed: 5).apply(to: labels, classCount: 10)
    #expect(noisy.corruptIndices.allSatisfy { noisy.assigned[$0] != labels[$0] && noisy.isCorrupt($0) })
    #expect(noisy.pristineIndices.allSatisfy { noisy.assigned[$0] == labels[$0] && !noisy.isCorrupt($0) })
    #expect((noisy.corruptIndices + noisy.pristineIndices).sorted() == Array(labels.indices))
    #expect(noisy.corruptCount == noisy.corruptIndices.count)
    #expect(!noisy.isCorrupt(-1))
    #expect(!noisy.isCorrupt(labels.count))
  }

  @Test(arguments: NoiseKind.allCases) func sameRecipeSameLabels(kind: NoiseKind) throws {
    let noise = try LabelNoise(kind: kind, rate: 0.5, seed: 7)
    let first = try noise.apply(to: labels, classCount: 10)
    #expect(try noise.apply(to: labels, classCount: 10) == first)
    let other = try LabelNoise(kind: kind, rate: 0.5, seed: 8).apply(to: labels, classCount: 10)
    #expect(other.assigned != first.assigned)
  }

  @Test func higherUniformRatesOnlyAddFlips() throws {
    let low = try LabelNoise(kind: .uniform, rate: 0.2, seed: 7).apply(to: labels, classCount: 10)
    let high = try LabelNoise(kind: .uniform, rate: 0.6, seed: 7).apply(to: labels, classCount: 10)
    #expect(low.corruptIndices.allSatisfy { low.assigned[$0] == high.assigned[$0] })
  }

  @Test(arguments: [-0.1, 1.000001, .nan, .infinity, -.infinity]) func impossibleRatesAreRefused(rate: Double) {
    expectError("noise rate", "between 0") { _ = try LabelNoise(kind: .permute, rate: rate, seed: 0) }
  }

  @Test func labelsMustBeClasses() throws {
    let noise = try LabelNoise(kind: .uniform, rate: 0.5, seed: 0)
    expectError("example 2", "is 10", "0 to 9") { _ = try noise.apply(to: [1, 9, 10], classCount: 10) }
    expectError("is -1") { _ = try noise.apply(to: [-1], classCount: 10) }
    #expect(try noise.apply(to: [], classCount: 10).realisedRate == 0)
  }

  @Test func labelsFromElsewhere() throws {
    let noisy = try NoisyLabels(original: [0, 1, 2, 3], assigned: [0, 2, 2, 0])
    #expect(noisy.corruptIndices == [1, 3])
    #expect(noisy.realisedRate == 0.5)
    #expect(noisy.kind == nil)
    #expect(NoisyLabels(clean: [1, 2]).corruptCount == 0)
    expectError("3 labels", "4 examples") { _ = try NoisyLabels(original: [0, 1, 2, 3], assigned: [0, 1, 2]) }
  }
}
