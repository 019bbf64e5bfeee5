// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Studies

/// Foundation has a type of this name, too.
typealias Measurement = Studies.Measurement

/// A run directory with curves given as functions of the step.
struct SampleRun: Sendable {
  typealias Course = @Sendable (Int) -> Double

  var dataset = "mnist"
  var noise = 0.0
  var optimizer = "sgd"
  var seed: UInt64 = 1
  var model = "mlp:2048"
  var batchSize = 100
  var steps = 1000
  var realised: Double?
  var status = RunManifest.Status.completed
  var train: Course = { _ in 0.5 }
  var test: Course?
  var pristine: Course?
  var corrupt: Course?
  /// r(t), on m examples, at the steps probed.
  var coherence: Course?
  var m = 1000
  var probed: [Int]?
  /// The half width of the interval of r, as a share of r.
  var interval: Double?
  /// fᵖ and iᵖ − iᶜ by sample, step and world.
  var share: (@Sendable (String, Int, Int) -> Double)?
  var difference: (@Sendable (String, Int, Int) -> Double)?
  var worlds = 20
  var trainExamples = 60_000
  var loss: Course = { _ in 1 }
  /// How many examples each evaluation was on.
  var evaluatedExamples = 10_000
  /// Accuracy on further groups of a split.
  var groups: [String: Course] = [:]
  /// Measures on m training examples, at the steps probed.
  var measures: [String: Course] = [:]
  /// r(t) on m test examples, and on m training examples by layer, in the order of the network.
  var testCoherence: Course?
  var layers: [(name: String, course: Course)] = []
  var extra: [String: String] = [:]
  /// Where labels come from; by default as the level says.
  var kind: String?
  var momentum, weightDecay: Double?
  var learningRate = 0.1
  var schedule: String?
  /// Passes over the data by step.
  var epochs: Course = { _ in 0 }
  /// r on training and on test examples under the statistics of the batch, beside those under running ones.
  var batchCoherence: (@Sendable (Int) -> (train: Double, test: Double))?
  /// The labels trained with, where they matter.
  var labels: [Int]?
  /// Where training was done, when before the end.
  var stopped: Int?

  /// With every step of the first ten and their ends.
  static let early = Array(0...10) + [15, 20, 30, 50, 70]
  var evaluated: [Int] { Set(Self.early + Array(stride(from: 100, through: steps, by: 50)) + [steps]).sorted() }
  var defaultProbed: [Int] { Set(Array(0...50) + Array(stride(from: 60, through: steps, by: 20))).sorted() }

  func write(in scratch: Scratch) throws -> RunDirectory {
    let name = "run-\(UUID().uuidString)"
    let run = try RunDirectory.create(at: scratch.url.appendingPathComponent(name).path, existing: .refuse)
    let log = try run.logWriter()
    let evaluations = evaluated.flatMap { metrics(at: $0) }
    try log.append(evaluations)
    let probes = probed ?? defaultProbed
    if let coherence { try append(coherence, probing: probes, to: log) }
    try appendMore(probing: probes, to: log)
    let records = probes.flatMap { contributions(at: $0) }
    try log.append(records)
    try log.close()
    if let labels {
      try run.write(labels: labels.enumerated().map { LabelRecord(index: $0, original: $1, assigned: $1) })
    }
    try run.write(
      manifest: RunManifest(
        tool: .init(version: "0.1.0"), commandLine: ["coherent"], seed: seed,
        dataset: .init(name: dataset, trainExamples: trainExamples, classes: 10), model: model, optimizer: optimizer,
        learningRate: learningRate, momentum: momentum, weightDecay: weightDecay, schedule: schedule,
        batchSize: batchSize,
        plannedSteps: steps,
        noise: .init(
          kind: kind ?? (noise > 0 ? "permute" : "none"), rate: noise, realisedRate: realised ?? noise * 0.9,
          seed: seed),
        status: status, summary: stopped.map { RunSummary(steps: $0) }, extra: extra))
    return run
  }

  private func metrics(at step: Int) -> [MetricRecord] {
    let groups: [(String, String, Course?)] = [
      ("train", "all", train), ("train", "pristine", pristine), ("train", "corrupt", corrupt), ("test", "all", test),
    ]
    let further = self.groups.sorted { $0.key < $1.key }.map { name, course in
      let parts = name.split(separator: "/").map(String.init)
      return (parts[0], parts[1], Optional(course))
    }
    return (groups + further).compactMap { split, group, course in
      course.map {
        MetricRecord(
          epoch: epochs(step), step: step, split: split, group: group, count: evaluatedExamples, loss: loss(step),
          accuracy1: $0(step))
      }
    }
  }

