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
