// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import GradientMatrix
import NeuralNetworks
import Tensors

/// The probes of a run: what they measure is a function of the parameters and fixed samples, and they change neither the
/// parameters nor any random stream of the training.
final class Probes {
  private let probes: [(specification: ProbeSpecification, plan: GradientPlan, probe: any Probe)]
  private let stepsPerEpoch: Int
  private let steps: Int

  /// - Parameters:
  ///   - chunkSize: examples in a pass, when there must be fewer than usual.
  ///   - makePlan: how the examples' gradients are computed, for a treatment of batch normalisation.
  /// - Throws: `TrainingError` when a sample is larger than its data set; `GradientMatrixError` when the model has a
  ///   layer without a rule.
  init?(
    _ configuration: TrainingConfiguration, data: TrainingData, chunkSize: Int?,
    plan makePlan: (BatchNormPolicy) throws -> GradientPlan, steps: Int, stepsPerEpoch: Int
  ) throws {
    let specifications = try configuration.probe.flatMap(ProbeSpecification.parse)
    guard !specifications.isEmpty else { return nil }
    self.steps = steps
    self.stepsPerEpoch = stepsPerEpoch
    let samples = ProbeSamples(
      data: data, seed: configuration.seed,
      chunkSize: min(chunkSize ?? .max, CoherenceProbe.usualChunkSize))
    var plans: [BatchNormPolicy: GradientPlan] = [:]
    // Each step has one line a split and layer in the other logs: they are the first treatment's.
    let leading = specifications.first { $0.kind == .coherence }?.normPolicy ?? .running
    probes = try specifications.map { specification in
      let policy = specification.normPolicy ?? .running
      let plan = try plans[policy] ?? makePlan(policy)
      plans[policy] = plan
      let count = specification.sampleSize ?? specification.kind.defaultSampleSize
      func train() throws -> CoherenceProbe {
        try samples.train(
          specification.trainingSample(batchSize: configuration.batchSize), mayShrink: specification.mayShrink)
      }
      // Batch statistics are those of a pass, which is a mini-batch like those of the training where memory allows it.
      func sized(_ probe: CoherenceProbe) -> CoherenceProbe {
        var probe = probe
        if policy == .batch {
          probe.chunkSize = min(chunkSize ?? .max, configuration.batchSize)
        }
        return probe
      }
      let probe: any Probe =
        switch specification.kind {
        case .coherence:
          CoherenceLook([try sized(train()), try sized(samples.test(count))], isLeading: policy == leading)
        case .contributions:
          try ContributionLook(
            population: sized(train()), labels: data.labels, plan: plan, seed: configuration.seed,
            nullWorlds: specification.nullWorlds)
        case .examples: ExamplesLook(try sized(train()))
        case .measures: MeasuresLook([try sized(train()), try sized(samples.test(count))])
        case .stability: try StabilityLook(sized(train()), trainingCount: data.trainIndices.count)
        case .push:
          try PushLook(
            of: data.train, labels: data.labels, candidates: data.trainIndices, count: count,
            batchSize: configuration.batchSize, chunkSize: sized(samples.train(1, mayShrink: true)).chunkSize,
            seed: configuration.seed)
        case .median:
          try MedianLook(sized(train()), batchSize: configuration.batchSize, seed: configuration.seed)
        }
      return (specification, plan, probe)
    }
  }

  /// What the probes due at a step see.
  ///
  /// - Parameter isLast: whether the run is complete with this step, be it before the last one planned.
  func measure(step: Int, isLast: Bool) throws -> ProbeResults {
    var results = ProbeResults()
    for (specification, plan, probe) in probes
    where specification.schedule.contains(step, steps: isLast ? step : steps, stepsPerEpoch: stepsPerEpoch) {
      try probe.measure(plan, step: step, into: &results)
    }
    return results
  }

  /// Tells every probe of an update.
  func note(_ step: StepRecord) throws {
    for (_, _, probe) in probes { try probe.note(step) }
  }

  /// The part of the state that earlier steps decide, by name.
  func state() throws -> [(name: String, tensor: Tensor)] {
    try probes.enumerated().flatMap { place, entry in
      try entry.probe.state().map { (Self.prefix(place, entry.specification) + $0.name, $0.tensor) }
    }
  }

  /// Continues from a saved state; names that are not of a probe are passed over.
  func restore(_ state: [String: Tensor]) throws {
    for (place, entry) in probes.enumerated() {
      let prefix = Self.prefix(place, entry.specification)
      try entry.probe.restore(
        Dictionary(
          state.filter { $0.key.hasPrefix(prefix) }.map { (String($0.key.dropFirst(prefix.count)), $0.value) },
          uniquingKeysWith: { first, _ in first }))
    }
  }

  private static func prefix(_ place: Int, _ specification: ProbeSpecification) -> String {
    "probes.\(place).\(specification.kind.rawValue)."
  }
}

extension TrainingConfiguration {
  /// Checks that the samples of all probes are there, without drawing them.
  ///
  /// - Parameter trainingExamples: how many there are to train on.
  /// - Throws: `TrainingError` that says which probe asks for more.
  public func checkProbes(trainingExamples: Int) throws {
    for specification in try probe.flatMap(ProbeSpecification.parse) where !specification.mayShrink {
      try CoherenceProbe.check(
        count: specification.trainingSample(batchSize: batchSize), of: trainingExamples, split: Split.train.rawValue)
    }
  }
}

/// Draws the samples of a run's probes.
private struct ProbeSamples {
  let data: TrainingData
  let seed: UInt64
  let chunkSize: Int

  /// - Parameter mayShrink: whether all examples do when more are asked for; it is an error otherwise.
  func train(_ count: Int, mayShrink: Bool) throws -> CoherenceProbe {
    var probe = try CoherenceProbe(
      of: data.train, labels: data.labels.assigned, candidates: data.trainIndices, split: Split.train.rawValue,
      count: mayShrink ? min(count, data.trainIndices.count) : count, seed: seed)
    probe.chunkSize = chunkSize
    return probe
  }

  /// A small test set is taken whole rather than refused.
  func test(_ count: Int) throws -> CoherenceProbe {
    var probe = try CoherenceProbe(
      of: data.test, labels: data.testProbeLabels, candidates: Array(data.test.labels.indices),
      split: Split.test.rawValue, count: min(count, data.test.count), seed: seed)
    probe.chunkSize = chunkSize
    return probe
  }
}

/// How probes keep what is not a tensor: as the bytes of JSON.
enum ProbeState {
  static var mismatch: TrainingError {
    TrainingError(
      .checkpoint,
      "the checkpoint's probes are not those of the configuration; restore the original probe settings, "
        + "or start over with --force")
  }

  static func encode(_ value: some Encodable) throws -> Tensor {
    let encoder = JSONEncoder()
    // One state, one sequence of bytes: resumed runs are compared byte for byte.
    encoder.outputFormatting = [.sortedKeys]
    return try Tensor(Array(encoder.encode(value)))
  }

  static func decode<Value: Decodable>(_: Value.Type, _ tensor: Tensor?) throws -> Value {
    guard let bytes = try tensor?.values(as: UInt8.self),
      let value = try? JSONDecoder().decode(Value.self, from: Data(bytes))
    else { throw mismatch }
    return value
  }
}
