// SPDX-License-Identifier: Apache-2.0

import Foundation
import GradientMatrix
import NeuralNetworks
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// Losses other than the cross entropy.
@Suite struct LossTests {
  private static let losses: [ClassificationLoss] = [
    .crossEntropy, .smoothed(0.2), .generalized(q: 0.7), .generalized(q: 1), .symmetric(alpha: 0.1, beta: 1),
    .earlyLearning(lambda: 3, beta: 0.7),
  ]

  /// One example's loss by the formula, in double.
  private func plain(_ loss: ClassificationLoss, _ z: [Double], _ y: Int, _ t: [Double]) -> Double {
    let top = z.max() ?? 0
    let sum = z.reduce(0) { $0 + exp($1 - top) }
    let p = z.map { exp($0 - top) / sum }
    switch loss {
    case .crossEntropy: return -log(p[y])
    case .smoothed(let share): return -(1 - share) * log(p[y]) - share * p.reduce(0) { $0 + log($1) } / Double(p.count)
    case .generalized(let q): return (1 - pow(p[y], q)) / q
    case .symmetric(let alpha, let beta):
      // −Σ pₖ ln qₖ with ln 1 = 0 and ln 0 = −4.
      let reverse = p.indices.reduce(0) { $0 + ($1 == y ? 0 : 4 * p[$1]) }
      return -alpha * log(p[y]) + beta * reverse
    case .earlyLearning(let lambda, _):
      return -log(p[y]) + lambda * log(1 - zip(p, t).reduce(0) { $0 + $1.0 * $1.1 })
    }
  }

  private let logits: [[Double]] = [
    [0.3, -1.2, 2.1, 0.4, -0.3], [1.5, 0.1, -0.7, 0.9, 0.2], [-2.4, 0.6, 0.5, 0.4, 1.9], [0, 0, 0, 0, 0],
    [3.1, -0.2, -1.9, 0.7, 1.1], [0.2, 0.1, 0.9, -3, 1.4], [-0.5, 2.2, 0.3, 0.8, -1.1],
  ]
  private let targets = [2, 0, 1, 4, 3, 2, 1]
  private let memory: [[Double]] = [
    [0.1, 0.2, 0.3, 0.1, 0], [0, 0, 0, 0, 0], [0.2, 0.2, 0.2, 0.2, 0.2], [0.5, 0.1, 0.1, 0, 0.1], [0.9, 0, 0, 0, 0],
    [0, 0, 0, 0.7, 0], [0.1, 0.6, 0, 0.1, 0.1],
  ]

  @Test(arguments: losses) func valuesAreTheFormulas(_ loss: ClassificationLoss) throws {
    #expect(loss.problem == nil)
    let z = try Tensor(logits.flatMap { $0 }).reshape([7, 5])
    let t = try Tensor(memory.flatMap { $0 }).reshape([7, 5])
    let found: [Double] = try loss.losses(z, targets: Tensor(targets), memory: t).values()
    for place in targets.indices {
      #expect(abs(found[place] - plain(loss, logits[place], targets[place], memory[place])) < 1e-9, "\(loss) \(place)")
    }
    try expectGradients(at: [z]) { try loss.losses($0[0], targets: Tensor(targets), memory: t) }
  }

