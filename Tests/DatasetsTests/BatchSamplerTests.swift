// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Datasets

@Suite struct BatchSamplerTests {
  @Test(arguments: [(10, 3), (10, 10), (7, 1), (100, 7), (1, 1)])
  func everyEpochIsAPermutation(count: Int, size: Int) throws {
    var sampler = try BatchSampler(count: count, batchSize: size, seed: 4)
    for epoch in 0..<3 {
      #expect(sampler.epoch == epoch)
      #expect(sampler.position == 0)
      let batches = (0..<sampler.batchesPerEpoch).map { _ in sampler.next() }
      #expect(batches.dropLast().allSatisfy { $0.count == size })
      #expect(batches.last?.count == (count % size == 0 ? size : count % size))
      #expect(batches.flatMap { $0 }.sorted() == Array(0..<count))
    }
    #expect(sampler.epoch == 3)
  }

  @Test func epochsAndSeedsHaveDifferentOrders() throws {
    var a = try BatchSampler(count: 50, batchSize: 50, seed: 1)
    var b = try BatchSampler(count: 50, batchSize: 50, seed: 2)
    let orders = [a.next(), a.next(), b.next()]
    #expect(Set(orders).count == 3)
  }

  @Test func orderIsGolden() throws {
    var sampler = try BatchSampler(count: 10, batchSize: 4, seed: 1)
    #expect([sampler.next(), sampler.next(), sampler.next()] == [[4, 2, 1, 5], [3, 9, 0, 6], [7, 8]])
  }

  @Test func shortLastBatchCanBeDropped() throws {
    var sampler = try BatchSampler(count: 10, batchSize: 4, seed: 1, dropLast: true)
    #expect(sampler.batchesPerEpoch == 2)
    let sizes = (0..<6).map { _ in sampler.next().count }
    #expect(sizes == Array(repeating: 4, count: 6))
    #expect(sampler.epoch == 3)
  }

  @Test(arguments: [false, true]) func resumesInTheMiddleOfAnEpoch(dropLast: Bool) throws {
    var sampler = try BatchSampler(count: 23, batchSize: 4, seed: 8, dropLast: dropLast)
    for _ in 0..<30 {
      var copy = try JSONDecoder().decode(BatchSampler.self, from: JSONEncoder().encode(sampler))
      #expect(copy == sampler)
      var original = sampler
      for _ in 0..<15 { #expect(copy.next() == original.next()) }
      _ = sampler.next()
    }
  }

  @Test func impossibleNumbersAreRefused() {
    expectError("no examples") { _ = try BatchSampler(count: 0, batchSize: 1, seed: 0) }
    expectError("no examples") { _ = try BatchSampler(count: -5, batchSize: 1, seed: 0) }
    expectError("batch size is 0") { _ = try BatchSampler(count: 5, batchSize: 0, seed: 0) }
    expectError("batch size is 6", "the 5 examples") { _ = try BatchSampler(count: 5, batchSize: 6, seed: 0) }
    expectError("can order") { _ = try BatchSampler(count: .max, batchSize: 6, seed: 0) }
  }

  @Test(arguments: [
    #"{"count":10,"batchSize":4,"seed":1,"dropLast":false,"epoch":0,"position":10}"#,
    #"{"count":10,"batchSize":4,"seed":1,"dropLast":false,"epoch":0,"position":-4}"#,
    #"{"count":10,"batchSize":4,"seed":1,"dropLast":false,"epoch":0,"position":3}"#,
    #"{"count":10,"batchSize":4,"seed":1,"dropLast":true,"epoch":0,"position":8}"#,
    #"{"count":10,"batchSize":4,"seed":1,"dropLast":false,"epoch":-1,"position":0}"#,
    #"{"count":0,"batchSize":4,"seed":1,"dropLast":false,"epoch":0,"position":0}"#,
    #"{"count":10,"batchSize":4,"seed":1,"dropLast":false,"epoch":0}"#,
  ])
  func damagedStatesAreRefused(json: String) {
    #expect(throws: DecodingError.self) { try JSONDecoder().decode(BatchSampler.self, from: Data(json.utf8)) }
  }

  @Test func sequentialRangesCoverEverything() {
    #expect(BatchSampler.sequential(count: 10, batchSize: 4) == [0..<4, 4..<8, 8..<10])
    #expect(BatchSampler.sequential(count: 8, batchSize: 4) == [0..<4, 4..<8])
    #expect(BatchSampler.sequential(count: 3, batchSize: .max) == [0..<3])
    #expect(BatchSampler.sequential(count: 0, batchSize: 4).isEmpty)
    #expect(BatchSampler.sequential(count: 2, batchSize: 0) == [0..<1, 1..<2])
  }
}

/// Batches that every example gets into by itself.
@Suite struct PoissonSamplingTests {
  private func sampler(_ count: Int, _ size: Int, seed: UInt64 = 3) throws -> BatchSampler {
    try BatchSampler(count: count, batchSize: size, seed: seed, sampling: .poisson)
  }

