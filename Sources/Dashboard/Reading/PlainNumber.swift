// SPDX-License-Identifier: Apache-2.0

/// Reads numbers as the logs hold them, faster than the exact way and right to about one unit in the last place.
enum PlainNumber {
  private static let powers: [Double] = (0...308).map { power in (Double("1e\(power)") ?? .infinity) }

  /// The number that bytes spell; NaN for none at all, nil for anything else.
  static func value(_ bytes: UnsafeBufferPointer<UInt8>, _ field: Range<Int>) -> Double? {
    var index = field.lowerBound
    let end = field.upperBound
    guard index < end else { return .nan }
    let isNegative = bytes[index] == 0x2D
    if isNegative || bytes[index] == 0x2B { index += 1 }
    guard index < end, isDigit(bytes[index]) || bytes[index] == 0x2E else { return special(bytes, field) }
    var digits: UInt64 = 0
    var exponent = 0
    var hasDigits = false
    var isFraction = false
    while index < end {
      let byte = bytes[index]
      if isDigit(byte) {
        hasDigits = true
        if digits < 1_000_000_000_000_000_000 {
          digits = digits * 10 + UInt64(byte - 0x30)
          if isFraction { exponent -= 1 }
        } else if !isFraction {
          exponent += 1
        }
      } else if byte == 0x2E, !isFraction {
        isFraction = true
      } else {
        break
      }
      index += 1
    }
    guard hasDigits else { return nil }
    if index < end {
      guard bytes[index] | 0x20 == 0x65, let written = written(bytes, (index + 1)..<end) else { return nil }
      exponent += written
    }
    let magnitude = scaled(Double(digits), by: exponent)
    return isNegative ? -magnitude : magnitude
  }

  @inline(__always) private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

  private static func scaled(_ value: Double, by exponent: Int) -> Double {
    if exponent == 0 || value == 0 { return value }
    if exponent > 0 { return exponent > 308 ? .infinity : value * powers[exponent] }
    if exponent >= -308 { return value / powers[-exponent] }
    return exponent < -340 ? 0 : value / powers[308] / powers[min(308, -exponent - 308)]
  }

  /// The exponent behind the letter e.
  private static func written(_ bytes: UnsafeBufferPointer<UInt8>, _ field: Range<Int>) -> Int? {
    Int(String(decoding: bytes[field], as: UTF8.self)).map { min(1000, max(-1000, $0)) }
  }

  private static func special(_ bytes: UnsafeBufferPointer<UInt8>, _ field: Range<Int>) -> Double? {
    switch String(decoding: bytes[field], as: UTF8.self).lowercased() {
    case "nan", "-nan": .nan
    case "inf", "+inf", "infinity": .infinity
    case "-inf", "-infinity": -.infinity
    default: nil
    }
  }
}
