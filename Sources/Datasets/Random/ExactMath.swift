// SPDX-License-Identifier: Apache-2.0

/// Elementary functions from exactly rounded operations only (+ − × ÷ √), so that the last bit is the same on every
/// platform, which the system's mathematics library does not promise.
enum ExactMath {
  /// ln x for a finite x > 0, to about one part in 10¹⁵: x = m·2ᵉ, ln m = 2·artanh((m − 1)/(m + 1)).
  static func logarithm(_ x: Double) -> Double {
    var m = x.significand
    var e = Double(x.exponent)
    if m > 1.414_213_562_373_095_1 {
      m *= 0.5
      e += 1
    }
    let s = (m - 1) / (m + 1)
    let q = s * s
    var sum = 0.0
    var k = 23.0
    while k >= 1 {
      sum = sum * q + 1 / k
      k -= 2
    }
    return e * 0.693_147_180_559_945_3 + 2 * s * sum
  }

  /// eˣ for |x| ≤ 1, by its series; good to about 10⁻¹⁵.
  static func exponential(_ x: Double) -> Double {
    var sum = 1.0
    var k = 20.0
    while k >= 1 {
      sum = 1 + sum * x / k
      k -= 1
    }
    return sum
  }

  /// eˣ for any x ≤ 0, to about one part in 10¹⁴: e^(k·ln 2 + r) = 2ᵏ·eʳ with |r| ≤ ½ ln 2; 0 below −745.
  static func exponential(ofNegative x: Double) -> Double {
    guard x > -745 else { return 0 }
    let k = (x / 0.693_147_180_559_945_3).rounded()
    // ln 2 in two parts: the first has so few digits that its product with k is exact.
    let r = (x - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33
    // In range: the argument is at most a thousand.
    return Double(sign: .plus, exponent: Int(k), significand: exponential(r))
  }

  /// sin x for |x| ≤ π, by its series; good to about 10⁻¹².
  static func sine(_ x: Double) -> Double {
    let q = x * x
    var sum = 0.0
    var k = 27.0
    while k >= 3 {
      sum = (1 - sum) * q / (k * (k - 1))
      k -= 2
    }
    return x * (1 - sum)
  }

  /// cos x for |x| ≤ π, by its series; good to about 10⁻¹².
  static func cosine(_ x: Double) -> Double {
    let q = x * x
    var sum = 0.0
    var k = 28.0
    while k >= 2 {
      sum = (1 - sum) * q / (k * (k - 1))
      k -= 2
    }
    return 1 - sum
  }
}
