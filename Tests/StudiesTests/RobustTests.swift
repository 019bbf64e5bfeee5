// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Studies

/// CG-8 to CG-10, WS-2 and WS-3: every rule says each of the three verdicts.
@Suite struct RobustTests {
  private static func word(_ c: Int) -> String { c == 0 ? "sgd" : "winsorized:c=\(c)" }

  /// Overfit grows to one half, the slower the larger c; training accuracy falls late with c = 8.
  static let winsorized: [SampleRun] = Level.all.flatMap { level in
    [0, 1, 2, 4, 8].map { winsorized(level: level, c: $0) }
  }

  private static func winsorized(level: Double, c: Int) -> SampleRun {
    var run = SampleRun(noise: level, optimizer: word(c), model: "mlp:256,256,256")
    let proper = 1 - 0.9 * level
    let train: SampleRun.Course = { step in
      let memorised = c < 2 ? 0.9 * level * rise(step, at: 300 + 300 * Double(c)) : 0
      return proper * rise(step, at: 20) + memorised - (c == 8 ? 0.1 * rise(step, at: 700) : 0)
    }
    run.train = train
    // So that overfit is a straight line with a slope that falls with c.
    run.test = { step in
      let overfit = 0.0004 * Double(step) / Double(1 + c)
      return level == 1 ? 0.1 : (train(step) - overfit - level / 10) / (1 - level)
    }
    return run
  }

  private func changed(_ c: Int, _ level: Double, _ change: (inout SampleRun) -> Void) -> [SampleRun] {
    Self.winsorized.map { $0.optimizer == Self.word(c) && $0.noise == level ? $0.with(change) : $0 }
  }

  @Test func winsorizingSlowsOverfitting() throws {
    // Where all labels are random, overfit is training accuracy less chance.
    let random = [0, 1, 2, 4, 8].map { c in
      SampleRun(noise: 1, optimizer: Self.word(c), model: "mlp:256,256,256").with {
        $0.train = { 0.1 + 0.0004 * Double($0) / Double(1 + c) }
        $0.test = { _ in 0.1 }
      }
    }
    func seeded(_ runs: [SampleRun], seeds: Int = 3) -> [SampleRun] {
      runs.flatMap { run in
        run.seeded(seeds).map { seeded in
          let (test, level) = (run.test, run.noise)
          return seeded.with { copy in
            let shift = 0.001 * Double(copy.seed)
            copy.test = { (test?($0) ?? 0) + (level < 1 ? shift : 0) }
          }
        }
      }
    }
    let single = Self.winsorized.filter { $0.noise < 1 } + random
    let runs = seeded(single)
    try expect("CG-8", .held, on: runs, saying: "5 noise levels")
    try expect("CG-8", .inconclusive, on: runs.filter { $0.noise != 0.5 }, saying: "c=8, 50 % noise")
    try expect("CG-8", .inconclusive, on: runs.filter { $0.optimizer != Self.word(4) }, saying: "winsorized:c=4")
    try expect("CG-8", .inconclusive, on: runs.filter { $0.noise == 0.5 }, saying: "2 noise levels")
    try expect("CG-8", .inconclusive, on: seeded(single, seeds: 2), saying: "3 seeds of SGD, 0 % noise")
    let faster = changed(8, 0.5) { $0.test = { _ in 0 } }.filter { $0.noise < 1 } + random
    try expect("CG-8", .didNotHold, on: seeded(faster), saying: "faster with c = 8 than with c = 4 at 50 % noise")
    // Neighbours that are alike leave the order of the ends.
    let alike = seeded(changed(2, 0.5) { $0.optimizer = Self.word(2) }.filter { $0.noise < 1 } + random).map { run in
      run.optimizer == Self.word(2)
        ? run.with { copy in
          let test = run.test
          copy.test = { (test?($0) ?? 0) + 0.0002 }
        } : run
    }
    try expect("CG-8", .held, on: alike)
    // Nothing overfits: nothing to slow.
    let idle = runs.map { $0.with { ($0.train, $0.test) = ({ _ in 0.1 }, { _ in 0.1 }) } }
    try expect("CG-8", .inconclusive, on: idle, saying: "2 noise levels at which SGD overfits")
  }

  @Test func properAccuracyIsTheLimit() throws {
    try expect("CG-9", .held, on: Self.winsorized)
    try expect("CG-9", .didNotHold, on: changed(2, 0.5) { $0.train = { _ in 0.6 } }, saying: "c = 2, 50 % noise")
    // What really changed counts, not the level asked for.
    try expect(
      "CG-9", .held,
      on: changed(2, 0.5) {
        $0.train = { _ in 0.6 }
        $0.realised = 0.4
      })
    try expect("CG-9", .inconclusive, on: Self.winsorized.filter { $0.optimizer != Self.word(2) }, saying: "c=2, 25 %")
    // Nobody who always says the most frequent label has learned one.
    let random = changed(2, 1) { $0.train = { _ in 0.12 } }
    try expect("CG-9", .didNotHold, on: random, saying: "majority class with c = 2, 100 % noise")
    let lopsided = random.map { run in
      run.with { if $0.noise == 1 { $0.labels = (0..<100).map { $0 < 12 ? 3 : $0 % 10 } } }
    }
    try expect("CG-9", .held, on: lopsided)
    // c = 1 may exceed it.
    try expect("CG-9", .held, on: changed(1, 0.5) { $0.train = { _ in 1 } })
  }

