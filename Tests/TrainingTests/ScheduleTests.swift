// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Runs
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
    let trainer = try Trainer.make(
      smallConfiguration { ($0.lr, $0.warmup, $0.schedule, $0.steps) = (0.08, 4, "step:5:0.5", 6) })
    #expect(try (0..<6).map { _ in try trainer.update().learningRate } == [0.02, 0.04, 0.06, 0.08, 0.08, 0.04])
    expectError(.configuration, "warmup must be at least 0 and at most the steps of the run, not 13") {
      _ = try Trainer.make(smallConfiguration { ($0.steps, $0.epochs, $0.warmup) = (nil, 2, 13) })
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
        try #require(try run.directory.log(MeasureRecord.self).last { $0.measure == measure }).value
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
    let trainer = try Trainer.make(
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
  private func dense(_ steps: Int, _ stepsPerEpoch: Int, every: Int? = nil) -> EvaluationSchedule {
    EvaluationSchedule(
      steps: steps, stepsPerEpoch: stepsPerEpoch, examplesPerStep: 10, counts: SplitCounts(train: 50, test: 20),
      every: every, policy: .dense)
  }

  private func auto(
    steps: Int, batch: Int, train: Int, test: Int, validation: Int = 0
  ) -> EvaluationSchedule {
    EvaluationSchedule(
      steps: steps, stepsPerEpoch: (train + batch - 1) / batch, examplesPerStep: batch,
      counts: SplitCounts(train: train, test: test, validation: validation), every: nil)
  }

  private func steps(_ schedule: EvaluationSchedule) -> [Int] {
    (0...schedule.steps).filter { schedule.extent(at: $0) != nil }
  }

  @Test func startAndEndAlways() {
    for every in [nil, 1, 7, 1000, Int.max] {
      let schedule = dense(100, 10, every: every)
      #expect(schedule.extent(at: 0) == .whole && schedule.extent(at: 100) == .whole)
    }
  }

  @Test func fixedDistance() {
    #expect(steps(dense(10, 3, every: 4)) == [0, 4, 8, 10])
    #expect(steps(dense(3, 3, every: 0)) == [0, 1, 2, 3])
  }

  @Test func denseAtFirstThenEveryEpoch() {
    let schedule = dense(6000, 600)
    let steps = steps(schedule)
    #expect(Array(steps.prefix { $0 <= 10 }) == Array(0...10) && schedule.count(after: -1) == steps.count)
    #expect(Array(steps.drop { $0 < 600 }) == Array(stride(from: 600, through: 6000, by: 600)))
    // Eight for each factor of ten below the first epoch.
    #expect(steps.filter { (10..<100).contains($0) }.count == 8)
  }

  @Test func fiftyOverALongRun() {
    let schedule = dense(1_000_000, 5)
    #expect((20_000...1_000_000).count { schedule.extent(at: $0) != nil } == 50)
  }

  @Test func oddSizes() {
    for (steps, epoch) in [(1, 1), (1, 600), (2, 0), (999_999_999, 1)] {
      #expect(dense(steps, epoch).extent(at: steps) == .whole)
      #expect(
        EvaluationSchedule(
          steps: steps, stepsPerEpoch: epoch, examplesPerStep: .max, counts: SplitCounts(train: 1, test: 0), every: nil
        ).extent(at: steps) == .whole)
    }
  }

  /// What remains is what was not done, at every step.
  @Test func whatRemainsIsCounted() {
    for schedule in [
      dense(50, 7), dense(64, 9, every: 4), auto(steps: 300, batch: 100, train: 3000, test: 700, validation: 90),
      auto(steps: 40, batch: 100, train: 100, test: 50), auto(steps: 700, batch: 100, train: 600, test: 100),
    ] {
      for step in -1...schedule.steps {
        let left = (0...schedule.steps).filter { $0 > step }.compactMap { schedule.extent(at: $0) }
        #expect(schedule.count(after: step) == left.count)
        #expect(schedule.examples(after: step) == left.reduce(0) { $0 + schedule.counts(of: $1).total })
      }
    }
  }

  /// At most a quarter of the examples that training sees, beyond what every run has at its ends.
  @Test func aTenthOfTheRun() {
    for train in [50, 1000, 60_000, 1_281_167] {
      for (test, validation) in [(10, 0), (10_000, 0), (10_000, 5000)] {
        for batch in [1, 32, 256] {
          for steps in [1, 3, 100, 6000, 46_890, 1_000_000] {
            let schedule = auto(steps: steps, batch: batch, train: train, test: test, validation: validation)
            let least = schedule.counts.limited(to: EvaluationSchedule.minimumSample).total
            #expect(
              schedule.examples(after: -1) <= steps * batch / 4 + 2 * least,
              "\(steps) steps of \(batch) on \(train), \(test), \(validation)")
          }
        }
      }
    }
  }

  @Test func tenEpochsOfMNIST() {
    let schedule = auto(steps: 6000, batch: 100, train: 60_000, test: 10_000)
    #expect(schedule.extent(at: 0) == .sample && schedule.extent(at: 1) == .sample)
    #expect(schedule.extent(at: 6000) == .whole)
    // Whole epochs, and all test examples.
    #expect(schedule.distance % 600 == 0 && schedule.distance < 6000)
    #expect(schedule.extent(at: schedule.distance) == .heldOut)
    #expect(schedule.counts(of: .heldOut).test == 10_000 && schedule.counts(of: .heldOut).train < 60_000)
    #expect(steps(schedule).count > 25 && schedule.sample >= 500)
    // By default nothing is given up on small data: a run of many passes sees everything, often.
    let small = auto(steps: 5000, batch: 100, train: 2000, test: 1000)
    #expect(small.extent(at: 5000) == .whole && steps(small).count > 40)
  }

  @Test func aRunOfOneStep() {
    let schedule = auto(steps: 1, batch: 100, train: 60_000, test: 10_000)
    #expect(schedule.examples(after: -1) == 4 * EvaluationSchedule.minimumSample)
    #expect(schedule.extent(at: 1) == .sample)
  }

  @Test func paceTellsStepsAndEvaluationsApart() throws {
    let schedule = dense(100, 50, every: 50)
    var pace = Pace(evaluations: schedule, now: 0)
    func evaluated(_ step: Int) -> TrainingEvent {
      .evaluated([
        MetricRecord(epoch: 0, step: step, split: "train", count: 50, loss: 1, accuracy1: 0),
        MetricRecord(epoch: 0, step: step, split: "train", group: "corrupt", count: 20, loss: 1, accuracy1: 0),
        MetricRecord(epoch: 0, step: step, split: "test", count: 20, loss: 1, accuracy1: 0),
      ])
    }
    #expect(pace.stepsPerSecond == nil && pace.secondsLeft(after: 0) == nil)
    var now: UInt64 = 7_000_000_000
    pace.note(evaluated(0), now: now)
    for step in 1...40 {
      // The first step takes as long as all others.
      now += step == 1 ? 4_000_000_000 : 100_000_000
      pace.note(.stepped(StepRecord(step: step, loss: 1, learningRate: 0.1)), now: now)
      pace.note(.completedStep(step), now: now)
    }
    #expect(abs(try #require(pace.stepsPerSecond) - 10) < 1e-9)
    // Sixty steps of 0.1 s, two evaluations of 7 s.
    #expect(abs(try #require(pace.secondsLeft(after: 40)) - 20) < 1e-9)
    #expect(try #require(pace.secondsLeft(after: 100)) == 0)
  }
}
