// SPDX-License-Identifier: Apache-2.0

/// How every claim is judged, how it was judged by the first version of its rule, and what that said.
public enum RuleBook {
  /// One claim's rule.
  public struct Entry: Sendable, Equatable, Encodable {
    /// The claim's name and what it says.
    public let claim, sentence: String
    /// How the rule differs from its first version, and why; nil where it does not.
    public let change: RuleChange?
    /// The first version, and its verdicts on the first runs.
    public let previous: [EarlierVerdict]
  }

  /// The rules, in the order of the papers' claims.
  ///
  /// - Parameter claims: the names of those wanted; nil for all.
  public static func entries(_ claims: [String]? = nil) -> [Entry] {
    Rules.all.filter { claims?.contains($0.claim.id) ?? true }.map { rule in
      Entry(
        claim: rule.claim.id, sentence: rule.claim.sentence, change: rule.change,
        previous: FirstVersion.verdicts(on: rule.claim.id))
    }
  }

  /// The rules for people.
  public static func text(_ entries: [Entry]) -> String {
    entries.map { entry in
      (["\(entry.claim)  \(entry.sentence)"] + Rules.history(of: entry.claim).map { "  " + $0 }).joined(separator: "\n")
    }.joined(separator: "\n\n")
  }

  /// The rules as sections in Markdown; names of claims lead to their code.
  public static func markdown(_ entries: [Entry]) -> String {
    entries.map { entry in
      let file = Rules.all.first { $0.claim.id == entry.claim }?.file ?? ""
      let head = "## [\(entry.claim)](../../Sources/Studies/\(file))\n\n\(entry.sentence)\n"
      return ([head] + Rules.history(of: entry.claim).map { "- " + $0 }).joined(separator: "\n")
    }.joined(separator: "\n\n")
  }
}
