// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import Training

@Suite struct ClassificationReportTests {
  private static func reference(_ rows: [[Double]], _ labels: [Int]) -> (loss: Double, accuracy: Double, ece: Double) {
    var (loss, correct) = (0.0, 0)
    var bins = [(confidence: Double, correct: Int, count: Int)](repeating: (0, 0, 0), count: 15)
    for (row, label) in zip(rows, labels) {
      let sum = row.reduce(0) { $0 + exp($1) }
      let probabilities = row.map { exp($0) / sum }
      loss -= log(probabilities[label])
      let confidence = probabilities.max() ?? 0
      let isCorrect = probabilities.firstIndex(of: confidence) == label
      if isCorrect { correct += 1 }
      // The stretch (b/15, (b + 1)/15] that holds it.
      let place = (0..<15).first { confidence > Double($0) / 15 && confidence <= Double($0 + 1) / 15 } ?? 14
      bins[place] = (
        bins[place].confidence + confidence, bins[place].correct + (isCorrect ? 1 : 0), bins[place].count + 1
      )
    }
    let count = Double(rows.count)
    let ece = bins.reduce(0) { $0 + abs(Double($1.correct) - $1.confidence) / count }
    return (loss / count, Double(correct) / count, ece)
  }

  @Test(arguments: [(1, 2), (37, 3), (200, 10)])
  func agreesWithPlainLoops(_ count: Int, _ classes: Int) throws {
    let values = randomNumbers(count * classes, seed: 5, low: -4, high: 4).map { Float($0) }
    let rows = (0..<count).map { row in (0..<classes).map { Double(values[row * classes + $0]) } }
    let labels = (0..<count).map { ($0 * 7 + $0 / 3) % classes }
    let predictions = try Predictions(logits: values, classCount: classes)
    let names = (0..<classes).map { "class \($0)" }
    let odd = labels.indices.filter { $0 % 2 == 1 }
    let report = try ClassificationReport(predictions, labels: labels, classNames: names, groups: [("odd", odd)])
    let expected = Self.reference(rows, labels)
    #expect(abs((report.all.loss ?? 0) - expected.loss) < 1e-9 && report.all.accuracy == expected.accuracy)
    #expect(abs(report.calibrationError - expected.ece) < 1e-9)
    #expect(report.bins.reduce(0) { $0 + $1.count } == count && report.all.count == count)
    // The parts make the whole.
    #expect(report.confusion.map { $0.reduce(0, +) } == report.classes.map(\.count))
    let diagonal = report.confusion.indices.reduce(0) { $0 + report.confusion[$1][$1] }
    #expect(Double(diagonal) / Double(count) == expected.accuracy)
    let total = report.classes.reduce(0) { $0 + Double($1.count) * ($1.loss ?? 0) }
    #expect(abs(total / Double(count) - expected.loss) < 1e-9)
    let ownLoss = Self.reference(odd.map { rows[$0] }, odd.map { labels[$0] }).loss
    #expect(odd.isEmpty ? report.groups[0].loss == nil : abs((report.groups[0].loss ?? 0) - ownLoss) < 1e-9)
    if classes <= 5 { #expect(report.all.accuracyTop5 == 1) }
  }

  @Test func tiesAndExtremesAreDefined() throws {
    let predictions = try Predictions(logits: [1, 1, 500, -500, 0, 0], classCount: 2)
    let report = try ClassificationReport(predictions, labels: [0, 0, 1], classNames: ["a", "b"])
    // Equal logits are no decision for the label; a label of no probability has a finite loss.
    #expect(report.all.accuracy == 1.0 / 3 && report.all.loss?.isFinite == true)
    #expect(predictions.ranking(of: 0) == [0, 1] && predictions.probabilities(of: 1) == [1, 0])
    #expect(try Predictions(logits: [500, -500], classCount: 2).probabilities() == [1, 0])
    let wrong = try ClassificationReport(
      Predictions(logits: [500, -500], classCount: 2), labels: [1], classNames: ["a", "b"])
    #expect(wrong.all.loss == 1000 && wrong.calibrationError == 1)
  }

  @Test func whatDoesNotBelongTogetherIsAnError() throws {
    let predictions = try Predictions(logits: [0, 1, 2, 3], classCount: 2)
    for (labels, names, part) in [
      ([0], ["a", "b"], "2 predictions cannot be compared with 1 labels"), ([], ["a", "b"], "0 labels"),
      ([0, 1], ["a", "b", "c"], "the model has 2 classes, but the data has 3"), ([0, 2], ["a", "b"], "2 classes"),
    ] as [([Int], [String], String)] {
      #expect {
        _ = try ClassificationReport(predictions, labels: labels, classNames: names)
      } throws: {
        "\($0)".contains(part)
      }
    }
    #expect { _ = try Predictions(logits: [1, 2, 3], classCount: 2) } throws: { "\($0)".contains("whole rows") }
  }
}
