// SPDX-License-Identifier: Apache-2.0

import Datasets
import RunStore
import Testing

@testable import Runs
@testable import Training

@Suite struct TrainerTests {
  /// Trains to the end and returns every event's records.
  func records(_ trainer: Trainer) throws -> (steps: [StepRecord], metrics: [MetricRecord], completed: [Int]) {
    var (steps, metrics, completed): ([StepRecord], [MetricRecord], [Int]) = ([], [], [])
    let outcome = try trainer.run(observe: { event in
      switch event {
      case .stepped(let record): steps.append(record)
      case .evaluated(let records): metrics += records
      case .measured: break
      case .completedStep(let step): completed.append(step)
      }
    })
    #expect(outcome == .completed)
    return (steps, metrics, completed)
  }

  @Test(arguments: ["auto", "native", "onednn"])
  func twoRunsEndInTheSameBits(_ linear: String) throws {
    func run() throws -> ([Float], [MetricRecord], LearningRecord) {
      let trainer = try Trainer.make(
        smallConfiguration {
          $0.linear = linear
          $0.momentum = 0.9
          $0.validation = 7
          $0.model = "mlp:64,32"
        })
      let metrics = try records(trainer).metrics
      return (try trainer.store.values.values(), metrics, trainer.learning)
    }
    let (one, two) = (try run(), try run())
    #expect(one.0 == two.0)
    #expect(one.1 == two.1)
    #expect(one.2 == two.2)
  }

  @Test func theSeedDecides() throws {
    let values = try [UInt64(1), 2].map { seed in
      let trainer = try Trainer.make(smallConfiguration { $0.seed = seed })
      _ = try trainer.update()
      return try trainer.store.values.values(as: Float.self)
    }
    #expect(values[0] != values[1])
  }

  @Test func eventsComeInOrder() throws {
    let trainer = try Trainer.make(smallConfiguration { $0.evalEvery = 8 })
    let (steps, metrics, completed) = try records(trainer)
    #expect(steps.map(\.step) == Array(1...20))
    #expect(completed == Array(0...20))
    #expect(Set(metrics.map(\.step)) == [0, 8, 16, 20])
    #expect(metrics.first { $0.step == 8 }?.epoch == 8.0 / 6)
  }

  /// Pristine and corrupt examples make up the training set, in count, loss and accuracy.
  @Test func groupsAddUp() throws {
    let trainer = try Trainer.make(smallConfiguration { $0.validation = 9 })
    let metrics = try records(trainer).metrics
    for step in Set(metrics.map(\.step)) {
      func record(_ split: String, _ group: String) throws -> MetricRecord {
        try #require(metrics.first { $0.step == step && $0.split == split && $0.group == group })
      }
      let (all, pristine, corrupt) = (
        try record("train", "all"), try record("train", "pristine"), try record("train", "corrupt")
      )
      #expect(all.count == 51 && pristine.count + corrupt.count == 51)
      let (p, c) = (Double(pristine.count), Double(corrupt.count))
      #expect(abs(p * pristine.loss + c * corrupt.loss - 51 * all.loss) < 1e-9)
      #expect(abs(p * pristine.accuracy1 + c * corrupt.accuracy1 - 51 * all.accuracy1) < 1e-9)
      #expect(try record("validation", "all").count == 9)
      #expect(try record("test", "all").count == SmallData.testCount)
    }
    #expect(metrics.filter { $0.step == 0 }.map(\.group) == ["all", "pristine", "corrupt", "all", "all"])
  }

  @Test func withoutNoiseThereIsNoCorruptGroup() throws {
    let metrics = try Trainer.make(smallConfiguration { $0.noise = 0 }).evaluate()
    #expect(metrics.map(\.group) == ["all", "pristine", "all"])
    #expect(metrics.map(\.split) == ["train", "train", "test"])
  }

  @Test func evaluationDoesNotDependOnTheChunk() throws {
    let trainer = try Trainer.make(smallConfiguration())
    var evaluator = Evaluator(linearPolicy: .native, device: .cpu)
    let indices = Array((0..<60).reversed())
    let whole = try evaluator.evaluate(
      trainer.model, on: trainer.data.train, indices: indices, labels: trainer.data.train.labels)
    for size in [1, 7, 60, 0] {
      evaluator.chunkSize = size
      let parts = try evaluator.evaluate(
        trainer.model, on: trainer.data.train, indices: indices, labels: trainer.data.train.labels)
      #expect(parts.ranks == whole.ranks)
      #expect(zip(parts.losses, whole.losses).allSatisfy { abs($0 - $1) < 1e-5 })
    }
    let none = try evaluator.evaluate(trainer.model, on: trainer.data.train, indices: [], labels: [])
    #expect(none.metrics.count == 0)
  }

