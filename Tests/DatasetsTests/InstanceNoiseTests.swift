// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Datasets

@Suite struct InstanceNoiseTests {
  /// Pictures with bytes below `bound`, each class as often as the others.
  func pictures(_ shape: [Int], classes: Int = 4, count: Int = 60, below bound: Int = 256) throws -> Dataset {
    var generator = SeededGenerator(seed: 11)
    let bytes = (0..<(count * shape.reduce(1, *))).map { _ in UInt8(generator.integer(below: bound)) }
    return try Dataset(
      name: "small", split: .train, exampleShape: shape, classNames: (0..<classes).map { "class \($0)" },
      images: ByteStorage(bytes), labels: (0..<count).map { $0 % classes })
  }

  func apply(_ dataset: Dataset, rate: Double = 0.5, seed: UInt64 = 3) throws -> NoisyLabels {
    try LabelNoise(kind: .instance, rate: rate, seed: seed).apply(to: dataset)
  }

  /// softmax(x·W_y) over the classes but y, by the definition.
  func chances(_ x: [UInt8], own: Int, classes: Int, seed: UInt64) -> [Double] {
    var generator = SeededGenerator(seed: seed, stream: .noiseWeights, index: own)
    let w = x.map { _ in (0..<classes).map { _ in generator.normal() } }
    let scores = (0..<classes).map { c in x.indices.map { Double(x[$0]) * w[$0][c] }.reduce(0, +) }
    let largest = scores.indices.filter { $0 != own }.map { scores[$0] }.max() ?? 0
    let shares = scores.indices.map { $0 == own ? 0 : exp(scores[$0] - largest) }
    return shares.map { $0 / shares.reduce(0, +) }
  }

  /// qᵢ by the definition.
  func rate(_ index: Int, _ mean: Double, seed: UInt64) -> Double {
    var generator = SeededGenerator(seed: seed, stream: .noiseRates, index: index)
    var rate = -1.0
    repeat { rate = mean + 0.1 * generator.normal() } while rate < 0 || rate > 1
    return rate
  }

  /// Every label by the definition: from the whole vector of probabilities, the own class's included.
  func slow(_ dataset: Dataset, rate mean: Double, seed: UInt64) -> [Int] {
    var choice = SeededGenerator(seed: seed, stream: .noiseChoice)
    var draw = SeededGenerator(seed: seed, stream: .noiseDraw)
    let all = bytes(dataset.images)
    return dataset.labels.enumerated().map { index, own in
      let (u, v) = (choice.unit(), draw.unit())
      let x = Array(all[(index * dataset.exampleSize)..<((index + 1) * dataset.exampleSize)])
      guard u < self.rate(index, mean, seed: seed) else { return own }
      let chances = chances(x, own: own, classes: dataset.classCount, seed: seed)
      return chances.indices.first { chances[...$0].reduce(0, +) > v } ?? own
    }
  }

  @Test(arguments: [
    ([1, 5, 3], 4, 256), ([3, 4, 4], 3, 256), ([1, 3, 3], 7, 3), ([1, 1, 1], 2, 2), ([2, 3, 1], 5, 4),
  ])
  func labelsAreThoseOfTheDefinition(shape: [Int], classes: Int, bound: Int) throws {
    let dataset = try pictures(shape, classes: classes, count: 210, below: bound)
    for (rate, seed) in [(0.4, 3), (0.05, 4), (1, 5)] as [(Double, UInt64)] {
      let noisy = try apply(dataset, rate: rate, seed: seed)
      #expect(noisy.assigned == slow(dataset, rate: rate, seed: seed))
      #expect(noisy.corruptCount > 0)
    }
  }

  /// The same on every machine, as a program in Python gives them too: a change here changes published results.
  @Test func goldenLabels() throws {
    let labels = try apply(smallDataset(count: 20), rate: 0.6, seed: 1).assigned
    #expect(labels == [0, 1, 3, 0, 0, 2, 0, 7, 5, 4, 5, 4, 0, 4, 4, 5, 6, 3, 8, 5])
  }

  @Test(arguments: [0.3, 0.4, 0.5]) func theMeanRateIsTheOneAskedFor(rate: Double) throws {
    let noise = InstanceNoise(try LabelNoise(kind: .instance, rate: rate, seed: 9))
    let rates = (0..<20_000).map { noise.flipRate(of: $0) }
    let mean = rates.reduce(0, +) / 20_000
    #expect(abs(mean - rate) < 5 * 0.1 / 20_000.0.squareRoot())
    let variance = rates.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / 20_000
    #expect(abs(variance.squareRoot() - 0.1) < 0.003)
    let noisy = try apply(pictures([1, 1, 2], count: 20_000), rate: rate)
    #expect(abs(noisy.realisedRate - rate) < 5 * (0.25 / 20_000).squareRoot())
  }

  /// Near 0 and 1 the cut normal distribution has its mean farther inside: ε + σ·φ(ε/σ)/Φ(ε/σ) at 0.1.
  @Test(arguments: [(0.1, 0.12876), (0.9, 0.87124), (1, 0.92021)]) func theCutMovesTheMean(rate: Double, mean: Double)
    throws
  {
    let noise = InstanceNoise(try LabelNoise(kind: .instance, rate: rate, seed: 9))
    let rates = (0..<20_000).map { noise.flipRate(of: $0) }
    #expect(rates.allSatisfy { (0...1).contains($0) })
    #expect(abs(rates.reduce(0, +) / 20_000 - mean) < 5 * 0.1 / 20_000.0.squareRoot())
  }

