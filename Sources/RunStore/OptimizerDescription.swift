// SPDX-License-Identifier: Apache-2.0

/// How gradients become a step, from its word: an aggregator with its settings, and what follows it.
///
/// | word | aggregator | settings | update |
/// |---|---|---|---|
/// | `winsorized:c=2` | winsorized | c = 2 | sgd |
/// | `rm3:decay=after+adamw:beta2=0.99` | rm3 | decay = after | adamw |
/// | `adam` | sgd | | adam |
///
/// The word is taken as it stands: whether there is such an aggregator is for those to say who make one.
public struct OptimizerDescription: Codable, Sendable, Hashable {
  /// The aggregator's name.
  public let aggregator: String
  /// The aggregator's settings; one without a value has an empty one.
  public let settings: [String: String]
  /// What follows the aggregator: `sgd`, `adam` or `adamw`.
  public let update: String
  /// The settings of what follows it.
  public let updateSettings: [String: String]

  private enum CodingKeys: String, CodingKey {
    case aggregator, settings, update
    case updateSettings = "update_settings"
  }

  /// Takes a word apart.
  public init(_ word: String) {
    let (first, second) = Self.parts(of: word.lowercased())
    (aggregator, settings) = Self.settings(of: first)
    (update, updateSettings) = Self.settings(of: second ?? "sgd")
  }

  /// The word of the aggregator and that of what follows it, nil for SGD. A plus may also stand in a number, so only one
  /// before a name counts.
  public static func parts(of word: String) -> (aggregator: String, update: String?) {
    if word.hasPrefix("adam") { return ("sgd", word) }
    guard let plus = word.range(of: "+adam") else { return (word, nil) }
    return (String(word[..<plus.lowerBound]), String(word[plus.lowerBound...].dropFirst()))
  }

  private static func settings(of word: String) -> (name: String, settings: [String: String]) {
    let parts = word.split(whereSeparator: { $0 == ":" || $0 == "," }).map(String.init)
    let pairs = parts.dropFirst().map { part in
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      return (sides[0], sides.count == 2 ? sides[1] : "")
    }
    return (parts.first ?? "", Dictionary(pairs, uniquingKeysWith: { _, last in last }))
  }

  /// The aggregator's name, with that of what follows it unless that is SGD: RM3 before AdamW is not the papers' RM3.
  public var name: String { update == "sgd" ? aggregator : "\(aggregator)+\(update)" }

  /// Whether it is plain SGD.
  public var isSGD: Bool { name == "sgd" }

  /// c, the percentile below which values are clipped, on each side: 0 for plain SGD; nil for what does not winsorize by
  /// percentile.
  public var clippedPercentile: Int? { clipped("c") }

  /// s, how many values are clipped on each side: 0 for plain SGD; nil for what does not winsorize by count.
  public var clippedCount: Int? { clipped("s") }

  private func clipped(_ key: String) -> Int? {
    isSGD ? 0 : name == "winsorized" ? settings[key].flatMap { Int($0) } : nil
  }
}
