// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Studies

/// The study of grokking: the moments of a run, and how its claims are judged.
@Suite struct GrokkingStudyTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// Three seeds that memorise at step 200 and generalise 50 steps apart, half of the held-out pairs 500 steps before; r is
  /// 2 at first and `top` from a step on.
  private func runs(
    _ word: String = "adamw:beta2=0.98", memorised: Int = 200, generalised: Int? = 1500, top: Double = 6,
    from rise: Int = 600
  ) -> [SampleRun] {
    SampleRun(optimizer: word, model: "transformer", steps: 3000).seeded().map { run in
      let known = generalised.map { $0 + 50 * (Int(run.seed) - 2) } ?? .max
      return run.with {
        $0.dataset = "modular:59"
        $0.train = { $0 < memorised ? 0.5 : 1 }
        $0.test = { $0 >= known ? 0.99 : $0 >= known - 500 ? 0.6 : 0.1 }
        $0.coherence = { $0 < rise ? 2 : top }
      }
    }
  }

  @Test func momentsOfARun() throws {
    let run = try #require(runs(generalised: 1500).last)
    let course = try GrokkingCourse(RunHistory(run.write(in: scratch)))
    #expect(course.memorised == 200 && course.halfKnown == 1050 && course.generalised == 1550)
    #expect(course.delay == 7.75 && course.coherenceAfterMemorising == 2)
    #expect(course.coherence(before: course.halfKnown) == 6 && course.coherence(before: nil) == nil)
    #expect(course.doublings(before: course.generalised) == log2(3))
    // Steps 200 to 280 are those after memorising; the five after them are needed too.
    #expect(course.coherence(before: 360) == nil && course.coherence(before: 380) == 2)
    let never = try GrokkingCourse(RunHistory(run.with { $0.test = { _ in 0.9 } }.write(in: scratch)))
    #expect(never.halfKnown == 0 && never.generalised == nil && never.delay == nil)
  }

  /// One probe in between that is far off does not count.
  @Test func theMedianOfProbes() throws {
    let run = try #require(runs().first).with { $0.coherence = { $0 == 220 || $0 == 960 ? 100 : 3 } }
    let course = try GrokkingCourse(RunHistory(run.write(in: scratch)))
    #expect(course.halfKnown == 950 && course.coherence(before: 960) == 3 && course.coherenceAfterMemorising == 3)
  }

  @Test func generalisingComesLate() throws {
    try expect("GK-1", .held, on: runs())
    try expect("GK-1", .didNotHold, on: runs(generalised: 600), saying: "less than five times")
    try expect("GK-1", .inconclusive, on: runs(generalised: 1000), saying: "two standard errors of 5")
    try expect("GK-1", .inconclusive, on: runs(generalised: nil), saying: "3 seeds of AdamW alone")
    // SGD, other data and robust averages are not what it is about.
    let others =
      runs("adamw", generalised: 600).map { run in run.with { $0.dataset = "mnist" } } + runs("sgd") + runs("m3+adamw")
    try expect("GK-1", .held, on: runs("adamw") + others)
  }

  @Test func coherenceRisesFirst() throws {
    try expect(parts: "GK-2", [.held, .held], on: runs())
    try expect(parts: "GK-2", [.didNotHold, .held], on: runs(from: 1200))
    try expect(parts: "GK-2", [.didNotHold, .didNotHold], on: runs(from: 2000))
    try expect(parts: "GK-2", [.inconclusive, .inconclusive], on: runs(top: 4))
    try expect("GK-2", .inconclusive, on: runs().map { run in run.with { $0.coherence = nil } }, saying: "ten probes")
  }

  @Test func aMedianBringsItForward() throws {
    func m3(_ generalised: Int?) -> [SampleRun] { runs() + runs("m3+adamw:beta2=0.98", generalised: generalised) }
    try expect("GK-3", .held, on: m3(1000))
    try expect("GK-3", .didNotHold, on: m3(2000), saying: "M3 takes longer.")
    try expect("GK-3", .didNotHold, on: m3(nil), saying: "never gets there")
    try expect("GK-3", .inconclusive, on: m3(1500), saying: "within two standard errors")
    try expect("GK-3", .inconclusive, on: runs(), saying: "M3 beside AdamW alone")
    let soon = runs(generalised: 300) + runs("m3+adamw", generalised: 200)
    try expect("GK-3", .notTested, on: soon, saying: "fewer training pairs")
  }

  /// Seeds are compared with themselves: those of AdamW alone that never generalise compare with nothing.
  @Test func seedsAreComparedWithThemselves() throws {
    let control = runs().map { run in run.with { if $0.seed == 3 { $0.test = { _ in 0.1 } } } }
    let verdict = try verdict("GK-3", on: control + runs("m3+adamw", generalised: 1000), in: scratch)
    #expect(verdict.outcome == .inconclusive && verdict.explanation.contains("3 seeds of AdamW alone"))
  }

  @Test func otherRobustAverages() throws {
    let all =
      runs() + runs("winsorized:c=2+adamw:beta2=0.98", generalised: 1000)
      + runs("rm3+adamw:beta2=0.98", generalised: nil)
      + runs("and-mask:t=0.2+adamw:beta2=0.98")
    try expect(parts: "GK-4", [.held, .didNotHold, .inconclusive], on: all)
    try expect("GK-4", .inconclusive, on: runs(), saying: "AND-mask beside AdamW alone")
  }

  @Test func optimizersHaveTheirRuns() throws {
    let words = GrokkingOptimizer.all.map(\.word)
    #expect(
      words == [
        "adamw:beta2=0.98", "m3+adamw:beta2=0.98", "winsorized:c=2+adamw:beta2=0.98", "rm3+adamw:beta2=0.98",
        "and-mask:t=0.2+adamw:beta2=0.98",
      ])
    let histories = try words.compactMap { runs($0).first }.map { try RunHistory($0.write(in: scratch)) }
    for (place, optimizer) in GrokkingOptimizer.all.enumerated() {
      #expect(optimizer.runs(in: histories).map(\.name) == [histories[place].name])
    }
  }

  @Test func figuresOfTheStudy() throws {
    let layers = runs().map { run in run.with { $0.layers = [("embedding", { _ in 2 }), ("head", { _ in 3 })] } }
    let directories = try (layers + runs("rm3+adamw", generalised: nil)).map { try $0.write(in: scratch) }
    let figures = try StudyFigures.figures(for: "beyond/grokking", runs: directories)
    #expect(
      figures.map(\.id) == ["grokking", "grokking-optimizers", "grokking-moments", "coherence-by-layer-1"])
    #expect(StudyFigures.figures(about: "GK-3", among: figures) == figures.map(\.id))
    #expect(try StudyFigures.figures(for: "beyond/grokking", runs: []).isEmpty)
  }
}
