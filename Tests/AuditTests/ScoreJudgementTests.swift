// SPDX-License-Identifier: Apache-2.0

import Datasets
import Testing

@testable import Audit

/// Rankings and judgements against their definitions, with many ties.
@Suite struct JudgementTests {
  private struct Case {
    let values: [Double]
    let isError: [Bool]
  }

  private func cases() -> [Case] {
    var generator = SeededGenerator(seed: 4, stream: .probe)
    return [(5, 2), (17, 4), (40, 3), (63, 40)].map { count, levels in
      let values = (0..<count).map { _ in Double(generator.integer(below: levels)) }
      var isError = (0..<count).map { _ in generator.unit() < 0.4 }
      (isError[0], isError[1]) = (true, false)
      return Case(values: values, isError: isError)
    }
  }

  @Test func sharesAreThoseOfTheOthers() {
    for item in cases() {
      let shares = Ranking.shares(of: item.values)
      for (place, value) in item.values.enumerated() {
        let below = item.values.count { $0 < value }
        let equal = item.values.count { $0 == value } - 1
        let expected = (Double(below) + Double(equal) / 2) / Double(item.values.count - 1)
        #expect(abs(shares[place] - expected) < 1e-12)
      }
    }
    #expect(Ranking.shares(of: [3]) == [0.5] && Ranking.combined([]) == [])
    #expect(Ranking.combined([[1, 2, 3], [30, 10, 20]]) == [0.5, 0.25, 0.75])
    #expect(Ranking.order(of: [1, 3, 3, 2]) == [1, 2, 3, 0])
  }

  /// Pair by pair, threshold by threshold, and by all orders of the examples that share the last value.
  @Test func measuresFollowTheirDefinitions() throws {
    for item in cases() {
      let judgement = try ScoreJudgement("score", values: item.values, isError: item.isError)
      let errors = item.values.indices.filter { item.isError[$0] }
      let right = item.values.indices.filter { !item.isError[$0] }
      var pairs = 0.0
      for error in errors {
        for other in right {
          let (a, b) = (item.values[error], item.values[other])
          pairs += a > b ? 1 : a == b ? 0.5 : 0
        }
      }
      #expect(abs(judgement.auroc.value - pairs / Double(errors.count * right.count)) < 1e-12)

      let precision = errors.reduce(0.0) { sum, error in
        let beyond = item.values.indices.filter { item.values[$0] >= item.values[error] }
        return sum + Double(beyond.count { item.isError[$0] }) / Double(beyond.count)
      }
      #expect(abs(judgement.averagePrecision.value - precision / Double(errors.count)) < 1e-12)

      let least = item.values.sorted(by: >)[errors.count - 1]
      let surely = item.values.indices.filter { item.values[$0] > least }
      let maybe = item.values.indices.filter { item.values[$0] == least }
      let share = Double(maybe.count { item.isError[$0] }) / Double(maybe.count)
      let hits = Double(surely.count { item.isError[$0] }) + Double(errors.count - surely.count) * share
      #expect(abs(judgement.precisionAtTrueNumber.value - hits / Double(errors.count)) < 1e-12)
      #expect(abs(judgement.falseNegatives - (1 - hits / Double(errors.count))) < 1e-12)
      for estimate in [judgement.auroc, judgement.averagePrecision, judgement.precisionAtTrueNumber] {
        #expect(estimate.low <= estimate.high && estimate.low >= 0 && estimate.high <= 1)
      }
    }
  }

  @Test func intervalsShrinkWithMoreExamples() throws {
    func width(_ count: Int) throws -> Double {
      var generator = SeededGenerator(seed: 9, stream: .probe)
      let isError = (0..<count).map { $0 % 4 == 0 }
      let values = isError.map { ($0 ? 0.5 : 0) + generator.unit() }
      let found = try ScoreJudgement("score", values: values, isError: isError).auroc
      #expect(found.low < found.value && found.value < found.high)
      return found.high - found.low
    }
    #expect(try width(4000) < 0.5 * width(400))
  }

  @Test func whatCannotBeJudgedSaysSo() {
    for (values, isError, words) in [
      ([1.0, 2], [true], "2 scores cannot be judged by 1 labels"), ([1, 2], [true, true], "2 are wrong"),
      ([1, 2], [false, false], "of 2 labels 0 are wrong"),
    ] {
      let error = #expect(throws: AuditError.self) { try ScoreJudgement("score", values: values, isError: isError) }
      #expect(error?.description.contains(words) == true)
    }
  }
}