  /// The claim of the papers in small: with half of the labels noisy, real labels are learned first.
  @Test func pristineIsLearnedBeforeCorrupt() throws {
    let trainer = try Trainer.make(
      smallConfiguration {
        $0.subset = 600
        $0.model = "mlp:64"
        $0.batchSize = 20
        $0.steps = 900
        $0.evalEvery = 30
      })
    let metrics = try records(trainer).metrics
    func half(_ group: String) throws -> Int {
      try #require(metrics.first { $0.split == "train" && $0.group == group && $0.accuracy1 >= 0.5 }).step
    }
    #expect(try half("pristine") * 2 < half("corrupt"))
    let test = metrics.filter { $0.split == "test" }
    #expect((test.map(\.accuracy1).max() ?? 0) > (test.first?.accuracy1 ?? 1) + 0.3)
    #expect((metrics.last { $0.split == "train" && $0.group == "all" }?.accuracy1 ?? 0) > 0.9)
    // The learning record tells the same story.
    let first = trainer.learning.firstLearned
    func median(_ indices: [Int]) -> Int {
      indices.map { first[$0] < 0 ? .max : first[$0] }.sorted()[indices.count / 2]
    }
    #expect(median(trainer.data.labels.pristineIndices) < median(trainer.data.labels.corruptIndices))
  }

  @Test func validationExamplesAreNotTrainedOn() throws {
    let trainer = try Trainer.make(smallConfiguration { $0.validation = 12 })
    let data = trainer.data
    #expect(data.validationIndices.count == 12)
    #expect((data.validationIndices + data.trainIndices).sorted() == Array(0..<60))
    _ = try records(trainer)
    #expect(data.validationIndices.allSatisfy { trainer.learning.firstLearned[$0] == -1 })
    let best = try #require(trainer.milestones.selected)
    #expect(best.validationAccuracy != nil)
  }

  @Test func milestonesFollowTheMetrics() throws {
    let trainer = try Trainer.make(
      smallConfiguration {
        $0.validation = 20
        $0.evalEvery = 1
        $0.steps = 60
      })
    let metrics = try records(trainer).metrics
    func firstBest(_ split: String) throws -> MetricRecord {
      let some = metrics.filter { $0.split == split }
      let best = try #require(some.map(\.accuracy1).max())
      return try #require(some.first { $0.accuracy1 == best })
    }
    #expect(try trainer.milestones.best?.step == firstBest("test").step)
    #expect(try trainer.milestones.selected?.step == firstBest("validation").step)
    #expect(trainer.milestones.last?.step == 60)
  }

  @Test func stoppingAndGoingOnInOneProcess() throws {
    let (whole, parts) = (try Trainer.make(smallConfiguration()), try Trainer.make(smallConfiguration()))
    let expected = try records(whole).metrics
    var metrics: [MetricRecord] = []
    var outcome = TrainingOutcome.interrupted
    var count = 0
    while outcome == .interrupted {
      var asked = 0
      outcome = try parts.run(
        shouldStop: {
          asked += 1
          return asked > 3
        },
        observe: { if case .evaluated(let records) = $0 { metrics += records } })
      count += 1
    }
    #expect(count == 7)
    #expect(metrics == expected)
  }

  @Test func theFirstEvaluationIsMadeOnce() throws {
    let trainer = try Trainer.make(smallConfiguration())
    var evaluations = 0
    for _ in 0..<3 {
      _ = try trainer.run(shouldStop: { true }, observe: { if case .evaluated = $0 { evaluations += 1 } })
    }
    #expect(evaluations == 1)
  }

  @Test func divergenceSaysWhereAndWhatToDo() throws {
    let trainer = try Trainer.make(smallConfiguration { $0.lr = 1e30 })
    expectError(.divergence, "diverged at step", "1e+30", "smaller --lr") { _ = try trainer.run() }
  }

  /// A loss may grow beyond all sense and stay a number: that is no end of a training either.
  @Test func aLossGrownAMillionFoldIsDivergence() throws {
    #expect(Trainer.divergentLoss(classes: 2) == 1e6 && abs(Trainer.divergentLoss(classes: 10) - 2.302585e6) < 1)
    let trainer = try Trainer.make(smallConfiguration { $0.lr = 1e9 })
    expectError(
      .divergence, "diverged at step", "the loss is", "more than a million times that of a uniform guess",
      "smaller --lr"
    ) { _ = try trainer.run() }
    // A large rate that training survives is no error.
    let bold = try Trainer.make(smallConfiguration { $0.lr = 1 })
    #expect(try bold.run() == .completed)
  }
}
