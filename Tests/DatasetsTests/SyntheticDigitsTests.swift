// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Datasets

@Suite struct SyntheticDigitsTests {
  // A change of these sums changes every published result on `digits`: say so in the changelog.
  @Test func goldenPictures() throws {
    let train = try SyntheticDigits.draw(split: .train, count: 300)
    let test = try SyntheticDigits.draw(split: .test, count: 300)
    #expect(train.sourceChecksums["content"] == "d36a7bda5fb56aff45de1fd650aa13003810e3d927069829d28c28faf15e184b")
    #expect(test.sourceChecksums["content"] == "7d5606b0d36ff72b0971eb7b99c5e25c57e6e00330e1b5034797e309477d11f3")
    #expect(try train.sourceChecksums["content"] == train.contentChecksum())
  }

  @Test func smallerSetsArePrefixes() throws {
    let large = try SyntheticDigits.draw(split: .train, count: 600, seed: 3)
    let small = try SyntheticDigits.draw(split: .train, count: 251, seed: 3)
    #expect(try large.subset(first: 251).contentChecksum() == small.contentChecksum())
  }

  @Test func everyPictureIsItsOwn() throws {
    let train = try SyntheticDigits.draw(split: .train, count: 400)
    let test = try SyntheticDigits.draw(split: .test, count: 400)
    let other = try SyntheticDigits.draw(split: .train, count: 400, seed: 1)
    var pictures: Set<[UInt8]> = []
    for set in [train, test, other] {
      let all = bytes(set.images)
      for index in 0..<set.count { pictures.insert(Array(all[(index * 784)..<((index + 1) * 784)])) }
    }
    #expect(pictures.count == 1200)
  }

  @Test func classesAreBalancedAndPicturesHaveInk() throws {
    let summary = try DatasetSummary(of: SyntheticDigits.draw(split: .train, count: 2000))
    #expect(summary.classCounts.allSatisfy { (140...260).contains($0) })
    #expect((0.05...0.25).contains(summary.mean))
    #expect(summary.exampleShape == [1, 28, 28])
  }

  @Test func loadsByName() throws {
    let data = try DatasetLoader.load(name: "digits", split: .test, count: 10)
    #expect(data.name == "digits")
    #expect(data.split == .test)
    #expect(data.count == 10)
    #expect(SyntheticDigits.available(.train) == 60_000)
    #expect(SyntheticDigits.available(.test) == 10_000)
  }

  @Test(arguments: [0, -1, 10_001, Int.max]) func impossibleNumbersAreRefused(count: Int) {
    expectError("\(count) digits", "between 1 and 10000") {
      _ = try DatasetLoader.load(name: "digits", split: .test, count: count)
    }
  }
}
