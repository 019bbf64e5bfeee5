// SPDX-License-Identifier: Apache-2.0

import Collectives
import Foundation
import GradientMatrix
import NeuralNetworks
import Tensors

/// The probes of a run, and the steps at which each is due.
final class Probes {
  private let probes: [(probe: any Probe, plan: GradientPlan)]
  private let stepsPerEpoch: Int
  private let steps: Int

  /// - Parameters:
  ///   - chunkSize: examples in a pass, when there must be fewer than usual.
  ///   - group: ranks that share passes over gradients; nil for this process alone.
  ///   - loss: that of the training.
  ///   - makePlan: how the examples' gradients are computed, for a treatment of batch normalisation and of layers without
  ///     a rule.
  /// - Throws: `TrainingError` when a sample is larger than its data set; `GradientMatrixError` when the model has a
  ///   layer without a rule.
  init?(
    _ probes: [any Probe], data: TrainingData, seed: UInt64, batchSize: Int, chunkSize: Int?,
    group: ProcessGroup?, loss: ClassificationLoss,
    plan makePlan: (BatchNormPolicy, UnknownLayers) throws -> GradientPlan, steps: Int,
    stepsPerEpoch: Int
  ) throws {
    guard !probes.isEmpty else { return nil }
    self.steps = steps
    self.stepsPerEpoch = stepsPerEpoch
    var plans: [BatchNormPolicy: GradientPlan] = [:]
    let leading = probes.first { $0 is CoherenceProbe }?.batchNormPolicy ?? .running
    self.probes = try probes.map { probe in
      let policy = probe.batchNormPolicy
      let plan: GradientPlan
      if probe.needsGradients {
        plan = try plans[policy] ?? makePlan(policy, .refuse)
        plans[policy] = plan
      } else {
        // Layers without a rule do no harm where no gradient is taken.
        plan = try makePlan(policy, .oneByOne)
      }
      try probe.check(trainingExamples: data.trainIndices.count, batchSize: batchSize)
      // Batch statistics are those of a pass, which is a mini-batch like those of the training where memory allows it.
      let usual = policy == .batch ? batchSize : ProbeSample.usualChunkSize
      try probe.prepare(
        ProbeSetup(
          data: data, seed: seed, batchSize: batchSize, stepsPerEpoch: stepsPerEpoch,
          chunkSize: min(chunkSize ?? .max, usual), group: group, loss: loss, plan: plan, leadingPolicy: leading))
      return (probe, plan)
    }
  }

  /// What the probes due at a step found.
  ///
  /// - Parameter isLast: whether the run is complete with this step, be it before the last one planned.
  func measure(step: Int, isLast: Bool) throws -> ProbeResults {
    var results = ProbeResults()
    for (probe, plan) in probes
    where probe.schedule.contains(step, steps: isLast ? step : steps, stepsPerEpoch: stepsPerEpoch) {
      try probe.measure(plan, step: step, into: &results)
    }
    if isLast { for (probe, plan) in probes { try probe.finish(plan, step: step, into: &results) } }
    return results
  }

  /// Whether one of them is taken at a step that is not the last.
  func isDue(at step: Int) -> Bool {
    probes.contains { $0.probe.schedule.contains(step, steps: steps, stepsPerEpoch: stepsPerEpoch) }
  }

  /// How many times one of them is taken after a step.
  func count(after step: Int) -> Int {
    probes.map { $0.probe.schedule.count(after: step, steps: steps, stepsPerEpoch: stepsPerEpoch) }.max() ?? 0
  }

  /// Tells every probe of a mini-batch.
  func didVisit(_ visit: TrainingVisit) { for (probe, _) in probes { probe.didVisit(visit) } }

  /// Tells every probe of an update.
  func didStep(_ record: StepRecord) throws { for (probe, _) in probes { try probe.didStep(record) } }

  /// Whether one of them ends the training.
  var endTraining: Bool { probes.contains { ($0.probe as? any EndingProbe)?.endsTraining == true } }

  /// Whether one of them may do so.
  var mayEndTraining: Bool { probes.contains { $0.probe is any EndingProbe } }

  /// The part of the state that earlier steps decide, by name.
  func state() throws -> [(name: String, tensor: Tensor)] {
    try probes.enumerated().flatMap { place, entry in
      try entry.probe.state().map { (Self.prefix(place, entry.probe) + $0.name, $0.tensor) }
    }
  }

  /// Continues from a saved state; names that are not of a probe are passed over.
  func restore(_ state: [String: Tensor]) throws {
    for (place, entry) in probes.enumerated() { try entry.probe.restore(state.part(Self.prefix(place, entry.probe))) }
  }

  private static func prefix(_ place: Int, _ probe: any Probe) -> String { "probes.\(place).\(probe.name)." }
}

extension [String: Tensor] {
  /// The entries whose names begin with a prefix, without it.
  func part(_ prefix: String) -> [String: Tensor] {
    Dictionary(
      filter { $0.key.hasPrefix(prefix) }.map { (String($0.key.dropFirst(prefix.count)), $0.value) },
      uniquingKeysWith: { first, _ in first })
  }
}

/// How probes keep what is not a tensor: as the bytes of JSON.
enum ProbeState {
  static var mismatch: TrainingError {
    TrainingError(
      .checkpoint,
      "the checkpoint's probes are not those of the configuration; restore the original settings of "
        + "probe and stop, or start over with --force")
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