  private func appendMore(probing probed: [Int], to log: RunLogWriter) throws {
    let curves = (testCoherence.map { [("test", "all", $0)] } ?? []) + layers.map { ("train", $0.name, $0.course) }
    for (split, layer, course) in curves {
      try log.append(
        probed.map { step in
          CoherenceRecord(
            step: step, split: split, layer: layer, m: m, alpha: course(step) / Double(m), mCoherence: course(step),
            batchNormPolicy: batchCoherence == nil ? "none" : "running")
        })
    }
    if let batchCoherence {
      for split in ["train", "test"] {
        try log.append(
          probed.map { step in
            let r = split == "train" ? batchCoherence(step).train : batchCoherence(step).test
            return CoherenceRecord(
              step: step, split: split, m: m, alpha: r / Double(m), mCoherence: r, batchNormPolicy: "batch")
          })
      }
    }
    for (name, course) in measures.sorted(by: { $0.key < $1.key }) {
      try log.append(
        probed.map { MeasureRecord(step: $0, split: "train", measure: name, m: m, value: course($0)) })
    }
  }

  private func append(_ coherence: Course, probing probed: [Int], to log: RunLogWriter) throws {
    let values = probed.map { (step: $0, r: coherence($0)) }
    try log.append(
      values.map { step, r in
        CoherenceRecord(
          step: step, split: "train", m: m, alpha: r / Double(m), mCoherence: r,
          batchNormPolicy: batchCoherence == nil ? "none" : "running")
      })
    guard let interval else { return }
    try log.append(
      values.map { step, r in
        CoherenceIntervalRecord(
          step: step, split: "train", m: m, alphaUnbiasedLow: 0, alphaUnbiasedHigh: 1,
          mCoherenceLow: r * (1 - interval), mCoherenceHigh: r * (1 + interval))
      })
  }

  private func contributions(at step: Int) -> [ContributionRecord] {
    guard share != nil || difference != nil else { return [] }
    return ["paper", "population"].flatMap { sample in
      (0...worlds).map { world in
        let share = share?(sample, step, world)
        return ContributionRecord(
          step: step, sample: sample, world: world, pristineShare: share, corruptShare: share.map { 1 - $0 },
          pristineCumulative: difference?(sample, step, world), corruptCumulative: 0)
      }
    }
  }
}

/// The verdict on one claim; nothing else is asked.
func verdict(
  _ id: String, on runs: [SampleRun], in scratch: Scratch, at location: SourceLocation = #_sourceLocation
) throws -> Verdict {
  let card = try ScoreCard(runs: runs.map { try $0.write(in: scratch) }, claims: [id])
  #expect(card.verdicts.count == 1, sourceLocation: location)
  return try #require(card.verdicts.first, sourceLocation: location)
}

extension SampleRun {
  /// The same with several seeds.
  func seeded(_ seeds: Int = 3) -> [SampleRun] { (1...seeds).map { seed in with { $0.seed = UInt64(seed) } } }
}

/// Expects an outcome of every part of a claim, in their order.
func expect(
  parts id: String, _ outcomes: [Outcome], on runs: [SampleRun], at location: SourceLocation = #_sourceLocation
) throws {
  let verdict = try verdict(id, on: runs, in: Scratch(), at: location)
  #expect(verdict.parts.map(\.outcome) == outcomes, "\(verdict.text)", sourceLocation: location)
  #expect(
    verdict.parts.map(\.id) == outcomes.indices.map { id + String("abcdefghi".dropFirst($0).prefix(1)) },
    sourceLocation: location)
}

/// Expects an outcome, and parts of the explanation.
func expect(
  _ id: String, _ outcome: Outcome, on runs: [SampleRun], saying parts: String...,
  at location: SourceLocation = #_sourceLocation
) throws {
  let scratch = try Scratch()
  let verdict = try verdict(id, on: runs, in: scratch, at: location)
  #expect(verdict.outcome == outcome, "\(verdict.text)", sourceLocation: location)
  #expect(verdict.claim.id == id && !verdict.explanation.isEmpty, sourceLocation: location)
  for part in parts {
    #expect(verdict.explanation.contains(part), "\(verdict.text)", sourceLocation: location)
  }
}

/// The verdict on a claim from measurements alone, and parts of its explanation.
func expect(
  _ id: String, _ outcome: Outcome, of measurements: [Measurement], saying parts: String...,
  at location: SourceLocation = #_sourceLocation
) throws {
  let card = try ScoreCard(runs: [], measurements: measurements, claims: [id])
  let verdict = try #require(card.verdicts.first, sourceLocation: location)
  #expect(card.verdicts.count == 1 && verdict.outcome == outcome, "\(verdict.text)", sourceLocation: location)
  for part in parts {
    #expect(verdict.explanation.contains(part), "\(verdict.text)", sourceLocation: location)
  }
}

/// From 0 to 1 around a step, steep on a logarithmic axis.
func rise(_ step: Int, at middle: Double, slope: Double = 3) -> Double {
  step == 0 ? 0 : 1 / (1 + pow(middle / Double(step), slope))
}

/// The same run with another field.
extension SampleRun {
  func with(_ change: (inout SampleRun) -> Void) -> SampleRun {
    var copy = self
    change(&copy)
    return copy
  }
}
