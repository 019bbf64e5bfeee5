// SPDX-License-Identifier: Apache-2.0

/// How long a run is: what `--steps` and `--epochs` say.
public enum RunLength: Sendable, Equatable {
  /// Updates.
  case steps(Int)
  /// Passes over the training examples.
  case epochs(Double)

  func apply(to configuration: inout TrainingConfiguration) {
    (configuration.steps, configuration.epochs) = (nil, nil)
    switch self {
    case .steps(let steps): configuration.steps = steps
    case .epochs(let epochs): configuration.epochs = epochs
    }
  }
}
