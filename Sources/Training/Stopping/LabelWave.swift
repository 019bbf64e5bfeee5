// SPDX-License-Identifier: Apache-2.0

import Datasets
import GradientMatrix
import RunStore
import Tensors

/// When to stop without held-out labels: Label Wave (Yuan et al., Early Stopping Against Label Noise Without Validation
/// Data, 2024, arXiv 2502.07551).
///
/// In the t-th pass over the training examples a share c_t of them is classified otherwise than in the pass before, each
/// looked at in its own mini-batch. While a network learns what labels agree on the share falls; once it begins to fit
/// single labels the share rises again. Training is complete when c has turned (`TurningPoint`). The log of measures has it
/// as `label_wave`.
public final class LabelWave {
  /// c of every complete pass from the second on, from 0 to 1.
  public private(set) var turn: TurningPoint
  /// The class predicted at the last visit of each training example; −1 before the first.
  private var predictions: [Int] = []
  /// Visits of the present pass that had one before, and those of them that changed.
  private var (seen, changed) = (0, 0)
  private var stepsPerEpoch = 1

  /// - Parameter window: the passes that c is averaged over, k, at least 1.
  public init(window: Int) { turn = TurningPoint(window: window) }

  /// - Parameters:
  ///   - count: training examples.
  ///   - stepsPerEpoch: steps to a pass.
  func prepare(count: Int, stepsPerEpoch: Int) {
    predictions = [Int](repeating: -1, count: count)
    self.stepsPerEpoch = stepsPerEpoch
  }

  /// Takes note of a visit. An example outside the training set is ignored.
  func observe(_ index: Int, predicted: Int) {
    guard predictions.indices.contains(index) else { return }
    let before = predictions[index]
    predictions[index] = predicted
    guard before >= 0 else { return }
    seen += 1
    if before != predicted { changed += 1 }
  }

  /// Takes note of the end of a pass.
  func endPass() {
    if seen > 0 { turn.note(Double(changed) / Double(seen)) }
    (seen, changed) = (0, 0)
  }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension LabelWave: EndingProbe {
  public var name: String { "label-wave" }
  public var description: String { "\(name):\(turn.window)" }
  public var schedule: ProbeSchedule { .epoch }
  public var endsTraining: Bool { turn.hasTurned }
  /// False.
  public var needsGradients: Bool { false }

  public func check(trainingExamples: Int?, batchSize: Int) throws { try turn.check(self) }

  public func prepare(_ setup: ProbeSetup) {
    prepare(count: setup.data.train.count, stepsPerEpoch: setup.stepsPerEpoch)
  }

  public func didVisit(_ visit: TrainingVisit) {
    guard !visit.indices.isEmpty else { return }
    let classes = visit.logits.count / visit.indices.count
    for (place, index) in visit.indices.enumerated() {
      let row = visit.logits[place * classes..<(place + 1) * classes]
      guard let largest = row.indices.max(by: { row[$0] < row[$1] }) else { continue }
      observe(index, predicted: largest - row.startIndex)
    }
  }

  public func didStep(_ record: StepRecord) {
    if record.step.isMultiple(of: stepsPerEpoch) { endPass() }
  }

  public func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) {
    results.add([("label_wave", turn.values.last)], step: step, split: Split.train.rawValue, m: predictions.count)
  }

  public func state() throws -> [(name: String, tensor: Tensor)] {
    try [
      ("predictions", Tensor(predictions)), ("pass", Tensor([seen, changed])), ("changes", Tensor(turn.values)),
    ]
  }

  public func restore(_ state: [String: Tensor]) throws {
    guard let predictions: [Int] = try state["predictions"]?.values(), predictions.count == self.predictions.count,
      let pass: [Int] = try state["pass"]?.values(), pass.count == 2,
      let changes: [Double] = try state["changes"]?.values(),
      pass.allSatisfy({ (0...Int(Int32.max)).contains($0) })
    else { throw ProbeState.mismatch }
    (self.predictions, seen, changed) = (predictions, pass[0], pass[1])
    turn = TurningPoint(window: turn.window, values: changes)
  }
}