  /// The same picture a thousand times, in dim colours that leave every class a chance.
  @Test func onePictureHasOneDistribution() throws {
    let count = 20_000
    func shares(_ picture: [UInt8]) throws -> [Double] {
      let dataset = try Dataset(
        name: "one", split: .train, exampleShape: [1, 2, 2], classNames: ["a", "b", "c", "d"],
        images: ByteStorage((0..<count).flatMap { _ in picture }), labels: Array(repeating: 2, count: count))
      let noisy = try apply(dataset, rate: 0.4, seed: 21)
      let expected = chances(picture, own: 2, classes: 4, seed: 21)
      let found = (0..<4).map { label in
        Double(noisy.corruptIndices.count { noisy.assigned[$0] == label }) / Double(noisy.corruptCount)
      }
      for (share, chance) in zip(found, expected) {
        #expect(abs(share - chance) < 5 * (0.25 / Double(noisy.corruptCount)).squareRoot())
      }
      return found
    }
    let (first, second) = (try shares([1, 0, 1, 0]), try shares([0, 1, 0, 1]))
    #expect(zip(first, second).contains { abs($0 - $1) > 0.1 })
    #expect(first[2] == 0 && second[2] == 0)
  }

  /// Bright pictures: the scores are so far apart that the picture alone decides.
  @Test func brightPicturesGoToOneClass() throws {
    let picture = (0..<784).map { UInt8($0 % 256) }
    let dataset = try Dataset(
      name: "one", split: .train, exampleShape: [1, 28, 28], classNames: ["a", "b", "c"],
      images: ByteStorage((0..<100).flatMap { _ in picture }), labels: Array(repeating: 1, count: 100))
    let noisy = try apply(dataset)
    #expect(Set(noisy.corruptIndices.map { noisy.assigned[$0] }).count == 1 && noisy.corruptCount > 20)
  }

  @Test func largePicturesAreShrunk() throws {
    for channels in [1, 3] {
      let large = try pictures([channels, 40, 40], count: 40)
      #expect(try apply(large).assigned == apply(large.resized(to: 32)).assigned)
    }
    // Constant pictures stay so, whatever their shape.
    func constant(_ shape: [Int]) throws -> Dataset {
      let bytes = (0..<60).flatMap { [UInt8](repeating: UInt8($0 * 4), count: shape.reduce(1, *)) }
      return try Dataset(
        name: "constant", split: .train, exampleShape: shape, classNames: ["a", "b", "c"], images: ByteStorage(bytes),
        labels: (0..<60).map { $0 % 3 })
    }
    #expect(try apply(constant([1, 50, 20])).assigned == apply(constant([1, 32, 20])).assigned)
    #expect(try apply(constant([3, 9, 33])).assigned == apply(constant([3, 9, 32])).assigned)
  }

  @Test func picturesInFilesHaveTheSameLabels() throws {
    let folder = try Scratch()
    try PictureFixtures.load().writeFolder(at: folder.url.path)
    for size in [21, 48] {
      func load(_ change: (inout DatasetOptions) -> Void) throws -> Dataset {
        var options = DatasetOptions()
        (options.imageSize, options.resize) = (size, size + 5)
        change(&options)
        return try DatasetLoader.load(name: "folder", split: .train, directory: folder.url.path, options: options)
      }
      let kept = try load { _ in }
      #expect(kept.images != nil)
      for workers in [1, 3] {
        let lazy = try load { ($0.maximumBytesInMemory, $0.workers) = (0, workers) }
        #expect(lazy.images == nil)
        #expect(try apply(lazy, rate: 0.9).assigned == apply(kept, rate: 0.9).assigned)
      }
    }
    try Data().write(to: URL(fileURLWithPath: folder.path("train/dog/1.png")))
    var options = DatasetOptions()
    (options.imageSize, options.maximumBytesInMemory) = (21, 0)
    let lazy = try DatasetLoader.load(name: "folder", split: .test, directory: folder.url.path, options: options)
    try FileManager.default.removeItem(atPath: folder.path("val"))
    expectError("val/", "cannot be used") { _ = try apply(lazy, rate: 1) }
  }

  @Test func whatIsNoPicture() throws {
    let dataset = try pictures([20])
    expectError("kind instance", "small", "[20]", "permute, uniform or asymmetric") { _ = try apply(dataset) }
    expectError("Example", "small cannot be resized") { _ = try apply(pictures([2, 40, 40], count: 10), rate: 1) }
    for kind in [NoiseKind.permute, .uniform, .asymmetric] {
      #expect(try LabelNoise(kind: kind, rate: 0.5, seed: 1).apply(to: dataset).corruptCount > 0)
    }
    let alone = try pictures([1, 2, 2], classes: 1)
    #expect(try apply(alone, rate: 1).corruptCount == 0)
  }

  /// Test examples are taken for the same classes as training examples.
  @Test func otherExamplesHaveTheSameWeights() throws {
    let noise = try LabelNoise(kind: .instance, rate: 0.5, seed: 7)
    let (own, other) = (InstanceNoise(noise), InstanceNoise(noise.forOtherExamples))
    #expect(own.weights(of: 1, 4, 3) == other.weights(of: 1, 4, 3))
    #expect(own.weights(of: 1, 4, 3) != own.weights(of: 2, 4, 3))
    #expect(own.flipRate(of: 0) != other.flipRate(of: 0))
  }

  @Test func theLastShareCatchesRounding() {
    #expect(InstanceNoise.draw(0.999_999_999_999_999_9, [1, 1, 1, -5000], own: 0) == 2)
    #expect(InstanceNoise.draw(0, [-5000, 1, 1, 1], own: 1) == 2)
    #expect(InstanceNoise.draw(0.5, [3, 7], own: 1) == 0)
  }
}
