// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Runs
@testable import Training

@Suite struct LearningRecordTests {
  @Test func nothingObserved() {
    let record = LearningRecord(count: 2)
    #expect(record.firstLearned == [-1, -1])
    #expect(record.lastLearned == [-1, -1])
    #expect(record.forgettingEvents == [0, 0])
  }

  @Test func learnedForgottenLearnedAgain() {
    var record = LearningRecord(count: 1)
    for (step, isCorrect) in [(0, false), (3, true), (5, true), (8, false), (9, false), (12, true), (15, true)] {
      record.observe(0, isCorrect: isCorrect, step: step)
    }
    #expect(record.firstLearned == [3])
    #expect(record.lastLearned == [12])
    #expect(record.forgettingEvents == [1])
  }

  @Test func forgottenAtTheEnd() {
    var record = LearningRecord(count: 1)
    record.observe(0, isCorrect: true, step: 0)
    record.observe(0, isCorrect: false, step: 4)
    #expect(record.firstLearned == [0])
    #expect(record.lastLearned == [-1])
    #expect(record.forgettingEvents == [1])
  }

  @Test func aRepeatedObservationChangesNothing() {
    var record = LearningRecord(count: 1)
    for isCorrect in [false, true] {
      record.observe(0, isCorrect: isCorrect, step: 2)
      let once = record
      record.observe(0, isCorrect: isCorrect, step: 2)
      #expect(record == once)
    }
  }

  @Test func strangersAreIgnored() {
    var record = LearningRecord(count: 2)
    for index in [-1, 2, Int.max, Int.min] { record.observe(index, isCorrect: true, step: 1) }
    #expect(record == LearningRecord(count: 2))
    #expect(LearningRecord(count: 0).firstLearned.isEmpty)
  }

  @Test func savedColumns() {
    #expect(LearningRecord(firstLearned: [1], lastLearned: [1], forgettingEvents: []) == nil)
    #expect(LearningRecord(firstLearned: [1], lastLearned: [1, 2], forgettingEvents: [0]) == nil)
    var record = LearningRecord(count: 1)
    record.observe(0, isCorrect: true, step: 6)
    #expect(LearningRecord(firstLearned: [6], lastLearned: [6], forgettingEvents: [0]) == record)
  }
}

@Suite struct MilestonesTests {
  @Test func lastBestAndSelected() {
    var milestones = Milestones()
    #expect(milestones.last == nil && milestones.best == nil && milestones.selected == nil)
    milestones.note(step: 0, train: 0.1, test: 0.2, validation: 0.5)
    milestones.note(step: 5, train: 0.5, test: 0.9, validation: 0.4)
    milestones.note(step: 9, train: 0.6, test: 0.8, validation: 0.7)
    milestones.note(step: 12, train: 0.7, test: 0.7, validation: 0.6)
    #expect(milestones.last?.step == 12)
    #expect(milestones.best?.step == 5)
    #expect(milestones.selected?.step == 9)
    #expect(milestones.selected?.testAccuracy == 0.8)
  }

  @Test func theEarliestOfEqualsCounts() {
    var milestones = Milestones()
    for step in [3, 6, 9] { milestones.note(step: step, train: 0.5, test: 0, validation: 0) }
    #expect(milestones.best?.step == 3)
    #expect(milestones.selected?.step == 3)
    #expect(milestones.last?.step == 9)
  }

  @Test func withoutValidationNothingIsSelected() {
    var milestones = Milestones()
    milestones.note(step: 1, train: 1, test: 1, validation: nil)
    #expect(milestones.selected == nil)
    milestones.note(step: 2, train: 1, test: .nan, validation: nil)
    #expect(milestones.best?.step == 1)
  }
}

@Suite struct GroupMetricsTests {
  @Test func everyExampleCountsOnce() {
    var metrics = GroupMetrics()
    #expect(metrics.count == 0 && metrics.loss.isNaN && metrics.accuracy.isNaN)
    for (loss, rank) in [(1.0, 0), (2.0, 4), (3.0, 5), (6.0, 9)] { metrics.accumulate(loss: loss, rank: rank) }
    #expect(metrics.count == 4)
    #expect(metrics.loss == 3)
    #expect(metrics.accuracy == 0.25)
    #expect(metrics.accuracyTop5 == 0.5)
  }

  @Test func groupsOfAnEvaluation() {
    let evaluation = Evaluation(losses: [1, 2, 3], ranks: [0, 1, 0])
    #expect(evaluation.metrics(over: [0, 2]).accuracy == 1)
    #expect(evaluation.metrics(over: [1]).loss == 2)
    #expect(evaluation.metrics.loss == 2)
    #expect(evaluation.metrics(over: []).count == 0)
  }
}
