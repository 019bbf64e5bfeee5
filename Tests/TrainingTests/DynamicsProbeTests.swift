// SPDX-License-Identifier: Apache-2.0

import Foundation
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

@Suite struct DynamicsProbeTests {
  private static func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

  private static func mean(_ rows: [[Double]]) -> [Double] {
    (rows.first ?? []).indices.map { column in rows.reduce(0) { $0 + $1[column] } / Double(rows.count) }
  }

  /// Gradients one example at a time, and means over the others by plain sums.
  @Test(arguments: [150, 7]) func momentsFollowTheirDefinitions(chunkSize: Int) throws {
    let trainer = try Trainer.make(smallConfiguration { $0.noise = 0.5 })
    for _ in 0..<7 { _ = try trainer.update() }
    let plan = try GradientPlan(trainer.model, store: trainer.store)
    let probe = DynamicsProbe()
    try probe.prepare(trainer.setup(plan, chunkSize: chunkSize))
    var results = ProbeResults()
    try probe.measure(plan, step: 0, into: &results)
    #expect(probe.dynamics.moments == 0, "there is nothing to see before the first update")
    probe.didStep(StepRecord(step: 7, loss: 1, learningRate: 0.25))
    try probe.measure(plan, step: 7, into: &results)

    let indices = trainer.data.trainIndices
    let labels = indices.map { trainer.data.labels.assigned[$0] }
    let flat = try plan.exampleGradients(input: trainer.data.train.imageTensor(at: indices)) {
      try $0.crossEntropy(targets: Tensor(labels))
    }.to(.float64).values(as: Double.self)
    let size = plan.store.count
    let rows = indices.indices.map { Array(flat[$0 * size..<($0 + 1) * size]) }
    let dynamics = probe.dynamics
    #expect(dynamics.moments == 1 && dynamics.indices == indices && dynamics.labels == labels)
    for row in indices.indices {
      func close(_ value: Double, _ expected: Double, _ name: String) {
        #expect(abs(value - expected) < 2e-4 * (1 + abs(expected)), "\(name) of \(row): \(value), not \(expected)")
      }
      let others = Self.mean(rows.indices.filter { $0 != row }.map { rows[$0] })
      let ofClass = rows.indices.filter { $0 != row && labels[$0] == labels[row] }.map { rows[$0] }
      func cosine(_ vector: [Double]) -> Double {
        let length = (Self.dot(rows[row], rows[row]) * Self.dot(vector, vector)).squareRoot()
        return length > 0 ? Self.dot(rows[row], vector) / length : 0
      }
      let square = Self.dot(rows[row], rows[row])
      close(dynamics.normSum[row], square.squareRoot(), "norm")
      close(dynamics.selfInfluence[row], 0.25 * square, "self-influence")
      close(dynamics.othersPush[row], 0.25 * Self.dot(rows[row], others), "push")
      close(dynamics.cosineSum[row], cosine(others), "cosine")
      close(dynamics.classCosineSum[row], ofClass.isEmpty ? 0 : cosine(Self.mean(ofClass)), "cosine in the class")
    }
  }

  /// Every visit of an epoch as it was, from a trainer of its own that the test looks into before each step.
  @Test func visitsAreThoseOfTheSteps() throws {
    let configuration = smallConfiguration {
      ($0.noise, $0.probe, $0.steps) = (0.5, ["dynamics@epoch:1-2"], 13)
    }
    let scratch = try Scratch()
    let run = try startRun(configuration, at: scratch.path("run"))
    _ = try run.train()
    let found = try TrainingDynamics(contentsOf: run.directory.dynamics)

    let twin = try Trainer.make(configuration)
    var expected = TrainingDynamics(
      indices: twin.data.trainIndices, labels: twin.data.trainIndices.map { twin.data.labels.assigned[$0] },
      classCount: 10)
    let rows = Dictionary(uniqueKeysWithValues: expected.indices.enumerated().map { ($1, $0) })
    for _ in 0..<13 {
      var sampler = twin.sampler
      let batch = sampler.next()
      let logits = try twin.model.forward(twin.data.train.imageTensor(at: batch), in: .evaluation())
        .values(as: Float.self)
      for (place, index) in batch.enumerated() {
        let row = try #require(rows[index])
        logits[place * 10..<(place + 1) * 10].withUnsafeBufferPointer { expected.note(row: row, logits: $0) }
      }
      _ = try twin.update()
    }
    #expect(found.visits == expected.visits && found.wrong == expected.wrong)
    #expect(found.forgetting == expected.forgetting && found.firstStreak == expected.firstStreak)
    for (a, b) in [
      (found.marginSum, expected.marginSum), (found.lossSum, expected.lossSum),
      (found.earlyErrorSum, expected.earlyErrorSum),
      (found.probabilitySum.map(Double.init), expected.probabilitySum.map(Double.init)),
    ] { #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-4 * (1 + abs($1)) }) }
    #expect(found.moments == 2)

    let final = try twin.model.forward(twin.data.train.imageTensor(at: expected.indices), in: .evaluation())
    #expect(
      zip(found.finalLogits, try final.values(as: Float.self)).allSatisfy { abs($0 - $1) < 1e-4 * (1 + abs($1)) })
  }

