// SPDX-License-Identifier: Apache-2.0

/// The linear example.
struct GM8: MeasuredRule {
  /// α at the start is exact but for float32.
  static let tolerance = 1e-4
  /// Where gradient descent ends is approached step by step: within a thousandth.
  static let limit = 1e-3

  let claim = Claim(
    id: "GM-8",
    sentence:
      "In the linear example α₄ is 0.625 with real labels and 0.25 with random ones at the start; the test error ends at "
      + "0.04 and 1.",
    paper: Paper.generalizationMystery, section: "linear example", setting: "four examples, six weights")

  let kind = "linear-example"

  func judge(_ measurement: Measurement) -> Judgement {
    var assessment = Assessment()
    let expected = [
      ("alpha_real", 0.625, Self.tolerance), ("alpha_random", 0.25, Self.tolerance),
      ("test_error_real", 0.04, Self.limit), ("test_error_random", 1, Self.limit), ("w6_real", 0.8, Self.limit),
    ]
    if let values = assessment.take(expected.map(\.0), of: measurement) {
      for (value, (name, target, tolerance)) in zip(values, expected) where abs(value - target) > tolerance {
        assessment.fail("\(name.replacing("_", with: " ")) is \(value), not \(target)")
      }
    }
    return assessment.judgement(held: "All five numbers are as derived")
  }
}
