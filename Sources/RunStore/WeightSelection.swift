// SPDX-License-Identifier: Apache-2.0

/// Which of a run's weights, and so which of its evaluations, are meant.
public enum WeightSelection: String, Codable, Sendable, CaseIterable {
  /// Those of the newest checkpoint, and the last evaluation.
  case last
  /// Those with the best accuracy on the test set: this uses test data, so it is not available in practice.
  case best
  /// Those with the best accuracy on the validation examples: what early stopping would return.
  case selected
}

extension RunSummary {
  /// The evaluation that a selection means; nil when the run has none.
  public func moment(_ selection: WeightSelection) -> Moment? {
    switch selection {
    case .last: last
    case .best: best
    case .selected: validationSelected
    }
  }
}
