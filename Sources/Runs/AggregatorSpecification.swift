// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Tensors

/// An aggregator as a word: "sgd", "winsorized:c=2", "winsorized:s=4", "trimmed:s=2", "m3", "m3:successive", "rm3",
/// "ra3", "rm3:decay=after", "mom:k=5", "geomed:k=5", "sign-sum", "sum-sign:scale=0.001".
public struct AggregatorSpecification: Sendable, Equatable, CustomStringConvertible {
  /// The word.
  public let description: String
  private let name: String
  private let settings: [String: String]

  /// The words, for messages.
  public static let known = [
    "sgd", "winsorized:c=C", "winsorized:s=S", "trimmed:c=C", "trimmed:s=S", "m3", "m3:successive", "rm3", "ra3",
    "mom:k=K", "geomed:k=K", "sign-sum", "sum-sign",
  ]
  /// Which settings each name takes.
  private static let allowed: [String: Set<String>] = [
    "sgd": [], "winsorized": ["c", "s"], "trimmed": ["c", "s"], "m3": ["successive"], "rm3": ["decay"],
    "ra3": ["decay"], "mom": ["k"], "geomed": ["k", "tolerance", "iterations"], "sign-sum": ["scale"],
    "sum-sign": ["scale"],
  ]

  /// Whether a word begins with the name of an aggregator.
  public static func isKnown(_ word: String) -> Bool {
    allowed[word.split(separator: ":", omittingEmptySubsequences: false).first.map(String.init) ?? ""] != nil
  }

  /// Parses a word.
  ///
  /// - Throws: `AggregationError` that says what was expected.
  public init(_ word: String) throws {
    description = word
    let parts = word.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    let name = parts[0]
    guard let allowed = Self.allowed[name] else {
      throw AggregationError(
        "there is no optimizer \"\(word)\"; known optimizers: \(Self.known.joined(separator: ", "))")
    }
    var settings: [String: String] = [:]
    for part in parts.dropFirst() {
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard allowed.contains(sides[0]), (sides.count == 2) == (sides[0] != "successive"), settings[sides[0]] == nil
      else {
        let expected = Self.known.filter { $0 == name || $0.hasPrefix(name + ":") }
        throw AggregationError(
          "optimizer \"\(word)\": \"\(part)\" is not understood; write \(expected.joined(separator: " or "))")
      }
      settings[sides[0]] = sides.count == 2 ? sides[1] : ""
    }
    self.name = name
    self.settings = settings
    _ = try make()
  }

  /// A new aggregator.
  ///
  /// - Throws: `AggregationError` when a setting is out of its range.
  public func make() throws -> any Aggregator {
    switch name {
    case "winsorized": return try clippedMean(.winsorized)
    case "trimmed": return try clippedMean(.trimmed)
    case "m3":
      return settings["successive"] == nil ? try MedianOfMeans(groupCount: 3) : GradientHistory(.successiveMedian)
    case "rm3": return GradientHistory(.rollingMedian, decaysBefore: try decaysBefore())
    case "ra3": return GradientHistory(.rollingMean, decaysBefore: try decaysBefore())
    case "mom": return try MedianOfMeans(groupCount: number("k", Int.init) ?? 5)
    case "geomed":
      return try GeometricMedian(
        groupCount: number("k", Int.init) ?? 5,
        tolerance: number("tolerance", Double.init) ?? GeometricMedian.usualTolerance,
        maximumIterations: number("iterations", Int.init) ?? GeometricMedian.usualIterations)
    case "sign-sum": return try SignOfSum(scale: number("scale", Double.init) ?? usualSignScale)
    case "sum-sign": return try SumOfSigns(scale: number("scale", Double.init) ?? usualSignScale)
    default: return Mean()
    }
  }

  private func number<Value>(_ key: String, _ read: (String) -> Value?) throws -> Value? {
    guard let text = settings[key] else { return nil }
    guard let value = read(text) else {
      throw AggregationError("optimizer \"\(description)\": \"\(text)\" is not a valid value for \(key)")
    }
    return value
  }

  /// With nothing clipped it is the mean, for which nobody has to compute examples' own gradients.
  private func clippedMean(_ kind: Clipping.Kind) throws -> any Aggregator {
    let level = try level()
    let clipped = try ClippedMean(level, kind: kind)
    return level == .percentile(0) || level == .count(0) ? Mean() : clipped
  }

  private func level() throws -> ClippingLevel {
    switch (try number("c", Double.init), try number("s", Int.init)) {
    case (let percent?, nil): return .percentile(percent)
    case (nil, let count?): return .count(count)
    default:
      throw AggregationError(
        "optimizer \"\(description)\": write \(name):c=2 for percentiles or \(name):s=4 for a number of examples")
    }
  }

  private func decaysBefore() throws -> Bool {
    switch settings["decay"] {
    case nil, "before": return true
    case "after": return false
    case let other?:
      throw AggregationError("optimizer \"\(description)\": decay must be before or after, not \"\(other)\"")
    }
  }
}
