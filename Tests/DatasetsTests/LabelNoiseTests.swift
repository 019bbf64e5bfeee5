// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Datasets

@Suite struct LabelNoiseTests {
  let labels: [Int]
  /// Pictures of four pixels for these labels, under the names of CIFAR-10's classes.
  let dataset: Dataset

  init() throws {
    var generator = SeededGenerator(seed: 100)
    labels = (0..<20_000).map { _ in generator.integer(below: 10) }
    let bytes = (0..<80_000).map { _ in UInt8(generator.integer(below: 3)) }
    dataset = try Dataset(
      name: "small", split: .train, exampleShape: [1, 2, 2], classNames: DatasetCatalog.cifar10.classNames,
      images: ByteStorage(bytes), labels: labels)
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
    let noisy = try LabelNoise(kind: kind, rate: 0, seed: 3).apply(to: dataset)
    #expect(noisy.assigned == labels)
    #expect(noisy.realisedRate == 0)
    #expect(noisy.corruptIndices.isEmpty)
    #expect(noisy.pristineIndices == Array(labels.indices))
  }

  @Test(arguments: NoiseKind.allCases) func corruptMeansChanged(kind: NoiseKind) throws {
    let noisy = try LabelNoise(kind: kind, rate: 0.3, seed: 5).apply(to: dataset)
    #expect(noisy.corruptIndices.allSatisfy { noisy.assigned[$0] != labels[$0] && noisy.isCorrupt($0) })
    #expect(noisy.pristineIndices.allSatisfy { noisy.assigned[$0] == labels[$0] && !noisy.isCorrupt($0) })
    #expect((noisy.corruptIndices + noisy.pristineIndices).sorted() == Array(labels.indices))
    #expect(noisy.corruptCount == noisy.corruptIndices.count)
    #expect(!noisy.isCorrupt(-1))
    #expect(!noisy.isCorrupt(labels.count))
  }

  @Test(arguments: NoiseKind.allCases) func sameRecipeSameLabels(kind: NoiseKind) throws {
    let noise = try LabelNoise(kind: kind, rate: 0.5, seed: 7)
    let first = try noise.apply(to: dataset)
    #expect(try noise.apply(to: dataset) == first)
    #expect(first.kind == kind && first.rate == 0.5 && first.seed == 7 && first.original == labels)
    let other = try LabelNoise(kind: kind, rate: 0.5, seed: 8).apply(to: dataset)
    #expect(other.assigned != first.assigned)
  }

  /// Of instance-dependent noise far from 0 and 1, where no probability is cut.
  @Test(arguments: [(NoiseKind.uniform, 0.2, 0.6), (.asymmetric, 0.2, 0.6), (.instance, 0.45, 0.55)])
  func higherRatesOnlyAddFlips(kind: NoiseKind, low: Double, high: Double) throws {
    let few = try LabelNoise(kind: kind, rate: low, seed: 7).apply(to: dataset)
    let many = try LabelNoise(kind: kind, rate: high, seed: 7).apply(to: dataset)
    #expect(few.corruptIndices.allSatisfy { few.assigned[$0] == many.assigned[$0] })
    #expect(few.corruptCount < many.corruptCount)
  }

  /// Labels do not depend on how many examples follow.
  @Test(arguments: [NoiseKind.uniform, .asymmetric, .instance]) func subsetsHaveTheSameLabels(kind: NoiseKind) throws {
    let noise = try LabelNoise(kind: kind, rate: 0.4, seed: 7)
    let part = try noise.apply(to: dataset.subset(first: 300))
    #expect(try Array(noise.apply(to: dataset).assigned[..<300]) == part.assigned)
  }

  @Test(arguments: [0.1, 0.4, 1.0]) func asymmetricNoiseFollowsTheMap(rate: Double) throws {
    let noisy = try LabelNoise(kind: .asymmetric, rate: rate, seed: 3).apply(to: dataset)
    // Airplane 0, automobile 1, bird 2, cat 3, deer 4, dog 5, frog 6, horse 7, ship 8, truck 9.
    let map = [2: 0, 3: 5, 4: 7, 5: 3, 9: 1]
    var generator = SeededGenerator(seed: 3, stream: .noiseChoice)
    for (index, label) in labels.enumerated() {
      let isChosen = generator.unit() < rate
      #expect(noisy.assigned[index] == (isChosen ? map[label] ?? label : label))
    }
    // Half of the classes have an entry.
    #expect(abs(noisy.realisedRate - rate / 2) < 5 * (0.25 / 20_000).squareRoot())
  }

  /// The same places in the list as those of the training labels would otherwise be chosen.
  @Test(arguments: NoiseKind.allCases) func otherExamplesAreDrawnAnew(kind: NoiseKind) throws {
    let noise = try LabelNoise(kind: kind, rate: 0.5, seed: 7)
    let other = try noise.forOtherExamples.apply(to: dataset)
    #expect(try other.assigned != noise.apply(to: dataset).assigned)
    if kind != .instance {
      #expect(try other == LabelNoise(kind: kind, rate: 0.5, seed: ~7).apply(to: dataset))
    }
  }

  @Test func labelsAloneDoNotDoForEveryKind() throws {
    for kind in [NoiseKind.asymmetric, .instance] {
      expectError("kind \(kind.rawValue)", "Give the data set") {
        _ = try LabelNoise(kind: kind, rate: 0.5, seed: 0).apply(to: labels, classCount: 10)
      }
    }
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
