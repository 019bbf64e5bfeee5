// SPDX-License-Identifier: Apache-2.0

import Coherence
import Foundation
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// What probes report, against sums over explicit rows of gradients, taken one example at a time.
@Suite struct ProbeValueTests {
  /// A model that has learned a little, a sample, and the sample's gradients in double.
  private struct Oracle {
    let trainer: Trainer
    let plan: GradientPlan
    let probe: ProbeSample
    let rows: [[Double]]
    let mean: [Double]

    init(count: Int, updates: Int = 3) throws {
      trainer = try Trainer.make(smallConfiguration())
      for _ in 0..<updates { _ = try trainer.update() }
      plan = try GradientPlan(trainer.model, store: trainer.store)
      let data = trainer.data
      probe = try ProbeSample(
        of: data.train, labels: data.labels.assigned, candidates: data.trainIndices, split: "train", count: count,
        seed: 5)
      rows = try Self.rows(plan, probe)
      mean = Self.mean(rows)
    }

    static func mean(_ rows: [[Double]]) -> [Double] {
      (rows.first ?? []).indices.map { column in rows.reduce(0) { $0 + $1[column] } / Double(rows.count) }
    }

    static func rows(_ plan: GradientPlan, _ probe: ProbeSample) throws -> [[Double]] {
      let targets = try Tensor(probe.indices.map { probe.labels[$0] })
      let flat = try plan.exampleGradients(input: probe.dataset.imageTensor(at: probe.indices)) {
        try $0.crossEntropy(targets: targets)
      }.to(.float64).values(as: Double.self)
      let size = plan.store.count
      return probe.indices.indices.map { Array(flat[$0 * size..<($0 + 1) * size]) }
    }
  }

  private static func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

  private func close(_ a: Double, _ b: Double, _ tolerance: Double = 1e-4) -> Bool {
    abs(a - b) <= tolerance * max(abs(a), abs(b), 1e-3)
  }

  @Test func examples() throws {
    let oracle = try Oracle(count: 31)
    var probe = oracle.probe
    probe.chunkSize = 7
    let (examples, coherence) = try probe.exampleGradients(oracle.plan)
    #expect(examples.indices == probe.indices && examples.labels == probe.indices.map { probe.labels[$0] })
    #expect(examples.isCorrupt == probe.indices.map(oracle.trainer.data.labels.isCorrupt))
    #expect(examples.isCorrupt.contains(true) && examples.isCorrupt.contains(false))
    let square = Self.dot(oracle.mean, oracle.mean)
    #expect(close(examples.meanSquaredNorm, square))
    let evaluation = try Evaluator(linearPolicy: .native, device: .cpu).evaluate(
      oracle.trainer.model, on: probe.dataset, indices: probe.indices, labels: probe.labels)
    for (place, row) in oracle.rows.enumerated() {
      let (dot, own) = (Self.dot(row, oracle.mean), Self.dot(row, row))
      #expect(close(examples.dots[place], dot) && close(examples.squaredNorms[place], own))
      #expect(close(Double(examples.cosines[place]), dot / (own * square).squareRoot()))
      #expect(close(Double(examples.losses[place]), evaluation.losses[place]))
      #expect(examples.isCorrect[place] == (evaluation.ranks[place] == 0))
      #expect(examples.isCorrect[place] == (examples.margins[place] > 0))
    }
    #expect(try probe.coherence(oracle.plan, groupCount: 0) == coherence)
    // Each part of the file, and each column of the text.
    let file = try Safetensors.decode(examples.safetensors(step: 9))
    #expect(file.metadata["step"] == "9" && file.metadata["m"] == "31" && file.metadata["split"] == "train")
    #expect(try file.tensors["dot"]?.values() == examples.dots)
    #expect(try file.tensors["squared_norm"]?.values() == examples.squaredNorms)
    #expect(try file.tensors["index"]?.values() == examples.indices)
    #expect(try file.tensors["is_corrupt"]?.values() == examples.isCorrupt)
    #expect(try file.tensors["correct"]?.values() == examples.isCorrect)
    #expect(try file.tensors["margin"]?.values() == examples.margins)
    #expect(file.tensors.count == 9)
    let lines = examples.csv.split(separator: "\n")
    #expect(lines.count == 32)
    let cells = lines[5].split(separator: ",")
    #expect(cells.count == 9 && Int(cells[0]) == examples.indices[4] && Double(cells[3]) == examples.dots[4])
    #expect(Float(cells[7]) == examples.margins[4])
  }

