// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Studies

/// GS-1, GS-2 and MN-1: every rule says each of its verdicts.
@Suite struct OwnStudyTests {
  /// Settings in which what RM3 and M3 memorise follows the net push on corrupt examples along SGD.
  private func settings(
    _ count: Int = 6, sign: Double = 1, _ change: (inout SampleRun) -> Void = { _ in }
  ) -> [SampleRun] {
    (0..<count).flatMap { place in
      ["sgd", "rm3", "m3"].enumerated().map { number, name in
        // Groups of 8, 16, 32, ...: the larger, the more is memorised.
        let size = 8 << place
        let learned = name == "sgd" ? 0.9 : 0.05 + 0.14 * Double(place) + 0.01 * Double(number)
        var run = SampleRun(
          noise: 0.5, optimizer: name, model: "mlp:8", batchSize: name == "m3" ? 3 * size : size, steps: 4000,
          corrupt: { _ in learned })
        run.epochs = { Double($0) / 500 }
        if name == "sgd" {
          for (other, aggregator) in ["sgd", "rm3", "m3"].enumerated() {
            let level = aggregator == "sgd" ? 0.9 : 0.05 + 0.14 * Double(place) + 0.01 * Double(other)
            run.measures["push_net_corrupt_\(aggregator)"] = { _ in sign * (100 * level - 50) }
            run.measures["push_net_pristine_\(aggregator)"] = { _ in 100 }
          }
        }
        change(&run)
        return run
      }
    }
  }

  @Test func theLedgerTellsBeforehand() throws {
    try expect("GS-1", .held, on: settings(), saying: "95 % interval")
    try expect("GS-1", .didNotHold, on: settings(sign: -1), saying: "not positive")
    try expect("GS-1", .inconclusive, on: settings(1), saying: "6 pairs of a setting and an optimizer")
    try expect("GS-1", .inconclusive, on: settings { $0.measures = [:] }, saying: "with the probe push along SGD")
    // A setting alone against the others decides nothing.
    let mixed = settings().map { run in
      run.with { mixed in
        if mixed.optimizer == "sgd", mixed.batchSize < 64 {
          for (name, course) in run.measures where name.contains("corrupt") {
            mixed.measures[name] = { -course($0) }
          }
        }
      }
    }
    try expect("GS-1", .inconclusive, on: mixed, saying: "contains 0")
    let points = try PushPoint.points(of: settings(2).map { try RunHistory($0.write(in: scratch)) })
    #expect(points.map(\.optimizer) == ["sgd", "rm3", "m3", "sgd", "rm3", "m3"])
    let first = try #require(points.first { $0.optimizer == "rm3" && $0.examplesPerGroup == 7500 })
    #expect(abs(first.learned - 0.06) < 1e-12 && abs(first.share - (6 - 50) / (44.0 + 100)) < 1e-12)
  }

  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  @Test func largerShareOfGroupsSuppresses() throws {
    try expect(parts: "GS-2", [.held, .held], on: settings())
    try expect(parts: "GS-2", [.notTested, .notTested], on: settings(3))
    try expect(
      parts: "GS-2", [.notTested, .notTested], on: settings { if $0.optimizer == "sgd" { $0.corrupt = { _ in 0.3 } } })
    let other = settings { run in
      let size = Double(run.batchSize)
      if run.optimizer == "rm3" { run.corrupt = { _ in 0.5 - size / 1000 } }
    }
    try expect(parts: "GS-2", [.didNotHold, .held], on: other)
    let weak = settings { run in
      let size = Double(run.batchSize)
      if run.optimizer == "m3" { run.corrupt = { _ in 0.7 + size / 10_000 } }
    }
    try expect(parts: "GS-2", [.held, .inconclusive], on: weak)
  }

  /// With batch norm r is the same on training and test images and falls under the batch's own statistics.
  private func normed(_ change: (inout SampleRun) -> Void = { _ in }) -> [SampleRun] {
    [nil, "group:8"].flatMap { norm in
      SampleRun(noise: 1, model: "resnet20", steps: 2000).seeded().map { run in
        var run = run
        let seed = 1 + 0.01 * Double(run.seed)
        run.extra["norm"] = norm
        run.coherence = { _ in 20 * seed }
        run.testCoherence = { _ in norm == nil ? 18 : 8 }
        if norm == nil { run.batchCoherence = { _ in (4, 3) } }
        change(&run)
        return run
      }
    }
  }

  @Test func normalisationIsNotLabels() throws {
    try expect(parts: "MN-1", [.held, .held, .held], on: normed())
    try expect(
      parts: "MN-1", [.didNotHold, .held, .held], on: normed { if $0.extra.isEmpty { $0.testCoherence = { _ in 2 } } })
    try expect(
      parts: "MN-1", [.held, .didNotHold, .held],
      on: normed { if $0.extra.isEmpty { $0.batchCoherence = { _ in (19, 18) } } })
    try expect(
      parts: "MN-1", [.held, .held, .didNotHold], on: normed { if !$0.extra.isEmpty { $0.testCoherence = { _ in 40 } } }
    )
    try expect("MN-1", .inconclusive, on: normed().filter { $0.seed < 3 }, saying: "3 seeds of runs with batch norm")
    try expect(
      "MN-1", .inconclusive, on: normed().filter { $0.extra.isEmpty }, saying: "3 seeds of runs with group norm")
  }
}
