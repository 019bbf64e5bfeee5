// SPDX-License-Identifier: Apache-2.0

import Collectives
import Datasets
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors

/// What measures a run at some of its steps. It is a function of the parameters and of fixed samples, and changes neither
/// the parameters nor any random stream of the training.
///
/// A probe of one's own needs a name, a schedule and `measure`; what it finds goes into one of the tables of
/// `ProbeResults`, such as the measures.
public protocol Probe: AnyObject, CustomStringConvertible {
  /// The kind of probe: a word under which checkpoints keep its state.
  var name: String { get }

  /// When it measures.
  var schedule: ProbeSchedule { get }

  /// Whether it takes gradients of examples, for which every layer needs a rule; true by default.
  var needsGradients: Bool { get }

  /// What batch normalisation does in its passes; the running statistics by default.
  var batchNormPolicy: BatchNormPolicy { get }

  /// Checks what a run offers before anything of it is made.
  ///
  /// - Parameters:
  ///   - trainingExamples: how many there are to train on; nil where that is not known yet.
  ///   - batchSize: examples in a mini-batch.
  /// - Throws: `TrainingError` that says what is missing.
  func check(trainingExamples: Int?, batchSize: Int) throws

  /// Draws its samples; called once, before anything is measured.
  func prepare(_ setup: ProbeSetup) throws

  /// Measures at the present parameters.
  func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws

  /// Called for every mini-batch that is trained on, in order. The parameters may be those of a later step by then.
  func didVisit(_ visit: TrainingVisit)

  /// Called after every update, in order, whether the probe measures after it or not. Where it does, the parameters are
  /// those of the step; else they may be those of the next one.
  func didStep(_ record: StepRecord) throws

  /// Called when the run is complete, after the last measurement.
  func finish(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws

  /// What earlier steps have decided, by name; the same state is the same bytes.
  func state() throws -> [(name: String, tensor: Tensor)]

  /// Continues from a saved state.
  func restore(_ state: [String: Tensor]) throws
}

/// A probe that may end the training by what it finds.
public protocol EndingProbe: Probe {
  /// Whether the training is complete as far as the probe is concerned. It is asked after `didStep`, before the step's
  /// evaluation and measurements, which are then the last: what `measure` finds counts from the next step on.
  var endsTraining: Bool { get }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Probe {
  public var needsGradients: Bool { true }
  public var batchNormPolicy: BatchNormPolicy { .running }
  /// Its name and schedule.
  public var description: String { "\(name)@\(schedule)" }
  public func check(trainingExamples: Int?, batchSize: Int) throws {}
  public func prepare(_ setup: ProbeSetup) throws {}
  public func didVisit(_ visit: TrainingVisit) {}
  public func didStep(_ record: StepRecord) throws {}
  public func finish(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {}
  public func state() throws -> [(name: String, tensor: Tensor)] { [] }
  public func restore(_ state: [String: Tensor]) throws {}

  /// The word for a probe of a sample, with the settings that are not the usual ones.
  func word(m: SampleSize, _ more: [(key: String, value: any CustomStringConvertible)] = []) -> String {
    let settings =
      (m.word.map { ["m=\($0)"] } ?? []) + (batchNormPolicy == .running ? [] : ["bn=\(batchNormPolicy.rawValue)"])
      + more.map { "\($0.key)=\($0.value)" }
    return name + (settings.isEmpty ? "" : ":" + settings.joined(separator: ",")) + "@\(schedule)"
  }
}

/// A mini-batch as a training step sees it: what its forward pass shows of the examples.
public struct TrainingVisit: Sendable {
  /// The examples' places in the data set.
  public let indices: [Int]
  /// The logits, row by row: [B, K], all finite.
  public let logits: [Float]
}

/// What probes of a sample of examples have in common.
public class SampledProbe {
  /// When it measures.
  public let schedule: ProbeSchedule
  /// What batch normalisation does in its passes.
  public let batchNormPolicy: BatchNormPolicy
  let size: SampleSize

  init(_ size: SampleSize, _ schedule: ProbeSchedule, _ batchNormPolicy: BatchNormPolicy) {
    (self.size, self.schedule, self.batchNormPolicy) = (size, schedule, batchNormPolicy)
  }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Probe where Self: SampledProbe {
  public var description: String { word(m: size) }
  public func check(trainingExamples: Int?, batchSize: Int) throws { try size.check(of: trainingExamples) }
}

/// How many examples a sample has.
public struct SampleSize: Sendable, Equatable, ExpressibleByIntegerLiteral {
  /// The number.
  public let count: Int
  /// Whether all examples do where there are fewer; otherwise that is an error.
  public let isLimit: Bool

  /// Exactly so many.
  public init(_ count: Int) { (self.count, isLimit) = (count, false) }
  /// Exactly so many.
  public init(integerLiteral count: Int) { self.init(count) }
  private init(limit: Int) { (count, isLimit) = (limit, true) }

  /// So many, or all where there are fewer.
  public static func atMost(_ count: Int) -> SampleSize { SampleSize(limit: count) }
  /// All there are.
  public static let all = atMost(.max)

  /// As it stands in the word of a probe; nil for a limit, which nobody asked for by number.
  var word: String? { isLimit ? nil : String(count) }

  /// - Throws: `TrainingError` when more are needed than there are.
  func check(of examples: Int?) throws {
    guard let examples, !isLimit else { return }
    try ProbeSample.check(count: count, of: examples, split: Split.train.rawValue)
  }
}

/// What a probe can draw on in a run.
public struct ProbeSetup {
  /// The examples.
  public let data: TrainingData
  /// The run's seed.
  public let seed: UInt64
  /// Examples in a mini-batch.
  public let batchSize: Int
  /// Steps to one pass over the training examples.
  public let stepsPerEpoch: Int
  /// Examples in a pass of the probe.
  public let chunkSize: Int
  /// Ranks that share passes over gradients; nil for this process alone.
  let group: ProcessGroup?
  /// The loss whose gradients are taken, that of the training.
  public let loss: ClassificationLoss
  /// How the examples' gradients are computed, under the probe's treatment of batch normalisation.
  public let plan: GradientPlan
  /// The treatment of batch normalisation under which a run's other logs have one line a step, split and layer.
  let leadingPolicy: BatchNormPolicy

  /// A fixed sample of the training examples, against the labels that are trained on.
  ///
  /// - Throws: `TrainingError` when there are not so many examples.
  public func trainSample(_ size: SampleSize) throws -> ProbeSample {
    var sample = try ProbeSample(
      of: data.train, labels: data.labels.assigned, candidates: data.trainIndices, split: Split.train.rawValue,
      count: size.isLimit ? min(size.count, data.trainIndices.count) : size.count, seed: seed)
    (sample.chunkSize, sample.loss, sample.group) = (chunkSize, loss, group)
    return sample
  }

  /// A fixed sample of the test examples; a small test set is taken whole rather than refused.
  ///
  /// - Throws: `TrainingError` when there are none.
  public func testSample(_ size: SampleSize) throws -> ProbeSample {
    var sample = try ProbeSample(
      of: data.test, labels: data.testProbeLabels, candidates: Array(data.test.labels.indices),
      split: Split.test.rawValue, count: min(size.count, data.test.count), seed: seed)
    (sample.chunkSize, sample.loss, sample.group) = (chunkSize, loss, group)
    return sample
  }
}