  @Test func stoppedAndResumedItEndsInTheSameBytes() throws {
    let scratch = try Scratch()
    let configuration = smallConfiguration { ($0.probe, $0.steps) = (["dynamics@epoch:1-3"], 20) }
    let whole = try startRun(configuration, at: scratch.path("whole"))
    _ = try whole.train()
    for stop in [1, 6, 7, 19] {
      let path = scratch.path("stopped-\(stop)")
      let run = try startRun(configuration, at: path)
      var done = 0
      _ = try run.train(shouldStop: { done >= stop }) { if case .stepped = $0 { done += 1 } }
      #expect(!FileManager.default.fileExists(atPath: run.directory.dynamics.path))
      _ = try resumeRun(path).train()
      #expect(try Data(contentsOf: run.directory.dynamics) == Data(contentsOf: whole.directory.dynamics), "\(stop)")
    }
  }

  @Test func damagedFilesSaySo() throws {
    let scratch = try Scratch()
    let missing = URL(fileURLWithPath: scratch.path("none.safetensors"))
    expectError(.checkpoint, "recorded no training dynamics", "--probe dynamics") {
      _ = try TrainingDynamics(contentsOf: missing)
    }
    var tensors = Dictionary(
      uniqueKeysWithValues: try TrainingDynamics(indices: [4, 5], labels: [0, 1], classCount: 2).tensors().map {
        ($0.name, $0.tensor)
      })
    #expect(try TrainingDynamics(tensors).indices == [4, 5])
    for (name, tensor) in [
      ("visits", try Tensor([1])), ("label", try Tensor([0, 2])), ("wrong", try Tensor([0.5, 1])),
    ] {
      var damaged = tensors
      damaged[name] = tensor
      expectError(.checkpoint) { _ = try TrainingDynamics(damaged) }
    }
    tensors["moments"] = nil
    expectError(.checkpoint, "\"moments\"") { _ = try TrainingDynamics(tensors) }
    try scratch.write("not safetensors", "damaged.safetensors")
    expectError(.checkpoint, "damaged") {
      _ = try TrainingDynamics(contentsOf: URL(fileURLWithPath: scratch.path("damaged.safetensors")))
    }
    expectError(.configuration, "all training examples") {
      try smallConfiguration { $0.probe = ["dynamics:m=20"] }.validate()
    }
  }

  /// Against all pairs, on features with equal ones among them.
  @Test(arguments: [(30, 3), (300, 5), (1, 2)]) func neighboursAreTheNearest(count: Int, width: Int) throws {
    let features = (0..<count * width).map { Float(($0 * 7919) % 13) - 5 }
    let labels = (0..<count).map { $0 % 3 }
    let found = try NeighbourAgreement.shares(features: features, labels: labels, seed: 1)
    guard count > 1 else {
      #expect(found == [1])
      return
    }
    func cosine(_ a: Int, _ b: Int) -> Double {
      let (x, y) = ([a, b].map { row in (0..<width).map { Double(features[row * width + $0]) } }).pair
      let length = (Self.dot(x, x) * Self.dot(y, y)).squareRoot()
      return length > 0 ? Self.dot(x, y) / length : 0
    }
    for row in 0..<count {
      let all = (0..<count).filter { $0 != row }.map { ($0, cosine(row, $0)) }.sorted { $0.1 > $1.1 }
      let last = all[min(10, count - 1) - 1].1
      // Where several are equally near, any of them may be among the ten.
      let sure = all.filter { $0.1 > last + 1e-6 }
      let maybe = all.filter { abs($0.1 - last) <= 1e-6 }
      let rest = min(10, count - 1) - sure.count
      func same(_ list: [(Int, Double)]) -> Int { list.count { labels[$0.0] == labels[row] } }
      let low = same(sure) + max(0, rest - (maybe.count - same(maybe)))
      let high = same(sure) + min(rest, same(maybe))
      let share = found[row] * Double(min(10, count - 1))
      #expect(share > Double(low) - 1e-9 && share < Double(high) + 1e-9, "\(row)")
    }
  }
}

extension [[Double]] {
  fileprivate var pair: ([Double], [Double]) { (self[0], self[1]) }
}
