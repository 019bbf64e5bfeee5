// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A JSON value that keeps the order of its keys, so that the same data always give the same page.
indirect enum JSON: Sendable, Hashable {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([JSON])
  case object([Member])

  struct Member: Sendable, Hashable {
    var key: String
    var value: JSON
  }

  /// An object from pairs; pairs without a value are left out.
  static func object(_ pairs: KeyValuePairs<String, JSON?>) -> JSON {
    .object(pairs.compactMap { pair in pair.value.map { Member(key: pair.key, value: $0) } })
  }

  static func strings(_ values: [String]) -> JSON { .array(values.map(JSON.string)) }
  static func numbers(_ values: [Double]) -> JSON { .array(values.map(JSON.number)) }

  /// A member of this object.
  subscript(key: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  /// The panels of a chart; a chart of one is its own.
  var panels: [JSON] { if case .array(let panels)? = self["concat"] { panels } else { [self] } }

  /// The layers of a chart; a chart of one view is its own layer.
  var layers: [JSON] { if case .array(let layers)? = self["layer"] { layers } else { [self] } }

  /// This object with more members, which replace those of the same name.
  func merging(_ pairs: KeyValuePairs<String, JSON?>) -> JSON {
    guard case .object(var members) = self else { return self }
    for (key, value) in pairs {
      guard let value else { continue }
      if let index = members.firstIndex(where: { $0.key == key }) {
        members[index].value = value
      } else {
        members.append(Member(key: key, value: value))
      }
    }
    return .object(members)
  }

  /// The text, safe inside an HTML script element.
  var text: String {
    var output = ""
    write(to: &output)
    return output
  }

  private func write(to output: inout String) {
    switch self {
    case .null: output += "null"
    case .bool(let value): output += value ? "true" : "false"
    case .number(let value): output += Self.text(of: value)
    case .string(let value): Self.write(value, to: &output)
    case .array(let values):
      output += "["
      for (index, value) in values.enumerated() {
        if index > 0 { output += "," }
        value.write(to: &output)
      }
      output += "]"
    case .object(let members):
      output += "{"
      for (index, member) in members.enumerated() {
        if index > 0 { output += "," }
        Self.write(member.key, to: &output)
        output += ":"
        member.value.write(to: &output)
      }
      output += "}"
    }
  }

  private static func text(of number: Double) -> String {
    guard number.isFinite else { return "null" }
    if number == number.rounded(), abs(number) < 1e15 { return "\(Int(clamping: number))" }
    return "\(number)"
  }

  private static func write(_ string: String, to output: inout String) {
    output += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": output += "\\\""
      case "\\": output += "\\\\"
      case "<", ">", "&", "\u{2028}", "\u{2029}": output += escape(scalar)
      case _ where scalar.value < 0x20: output += escape(scalar)
      default: output.unicodeScalars.append(scalar)
      }
    }
    output += "\""
  }

  private static func escape(_ scalar: Unicode.Scalar) -> String {
    let hex = String(scalar.value, radix: 16)
    return "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
  }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  init(stringLiteral value: String) { self = .string(value) }
  init(integerLiteral value: Int) { self = .number(Double(value)) }
  init(floatLiteral value: Double) { self = .number(value) }
  init(booleanLiteral value: Bool) { self = .bool(value) }
  init(arrayLiteral elements: JSON...) { self = .array(elements) }
  init(dictionaryLiteral elements: (String, JSON)...) {
    self = .object(elements.map { Member(key: $0.0, value: $0.1) })
  }
  init(nilLiteral: ()) { self = .null }
}

extension JSON {
  /// This object with the members of another.
  func merging(members other: JSON) -> JSON {
    guard case .object(let own) = self, case .object(let added) = other else { return self }
    return .object(own.filter { member in !added.contains { $0.key == member.key } } + added)
  }

  /// This object with the members of another, objects inside of it merged likewise.
  func refined(by other: JSON) -> JSON {
    guard case .object(let added) = other, case .object = self else { return other }
    return added.reduce(self) { result, member in
      result.merging([member.key: result[member.key]?.refined(by: member.value) ?? member.value])
    }
  }
}
