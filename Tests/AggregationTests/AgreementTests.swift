// SPDX-License-Identifier: Apache-2.0

import Foundation
import GradientMatrix
import Runs
import Testing
import TestSupport
import Tensors

@testable import Aggregation

/// Rules that keep what gradients agree on, against explicit rows.
@Suite struct AgreementTests {
  private static func mean(_ rows: [[Double]]) -> [Double] {
    rows[0].indices.map { column in rows.reduce(0) { $0 + $1[column] } / Double(rows.count) }
  }

  private static func softlyMasked(
    _ rows: [[Double]], layers: [[Range<Int>]], threshold: Double, sharpness: Double
  ) -> [Double] {
    let (count, means) = (Double(rows.count), mean(rows))
    let masks = rows[0].indices.map { column in
      let values = rows.map { $0[column] }
      let variance = values.reduce(0) { $0 + ($1 - means[column]) * ($1 - means[column]) } / (count - 1)
      let agreement = abs(values.reduce(0) { $0 + ($1 > 0 ? 1 : $1 < 0 ? -1 : 0) }) / count
      return max(0, tanh(sharpness * (agreement - threshold) / max(variance, 1e-300)))
    }
    var result = zip(means, masks).map { $0 * $1 }
    for ranges in layers {
      let columns = ranges.flatMap(Array.init)
      let share = columns.reduce(0) { $0 + masks[$1] } / Double(columns.count)
      for column in columns { result[column] = share > 0 ? result[column] / share : 0 }
    }
    return result
  }

  @Test(arguments: [0, 0.2, 9.0 / 11], [0.01, 1]) func theSoftMask(_ threshold: Double, _ sharpness: Double) throws {
    for isConvolutional in [false, true] {
      let network = try Network(batch: 11, dtype: .float64, isConvolutional: isConvolutional)
      let matrix = try network.matrix()
      try SandMask(threshold: threshold, sharpness: sharpness).aggregate(matrix, network.store)
      let expected = Self.softlyMasked(
        try network.explicit(), layers: matrix.layers.map(\.ranges), threshold: threshold, sharpness: sharpness)
      // The variance is a difference of two sums.
      try expectClose(network.store.gradient, expected, shape: [network.store.count], rtol: 1e-6, atol: 1e-9)
    }
  }

  /// As the authors' code goes: one gradient after the other.
  private static func filtered(
    _ gradients: [[Double]], threshold: Double, _ joining: AgreementFilter.Joining
  ) -> [Double] {
    func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    var (total, joined) = (gradients[0], 1)
    for other in gradients.dropFirst() {
      let cosine = dot(total, other) / (dot(total, total) * dot(other, other)).squareRoot()
      guard 1 - cosine <= threshold else { continue }
      switch joining {
      case .halving: total = zip(total, other).map { ($0 + $1) / 2 }
      case .mean: total = zip(total, other).map { ($0 * Double(joined) + $1) / Double(joined + 1) }
      }
      joined += 1
    }
    return joined > 1 ? total : total.map { _ in 0 }
  }

  @Test(arguments: [0.5, 0.97, 1.1, 2], [AgreementFilter.Joining.halving, .mean])
  func whatDisagreesIsLeftOut(_ threshold: Double, _ joining: AgreementFilter.Joining) throws {
    for (isConvolutional, groups) in [(false, nil), (true, nil), (false, 3), (true, 4)] as [(Bool, Int?)] {
      let network = try Network(batch: 11, dtype: .float64, isConvolutional: isConvolutional)
      let rows = try network.explicit()
      let filter = try AgreementFilter(threshold: threshold, joining: joining, groupCount: groups)
      try filter.aggregate(network.matrix(), network.store)
      let gradients = try groups.map { count in
        try GradientMatrix.groups(of: 11, count: count).map { Self.mean(Array(rows[$0])) }
      }
      let expected = Self.filtered(gradients ?? rows, threshold: threshold, joining)
      try expectClose(network.store.gradient, expected, shape: [network.store.count], rtol: 1e-8, atol: 1e-10)
      #expect(filter.emptySteps == (expected.allSatisfy { $0 == 0 } ? 1 : 0))
      // All are taken in at the largest distance.
      if threshold == 2, joining == .mean {
        #expect(zip(expected, Self.mean(gradients ?? rows)).allSatisfy { abs($0 - $1) < 1e-12 })
      }
    }
  }

  /// Each half of the rows judges the other's.
  private static func crossChecked(_ rows: [[Double]]) -> [Double] {
    let first = (rows.count + 1) / 2
    let means = [mean(Array(rows[..<first])), mean(Array(rows[first...]))]
    let kept = rows.indices.filter { place in
      zip(rows[place], means[place < first ? 1 : 0]).reduce(0) { $0 + $1.0 * $1.1 } > 0
    }
    return kept.isEmpty ? rows[0].map { _ in 0 } : mean(kept.map { rows[$0] })
  }

