// SPDX-License-Identifier: Apache-2.0

import Charts

/// The laws of α.
struct GM1: MeasuredRule {
  /// The laws are exact, and in double precision hold to 1e-11; gradients kept in float32 have half of those digits.
  static let tolerance = 1e-6
  /// Fewer cases leave out too many kinds of gradients.
  static let minimumCases = 100.0

  let claim = Claim(
    id: "GM-1",
    sentence:
      "α lies between 0 and 1, does not depend on scale, is kα/(1 + (k − 1)α) for means of k draws and pα when all but a "
      + "share p are zeros, and is the mean of the layers’ α weighted by their shares.",
    paper: Paper.generalizationMystery, section: "definition and properties of α", setting: Paper.theorySetting)

  let kind = "coherence-laws"

  func judge(_ measurement: Measurement) -> Judgement {
    var assessment = Assessment()
    let laws = ["scale_invariance", "minibatch_identity", "dilution", "layer_decomposition"]
    if let values = assessment.take(laws + ["alpha_min", "alpha_max", "cases"], of: measurement) {
      for (law, value) in zip(laws, values) where abs(value) > Self.tolerance {
        assessment.fail("the law “\(law.replacing("_", with: " "))” is off by \(value)")
      }
      if values[4] < -Self.tolerance || values[5] > 1 + Self.tolerance {
        assessment.fail("α leaves the range from 0 to 1")
      }
      if values[6] < Self.minimumCases { assessment.miss("\(Wording.whole(Self.minimumCases)) cases") }
    }
    return assessment.judgement(held: "Every law holds to within \(Self.tolerance)")
  }
}
