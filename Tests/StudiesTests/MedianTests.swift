// SPDX-License-Identifier: Apache-2.0

import RunStore
import Foundation
import Testing
import TestSupport

@testable import Studies

/// WS-5, WS-6 and WS-8: every rule says each of the three verdicts.
@Suite struct MedianTests {
  private func unstable(_ change: (inout SampleRun) -> Void = { _ in }) -> [SampleRun] {
    ["sgd", "m3"].flatMap { name in
      SampleRun(optimizer: name, batchSize: name == "m3" ? 102 : 100).seeded().map { run in
        guard name == "m3" else { return run }
        var run = run
        run.measures = [
          "median_along_strong": { 0.9 + 0.3 * rise($0, at: 30) * (1 - rise($0, at: 300)) },
          "strong_share": { _ in 0.1 },
          "median_along_mean": { _ in 0.8 },
        ]
        run.loss = { $0 == 500 ? 2 : 1 }
        change(&run)
        return run
      }
    }
  }

  @Test func mediansAmplify() throws {
    try expect(parts: "WS-5", [.held, .held], on: unstable())
    let verdict = try verdict("WS-5", on: unstable(), in: Scratch())
    #expect(verdict.numbers.first { $0.name == "loss spikes, m3" }?.value == 1)
    #expect(verdict.numbers.first { $0.name == "loss spikes, sgd" }?.value == 0)
    try expect(
      parts: "WS-5", [.didNotHold, .held], on: unstable { $0.measures["median_along_strong"] = { _ in 0.95 } })
    try expect(parts: "WS-5", [.held, .didNotHold], on: unstable { $0.loss = { _ in 1 } })
    try expect(parts: "WS-5", [.held, .inconclusive], on: unstable { if $0.seed > 1 { $0.loss = { _ in 1 } } })
    // A single probe is no amplification.
    let once = unstable { $0.measures["median_along_strong"] = { $0 == 20 ? 1.5 : 0.95 } }
    try expect("WS-5", .didNotHold, on: once, saying: "not clearly longer")
    try expect(
      "WS-5", .inconclusive, on: unstable().filter { $0.optimizer == "m3" }, saying: "3 seeds of sgd, 0 % noise")
    try expect("WS-5", .inconclusive, on: unstable { $0.measures = [:] }, saying: "10 probes of medians")
  }

  /// SGD's overfit grows to 0.4; RM3's is a share of it that approaches 1 as the batch grows, RA3's is the same.
  private func sizes(
    rm3: [Int: Double] = [50: 0.3, 100: 0.6, 200: 0.9], ra3: Double = 1, overfit: Double = 0.4, seeds: Int = 3
  ) -> [SampleRun] {
    var runs: [SampleRun] = []
    for (size, share) in rm3.sorted(by: { $0.key < $1.key }) {
      for (name, factor) in [("sgd", 1), ("rm3", share), ("ra3", ra3)] {
        for seed in 1...seeds {
          let end = (factor - (name == "sgd" ? 0 : 0.002 * Double(seed))) * overfit
          runs.append(
            SampleRun(
              optimizer: name, seed: UInt64(seed), batchSize: size, steps: 1000, train: { _ in 0.9 },
              test: { 0.9 - end * rise($0, at: 100) }))
        }
      }
    }
    return runs
  }

