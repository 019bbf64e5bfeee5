// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import Testing

@testable import Audit
@testable import Training

/// Scores from sums against the same from a list of all visits.
@Suite struct ScoreTests {
  private static let classCount = 4
  private static let labels = [0, 1, 2, 3, 1, 0, 2]

  /// Logits of every visit by example; the last example is always right, the one before never.
  private func visits() -> [[[Float]]] {
    var generator = SeededGenerator(seed: 3, stream: .probe)
    return Self.labels.enumerated().map { row, label in
      (0..<14).map { _ in
        var logits = (0..<Self.classCount).map { _ in Float(4 * generator.unit() - 2) }
        if row == Self.labels.count - 1 { logits[label] += 10 }
        if row == Self.labels.count - 2 { logits[label] -= 10 }
        return logits
      }
    }
  }

  private func dynamics(_ visits: [[[Float]]]) -> TrainingDynamics {
    var dynamics = TrainingDynamics(
      indices: Array(Self.labels.indices), labels: Self.labels, classCount: Self.classCount)
    for (row, own) in visits.enumerated() {
      for logits in own { logits.withUnsafeBufferPointer { dynamics.note(row: row, logits: $0) } }
    }
    return dynamics
  }

  private func softmax(_ logits: [Float]) -> [Double] {
    let powers = logits.map { exp(Double($0)) }
    return powers.map { $0 / powers.reduce(0, +) }
  }

  private func values(_ name: String, _ evidence: AuditEvidence) throws -> [Double] {
    try #require(ExampleScores.all.first { $0.name == name }?.values(evidence))
  }

  @Test func sumsAreThoseOfTheVisits() throws {
    let visits = visits()
    let evidence = try AuditEvidence(dynamics(visits))
    func check(_ name: String, _ expected: (Int, [[Float]]) -> Double) throws {
      for (row, value) in try values(name, evidence).enumerated() {
        let wanted = expected(Self.labels[row], visits[row])
        #expect(abs(value - wanted) < 1e-5 * (1 + abs(wanted)), "\(name) of \(row)")
      }
    }
    func mean(_ numbers: [Double]) -> Double { numbers.reduce(0, +) / Double(numbers.count) }
    func margin(_ numbers: [Double], _ label: Int) -> Double {
      numbers[label] - (numbers.enumerated().filter { $0.offset != label }.map(\.element).max() ?? 0)
    }
    func isRight(_ logits: [Float], _ label: Int) -> Bool { margin(logits.map(Double.init), label) > 0 }
    try check("wrong_events") { label, own in mean(own.map { isRight($0, label) ? 0 : 1 }) }
    try check("aum") { label, own in -mean(own.map { margin($0.map(Double.init), label) }) }
    try check("loss") { label, own in -mean(own.map { log(softmax($0)[label]) }) }
    try check("mean_margin") { label, own in
      -margin((0..<Self.classCount).map { k in mean(own.map { softmax($0)[k] }) }, label)
    }
    try check("forgetting") { label, own in
      let right = own.map { isRight($0, label) }
      if !right.contains(true) { return Double(own.count) }
      return Double(zip(right, right.dropFirst()).count { $0 && !$1 })
    }
    try check("first_streak") { label, own in
      let right = own.map { isRight($0, label) }
      let first = (0...own.count - 3).first { right[$0] && right[$0 + 1] && right[$0 + 2] }
      return Double((first ?? own.count - 2) + 3)
    }
    try check("el2n") { label, own in
      mean(
        own.prefix(10).map { logits in
          softmax(logits).enumerated().reduce(0) {
            $0 + ($1.element - ($1.offset == label ? 1 : 0)) * ($1.element - ($1.offset == label ? 1 : 0))
          }.squareRoot()
        })
    }
  }

  @Test func evidenceThatIsMissingHasNoScore() throws {
    let evidence = try AuditEvidence(dynamics(visits()))
    let missing = ExampleScores.all.filter { $0.values(evidence) == nil }.map(\.name)
    #expect(
      missing == [
        "gradient_norm", "self_influence", "cosine", "class_cosine", "others_push", "neighbours", "self_confidence",
        "out_of_sample",
      ])
    #expect(Set(ExampleScores.all.map(\.name)).count == ExampleScores.all.count)
    #expect(ExampleScores.headline.allSatisfy { name in ExampleScores.all.contains { $0.name == name } })
    let error = #expect(throws: AuditError.self) { try AuditEvidence(dynamics(visits()), outOfSample: [0.5, 0.5]) }
    #expect(error?.description.contains("2 probabilities for 7 examples of 4 classes") == true)
  }

  @Test func theRankingFollowsTheHeadline() throws {
    let evidence = try AuditEvidence(dynamics(visits()))
    let analysis = try AuditAnalysis(evidence)
    let headline = analysis.columns.filter { ExampleScores.headline.contains($0.score.name) }
    #expect(headline.count == 3)
    let expected = Ranking.combined(headline.map(\.values))
    #expect(analysis.suspicion == expected && analysis.order.first == Self.labels.count - 2)
    #expect(analysis.order.last == Self.labels.count - 1)
    for (row, label) in Self.labels.enumerated() {
      let mean = evidence.dynamics.meanProbabilities(of: row)
      #expect(analysis.suggested[row] != label)
      #expect((0..<Self.classCount).allSatisfy { $0 == label || mean[$0] <= mean[analysis.suggested[row]] })
    }
    #expect(analysis.precision.last?.count == Self.labels.count)
    #expect(analysis.precision.map(\.count) == Array(1...Self.labels.count))
  }

  @Test func whatWasNeverSeenIsAnError() throws {
    let unseen = TrainingDynamics(indices: [0, 1], labels: [0, 1], classCount: 2)
    let error = #expect(throws: AuditError.self) { try AuditAnalysis(AuditEvidence(unseen)) }
    #expect(error?.description.contains("never trained on") == true)
    let single = TrainingDynamics(indices: [0], labels: [0], classCount: 2)
    #expect(throws: AuditError.self) { try AuditAnalysis(AuditEvidence(single)) }
  }
}
