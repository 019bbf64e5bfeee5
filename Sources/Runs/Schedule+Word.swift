// SPDX-License-Identifier: Apache-2.0

import Training

extension Schedule {
  /// Parses the word.
  ///
  /// - Throws: `TrainingError` that says what was expected.
  public init(_ text: String) throws {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    switch (parts[0], parts.count) {
    case ("constant", 1): self = .constant
    case ("cosine", 1): self = .cosine
    case ("step", 2), ("step", 3):
      let milestones = parts[1].split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
      let steps = milestones.compactMap { $0 }
      guard steps.count == milestones.count, steps.allSatisfy({ $0 > 0 }), zip(steps, steps.dropFirst()).allSatisfy(<)
      else {
        throw TrainingError(
          .configuration,
          "schedule \"\(text)\": the steps after \"step:\" must be increasing whole "
            + "numbers above 0, such as step:40000,60000:0.1")
      }
      guard let factor = parts.count == 3 ? Double(parts[2]) : 0.1, factor > 0, factor.isFinite else {
        throw TrainingError(.configuration, "schedule \"\(text)\": the factor must be a number above 0, such as 0.1")
      }
      self = .step(milestones: steps, factor: factor)
    default:
      throw TrainingError(
        .configuration, "there is no schedule \"\(text)\"; choose constant, cosine or step:STEP[,STEP...][:FACTOR]")
    }
  }
}
