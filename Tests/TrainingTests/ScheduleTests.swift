// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Training

@Suite struct ScheduleTests {
  @Test func wordsAndValues() throws {
    #expect(try Schedule("constant") == .constant)
    #expect(try Schedule("cosine") == .cosine)
    #expect(try Schedule("step:10") == .step(milestones: [10], factor: 0.1))
    #expect(try Schedule("step:10,20,400:0.5") == .step(milestones: [10, 20, 400], factor: 0.5))
    for word in ["constant", "cosine", "step:10,20:0.25"] {
      #expect(try Schedule(word).description == word)
    }
  }

  @Test(arguments: [
    "", "linear", "constant:2", "cosine:", "step", "step:", "step:a", "step:10,", "step:20,10", "step:10,10", "step:0",
    "step:-5", "step:10:0", "step:10:-1", "step:10:nan", "step:10:inf", "step:10:x", "step:10:0.1:2",
    "step:99999999999999999999", "step:1.5", "STEP:10", " constant",
  ])
  func impossibleWordsAreNamed(_ word: String) {
    expectError(.configuration, "schedule \"\(word)\"") { _ = try Schedule(word) }
  }

  @Test func stepDropsAfterItsMilestone() throws {
    let schedule = try Schedule("step:3,5:0.5")
    #expect((0..<7).map { schedule.factor(at: $0, of: 7) } == [1, 1, 1, 0.5, 0.5, 0.25, 0.25])
  }

  @Test func cosineFallsFromOneToZero() throws {
    #expect(Schedule.cosine.factor(at: 0, of: 100) == 1)
    #expect(abs(Schedule.cosine.factor(at: 50, of: 100) - 0.5) < 1e-15)
    #expect(abs(Schedule.cosine.factor(at: 25, of: 100) - (2 + 2.0.squareRoot()) / 4) < 1e-15)
    #expect(abs(Schedule.cosine.factor(at: 100, of: 100)) < 1e-15)
    #expect(Schedule.cosine.factor(at: 0, of: 0) == 1)
    #expect(Schedule.constant.factor(at: 7, of: 9) == 1)
  }

  /// The first update has a quarter of the rate, the fourth the whole of what the schedule says.
  @Test func warmUpRisesToTheSchedule() throws {
    #expect((0..<6).map { Schedule.constant.factor(at: $0, of: 6, warmup: 4) } == [0.25, 0.5, 0.75, 1, 1, 1])
    for schedule in [try Schedule("cosine"), try Schedule("step:3:0.5")] {
      for step in 0..<20 {
        let plain = schedule.factor(at: step, of: 20)
        #expect(schedule.factor(at: step, of: 20, warmup: 8) == plain * min(1, Double(step + 1) / 8))
        for none in [0, -3] { #expect(schedule.factor(at: step, of: 20, warmup: none) == plain) }
      }
    }
    let trainer = try Trainer(
      smallConfiguration { ($0.lr, $0.warmup, $0.schedule, $0.steps) = (0.08, 4, "step:5:0.5", 6) })
    #expect(try (0..<6).map { _ in try trainer.update().learningRate } == [0.02, 0.04, 0.06, 0.08, 0.08, 0.04])
    expectError(.configuration, "warmup must be at least 0 and at most the steps of the run, not 13") {
      _ = try Trainer(smallConfiguration { ($0.steps, $0.epochs, $0.warmup) = (nil, 2, 13) })
    }
  }

  /// The manifest says that there was one, and the stability bound sums the rates that were taken.
  @Test func warmUpIsSeenByManifestAndProbes() throws {
    let scratch = try Scratch()
    /// The logarithm of the bound's sum, less that of the same sum with √(2(1 − α)) = 1 and the given rates.
    func excess(_ name: String, _ rates: [Double], _ change: (inout TrainingConfiguration) -> Void) throws -> Double {
      let run = try startRun(
        smallConfiguration {
          ($0.steps, $0.lr, $0.probe) = (4, 1e-4, ["stability:m=20@dense:0-4"])
          change(&$0)
        }, at: scratch.path(name))
      _ = try run.train()
      #expect(try run.directory.manifest().warmup == (name == "warm" ? 4 : nil))
      func last(_ measure: String) throws -> Double {
        try #require(try run.directory.measures().last { $0.measure == measure }).value
      }
      let smoothness = try last("smoothness")
      return try last("stability_log_sum") - log(rates.reduce(0) { $0 * (1 + $1 * smoothness) + $1 })
    }
    // α hardly moves in four small steps.
    let plain = try excess("plain", [1e-4, 1e-4, 1e-4, 1e-4]) { _ in }
    let warm = try excess("warm", [0.25e-4, 0.5e-4, 0.75e-4, 1e-4]) { $0.warmup = 4 }
    #expect(abs(warm - plain) < 1e-3, "\(warm), \(plain)")
  }

  @Test func theTrainerFollowsIt() throws {
    let trainer = try Trainer(
      smallConfiguration {
        $0.schedule = "step:2,4:0.5"
        $0.lr = 0.08
        $0.steps = 6
      })
    let rates = try (0..<6).map { _ in try trainer.update().learningRate }
    #expect(rates == [0.08, 0.08, 0.04, 0.04, 0.02, 0.02])
  }
}

@Suite struct EvaluationScheduleTests {
  @Test func startAndEndAlways() {
    for every in [nil, 1, 7, 1000, Int.max] {
      let schedule = EvaluationSchedule(steps: 100, stepsPerEpoch: 10, every: every)
      #expect(schedule.contains(0) && schedule.contains(100))
    }
  }

  @Test func fixedDistance() {
    let schedule = EvaluationSchedule(steps: 10, stepsPerEpoch: 3, every: 4)
    #expect((0...10).filter(schedule.contains) == [0, 4, 8, 10])
    #expect((0...3).filter(EvaluationSchedule(steps: 3, stepsPerEpoch: 3, every: 0).contains) == [0, 1, 2, 3])
  }

  @Test func denseAtFirstThenEveryEpoch() {
    let schedule = EvaluationSchedule(steps: 6000, stepsPerEpoch: 600, every: nil)
    let steps = (0...6000).filter(schedule.contains)
    #expect(Array(steps.prefix { $0 <= 10 }) == Array(0...10) && schedule.count == steps.count)
    #expect(Array(steps.drop { $0 < 600 }) == Array(stride(from: 600, through: 6000, by: 600)))
    // Eight for each factor of ten below the first epoch.
    #expect(steps.filter { (10..<100).contains($0) }.count == 8)
  }

  @Test func fiftyOverALongRun() {
    let schedule = EvaluationSchedule(steps: 1_000_000, stepsPerEpoch: 5, every: nil)
    #expect((20_000...1_000_000).filter(schedule.contains).count == 50)
  }

  @Test func oddSizes() {
    for (steps, epoch) in [(1, 1), (1, 600), (2, 0), (999_999_999, 1)] {
      #expect(EvaluationSchedule(steps: steps, stepsPerEpoch: epoch, every: nil).contains(steps))
    }
  }
}
