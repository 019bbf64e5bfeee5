// SPDX-License-Identifier: Apache-2.0

import Datasets
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors

/// ‖w‖ of all parameters: where weights decay, its peak has been proposed as the moment to stop before wrong labels are
/// memorised (beside the cumulative sample gradient, 2026). Without examples and without gradients.
public final class WeightsProbe {
  /// When it measures.
  public let schedule: ProbeSchedule

  /// - Parameter schedule: when it measures.
  public init(at schedule: ProbeSchedule = .epoch) { self.schedule = schedule }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension WeightsProbe: Probe {
  public var name: String { "weights" }
  public var needsGradients: Bool { false }

  public func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    let squares = try plan.store.entries.map { entry in
      let values = try plan.store.values.narrow(0, from: entry.range.lowerBound, length: entry.range.count)
      return try values.dot(values)
    }
    results.add(
      [("weight_norm", squares.reduce(0, +).squareRoot())], step: step, split: Split.train.rawValue, m: 0)
  }
}
