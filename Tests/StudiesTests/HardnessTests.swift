// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import Studies

/// WS-9 to WS-11: every rule says each of the three verdicts.
@Suite struct HardnessTests {
  /// What the paper reports: 85, 17, 44 and 21 %.
  private func splits(
    seeds: Int = 3, _ table: [String: Double] = [:], _ change: (inout SampleRun) -> Void = { _ in }
  ) -> [SampleRun] {
    let paper = ["easy/easy": 0.85, "easy/hard": 0.17, "hard/easy": 0.44, "hard/hard": 0.21].merging(table) { $1 }
    return ["easy", "hard"].flatMap { kind in
      (1...seeds).map { seed in
        var run = SampleRun(seed: UInt64(seed), model: "resnet18-32")
        run.extra["split"] = kind
        run.trainExamples = kind == "easy" ? 5000 : 4000
        run.train = { rise($0, at: kind == "easy" ? 20 : 200) }
        run.loss = { 2.3 - (kind == "easy" ? 0.02 : 0.005) * Double(min($0, 100)) - 0.001 * Double(seed) }
        for tested in ["easy", "hard"] {
          let share = (paper["\(kind)/\(tested)"] ?? 0) + 0.001 * Double(seed)
          run.groups["test/\(tested)"] = { _ in share }
        }
        change(&run)
        return run
      }
    }
  }

  @Test func easyGeneralisesBetter() throws {
    try expect("WS-9", .held, on: splits())
    try expect("WS-9", .didNotHold, on: splits(["hard/hard": 0.95]), saying: "gap of easy examples is larger")
    try expect("WS-9", .inconclusive, on: splits(["hard/hard": 0.842]), saying: "within two standard errors")
    try expect("WS-9", .inconclusive, on: splits(seeds: 1), saying: "3 seeds of the split easy")
    try expect("WS-9", .inconclusive, on: splits().filter { $0.extra["split"] == "easy" }, saying: "the split hard")
    let slower = splits { run in
      if run.extra["split"] == "hard" { run.loss = { 2.3 - 0.03 * Double(min($0, 70)) } }
    }
    try expect("WS-9", .didNotHold, on: slower, saying: "falls more slowly")
    let unlearned = splits { if $0.extra["split"] == "easy" { $0.train = { 0.87 * rise($0, at: 20) } } }
    try expect("WS-9", .inconclusive, on: unlearned, saying: "not as well learned")
  }

  @Test func hardDoesNotTeachEasy() throws {
    try expect("WS-11", .held, on: splits())
    try expect("WS-11", .didNotHold, on: splits(["hard/easy": 0.8]), saying: "(c) did not hold: it is above two thirds")
    try expect(parts: "WS-11", [.held, .held, .held, .held, .held], on: splits())
    try expect(
      parts: "WS-11", [.held, .held, .held, .held, .didNotHold], on: splits(["hard/easy": 0.3, "hard/hard": 0.4]))
    try expect("WS-11", .didNotHold, on: splits(["easy/easy": 0.5]), saying: "below two thirds")
    try expect("WS-11", .inconclusive, on: splits(["hard/easy": 0.567]), saying: "within two standard errors")
    try expect("WS-11", .inconclusive, on: splits(seeds: 2), saying: "3 seeds of the split easy")
    let scratch = try Scratch()
    let card = try ScoreCard(runs: splits().map { try $0.write(in: scratch) })
    #expect(card.verdicts.map(\.claim.id) == ["WS-9", "WS-11"])
    #expect(card.verdicts[0].scale.contains("split easy / split hard"))
  }

  private func difficult(_ shares: [Double], train: Double = 0.9) -> SampleRun {
    var run = SampleRun(optimizer: "rm3", train: { _ in train })
    for (difficulty, share) in shares.enumerated() { run.groups["train/difficulty-\(difficulty)"] = { _ in share } }
    return run
  }

  @Test func mediansLearnDifficultExamplesLess() throws {
    let paper = [0.99, 0.98, 0.97, 0.96, 0.94, 0.93, 0.91, 0.87, 0.61]
    let control = Array(repeating: 1.0, count: 9)
    func both(_ robust: [Double], _ plain: [Double], train: Double = 0.999) -> [SampleRun] {
      [("rm3", robust, 0.9), ("sgd", plain, train)].flatMap { name, shares, train in
        (1...3).map { seed in
          difficult(shares.map { $0 - 0.001 * Double(seed) * (1 - $0) }, train: train).with {
            ($0.optimizer, $0.seed) = (name, UInt64(seed))
          }
        }
      }
    }
    try expect(parts: "WS-10", [.held, .held], on: both(paper, control))
    try expect(parts: "WS-10", [.held, .notTested], on: both(paper, paper, train: 0.9))
    try expect(parts: "WS-10", [.held, .inconclusive], on: both(paper, paper))
    try expect(parts: "WS-10", [.held, .didNotHold], on: both(paper, paper.map { $0 * $0 }))
    try expect("WS-10", .inconclusive, on: [difficult(paper)], saying: "sgd on the same examples")
    try expect("WS-10", .didNotHold, on: [difficult(paper.reversed())], saying: "rises from difficulty 0 to 1")
    try expect("WS-10", .didNotHold, on: [difficult(Array(repeating: 1, count: 9))], saying: "as well as the easiest")
    try expect("WS-10", .inconclusive, on: [difficult(Array(paper.dropLast()))], saying: "of difficulty 8")
    let slight = Array(repeating: 0.95, count: 8) + [0.9]
    try expect("WS-10", .inconclusive, on: [difficult(slight)], saying: "about five points")
  }
}
