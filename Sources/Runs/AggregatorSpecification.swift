// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Tensors

/// An aggregator as a word: one of `known`, with numbers in place of capitals, such as "winsorized:c=2", "m3", "mom:k=5".
/// Colons and commas both separate settings.
public struct AggregatorSpecification: Sendable, Equatable, CustomStringConvertible {
  /// An aggregator that words name.
  private struct Row: Sendable {
    /// The words, with capitals for numbers: name and settings.
    let words: [String]
    /// Settings that are seldom given.
    var more: Set<String> = []
    let make: @Sendable (AggregatorSpecification) throws -> any Aggregator

    var name: String { String(words[0].prefix { !isSeparator($0) }) }

    /// Settings with a value, and those without.
    var settings: (valued: Set<String>, bare: Set<String>) {
      let all = words.flatMap { $0.split(whereSeparator: isSeparator).dropFirst() }.map {
        $0.split(separator: "=").map(String.init)
      }
      return (
        Set(all.filter { $0.count == 2 }.map { $0[0] }).union(more), Set(all.filter { $0.count == 1 }.map { $0[0] })
      )
    }
  }

  private static let rows: [Row] = [
    Row(words: ["sgd"]) { _ in Mean() },
    Row(words: ["winsorized:c=C", "winsorized:s=S"]) { try $0.clippedMean(.winsorized) },
    Row(words: ["trimmed:c=C", "trimmed:s=S"]) { try $0.clippedMean(.trimmed) },
    Row(words: ["m3", "m3:successive"]) {
      guard $0.settings["successive"] == nil else { return GradientHistory(.successiveMedian) }
      return try MedianOfMeans(groupCount: 3)
    },
    Row(words: ["rm3"], more: ["decay"]) { GradientHistory(.rollingMedian, decaysBefore: try $0.decaysBefore()) },
    Row(words: ["ra3"], more: ["decay"]) { GradientHistory(.rollingMean, decaysBefore: try $0.decaysBefore()) },
    Row(words: ["mom:k=K"]) { try MedianOfMeans(groupCount: $0.number("k", Int.init) ?? 5) },
    Row(words: ["geomed:k=K"], more: ["tolerance", "iterations"]) {
      try GeometricMedian(
        groupCount: $0.number("k", Int.init) ?? 5,
        tolerance: $0.number("tolerance", Double.init) ?? GeometricMedian.usualTolerance,
        maximumIterations: $0.number("iterations", Int.init) ?? GeometricMedian.usualIterations)
    },
    Row(words: ["and-mask:t=T", "and-mask:t=T:rescaled"]) {
      try AndMask(threshold: $0.number("t", Double.init) ?? 0.2, isRescaled: $0.settings["rescaled"] != nil)
    },
    Row(words: ["sand-mask:t=T"], more: ["k"]) {
      try SandMask(
        threshold: $0.number("t", Double.init) ?? 0.2, sharpness: $0.number("k", Double.init) ?? SandMask.usualSharpness
      )
    },
    Row(words: ["gaf:t=T", "gaf:t=T:k=K", "gaf:t=T:mean"]) {
      try AgreementFilter(
        threshold: $0.number("t", Double.init) ?? AgreementFilter.usualThreshold,
        joining: $0.settings["mean"] == nil ? .halving : .mean, groupCount: $0.number("k", Int.init))
    },
    Row(words: ["agra"]) { _ in IndependentAgreement() },
    Row(words: ["sign-ema"], more: ["beta", "scale"]) {
      try SignOfAverage(
        beta: $0.number("beta", Double.init) ?? SignOfAverage.usualBeta,
        scale: $0.number("scale", Double.init) ?? usualSignScale)
    },
    Row(words: ["sign-sum"], more: ["scale"]) {
      try SignOfSum(scale: $0.number("scale", Double.init) ?? usualSignScale)
    },
    Row(words: ["sum-sign"], more: ["scale"]) {
      try SumOfSigns(scale: $0.number("scale", Double.init) ?? usualSignScale)
    },
    Row(words: ["dp-sgd:clip=C,noise=N", "dp-sgd:clip=C,epsilon=E,delta=D"]) { try $0.privateMean() },
  ]

  /// The words, for messages.
  public static let known = rows.flatMap(\.words)

  /// The word.
  public let description: String
  private let row: Row
  private let settings: [String: String]

  private static func row(_ word: String) -> Row? {
    let name = word.prefix { !isSeparator($0) }
    return rows.first { $0.name == name }
  }

  /// Whether a word begins with the name of an aggregator.
  public static func isKnown(_ word: String) -> Bool { row(word) != nil }

  /// Whether both are the same word.
  public static func == (a: Self, b: Self) -> Bool { a.description == b.description }

  /// Parses a word.
  ///
  /// - Throws: `AggregationError` that says what was expected.
  public init(_ word: String) throws {
    description = word
    guard let row = Self.row(word) else {
      throw AggregationError(
        "there is no optimizer \"\(word)\"; known optimizers: \(Self.known.joined(separator: ", "))")
    }
    self.row = row
    var settings: [String: String] = [:]
    for part in word.split(omittingEmptySubsequences: false, whereSeparator: isSeparator).dropFirst() {
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let allowed = sides.count == 2 ? row.settings.valued : row.settings.bare
      guard allowed.contains(sides[0]), settings[sides[0]] == nil else {
        throw AggregationError(
          "optimizer \"\(word)\": \"\(part)\" is not understood; write \(row.words.joined(separator: " or "))")
      }
      settings[sides[0]] = sides.count == 2 ? sides[1] : ""
    }
    self.settings = settings
    _ = try make()
  }

  /// A new aggregator.
  ///
  /// - Throws: `AggregationError` when a setting is out of its range.
  public func make() throws -> any Aggregator { try row.make(self) }

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
        "optimizer \"\(description)\": write \(row.name):c=2 for percentiles or \(row.name):s=4 for a number of examples"
      )
    }
  }

  private func privateMean() throws -> any Aggregator {
    func failure(_ what: String) -> AggregationError {
      AggregationError(
        "optimizer \"\(description)\": \(what); write \(row.name):clip=1,noise=1 for noise of that standard deviation, in units "
          + "of clip, or \(row.name):clip=1,epsilon=3,delta=1e-5 for what all steps together may reveal")
    }
    guard let clip = try number("clip", Double.init) else { throw failure("clip is missing") }
    let delta = try number("delta", Double.init)
    switch (try number("noise", Double.init), try number("epsilon", Double.init)) {
    case (let noise?, nil):
      return try PrivateMean(clip: clip, noise: .multiplier(noise), delta: delta ?? PrivateMean.usualDelta)
    case (nil, let epsilon?):
      guard let delta else { throw failure("epsilon needs a delta") }
      return try PrivateMean(clip: clip, noise: .budget(epsilon: epsilon), delta: delta)
    case (nil, nil): throw failure("noise or epsilon is missing")
    default: throw failure("noise and epsilon decide the same")
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

/// Whether a character ends a setting.
private func isSeparator(_ character: Character) -> Bool { character == ":" || character == "," }
