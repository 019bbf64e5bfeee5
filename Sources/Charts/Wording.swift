// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How numbers are written for people.
package enum Wording {
  /// A whole number with thin spaces between thousands, such as `60 000`.
  package static func integer(_ value: Int) -> String {
    let digits = String(value.magnitude)
    guard digits.count > 4 else { return "\(value)" }
    var groups: [Substring] = []
    var rest = Substring(digits)
    while !rest.isEmpty {
      groups.insert(rest.suffix(3), at: 0)
      rest = rest.dropLast(min(3, rest.count))
    }
    return (value < 0 ? "−" : "") + groups.joined(separator: "\u{202F}")
  }

  /// The nearest whole number, with thin spaces between thousands: for numbers that come from files, whose size nothing
  /// limits.
  package static func integer(_ value: Double) -> String {
    abs(value) < wholeLimit ? integer(Int(clamping: value.rounded())) : whole(value)
  }

  /// The nearest whole number, without spaces between thousands.
  package static func whole(_ value: Double) -> String {
    guard value.isFinite else { return "–" }
    return abs(value) < wholeLimit ? "\(Int(clamping: value.rounded()))" : String(format: "%.3g", value)
  }

  /// Above this a number is no longer written digit by digit.
  private static let wholeLimit = 1e15

  /// A share as a percentage, such as `97.3 %`.
  package static func percent(_ share: Double, digits: Int = 1) -> String {
    guard share.isFinite else { return "–" }
    return String(format: "%.\(digits)f", share * 100).replacingOccurrences(of: "-", with: "−") + " %"
  }

  /// A share as a percentage without needless decimals, such as `50 %` or `12.5 %`.
  package static func level(_ share: Double) -> String {
    let rounded = (share * 1000).rounded() / 10
    return (rounded == rounded.rounded() || !rounded.isFinite ? whole(rounded) : "\(rounded)") + " %"
  }

  /// Seconds as a duration, such as `4.2 s`, `3 min 05 s` or `2 h 10 min`.
  package static func duration(_ seconds: Double) -> String {
    if seconds < 60 { return String(format: "%.1f s", seconds) }
    guard let whole = Int(exactly: seconds.rounded()) else { return "–" }
    if whole < 3600 { return String(format: "%d min %02d s", whole / 60, whole % 60) }
    return String(format: "%d h %02d min", whole / 3600, whole % 3600 / 60)
  }

  /// Bytes, such as `412 MiB`.
  package static func bytes(_ count: Int) -> String {
    let mebibytes = Double(count) / 1_048_576
    return mebibytes < 1024 ? String(format: "%.0f MiB", mebibytes) : String(format: "%.2f GiB", mebibytes / 1024)
  }

  /// Text for an HTML page: as `code(_:)`, and no line ends between a number and its per cent sign.
  package static func html(_ text: String) -> String {
    let escaped = code(text)
    // Tables have thousands of cells: no regular expression for each of them.
    guard escaped.utf8.contains(percentSign) else { return escaped }
    var output: [UInt8] = []
    for byte in escaped.utf8 {
      if byte == percentSign, output.last == 0x20, output.dropLast().last.map({ (0x30...0x39).contains($0) }) ?? false {
        output.removeLast()
        output += "\u{A0}".utf8
      }
      output.append(byte)
    }
    return String(decoding: output, as: UTF8.self)
  }

  private static let percentSign = UInt8(ascii: "%")

  /// Text with the characters that HTML reserves escaped, otherwise as it is, such as commands to copy.
  package static func code(_ text: String) -> String {
    guard text.utf8.contains(where: { [0x22, 0x26, 0x27, 0x3C, 0x3E].contains($0) }) else { return text }
    var output = ""
    output.reserveCapacity(text.utf8.count)
    // By scalars: a quote with an accent on it is another character, and ends an attribute all the same.
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": output += "&amp;"
      case "<": output += "&lt;"
      case ">": output += "&gt;"
      case "\"": output += "&quot;"
      case "'": output += "&#39;"
      default: output.unicodeScalars.append(scalar)
      }
    }
    return output
  }

  /// A command line that a POSIX shell reads back as the same arguments.
  package static func shell(_ arguments: [String]) -> String {
    let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%")
    return arguments.map { argument in
      if !argument.isEmpty, argument.allSatisfy(plain.contains) { return argument }
      return "'" + argument.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }.joined(separator: " ")
  }

  /// Five significant digits, unless told otherwise: more than any screen or page shows.
  package static func rounded(_ value: Double, digits: Int = 5) -> Double {
    guard value.isFinite, value != 0 else { return value }
    let scale = pow(10, Double(digits - 1) - floor(log10(abs(value))))
    guard scale.isFinite, scale != 0 else { return value }
    let result = (value * scale).rounded() / scale
    // A whole number over an exact power of ten is the nearest number to its decimal already.
    if (1...1e22).contains(scale) { return result }
    return Double(String(format: "%.\(digits)g", result)) ?? result
  }
}

extension Int {
  /// The whole part of a number; the nearest `Int` beyond the range of `Int`, and 0 of what is not a number.
  package init(clamping value: Double) {
    self = Int(exactly: value.rounded(.towardZero)) ?? (value > 0 ? .max : value < 0 ? .min : 0)
  }
}