  @Test func relatedMeasures() throws {
    let oracle = try Oracle(count: 24)
    var sums = (sign: 0.0, cosine: 0.0, pairs: 0.0)
    var within = sums
    var (least, worst) = (1.0, 0.0)
    let labels = oracle.probe.indices.map { oracle.probe.labels[$0] }
    for first in oracle.rows.indices {
      for second in 0..<first {
        let (a, b) = (oracle.rows[first], oracle.rows[second])
        let product = Self.dot(a, b)
        let cosine = product / (Self.dot(a, a) * Self.dot(b, b)).squareRoot()
        sums = (sums.sign + (product > 0 ? 1 : -1), sums.cosine + cosine, sums.pairs + 1)
        if labels[first] == labels[second] {
          within = (within.sign + (product > 0 ? 1 : -1), within.cosine + cosine, within.pairs + 1)
        }
        (least, worst) = (min(least, cosine), max(worst, -product))
      }
    }
    let between = (sums.sign - within.sign, sums.cosine - within.cosine, sums.pairs - within.pairs)
    let (m, square) = (24.0, Self.dot(oracle.mean, oracle.mean))
    let all = oracle.rows.reduce(0) { $0 + Self.dot($1, $1) }
    let trace = (all - m * square) / (m - 1)
    // Undefined where the mean gradient does not stand out of the noise.
    let signal = square - trace / m
    let expected: [(String, Double?)] = [
      ("stiffness_sign", sums.sign / sums.pairs), ("stiffness_cosine", sums.cosine / sums.pairs),
      ("stiffness_sign_within", within.sign / within.pairs),
      ("stiffness_cosine_within", within.cosine / within.pairs),
      ("stiffness_sign_between", between.0 / between.2), ("stiffness_cosine_between", between.1 / between.2),
      ("confusion_min_cosine", least), ("confusion_bound", worst),
      ("noise_scale", signal > 0 ? trace / signal : nil), ("gradient_diversity", all / (m * m * square)),
    ]
    // A chunk size of its own must not cut pairs apart.
    var probe = oracle.probe
    probe.chunkSize = 5
    let measures = try probe.relatedMeasures(oracle.plan)
    #expect(measures.m == 24)
    let found = Dictionary(measures.values.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    #expect(found.count == 11)
    for (name, value) in expected {
      let actual = found[name] ?? nil
      #expect((actual == nil) == (value == nil), "\(name)")
      if let actual, let value { #expect(close(actual, value, 1e-3), "\(name): \(actual), not \(value)") }
    }
    #expect(found["gsnr_mean"].map { $0 ?? 0 > 0 } == true)
  }

  @Test func intervals() throws {
    let scratch = try Scratch()
    let run = try startRun(smallConfiguration { $0.probe = ["coherence:m=50@every:10"] }, at: scratch.path("run"))
    _ = try run.train()
    let (coherence, intervals) = (
      try run.directory.log(CoherenceRecord.self), try run.directory.log(CoherenceIntervalRecord.self)
    )
    #expect(intervals.map(\.layer) == coherence.map(\.layer) && intervals.map(\.step) == coherence.map(\.step))
    for (interval, record) in zip(intervals, coherence) {
      let unbiased = try #require(record.alphaUnbiased)
      #expect(interval.alphaUnbiasedLow < unbiased && unbiased < interval.alphaUnbiasedHigh && interval.m == 50)
      #expect(close(interval.mCoherenceLow, 1 + 49 * interval.alphaUnbiasedLow, 1e-9))
      #expect(close(interval.mCoherenceHigh, 1 + 49 * interval.alphaUnbiasedHigh, 1e-9))
      #expect((interval.mCoherenceFromBatches == nil) || interval.layer == "all")
    }
    #expect(intervals.contains { $0.mCoherenceFromBatches != nil })
  }

  /// A run's stability lines from the definition, with the gradients of every look taken anew.
  @Test func stability() throws {
    let configuration = smallConfiguration { $0.probe = ["stability:m=20@every:4"] }
    let scratch = try Scratch()
    let run = try startRun(configuration, at: scratch.path("run"))
    _ = try run.train()
    let found = try run.directory.log(MeasureRecord.self)

    let trainer = try Trainer.make(smallConfiguration())
    let plan = try GradientPlan(trainer.model, store: trainer.store)
    let sample = try ProbeSample(
      of: trainer.data.train, labels: trainer.data.labels.assigned, candidates: trainer.data.trainIndices,
      split: "train", count: 20, seed: configuration.seed)
    var (lipschitz, smoothness, alphas): (Double, Double, [Double]) = (0, 0, [])
    var before: (weights: [Double], mean: [Double])?
    func distance(_ a: [Double], _ b: [Double]) -> Double {
      zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
    }
    for step in 0...20 {
      if step > 0 { _ = try trainer.update() }
      guard step % 4 == 0 else { continue }
      let rows = try Oracle.rows(plan, sample)
      let mean = Oracle.mean(rows)
      let weights = try trainer.store.values.to(.float64).values(as: Double.self)
      let norms = rows.map { Self.dot($0, $0) }
      lipschitz = max(lipschitz, (norms.max() ?? 0).squareRoot())
      if let before { smoothness = max(smoothness, distance(mean, before.mean) / distance(weights, before.weights)) }
      before = (weights, mean)
      var sum = 0.0
      for earlier in 0..<step {
        let rate = configuration.lr
        sum = sum * (1 + rate * smoothness) + rate * (2 * (1 - alphas[earlier / 4])).squareRoot()
      }
      alphas.append(20 * Self.dot(mean, mean) / norms.reduce(0, +))
      let own = Dictionary(
        found.filter { $0.step == step }.map { ($0.measure, $0.value) }, uniquingKeysWith: { first, _ in first })
      #expect(close(try #require(own["lipschitz"]), lipschitz))
      #expect((own["smoothness"] == nil) == (step == 0) && (own["stability_log_bound"] == nil) == (step == 0))
      guard step > 0 else { continue }
      #expect(close(try #require(own["smoothness"]), smoothness, 1e-3))
      #expect(close(try #require(own["stability_log_sum"]), log(sum), 1e-3))
      #expect(close(try #require(own["stability_log_bound"]), log(lipschitz * lipschitz / 60 * sum), 1e-3))
    }
    #expect(found.allSatisfy { $0.split == "train" && $0.m == 20 })
  }

  @Test func everyKindLeavesTheTrainingAlone() throws {
    let scratch = try Scratch()
    let plain = try startRun(smallConfiguration(), at: scratch.path("a"))
    let probed = try startRun(
      smallConfiguration { $0.probe = ["examples@epoch", "measures@log", "stability@log"] }, at: scratch.path("b"))
    _ = try plain.train()
    _ = try probed.train()
    #expect(try plain.trainer.store.values.values() as [Float] == probed.trainer.store.values.values())
    let names = try FileManager.default.contentsOfDirectory(atPath: probed.directory.exampleGradients.path).sorted()
    #expect(names == [0, 6, 12, 18].map { "step-000000\($0 < 10 ? "0" : "")\($0).safetensors" })
    let file = try Safetensors.decode(
      Data(contentsOf: probed.directory.exampleGradients.appendingPathComponent(names[1])))
    #expect(file.tensors["dot"]?.count == 60 && file.metadata["step"] == "6")
    let files = probed.directory.exampleGradientFiles()
    #expect(files.map(\.step) == [0, 6, 12, 18])
    let records = try ExampleGradients(contentsOf: files[1].file)
    #expect(records.indices == probed.trainer.data.trainIndices && records.split == "train")
    #expect(try records.safetensors(step: 6) == Data(contentsOf: files[1].file))
    let bytes = try Data(contentsOf: files[1].file)
    let damaged = try scratch.write("damaged", "damaged")
    for (data, part) in [(bytes.dropLast(), "are damaged"), (Data(), "are damaged"), (nil, "are missing")] {
      if let data {
        try data.write(to: URL(fileURLWithPath: damaged))
      } else {
        try FileManager.default.removeItem(atPath: damaged)
      }
      expectError(.checkpoint, damaged, part) { _ = try ExampleGradients(contentsOf: URL(fileURLWithPath: damaged)) }
    }
    let other = try Safetensors.encode([("index", Tensor([1, 2])), ("label", Tensor([1]))], metadata: ["split": "x"])
    try other.write(to: URL(fileURLWithPath: damaged))
    expectError(.checkpoint, "mean_squared_norm") {
      _ = try ExampleGradients(contentsOf: URL(fileURLWithPath: damaged))
    }
    #expect(!FileManager.default.fileExists(atPath: plain.directory.exampleGradients.path))
    let measures = try probed.directory.log(MeasureRecord.self)
    #expect(Set(measures.map(\.measure)).count == 15)
    #expect(Set(measures.map(\.split)) == ["train", "test"])
    // A data set smaller than the default is taken whole.
    #expect(Set(measures.filter { $0.measure == "noise_scale" && $0.split == "test" }.map(\.m)) == [200])
  }

  @Test func otherProbesOnResume() throws {
    let scratch = try Scratch()
    let run = try startRun(
      smallConfiguration { $0.probe = ["coherence:m=20@every:5"] }, at: scratch.path("run"))
    #expect(try run.train(shouldStop: { run.trainer.step == 9 }) == .interrupted)
    let file = scratch.path("run/config.yaml")
    let text = try String(contentsOfFile: file, encoding: .utf8)
    try scratch.write(text.replacingOccurrences(of: "coherence:m=20@", with: "stability:m=20@"), "run/config.yaml")
    expectError(.checkpoint, "probes are not those of the configuration") { _ = try resumeRun(scratch.path("run")) }
  }

  @Test func tooManyPairs() throws {
    expectError(.configuration, "2001", "m²", "m=2000") { _ = try ProbeSpecification.parse("measures:m=2001@log") }
    expectError(.configuration, "step 0", "log") { _ = try ProbeSpecification.parse("stability@dense:1-9") }
  }

  /// Layer and example are named when the weights of a checkpoint are not numbers.
  @Test func brokenWeights() throws {
    let scratch = try Scratch()
    let run = try startRun(smallConfiguration { $0.checkpointEvery = 20 }, at: scratch.path("run"))
    _ = try run.train(shouldStop: { run.trainer.step == 2 })
    try run.trainer.store.values.detach().narrow(0, from: 0, length: 1).fill(.nan)
    try Checkpoint.save(
      run.trainer, model: "mlp:8", in: run.directory.checkpoints, logs: RunLogOffsets(), spent: TimeSpent())
    let trained = try TrainedModel(run: scratch.path("run"))
    for body in [{ _ = try trained.coherence() }, { _ = try trained.relatedMeasures() }] as [() throws -> Void] {
      let text = message(body)
      #expect(text.contains("gradient of example 0") && text.contains("not finite in layer"), "\(text)")
    }
  }
}