  @Test func muchWinsorizingPeaks() throws {
    func seeded(_ runs: [SampleRun]) -> [SampleRun] {
      runs.filter { $0.optimizer == Self.word(8) }.flatMap { $0.seeded() }
    }
    try expect("CG-10", .held, on: seeded(Self.winsorized))
    try expect("CG-10", .inconclusive, on: Self.winsorized, saying: "3 seeds (1 so far)")
    try expect(
      "CG-10", .didNotHold, on: seeded(changed(8, 0.25) { $0.train = { rise($0, at: 100) } }), saying: "25 % noise")
    try expect("CG-10", .inconclusive, on: seeded(Self.winsorized.filter { $0.noise != 0.75 }), saying: "75 % noise")
  }

  /// Gaps of 0.4, 0.4, 0.1 and 0.05, with some difference between seeds.
  private func medians(_ gaps: [String: Double] = [:], seeds: Int = 3, jitter: Double = 0.002) -> [SampleRun] {
    let all = ["sgd": 0.4, "ra3": 0.41, "rm3": 0.1, "m3": 0.05].merging(gaps) { $1 }
    return [0, 0.5, 1].flatMap { level in
      all.sorted { $0.key < $1.key }.flatMap { name, gap in
        (1...seeds).map { seed in
          // So that ta − [ε/10 + (1 − ε)·va] is the gap; where all labels are random it is ta − 1/10.
          let overfit = gap - jitter * Double(seed)
          return SampleRun(
            noise: level, optimizer: name, seed: UInt64(seed), train: { _ in level == 1 ? overfit + 0.1 : 0.9 },
            test: { _ in level == 1 ? 0.1 : (0.9 - overfit - level / 10) / (1 - level) })
        }
      }
    }
  }

  @Test func gapsOrder() throws {
    try expect("WS-2", .held, on: medians())
    try expect("WS-2", .didNotHold, on: medians(["ra3": 0.3]), saying: "RA3's gap differs from SGD's")
    try expect("WS-2", .didNotHold, on: medians(["rm3": 0.3]), saying: "(d) did not hold: RM3's gap is 73 % of RA3's")
    let parts: [Outcome] = [.held, .held, .held, .didNotHold, .didNotHold, .didNotHold, .held, .held, .held]
    try expect(parts: "WS-2", parts, on: medians(["rm3": 0.3]))
    try expect("WS-2", .inconclusive, on: medians(["rm3": 0.208]), saying: "errors of half of RA3's")
    try expect("WS-2", .didNotHold, on: medians(["m3": 0.15]), saying: "M3's gap is larger")
    try expect("WS-2", .inconclusive, on: medians(["m3": 0.0999]), saying: "two standard errors")
    // Where nothing overfits, shares of it say nothing.
    try expect(
      "WS-2", .notTested, on: medians(["sgd": 0, "ra3": 0, "rm3": 0, "m3": 0]), saying: "do not overfit")
    try expect("WS-2", .inconclusive, on: medians(seeds: 2), saying: "3 seeds of sgd")
    // The same seed again is no further seed.
    try expect("WS-2", .inconclusive, on: medians(seeds: 2) + medians(seeds: 2), saying: "3 seeds of sgd")
    try expect("WS-2", .inconclusive, on: medians().filter { $0.optimizer != "ra3" }, saying: "seeds of ra3")
    let uneven = medians().map { run in
      run.optimizer == "m3"
        ? run.with {
          $0.steps = 2000
          $0.batchSize = 300
        } : run
    }
    try expect("WS-2", .inconclusive, on: uneven, saying: "neither the same steps nor the same examples")
    // The same examples in fewer, larger steps are equal effort.
    let larger = medians().map { run in
      run.optimizer == "m3"
        ? run.with {
          $0.steps = 500
          $0.batchSize = 200
        } : run
    }
    try expect("WS-2", .held, on: larger)
  }

  @Test func mediansLearnPristineOnly() throws {
    let runs = ["sgd", "ra3", "rm3", "m3"].map { name in
      SampleRun(
        noise: 0.5, optimizer: name, pristine: { _ in 0.95 },
        corrupt: { _ in name.hasSuffix("m3") ? 0.05 : name == "m3" ? 0.05 : 0.9 })
    }
    try expect("WS-3", .held, on: runs)
    try expect("WS-3", .inconclusive, on: Array(runs.dropLast()), saying: "m3, 50 % noise")
    func changed(_ name: String, _ change: (inout SampleRun) -> Void) -> [SampleRun] {
      runs.map { $0.optimizer == name ? $0.with(change) : $0 }
    }
    try expect("WS-3", .didNotHold, on: changed("rm3") { $0.corrupt = { _ in 0.3 } }, saying: "rm3 learns more")
    try expect("WS-3", .didNotHold, on: changed("m3") { $0.pristine = { _ in 0.4 } }, saying: "m3 does not learn")
    // A control that was trained too shortly is no counter-example.
    try expect(
      "WS-3", .inconclusive, on: changed("sgd") { $0.pristine = { _ in 0.4 } }, saying: "sgd has not learned half")
    try expect(
      "WS-3", .notTested, on: changed("sgd") { $0.corrupt = { _ in 0.2 } },
      saying: "SGD has learned 20 % of the corrupt")
    try expect(
      parts: "WS-3", [.held, .held, .didNotHold, .held], on: changed("rm3") { $0.corrupt = { _ in 0.3 } })
    try expect(
      "WS-3", .inconclusive, on: changed("ra3") { $0.corrupt = { _ in 0.3 } }, saying: "ra3 has not learned half")
  }
}
