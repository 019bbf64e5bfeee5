// SPDX-License-Identifier: Apache-2.0

import Training

extension StoppingRule {
  /// Parses the word: label-wave[:PASSES] or coherence[:m=N][,k=PASSES].
  ///
  /// - Throws: `TrainingError` that says what was expected.
  public init(_ text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let settings = parts.count > 1 ? parts[1].split(separator: ",", omittingEmptySubsequences: false) : []
    guard ["label-wave", "coherence"].contains(parts[0]) else {
      throw TrainingError(
        .configuration,
        "there is no stop \"\(text)\"; choose label-wave[:K] or coherence[:m=N,k=K], such as label-wave:3")
    }
    var (m, window): (Int?, Int?)
    for setting in settings {
      let sides = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let number = sides.last.flatMap(Int.init) ?? 0
      switch (parts[0], sides.count, sides[0]) {
      case ("label-wave", 1, _) where window == nil && number >= 1: window = number
      case ("label-wave", 2, "k") where window == nil && number >= 1: window = number
      case ("coherence", 2, "k") where window == nil && number >= 1: window = number
      case ("coherence", 2, "m") where m == nil && number >= 2: m = number
      default:
        throw TrainingError(
          .configuration,
          "stop \"\(text)\": \"\(setting)\" is not known; write label-wave:K or coherence:m=N,k=K with at least K = 1 pass to "
            + "average over and N = 2 examples")
      }
    }
    self =
      parts[0] == "label-wave"
      ? .labelWave(window: window ?? Self.usualWindow)
      : .coherence(m: m.map { SampleSize($0) } ?? CoherenceTurn.usualSize, window: window ?? Self.usualWindow)
  }
}