  @Test func largerBatchesApproachSGD() throws {
    try expect(parts: "WS-6", [.held, .held], on: sizes())
    try expect("WS-6", .didNotHold, on: sizes(rm3: [50: 0.6, 100: 0.3, 200: 0.2]), saying: "move apart from batch 50")
    try expect("WS-6", .inconclusive, on: sizes(rm3: [50: 0.5, 100: 0.5, 200: 0.5]), saying: "two standard errors")
    try expect("WS-6", .inconclusive, on: sizes(seeds: 2), saying: "3 seeds of rm3 and sgd, batch 50")
    try expect("WS-6", .inconclusive, on: sizes(rm3: [50: 0.1, 100: 0.3]), saying: "3 batch sizes")
    try expect(parts: "WS-6", [.held, .didNotHold], on: sizes(ra3: 0.5))
    try expect("WS-6", .inconclusive, on: sizes().filter { $0.optimizer != "ra3" }, saying: "RA3 at the sizes")
    // Where SGD hardly overfits there is nothing to behave like.
    try expect("WS-6", .inconclusive, on: sizes(overfit: 0.04), saying: "rm3 and sgd, batch 50")
    // Runs of other lengths are no part of the comparison.
    let uneven = sizes().map { run in run.with { if run.batchSize == 200 { $0.steps = 500 } } }
    try expect("WS-6", .inconclusive, on: uneven, saying: "3 batch sizes")
    // With noise the gap is far below 0 before anything is memorised; the overfit is not.
    let noisy = sizes().map { run in
      run.with { noisy in
        noisy.noise = 0.5
        let test = run.test
        noisy.test = { step in 2 * (test?(step) ?? 0) - 1 }
        noisy.train = { _ in 0.45 }
      }
    }
    try expect("WS-6", .held, on: noisy)
  }

  /// A claim about several optimizers at one batch size leaves the other sizes alone.
  @Test func oneBatchSize() throws {
    let scratch = try Scratch()
    let runs = try (sizes(seeds: 1).filter { $0.optimizer != "ra3" } + [SampleRun(optimizer: "m3", batchSize: 102)]).map
    {
      try RunHistory($0.write(in: scratch))
    }
    #expect(Set(runs.atOneBatchSize.compactMap(\.manifest.batchSize)) == [50, 102])
    #expect([RunHistory]().atOneBatchSize.isEmpty)
  }

  static let counted: [SampleRun] = [0.0, 1].flatMap { level in [0, 2, 4].map { counted(level: level, $0) } }

  private static func counted(level: Double, _ count: Int) -> SampleRun {
    let random = count == 0 ? 0.99 : 0.12
    let (train, test) = level == 0 ? (1 - 0.05 * Double(count), 0.75 - 0.01 * Double(count)) : (random, 0.1)
    return SampleRun(
      noise: level, optimizer: count == 0 ? "sgd" : "winsorized:s=\(count)", model: "resnet32", batchSize: 32,
      train: { _ in train }, test: { _ in test })
  }

  private func changed(_ word: String, _ level: Double, _ change: (inout SampleRun) -> Void) -> [SampleRun] {
    Self.counted.map { $0.optimizer == word && $0.noise == level ? $0.with(change) : $0 }
  }

  @Test func winsorizingByCount() throws {
    try expect("WS-8", .held, on: Self.counted)
    try expect(
      "WS-8", .didNotHold, on: changed("winsorized:s=2", 1) { $0.train = { _ in 0.5 } },
      saying: "random labels are learned")
    try expect(
      "WS-8", .didNotHold, on: changed("winsorized:s=2", 0) { $0.test = { _ in 0.65 } }, saying: "three points")
    try expect(
      "WS-8", .didNotHold, on: changed("winsorized:s=4", 0) { $0.test = { _ in 0.5 } },
      saying: "grows from s = 2 to s = 4")
    let closed = Self.counted.map { run in run.noise == 0 ? run.with { $0.train = $0.test ?? $0.train } : run }
    try expect("WS-8", .inconclusive, on: closed, saying: "nothing to shrink")
    // From few examples gaps are not known so finely.
    try expect(
      "WS-8", .inconclusive, on: Self.counted.map { $0.with { $0.evaluatedExamples = 100 } }, saying: "same gap")
    try expect("WS-8", .inconclusive, on: Array(Self.counted.dropLast()), saying: "winsorized:s=4, 100 % noise")
    try expect(
      "WS-8", .inconclusive, on: changed("sgd", 1) { $0.train = { _ in 0.5 } },
      saying: "(c) not tested: SGD has learned 50 %")
    // Percentiles and counts are different claims.
    let scratch = try Scratch()
    let card = try ScoreCard(runs: Self.counted.map { try $0.write(in: scratch) })
    #expect(!card.verdicts.contains { ["CG-8", "CG-9", "CG-10"].contains($0.claim.id) })
    #expect(
      OptimizerDescription("winsorized:s=4").clippedCount == 4
        && OptimizerDescription("winsorized:c=4").clippedCount == nil)
  }
}
