// SPDX-License-Identifier: Apache-2.0

import RunStore
import Foundation
import Testing
import TestSupport

@testable import Studies

/// GM-2, GM-4, GM-6 and GM-7: every rule says each of the three verdicts.
@Suite struct MysteryTests {
  private func labels(_ change: (inout SampleRun) -> Void = { _ in }) -> [SampleRun] {
    [0.0, 1].map { level in
      var run = CoherenceTests.run(level, peak: level == 0 ? 100 : 6, at: level == 0 ? 100 : 250)
      run.testCoherence = { CoherenceTests.course($0, peak: level == 0 ? 80 : 6, at: level == 0 ? 100 : 250) }
      run.loss = { 2.3 * (1 - rise($0, at: level == 0 ? 100 : 250)) + 0.001 }
      change(&run)
      return run
    }
  }

  @Test func realIsMoreCoherent() throws {
    try expect("GM-2", .held, on: labels())
    let scratch = try Scratch()
    let numbers = try verdict("GM-2", on: labels(), in: scratch).numbers
    #expect(numbers.count { $0.name.hasPrefix("mean ratio of r") && $0.value > 2 } == 4)
    try expect("GM-2", .inconclusive, on: [labels()[0]], saying: "100 % noise")
    try expect("GM-2", .inconclusive, on: labels { $0.testCoherence = nil }, saying: "on test examples")
    let same = labels { run in run.testCoherence = { CoherenceTests.course($0, peak: 10, at: 100) } }
    try expect("GM-2", .didNotHold, on: same, saying: "on test examples, by epoch", "by training loss")
    try expect("GM-2", .inconclusive, on: labels { if $0.noise == 1 { $0.m = 500 } }, saying: "differ in m")
    let flat = labels { if $0.noise == 1 { $0.loss = { _ in 2.3 } } }
    try expect("GM-2", .inconclusive, on: flat, saying: "too little of training is common")
    try expect("GM-2", .notTested, on: labels { if $0.noise == 1 { $0.train = { _ in 0.5 } } }, saying: "not fitted")
    try expect("GM-2", .notTested, on: labels { $0.model = "resnet20" }, saying: "--norm group:8")
  }

  private static let looks = [0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000]

  private func bounds(seeds: Int = 3, _ change: (inout SampleRun) -> Void = { _ in }) -> [SampleRun] {
    [0.0, 1].flatMap { level in
      (1...seeds).map { seed in
        var run = SampleRun(noise: level, seed: UInt64(seed))
        run.measures = [
          "stability_log_bound": { (1 + level) * 0.01 * Double($0) + 0.01 * Double(seed) }, "smoothness": { _ in 3 },
        ]
        // α of 0.5 with real labels, 0.01 with random ones.
        run.coherence = { _ in level == 0 ? 500 : 10 }
        run.probed = Self.looks
        change(&run)
        return run
      }
    }
  }

  @Test func stabilityOrdersLabels() throws {
    try expect(parts: "GM-4", [.held, .held], on: bounds())
    // An order by one part in a hundred is none.
    try expect(
      parts: "GM-4", [.held, .inconclusive],
      on: bounds { run in
        let level = run.noise
        run.coherence = { _ in level == 0 ? 30 : 10 }
      })
    try expect("GM-4", .inconclusive, on: bounds(seeds: 1), saying: "3 seeds (1 so far)")
    try expect(
      "GM-4", .didNotHold,
      on: bounds { run in
        let level = run.noise
        run.measures["stability_log_bound"] = { (2 - level) * 0.01 * Double($0) }
      }, saying: "larger with real labels")
    try expect(
      "GM-4", .inconclusive,
      on: bounds { run in
        run.measures["stability_log_bound"] = { 0.01 * Double($0) }
      }, saying: "within ten percent")
    // The order of the bounds is that of β alone: coherence speaks against it.
    let other = bounds { run in
      let level = run.noise
      run.coherence = { _ in level == 0 ? 10 : 500 }
    }
    try expect(parts: "GM-4", [.held, .didNotHold], on: other)
    // The sum counts each step with its own rate: where α differs there is none left, and no order.
    let ended = bounds { run in
      let level = run.noise
      run.schedule = "step:50:1e-300"
      run.coherence = { $0 < 50 ? 10 : level == 0 ? 100 : 10 }
    }
    try expect(parts: "GM-4", [.held, .inconclusive], on: ended)
    try expect("GM-4", .inconclusive, on: bounds { $0.coherence = nil }, saying: "the probe coherence")
    try expect("GM-4", .inconclusive, on: bounds().filter { $0.noise == 0 }, saying: "stability, 100 % noise")
    let disagree = bounds { run in
      let sign = run.seed == 3 ? -1.0 : 1
      let level = run.noise
      run.measures["stability_log_bound"] = { (2 + sign * level) * 0.01 * Double($0) }
    }
    try expect("GM-4", .inconclusive, on: disagree, saying: "2 of 3 seeds")
  }

