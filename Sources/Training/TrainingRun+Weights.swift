// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

extension TrainingRun {
  /// The safetensors file of a run's newest weights, the parameters by name: a start for other runs (`weights`).
  ///
  /// - Throws: `TrainingError` of kind checkpoint when there is none, or it is damaged.
  public static func newestWeights(of run: RunDirectory) throws -> Data {
    guard let checkpoint = try Checkpoint.latest(in: run.checkpoints) else {
      throw TrainingError(.checkpoint, "\(run.url.path) has no checkpoint; train it first")
    }
    _ = try Checkpoint.read(checkpoint.weights, in: run.checkpoints)
    do {
      return try Data(contentsOf: run.checkpoints.appendingPathComponent(checkpoint.weights.name))
    } catch {
      throw TrainingError(.checkpoint, "\(run.checkpoints.path)/\(checkpoint.weights.name) cannot be read: \(error)")
    }
  }
}
