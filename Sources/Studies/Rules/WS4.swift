// SPDX-License-Identifier: Apache-2.0

/// The example of §3.2: what SGD and M3 expect of gradients with a common and idiosyncratic parts.
struct WS4: MeasuredRule {
  /// Sums over all mini-batches in double precision err by less than 1e-12 of a gradient; kept in float32 by less than
  /// this.
  static let tolerance = 1e-5
  /// Three groups of one example each.
  static let minimumExamples = 3.0

  let claim = Claim(
    id: "WS-4",
    sentence:
      "Of gradients c + uᵢ whose idiosyncratic parts uᵢ share no coordinate, the expected SGD step is c + (1/m)Σuᵢ and "
      + "the expected M3 step is c.",
    paper: Paper.weakAndStrong, section: "§3.2", setting: Paper.theorySetting)

  let kind = "median-expectation"

  /// All four are errors, relative to ‖c‖ and ‖(1/m)Σu‖: on the coordinates of c against c; on the others against
  /// (1/m)Σu for SGD, and against 0 for M3.
  func judge(_ measurement: Measurement) -> Judgement {
    var assessment = Assessment()
    let quantities = ["m", "sgd_common_error", "sgd_idiosyncratic", "m3_common_error", "m3_idiosyncratic"]
    if let values = assessment.take(quantities, of: measurement) {
      if values[0] < Self.minimumExamples {
        assessment.leaveOpen("with fewer than three examples there are no three groups")
      }
      let parts = [
        "SGD’s expected step differs from c", "SGD’s expected step differs from (1/m)Σu",
        "M3’s expected step differs from c", "M3’s expected step keeps idiosyncratic parts",
      ]
      for (value, reason) in zip(values.dropFirst(), parts) where abs(value) > Self.tolerance {
        assessment.fail(reason)
      }
    }
    return assessment.judgement(held: "Exactly so: SGD expects c + (1/m)Σu, M3 expects c")
  }
}