  @Test func limitsAndMemory() throws {
    let z = try Tensor(logits.flatMap { $0 }).reshape([7, 5])
    func values(_ loss: ClassificationLoss) throws -> [Double] { try loss.losses(z, targets: Tensor(targets)).values() }
    let entropy = try values(.crossEntropy)
    #expect(try values(.smoothed(0)) == entropy && values(.symmetric(alpha: 1, beta: 0)) == entropy)
    // Measured without a memory.
    #expect(try values(.earlyLearning(lambda: 3, beta: 0.7)) == entropy)
    for (small, value) in zip(try values(.generalized(q: 1e-6)), entropy) { #expect(abs(small - value) < 1e-4) }
    let memory = try #require(try PredictionMemory(.earlyLearning(lambda: 3, beta: 0.75), count: 9, classes: 5))
    #expect(try PredictionMemory(.crossEntropy, count: 9, classes: 5) == nil)
    let indices = [8, 3, 0, 1, 2, 5, 7]
    for _ in 0..<2 { try memory.didVisit(indices, z) }
    let rows: [Float] = try memory.values.select(0, 3).values()
    let (top, sum) = (1.5, logits[1].reduce(0) { $0 + exp($1 - 1.5) })
    for (column, row) in rows.enumerated() {
      // (1 − β)(1 + β)·p after two equal visits.
      #expect(abs(Double(row) - 0.25 * 1.75 * exp(logits[1][column] - top) / sum) < 1e-5)
    }
    #expect(try memory.values.select(0, 4).values() as [Float] == [0, 0, 0, 0, 0])
  }

  /// Rows of the gradient matrix against a backward pass for every example alone.
  @Test(arguments: losses) func rowsAreTheExamplesOwnGradients(_ loss: ClassificationLoss) throws {
    let generator = try Generator(seed: 3)
    let model = try Sequential(
      Linear(inputs: 6, outputs: 4, generator: generator), Activation(.relu),
      Linear(inputs: 4, outputs: 5, generator: generator))
    let store = try ParameterStore(model, dtype: .float64)
    let input = try Tensor.normal([7, 6], generator: generator).to(.float64)
    let t = try Tensor(memory.flatMap { $0 }).reshape([7, 5])
    let labels = try Tensor(targets)
    let matrix = try GradientMatrix(GradientPlan(model, store: store), input: input) {
      try loss.losses($0, targets: labels, memory: t)
    }
    let rows = try matrix.rows(0..<7)
    let context = ForwardContext(isTraining: true, usesGradientViews: true)
    for place in 0..<7 {
      let one = try model.forward(input.narrow(0, from: place, length: 1), in: context)
      let value = try loss.losses(
        one, targets: labels.narrow(0, from: place, length: 1), memory: t.narrow(0, from: place, length: 1))
      try store.backward(value.sum())
      let (own, row): ([Double], [Double]) = try (store.gradient.values(), rows.select(0, place).values())
      #expect(zip(own, row).allSatisfy { abs($0 - $1) < 1e-12 }, "\(loss) \(place)")
    }
  }

  @Test(arguments: ["smooth:0.1", "gce:0.7", "sce:0.1,1", "elr:3,0.7"]) func trainsAndResumes(_ word: String) throws {
    let scratch = try Scratch()
    let settings = smallConfiguration {
      ($0.loss, $0.steps, $0.checkpointEvery, $0.optimizer, $0.noise) = (word, 24, 6, "m3", 0.2)
      $0.probe = ["coherence:m=20@every:12"]
    }
    #expect(
      "\(try ClassificationLoss(word))"
        == word.replacingOccurrences(of: "1,1", with: "1,1.0")
        .replacingOccurrences(of: "elr:3,", with: "elr:3.0,"))
    let whole = try startRun(settings, at: scratch.path("whole"))
    #expect(try whole.train() == .completed)
    #expect(try whole.directory.manifest().extra["loss"] == "\(ClassificationLoss(word))")
    let run = try startRun(settings, at: scratch.path("run"))
    #expect(try run.train(shouldStop: { run.trainer.step == 13 }) == .interrupted)
    #expect(try resumeRun(scratch.path("run")).train() == .completed)
    try expectSameEnd(scratch.path("whole"), scratch.path("run"))
    // Another loss is another training.
    let plain = try startRun(
      smallConfiguration { ($0.steps, $0.optimizer, $0.noise) = (24, "m3", 0.2) }, at: scratch.path("plain"))
    #expect(try plain.train() == .completed)
    #expect(try whole.trainer.store.values.values() as [Float] != plain.trainer.store.values.values())
  }

  @Test func wordsThatCannotBe() {
    for (word, part) in [
      ("mae", "choose ce, smooth:0.1"), ("gce", "choose ce"), ("gce:x", "must be numbers"),
      ("gce:0", "q must be above 0"),
      ("smooth:1", "below 1"), ("sce:0,0", "not both 0"), ("sce:1", "choose ce"), ("elr:3,1", "beta from 0 to below 1"),
      ("elr:nan,0.5", "lambda must be"), ("ce:1", "choose ce"),
    ] {
      expectError(.configuration, part) { _ = try ClassificationLoss(word) }
    }
  }
}
