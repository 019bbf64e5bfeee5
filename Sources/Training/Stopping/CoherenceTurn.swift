// SPDX-License-Identifier: Apache-2.0

import Foundation
import Datasets
import GradientMatrix
import RunStore
import Tensors

/// When to stop without held-out labels, by what examples' gradients have in common.
///
/// While a network learns what labels agree on, examples are fitted with what they share, and the m-coherence
/// r = ‖Σgᵢ‖²/Σ‖gᵢ‖² of the training examples falls, labels as they are trained on. What fits single labels after that moves
/// the others away from theirs: they have an error in common again, and r rises. A mini-batch that overshoots lifts r
/// manyfold for a few steps, so that each pass has the median of r at three places of it, and passes are averaged by ln r.
/// Training is complete when ln r has turned (`TurningPoint`). The log of measures has each pass's median as `coherence_turn`.
///
/// It measures against the labels trained on and needs no others. By this project.
public final class CoherenceTurn: SampledProbe {
  /// The sample where its size is not given.
  public static let usualSize = SampleSize.atMost(1000)
  /// Measurements in a pass.
  package static let perPass = 3
  /// ln of r after every pass.
  public private(set) var turn: TurningPoint
  /// ln of r at the places of the present pass.
  private var present: [Double] = []
  private var stepsPerEpoch = 1
  private var sample: (examples: ProbeSample, plan: GradientPlan)?

  /// - Parameters:
  ///   - m: training examples; results of different m are not comparable.
  ///   - window: the passes that ln r is averaged over, k, at least 1.
  public init(m: SampleSize = usualSize, window: Int = StoppingRule.usualWindow) {
    turn = TurningPoint(window: window)
    super.init(m, .epoch, .running)
  }

  /// Takes note of r at a place of the pass; where all gradients are zero it is undefined, and left out.
  func observe(_ mCoherence: Double?) {
    if let mCoherence, mCoherence.isFinite { present.append(Self.logarithm(mCoherence)) }
  }

  /// ln r; gradients that cancel have none, and below what rounding leaves it makes no difference.
  package static func logarithm(_ mCoherence: Double) -> Double { log(max(mCoherence, 1e-12)) }

  /// Takes note of the end of a pass.
  func endPass() {
    if let median = TurningPoint.median(present) { turn.note(median) }
    present = []
  }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension CoherenceTurn: EndingProbe {
  public var name: String { "coherence-turn" }
  public var description: String { word(m: size, [("k", turn.window)]) }
  public var endsTraining: Bool { turn.hasTurned }

  public func check(trainingExamples: Int?, batchSize: Int) throws {
    try turn.check(self)
    try size.check(of: trainingExamples)
  }

  public func prepare(_ setup: ProbeSetup) throws {
    sample = (try setup.trainSample(size), setup.plan)
    stepsPerEpoch = setup.stepsPerEpoch
  }

  public func didStep(_ record: StepRecord) throws {
    let (place, distance) = (record.step % stepsPerEpoch, max(1, stepsPerEpoch / Self.perPass))
    let isEnd = place == 0
    guard let sample, isEnd || place.isMultiple(of: distance) && place / distance < Self.perPass else { return }
    observe(try sample.examples.coherence(sample.plan, groupCount: 0).network.coherence.mCoherence)
    if isEnd { endPass() }
  }

  public func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) {
    results.add(
      [("coherence_turn", turn.values.last.map { exp($0) })], step: step, split: Split.train.rawValue,
      m: sample?.examples.indices.count ?? 0)
  }

  public func state() throws -> [(name: String, tensor: Tensor)] {
    try [("pass", Tensor(present)), ("values", Tensor(turn.values))]
  }

  public func restore(_ state: [String: Tensor]) throws {
    guard let pass: [Double] = try state["pass"]?.values(), let values: [Double] = try state["values"]?.values() else {
      throw ProbeState.mismatch
    }
    (present, turn) = (pass, TurningPoint(window: turn.window, values: values))
  }
}
