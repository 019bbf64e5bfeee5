// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

/// What m-coherence is at its ends, and what it costs.
struct MC1: MeasuredRule {
  /// Relative to the value expected. Gradients in float32 carry seven digits, of which sums of a thousand keep five.
  static let tolerance = 1e-4
  /// Cost grows as m to this power at most: half-way between m and the m² of measures of pairs.
  static let exponent = 1.5
  /// A power cannot be told from sizes closer than this factor.
  static let range = 4.0

  let claim = Claim(
    id: "MC-1",
    sentence:
      "m-coherence is 1 for orthogonal gradients, m for identical and 0 for cancelling ones, and costs O(m), not O(m²).",
    paper: Paper.makingCoherence, section: "abstract, definition", setting: Paper.theorySetting)

  let kind = "m-coherence"

  func judge(_ measurement: Measurement) -> Judgement {
    var assessment = Assessment()
    if let values = assessment.take(["m", "r_orthogonal", "r_identical", "r_cancelling"], of: measurement) {
      let m = values[0]
      let ends = [("orthogonal", values[1], 1), ("identical", values[2], m), ("cancelling", values[3], 0)]
      for (name, value, expected) in ends where abs(value - expected) > Self.tolerance * max(1, expected) {
        assessment.fail("r of \(name) gradients is not \(expected == m ? "m" : Wording.whole(expected))")
      }
    }
    for (what, prefix) in [("time", "seconds_m_"), ("peak memory", "peak_bytes_m_")] {
      let costs = measurement.series(prefix).filter { $0.at > 0 && $0.value > 0 }
      guard let first = costs.first, let last = costs.last, Double(last.at) >= Self.range * Double(first.at) else {
        assessment.miss("\(prefix)M for sizes a factor of \(Wording.whole(Self.range)) apart")
        continue
      }
      let power = log(last.value / first.value) / log(Double(last.at) / Double(first.at))
      assessment.note("power of m in \(what), from \(first.at) to \(last.at) examples", power)
      if power > Self.exponent { assessment.fail("\(what) grows faster than m, as m^\(String(format: "%.2f", power))") }
    }
    return assessment.judgement(held: "r is 1, m and 0 where it should be, and time and memory grow no faster than m")
  }
}
