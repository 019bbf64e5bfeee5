// SPDX-License-Identifier: Apache-2.0

import RunStore

/// The full batch generalises as mini-batches do.
struct CG12: Rule {
  /// Test accuracies are compared at the same training accuracy, at least this: before half of the examples are learned
  /// there is little that could generalise or not.
  static let learned = 0.5
  /// Real labels generalise and random ones do not: at that training accuracy a tenth of all test examples lies between.
  static let apart = 0.1
  /// Random labels leave test accuracy at chance, but for five points: ten standard errors with 10 000 test examples.
  static let chance = 0.05
  /// "Alike": test accuracies within a tenth of what the mini-batch run has above chance.
  static let alike = 0.1

  let claim = Claim(
    id: "CG-12",
    sentence:
      "Gradient descent on the full batch generalises like mini-batches: real labels generalise, random ones do not.",
    paper: Paper.coherentGradients, section: "§4", setting: Paper.noiseSetting)

  var varying: Set<Factor> { [.noise, .seed, .batchSize, .learningRate, .steps] }
  func reads(_ run: RunHistory) -> Bool { run.optimizer.isSGD && Level.contains(run.noise, in: [0, 1]) }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { runs.contains(where: \.isFullBatch) }

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(
      runs,
      held:
        "With the full batch real labels generalise and random ones do not, and test accuracy is that of mini-batches"
    ) { runs, assessment in
      let full = runs.filter(\.isFullBatch)
      for level in [0.0, 1] where full.at(level) == nil { assessment.miss("full batch, \(Level.text(level))") }
      guard let real = full.at(0), let random = full.at(1) else { return }
      compare(real, random, in: &assessment)
      if let mini = assessment.need(runs.filter { !$0.isFullBatch }.at(0), "mini-batches, \(Level.text(0))") {
        compare(real, withMiniBatches: mini, in: &assessment)
      }
    }
  }

  private func compare(_ real: RunHistory, _ random: RunHistory, in assessment: inout Assessment) {
    guard let (level, values) = Self.atSameTraining([real, random]) else {
      return assessment.miss("training and test accuracy of both full-batch runs")
    }
    assessment.note("training accuracy compared at, full batch", level)
    assessment.note("test accuracy there, full batch, 0 % noise", values[0])
    assessment.note("test accuracy there, full batch, 100 % noise", values[1])
    guard level >= Self.learned else {
      return assessment.leaveOpen("the full-batch runs do not both learn half of their training examples")
    }
    if values[0] - values[1] < Self.apart {
      assessment.fail("with the full batch real labels generalise hardly better than random ones")
    }
    if values[1] > 1 / Double(random.classes) + Self.chance {
      assessment.fail("with the full batch test accuracy on random labels is above chance")
    }
  }

  private func compare(_ full: RunHistory, withMiniBatches mini: RunHistory, in assessment: inout Assessment) {
    guard let (level, values) = Self.atSameTraining([full, mini]) else {
      return assessment.miss("training and test accuracy of the mini-batch run")
    }
    assessment.note("training accuracy compared at, full batch and mini-batches", level)
    assessment.note("test accuracy there, full batch", values[0])
    assessment.note("test accuracy there, mini-batches", values[1])
    if level < Self.learned {
      assessment.leaveOpen("full batch and mini-batches do not both learn half of their training examples")
    } else if abs(values[0] - values[1]) > Self.alike * (values[1] - 1 / Double(mini.classes)) {
      assessment.fail("test accuracy with the full batch differs from that with mini-batches")
    }
  }

  /// The largest training accuracy that all runs reach, and their test accuracies when they first do.
  private static func atSameTraining(_ runs: [RunHistory]) -> (level: Double, test: [Double])? {
    guard let level = runs.compactMap({ $0.accuracy("train").peak?.value }).min() else { return nil }
    let test = runs.compactMap { run in
      run.accuracy("train").firstStep(reaching: level).flatMap { run.accuracy("test")[$0] }
    }
    return test.count == runs.count ? (level, test) : nil
  }
}