  /// Sizes, and how often each example and each pair of batches has one, within five standard deviations of a binomial.
  @Test func everyExampleIsDrawnByItself() throws {
    let (count, size, draws) = (200, 10, 4000)
    let rate = Double(size) / Double(count)
    var sampler = try sampler(count, size)
    let batches = (0..<draws).map { _ in sampler.next() }
    #expect(batches.allSatisfy { $0 == Set($0).sorted() && $0.allSatisfy((0..<count).contains) })
    let sizes = batches.map { Double($0.count) }
    let mean = sizes.reduce(0, +) / Double(draws)
    let variance = sizes.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(draws)
    let expected = Double(count) * rate * (1 - rate)
    #expect(abs(mean - Double(size)) < 5 * (expected / Double(draws)).squareRoot())
    #expect(abs(variance / expected - 1) < 5 * (2 / Double(draws)).squareRoot())
    func deviation(_ found: Int, _ trials: Int, _ share: Double) -> Double {
      abs(Double(found) - Double(trials) * share) / (Double(trials) * share * (1 - share)).squareRoot()
    }
    for example in 0..<count { #expect(deviation(batches.count { $0.contains(example) }, draws, rate) < 5) }
    let repeated = zip(batches, batches.dropFirst()).reduce(0) { $0 + Set($1.0).intersection($1.1).count }
    #expect(deviation(repeated, (draws - 1) * count, rate * rate) < 5)
  }

  @Test func manyBatchesOfOneAreEmpty() throws {
    var sampler = try sampler(60, 1)
    let empty = (0..<3000).count { _ in sampler.next().isEmpty }
    // (1 − 1/60)⁶⁰ = 0.3648.
    #expect(abs(Double(empty) - 3000 * 0.3648) < 5 * (3000 * 0.3648 * 0.6352).squareRoot())
  }

  @Test func aBatchOfAllHasAll() throws {
    var sampler = try sampler(7, 7)
    for _ in 0..<5 { #expect(sampler.next() == Array(0..<7)) }
    #expect(sampler.epoch == 5 && sampler.ampleBatchSize == 7)
  }

  @Test func epochsAreAsLongAsOfOtherBatches() throws {
    var sampler = try sampler(23, 4)
    #expect(sampler.batchesPerEpoch == 6)
    for _ in 0..<6 {
      #expect(sampler.epoch == 0)
      _ = sampler.next()
    }
    #expect(sampler.epoch == 1 && sampler.position == 0)
    #expect(sampler.ampleBatchSize == 16)
    #expect(try BatchSampler(count: 23, batchSize: 4, seed: 1).ampleBatchSize == 4)
  }

  @Test func resumesAnywhere() throws {
    var sampler = try sampler(23, 4)
    for _ in 0..<30 {
      var copy = try JSONDecoder().decode(BatchSampler.self, from: JSONEncoder().encode(sampler))
      #expect(copy == sampler && copy.sampling == .poisson)
      var original = sampler
      for _ in 0..<15 { #expect(copy.next() == original.next()) }
      _ = sampler.next()
    }
    // A state of the usual kind is written as ever.
    let usual = try BatchSampler(count: 23, batchSize: 4, seed: 3)
    #expect(!String(decoding: try JSONEncoder().encode(usual), as: UTF8.self).contains("sampling"))
    #expect(usual != (try self.sampler(23, 4)))
  }

  @Test func thereIsNoLastBatch() {
    expectError("no short last one") {
      _ = try BatchSampler(count: 10, batchSize: 4, seed: 1, dropLast: true, sampling: .poisson)
    }
    let json = #"{"count":10,"batchSize":4,"seed":1,"dropLast":false,"epoch":0,"position":0,"sampling":"drawn"}"#
    #expect(throws: DecodingError.self) { try JSONDecoder().decode(BatchSampler.self, from: Data(json.utf8)) }
  }

  /// Empty batches too, augmented or not.
  @Test(arguments: [false, true]) func loadersTakeWhatTheSamplerDraws(_ isAugmented: Bool) throws {
    let digits = try DatasetLoader.load(name: "digits", split: .train, count: 20)
    let loader = BatchLoader(
      digits, indices: Array((0..<20).reversed()), augmentation: isAugmented ? try Augmentation("crop") : .none)
    var (one, two) = (try sampler(20, 1), try sampler(20, 1))
    var empty = 0
    for _ in 0..<40 {
      let batch = try loader.next(&one)
      let expected = two.next()
      #expect(batch.indices == expected.map { 19 - $0 })
      #expect(batch.images.shape == [expected.count] + digits.exampleShape)
      if expected.isEmpty { empty += 1 }
    }
    #expect(empty > 5 && empty < 30)
  }
}

@Suite struct HoldOutTests {
  @Test(arguments: [0, 1, 30, 99]) func partsCoverTheWhole(held: Int) throws {
    let parts = try HoldOut(count: 100, validationCount: held, seed: 2)
    #expect(parts.validation.count == held)
    #expect((parts.validation + parts.training).sorted() == Array(0..<100))
    #expect(parts.validation == parts.validation.sorted() && parts.training == parts.training.sorted())
    #expect(try HoldOut(count: 100, validationCount: held, seed: 2) == parts)
  }

  @Test(arguments: [-1, 100, 101, Int.max]) func impossibleNumbersAreRefused(held: Int) {
    expectError("cannot be held out") { _ = try HoldOut(count: 100, validationCount: held, seed: 2) }
  }
}
