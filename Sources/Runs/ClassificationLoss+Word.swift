// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import Training

extension ClassificationLoss {
  /// Parses the word: ce, smooth:E, gce:Q, sce:A,B or elr:L,B.
  ///
  /// - Throws: `TrainingError` that says what was expected.
  public init(_ text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let words = parts.count > 1 ? parts[1].split(separator: ",", omittingEmptySubsequences: false) : []
    let numbers = words.compactMap { Double($0) }
    guard numbers.count == words.count else {
      throw TrainingError(.configuration, "loss \"\(text)\": what follows the colon must be numbers, as in gce:0.7")
    }
    switch (parts[0], numbers.count, parts.count) {
    case ("ce", 0, 1): self = .crossEntropy
    case ("smooth", 1, 2): self = .smoothed(numbers[0])
    case ("gce", 1, 2): self = .generalized(q: numbers[0])
    case ("sce", 2, 2): self = .symmetric(alpha: numbers[0], beta: numbers[1])
    case ("elr", 2, 2): self = .earlyLearning(lambda: numbers[0], beta: numbers[1])
    default:
      throw TrainingError(
        .configuration,
        "there is no loss \"\(text)\"; choose ce, smooth:0.1, gce:0.7, sce:0.1,1 or elr:3,0.7")
    }
    if let problem { throw TrainingError(.configuration, "loss \"\(text)\": \(problem)") }
  }
}