  @Test(arguments: [2, 3, 11], [false, true])
  func examplesThatTheOtherHalfContradictsAreLeftOut(_ batch: Int, _ isConvolutional: Bool) throws {
    let network = try Network(batch: batch, dtype: .float64, isConvolutional: isConvolutional)
    let rule = IndependentAgreement()
    let expected = Self.crossChecked(try network.explicit())
    for _ in 0..<2 {
      try rule.aggregate(network.matrix(), network.store)
      try expectClose(network.store.gradient, expected, shape: [network.store.count], rtol: 1e-8, atol: 1e-10)
    }
    #expect(rule.emptySteps == (expected.allSatisfy { $0 == 0 } ? 2 : 0))
  }

  @Test func frozenParametersDoNotJudge() throws {
    let network = try Network(batch: 11, dtype: .float64, isConvolutional: false)
    try network.store.freeze([network.store.entries[0].name, network.store.entries[3].name])
    let frozen = network.store.frozenRanges
    let rows = try network.explicit().map { row in
      row.enumerated().map { column, value in frozen.contains { $0.contains(column) } ? 0 : value }
    }
    let expected = Self.crossChecked(rows)
    try IndependentAgreement().aggregate(network.matrix(), network.store)
    let found: [Double] = try network.store.gradient.values()
    for column in expected.indices where !frozen.contains(where: { $0.contains(column) }) {
      #expect(abs(found[column] - expected[column]) < 1e-9)
    }
  }

  /// What is frozen has no say in who agrees.
  @Test(arguments: [nil, 3] as [Int?]) func frozenParametersDoNotCount(_ groups: Int?) throws {
    let network = try Network(batch: 11, dtype: .float64, isConvolutional: false)
    try network.store.freeze([network.store.entries[0].name, network.store.entries[3].name])
    let frozen = network.store.frozenRanges
    let rows = try network.explicit().map { row in
      row.enumerated().map { column, value in frozen.contains { $0.contains(column) } ? 0 : value }
    }
    let gradients = try groups.map { count in
      try GradientMatrix.groups(of: 11, count: count).map { Self.mean(Array(rows[$0])) }
    }
    let expected = Self.filtered(gradients ?? rows, threshold: 1, .halving)
    try AgreementFilter(threshold: 1, groupCount: groups).aggregate(network.matrix(), network.store)
    let found: [Double] = try network.store.gradient.values()
    for column in expected.indices where !frozen.contains(where: { $0.contains(column) }) {
      #expect(abs(found[column] - expected[column]) < 1e-9)
    }
  }

  @Test func nothingAgreesWithTheFirst() {
    let opposed: [Double] = [1, -1, -1, 1]
    #expect(AgreementFilter.weights(gram: opposed, count: 2, 0.97, .halving) == [0, 0])
    #expect(AgreementFilter.weights(gram: opposed, count: 2, 2, .halving) == [0.5, 0.5])
    // A gradient of 0 is no opinion.
    #expect(AgreementFilter.weights(gram: [1, 0, 0, 0], count: 2, 2, .mean) == [0, 0])
  }

  @Test func theSignOfARunningMean() throws {
    let network = try Network(batch: 5, dtype: .float64, isConvolutional: false)
    let rule = try SignOfAverage(beta: 0.75, scale: 0.5)
    var average = [Double](repeating: 0, count: network.store.count)
    let generator = try Generator(seed: 4)
    for step in 0..<4 {
      let gradient = try Tensor.normal([network.store.count], generator: generator).to(.float64)
      try network.store.gradient.copy(from: gradient)
      average = zip(average, try gradient.values(as: Double.self)).map { 0.75 * $0 + 0.25 * $1 }
      guard case .gradient = try rule.aggregate(network.store) else { Issue.record("no gradient"); return }
      let expected = average.map { 0.5 * ($0 > 0 ? 1 : $0 < 0 ? -1 : 0) }
      #expect(try network.store.gradient.values() as [Double] == expected)
      guard step == 1 else { continue }
      // From its state another one goes on alike.
      let other = try SignOfAverage(beta: 0.75, scale: 0.5)
      try other.restore(
        Dictionary(uniqueKeysWithValues: rule.state.map { ($0.name, $0.tensor) }), afterSteps: 2, network.store)
      #expect(try other.state[0].tensor.values() as [Double] == average)
      #expect(throws: AggregationError.self) { try other.restore([:], afterSteps: 2, network.store) }
    }
  }

  @Test func wordsAndTheirMistakes() throws {
    for word in [
      "sand-mask:t=0.2", "sand-mask:t=1:k=0.5", "gaf:t=0.97", "gaf:t=1.1:k=5:mean", "sign-ema", "sign-ema:beta=0.99",
      "agra",
    ] {
      #expect(try AggregatorSpecification(word).make().description == word)
    }
    for (word, part) in [
      ("sand-mask:t=2", "from 0 to 1"), ("sand-mask:t=0.1:k=0", "above 0"), ("gaf:t=3", "from 0 to 2"),
      ("gaf:k=1", "2 to 64"), ("gaf:median", "gaf:t=T or gaf:t=T:k=K"), ("sign-ema:beta=1", "below 1"),
      ("agra:t=0", "agra"),
      ("sign-ema:scale=-1", "above 0"),
    ] {
      #expect { _ = try AggregatorSpecification(word) } throws: { "\($0)".contains(part) }
    }
  }
}
