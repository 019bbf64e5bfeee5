// SPDX-License-Identifier: Apache-2.0

import Tensors
import TestSupport
import Testing

@testable import Datasets

@Suite struct ModularAdditionTests {
  private func tokens(_ dataset: Dataset) throws -> [[Int]] {
    let bytes = try #require(dataset.images).withUnsafeBytes { $0.map { Int($0) } }
    return stride(from: 0, to: bytes.count, by: 3).map { Array(bytes[$0..<$0 + 3]) }
  }

  private func load(_ name: String, _ split: Split, _ change: (inout DatasetOptions) -> Void = { _ in }) throws
    -> Dataset
  {
    var options = DatasetOptions()
    change(&options)
    return try DatasetLoader.load(name: name, split: split, options: options)
  }

  @Test(arguments: [2, 5, 97, 255]) func everyPairOccursOnceWithItsSum(_ modulus: Int) throws {
    let (train, test) = try (load("modular:\(modulus)", .train), load("modular:\(modulus)", .test))
    let examples = try zip(tokens(train) + tokens(test), train.labels + test.labels)
    var seen: Set<Int> = []
    for (tokens, label) in examples {
      #expect(tokens[2] == modulus && label == (tokens[0] + tokens[1]) % modulus)
      seen.insert(tokens[0] * modulus + tokens[1])
    }
    #expect(seen.count == modulus * modulus && train.count + test.count == modulus * modulus)
    let held = max(1, Int(exactly: (0.2 * Double(modulus * modulus)).rounded()) ?? 0)
    #expect(test.count == held && train.testFraction == 0.2)
    #expect(train.vocabulary == modulus + 1 && train.classCount == modulus && train.exampleShape == [3])
    let entry = try DatasetCatalog.entry(named: "modular:\(modulus)")
    #expect(entry.counts == ["train": train.count, "test": test.count] && entry.isBuiltIn && entry.isOfTokens)
    #expect(entry.exampleShape == train.exampleShape && entry.classNames == train.classNames)
  }

  @Test func shareAndSeedDecideWhatIsHeldOut() throws {
    func test(_ share: Double, _ seed: UInt64) throws -> Dataset {
      try load("modular:11", .test) { ($0.testFraction, $0.testSeed) = (share, seed) }
    }
    #expect(try tokens(test(0.5, 1)) == tokens(test(0.5, 1)) && tokens(test(0.5, 1)) != tokens(test(0.5, 2)))
    #expect(try test(0.5, 1).count == 61 && test(0.999, 1).count == 120 && test(0.0001, 1).count == 1)
    let (all, same) = try (load("modular:11", .train) { $0.testFraction = 0 }, test(0, 1))
    #expect(try all.count == 121 && tokens(all) == tokens(same) && all.testFraction == nil)
    // A part is the beginning of the whole.
    let part = try DatasetLoader.load(name: "modular:11", split: .train, count: 7)
    #expect(try tokens(part) == Array(tokens(load("modular:11", .train)).prefix(7)) && part.vocabulary == 12)
    for share in [-0.1, 1, .nan] { expectError("test-fraction must be at least 0") { _ = try test(share, 1) } }
  }

  @Test func aSplitFileTakesAllPairs() throws {
    #expect(try load("modular:5", .train) { $0.keepsFolderWhole = true }.count == 25)
    expectError("nothing else says which to test on") {
      _ = try load("modular:5", .test) { $0.keepsFolderWhole = true }
    }
  }

  @Test(arguments: ["modular", "modular:", "modular:1", "modular:256", "modular:-3", "modular:x", "modular:07"])
  func impossibleModuliAreRefused(_ name: String) {
    expectError("from 2 to 255") { _ = try DatasetLoader.load(name: name, split: .train) }
    expectError("from 2 to 255") { _ = try DatasetCatalog.entry(named: name) }
  }

  @Test func tokensBecomeWholeNumbers() throws {
    let data = try load("modular:255", .train)
    let expected = try tokens(data)
    let indices = [0, 5, data.count - 1]
    let tensor = try data.imageTensor(at: indices)
    #expect(try tensor.shape == [3, 3] && tensor.dtype == .float32)
    #expect(try tensor.values(as: Int.self) == indices.flatMap { expected[$0] })
    let part = try data.subset(indices: indices)
    #expect(try part.imageTensor(at: [0, 1, 2]).values(as: Int.self) == indices.flatMap { expected[$0] })
  }

  @Test func labelsTakeNoise() throws {
    let data = try load("modular:13", .train)
    for kind in [NoiseKind.permute, .uniform, .asymmetric] {
      let noisy = try LabelNoise(kind: kind, rate: 0.5, seed: 1).apply(to: data)
      #expect(noisy.corruptCount > 20 && noisy.original == data.labels)
    }
    expectError("depends on the picture") { _ = try LabelNoise(kind: .instance, rate: 0.5, seed: 1).apply(to: data) }
  }
}