  private func starts(seeds: Int = 3, _ change: (inout SampleRun) -> Void = { _ in }) -> [SampleRun] {
    [false, true].flatMap { isGiven in
      (1...seeds).map { seed in
        var run = CoherenceTests.run(0, peak: isGiven ? 40 : 100, at: 100)
        let gap = (isGiven ? 0.3 : 0.1) + 0.002 * Double(seed)
        run.seed = UInt64(seed)
        run.test = { _ in 1 - gap }
        run.train = { $0 > 500 ? 1 : 0.5 }
        run.loss = { 2.3 * (1 - rise($0, at: 100)) + 0.001 }
        if isGiven { run.extra["weights"] = "random-labels.safetensors" }
        change(&run)
        return run
      }
    } + (1...seeds).map { Self.pretraining(seed: $0) }
  }

  /// A run that fits random labels.
  private static func pretraining(seed: Int) -> SampleRun {
    SampleRun(noise: 1, seed: UInt64(seed), steps: 2000, train: { $0 > 500 ? 1 : 0.1 })
  }

  @Test func badStartsGeneraliseWorse() throws {
    try expect("GM-6", .held, on: starts())
    try expect("GM-6", .inconclusive, on: starts().filter { $0.noise == 0 }, saying: "weights of seed 1 come from")
    let unlearned = starts().map { run in run.noise == 1 ? run.with { $0.train = { _ in 0.5 } } : run }
    try expect("GM-6", .inconclusive, on: unlearned, saying: "have not fitted their random labels")
    try expect("GM-6", .inconclusive, on: starts(seeds: 2), saying: "3 seeds of a random start")
    try expect("GM-6", .inconclusive, on: starts().filter { $0.extra.isEmpty }, saying: "weights of random labels")
    let swapped = starts { run in run.extra = run.extra.isEmpty ? ["weights": "w"] : [:] }
    try expect(
      "GM-6", .didNotHold, on: swapped, saying: "t equal training loss coherence from the given weights is higher",
      "gap from the given")
    try expect("GM-6", .inconclusive, on: starts { $0.test = { _ in 0.8 } }, saying: "gap is the same")
    try expect("GM-6", .inconclusive, on: starts { $0.train = { _ in 0.9 } }, saying: "fitted")
  }

  /// The gap falls with width, the peak rises with depth.
  private func shapes(seeds: Int = 3, _ change: (inout SampleRun) -> Void = { _ in }) -> [SampleRun] {
    let gaps = ["mlp:64": 0.2, "mlp:256": 0.15, "mlp:1024": 0.1, "mlp:256,256": 0.15, "mlp:256,256,256": 0.15]
    return gaps.sorted { $0.key < $1.key }.flatMap { model, gap in
      (1...seeds).map { seed in
        let depth = Double(model.split(separator: ",").count)
        var run = CoherenceTests.run(0, peak: 50 * depth + Double(seed), at: 100)
        run.model = model
        run.seed = UInt64(seed)
        run.train = { $0 > 500 ? 1 : 0.5 }
        run.test = { _ in 1 - gap + 0.002 * Double(seed) }
        change(&run)
        return run
      }
    }
  }

  @Test func widthAndDepth() throws {
    try expect("GM-7", .held, on: shapes())
    try expect("GM-7", .inconclusive, on: shapes(seeds: 2), saying: "3 seeds of mlp:64")
    try expect("GM-7", .inconclusive, on: shapes().filter { !$0.model.contains(",") }, saying: "3 depths")
    try expect("GM-7", .inconclusive, on: shapes().filter { $0.model != "mlp:64" }, saying: "3 widths")
    let worse = shapes { if $0.model == "mlp:1024" { $0.test = { _ in 0.7 } } }
    try expect("GM-7", .didNotHold, on: worse, saying: "gap rises with width", "est accuracy falls with width")
    let flat = shapes { run in
      let seed = Double(run.seed)
      run.coherence = { CoherenceTests.course($0, peak: 50 + seed, at: 100) }
    }
    try expect("GM-7", .inconclusive, on: flat, saying: "peak of α is the same")
    try expect("GM-7", .inconclusive, on: shapes { $0.train = { _ in 0.9 } }, saying: "fitted")
    let scratch = try Scratch()
    for (model, widths) in [("mlp:256,256", [256, 256]), ("mlp:256,128", nil), ("resnet18", nil), ("mlp:a", nil)] {
      #expect(GM7.widths(of: try RunHistory(SampleRun(model: model).write(in: scratch))) == widths)
    }
  }
}
