// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Runs
import Testing

@Suite struct SpecificationTests {
  /// What a mini-batch is asked for: its mean gradient, the means of k groups, or every example's own.
  private enum Need: Equatable {
    case batchMean, gradientMatrix
    case groupMeans(Int)

    init(_ aggregator: any Aggregator) {
      let matrix = aggregator as? any GradientMatrixAggregator
      self = matrix.map { $0.groupCount.map { .groupMeans($0) } ?? .gradientMatrix } ?? .batchMean
    }
  }

  @Test(arguments: [
    ("sgd", Need.batchMean), ("winsorized:c=2", .gradientMatrix), ("winsorized:s=4", .gradientMatrix),
    ("winsorized:c=0", .batchMean), ("trimmed:s=2", .gradientMatrix), ("m3", .groupMeans(3)),
    ("m3:successive", .batchMean), ("rm3", .batchMean), ("rm3:decay=after", .batchMean), ("ra3", .batchMean),
    ("mom:k=7", .groupMeans(7)), ("geomed:k=4", .groupMeans(4)), ("sign-sum", .batchMean),
    ("sum-sign:scale=0.01", .gradientMatrix), ("dp-sgd:clip=1,noise=0.5", .gradientMatrix),
  ])
  private func wordsAreUnderstood(_ word: String, _ need: Need) throws {
    let aggregator = try AggregatorSpecification(word).make()
    #expect(Need(aggregator) == need)
    // An object says the word that makes it again.
    #expect(aggregator.description == (word == "winsorized:c=0" ? "sgd" : word))
    #expect(try AggregatorSpecification(aggregator.description).make().description == aggregator.description)
  }

  @Test(arguments: [
    ("adam", "optimizers: sgd"), ("winsorized", "winsorized:c=2"), ("winsorized:c=50", "below 50"),
    ("winsorized:c=x", "valid value"), ("winsorized:s=-1", "at least 0"), ("winsorized:c=1:s=1", "winsorized:c=2"),
    ("m3:rolling", "m3 or m3:successive"), ("m3:successive=1", "not understood"), ("mom:k=4", "3, 5, 7 or 9"),
    ("geomed:k=1", "3 to 64"), ("rm3:decay=never", "before or after"), ("sgd:lr=1", "not understood"),
    ("sign-sum:scale=0", "above 0"), ("", "known optimizers"), ("mom:k=3:k=5", "not understood"),
  ])
  func badWordsAreErrors(_ word: String, _ part: String) {
    #expect {
      _ = try AggregatorSpecification(word)
    } throws: {
      String(describing: $0).contains(part)
    }
  }

  @Test(arguments: [(100, 1.0, 1, 1), (100, 2, 2, 2), (100, 8, 8, 8), (32, 10, 3, 3), (1, 10, 0, 0), (101, 0.5, 0, 0)])
  func percentilesAreNearestRanks(_ batch: Int, _ percent: Double, _ low: Int, _ high: Int) {
    let counts = ClippingLevel.percentile(percent).counts(ofBatch: batch)
    #expect(counts.low == low && counts.high == high)
  }
}
