// SPDX-License-Identifier: Apache-2.0

import RunStore
import Foundation
import Testing
import TestSupport

@testable import Studies

/// MC-2 to MC-4: every rule says each of the three verdicts.
@Suite struct CoherenceTests {
  /// A fall from near m, a hump, a return towards 1.
  static func course(_ step: Int, peak: Double, at middle: Double, start: Double = 800) -> Double {
    1 + start * exp(-Double(step) / 3) + peak * exp(-pow(log((Double(step) + 1) / middle), 2) / 0.8)
  }

  static func run(_ level: Double, peak: Double, at middle: Double) -> SampleRun {
    SampleRun(
      noise: level, steps: 2000, train: { min(1, 1.05 * rise($0, at: middle)) },
      coherence: { course($0, peak: peak, at: middle) }, interval: 0.1)
  }

  static let paper = [run(0, peak: 100, at: 100), run(0.5, peak: 60, at: 150), run(1, peak: 20, at: 250)]

  private func random(_ change: (inout SampleRun) -> Void) -> [SampleRun] {
    Self.paper.map { $0.noise == 1 ? $0.with(change) : $0 }
  }

  @Test func randomLabelsRiseAndFall() throws {
    try expect("MC-2", .held, on: Self.paper)
    try expect("MC-2", .held, on: Self.paper.map { $0.with { $0.interval = nil } })
    try expect("MC-2", .inconclusive, on: [Self.paper[0]], saying: "100 % noise")
    try expect("MC-2", .inconclusive, on: [Self.paper[2]], saying: "issing: 0 % noise")
    let flat = random { $0.coherence = { Self.course($0, peak: 0, at: 250) } }
    try expect("MC-2", .didNotHold, on: flat, saying: "not clearly rise")
    // A rise that is no larger than what is known of it.
    try expect("MC-2", .didNotHold, on: random { $0.interval = 0.99 }, saying: "not clearly rise")
    let high = random { $0.coherence = { Self.course($0, peak: 80, at: 250) } }
    try expect("MC-2", .didNotHold, on: high, saying: "not well below")
    let rising = random { $0.coherence = { 1 + 800 * exp(-Double($0) / 3) + Double($0) / 100 } }
    try expect("MC-2", .didNotHold, on: rising, saying: "does not fall to half")
    try expect("MC-2", .inconclusive, on: rising.map { $0.with { $0.train = { _ in 0.5 } } }, saying: "not fitted")
    try expect("MC-2", .inconclusive, on: random { $0.m = 2000 }, saying: "differ in m")
    try expect("MC-2", .inconclusive, on: random { $0.probed = [0, 10, 100] }, saying: "10 probes")
    // Batch normalisation is no test, group normalisation is.
    let normed = Self.paper.map { $0.with { $0.model = "resnet20" } }
    try expect("MC-2", .notTested, on: normed, saying: "takes --norm group:8")
    try expect("MC-4", .notTested, on: normed, saying: "takes --norm group:8")
    try expect("MC-2", .held, on: normed.map { $0.with { $0.extra["norm"] = "group:8" } })
    // Random labels may need more steps.
    try expect("MC-2", .held, on: random { $0.steps = 4000 })
  }

  @Test func firstStepsFall() throws {
    try expect("MC-3", .held, on: Self.paper)
    let low = Self.paper.map { $0.with { $0.coherence = { Self.course($0, peak: 20, at: 250, start: 100) } } }
    try expect("MC-3", .didNotHold, on: low, saying: "10.1 % of m, not near it", "0 % noise")
    // The first step may be taken from it.
    try expect(
      "MC-3", .held,
      on: Self.paper.map { run in
        run.with { changed in
          let r = run.coherence
          changed.coherence = { $0 == 0 ? 20 : r?($0 - 1) ?? 0 }
        }
      })
    try expect(
      "MC-3", .held, on: low.map { $0.with { $0.coherence = { Self.course($0, peak: 20, at: 250, start: 260) } } })
    try expect("MC-3", .didNotHold, on: random { $0.coherence = { _ in 700 } }, saying: "does not fall below 5.0 %")
    try expect("MC-3", .inconclusive, on: random { $0.probed = [0, 1, 5, 20, 50] }, saying: "every step from 0 to 50")
    try expect("MC-3", .inconclusive, on: Array(Self.paper.prefix(2)), saying: "100 % noise")
  }

  @Test func coherencePeaksAndReturns() throws {
    try expect("MC-4", .held, on: Self.paper)
    try expect("MC-4", .inconclusive, on: Array(Self.paper.dropLast()), saying: "100 % noise")
    try expect(
      "MC-4", .didNotHold, on: random { $0.coherence = { Self.course($0, peak: 20, at: 90) } }, saying: "comes earlier")
    try expect(
      "MC-4", .didNotHold,
      on: random { $0.coherence = { 1 + 800 * exp(-Double($0) / 3) + 10 * rise($0, at: 300) } }, saying: "not return")
    try expect(
      "MC-4", .didNotHold, on: random { $0.coherence = { $0 == 300 ? 50 : Self.course($0, peak: 2, at: 250) } },
      saying: "spike")
    try expect("MC-4", .inconclusive, on: random { $0.train = { _ in 0.5 } }, saying: "not fitted yet")
    try expect("MC-4", .didNotHold, on: random { $0.coherence = { Self.course($0, peak: 0, at: 9) } }, saying: "rise")
  }

  @Test func shapeOfACourse() throws {
    let scratch = try Scratch()
    let run = try RunHistory(Self.paper[0].write(in: scratch))
    let course = try #require(CoherenceCourse(of: run))
    #expect(course.start.step == 0 && abs(course.start.value - 801) < 1)
    #expect(course.trough.step > 5 && course.trough.step < 40 && abs(course.peak.step - 99) <= 20)
    #expect(course.aboveHalf.contains(Double(course.peak.step)) && course.aboveHalf.upperBound < 500)
    // The hump is a Gaussian along log(step + 1).
    let halfWidth = exp(2 * sqrt(0.8 * log(2)))
    #expect(abs((course.aboveHalf.upperBound + 1) / (course.aboveHalf.lowerBound + 1) / halfWidth - 1) < 0.05)
    #expect(course.end.step == 2000 && course.end.value < 2)
    let interval = try #require(course.peakInterval)
    #expect(abs(interval.lowerBound / course.peak.value - 0.9) < 1e-9)
  }

  /// r doubles in one step of the fall, twice in a row even, and the next one takes it back: the fall goes on.
  @Test func wobblesAreNoRise() throws {
    let scratch = try Scratch()
    func wobbling(_ steps: Set<Int>) throws -> CoherenceCourse {
      var run = Self.paper[0]
      let course = try #require(run.coherence)
      run.coherence = { course($0) * (steps.contains($0) ? 8 : 1) }
      return try #require(CoherenceCourse(of: RunHistory(run.write(in: scratch))))
    }
    let plain = try wobbling([])
    for steps: Set<Int> in [[2], [2, 3], [2, 4, 5]] {
      let course = try wobbling(steps)
      #expect(course.trough == plain.trough && course.peak == plain.peak && course.aboveHalf == plain.aboveHalf)
    }
    let risen = try wobbling([3, 4, 5])
    #expect(risen.trough.step == 2 && risen.peak.step >= 3)
  }
}
