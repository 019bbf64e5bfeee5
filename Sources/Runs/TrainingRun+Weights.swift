// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Training

extension TrainingRun {
  /// The safetensors file of a run's newest weights, the parameters by name: a start for other runs (`weights`).
  ///
  /// - Throws: `TrainingError` of kind checkpoint when there is none, or it is damaged.
  public static func newestWeights(of run: RunDirectory) throws -> Data { try SelectedWeights(of: run).data() }
}

extension TrainingConfiguration {
  /// The safetensors file that `weights` and `select` mean.
  ///
  /// - Throws: `RunStoreError` for a folder that is no run; `TrainingError` when the run lacks the weights, or when
  ///   `select` is given with a file.
  func weightsFile() throws -> String? {
    guard let weights else { return nil }
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: weights, isDirectory: &isFolder), isFolder.boolValue else {
      guard select == nil else {
        throw TrainingError(
          .configuration, "select chooses weights of a run, but \(weights) is not a run directory; leave select out")
      }
      return weights
    }
    return try SelectedWeights(of: RunDirectory.open(at: weights), select ?? .last).url.path
  }
}
