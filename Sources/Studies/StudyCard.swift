// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The score card over several studies: every claim of the papers, those without data included, beside what the first
/// version of its rule said.
public struct StudyCard: Sendable, Encodable, Equatable {
  /// A claim, or a part of one, and what a study says about it.
  public struct Row: Sendable, Encodable, Equatable {
    /// The claim's name; a part's has a letter.
    public let claim: String
    /// What it says.
    public let sentence: String
    /// The version of the rule.
    public let version: Int
    /// What the study says; not tested without one.
    public let verdict: Outcome
    /// Why, or what a test takes.
    public let reason: String
    /// The parts of a claim that says several things.
    public let parts: [Row]
    /// The seeds behind it.
    public let seeds: [UInt64]
    /// The profile and the name of the study; nil without one.
    public let profile, study: String?
    /// How the rule differs from its first version, and why; nil where it does not, and for parts.
    public let change: RuleChange?
    /// What the first version said about the first runs; empty for parts.
    public let previous: [EarlierVerdict]
    /// The study's folder.
    let folder: String?

    private enum CodingKeys: String, CodingKey {
      case claim, sentence, version, verdict, reason, parts, seeds, profile, study, change, previous
    }
  }

  /// The rows, in the order of the papers' claims: one for each study and setting that speaks about a claim.
  public let rows: [Row]

  /// Judges the studies in these folders; of exports the score cards count that they kept. Verdicts by an earlier version
  /// of the rules are left out.
  ///
  /// - Throws: as `StudyResults.init`.
  public init(_ folders: [StudyFolder]) throws {
    let all = try folders.flatMap { folder in
      let results = try StudyResults.kept(in: folder) ?? StudyResults(folder)
      return results.verdicts.filter { $0.version == Verdict.currentVersion }.map { (results, folder, $0) }
    }
    rows = Rules.all.flatMap { rule -> [Row] in
      let found = all.filter { $0.2.claim.id == rule.claim.id }
      guard !found.isEmpty else { return [Row(untested: rule)] }
      return found.map { Row($0.2, of: $0.0, in: $0.1, change: rule.change) }
    }
  }

  /// The card for people: one line for each claim and study, its parts, and the first version's verdicts.
  public var text: String {
    var lines: [String] = []
    for (place, row) in rows.enumerated() {
      if place == 0 || rows[place - 1].claim != row.claim { lines.append("\(row.claim)  \(row.sentence)") }
      lines.append("    \(row.outcome): \(row.reason)")
      lines += row.parts.map { "      \($0.claim)  \($0.verdict.rawValue)  \($0.sentence)" }
      if place + 1 == rows.count || rows[place + 1].claim != row.claim {
        lines += row.previous.map { "    version 1, \($0.verdict.rawValue) (\($0.study), \($0.profile)): \($0.reason)" }
      }
    }
    return lines.joined(separator: "\n") + "\n\nVerdicts: " + Outcome.counts(rows.map(\.verdict))
  }

  /// The card as a table in Markdown, with links to the studies' folders by their last names.
  public var markdown: String {
    let lines = Rules.all.map { rule in
      let own = rows.filter { $0.claim == rule.claim.id }
      let now = Self.alike(own.map(\.markdown))
      let before = Self.alike((own.first?.previous ?? []).map { "\($0.verdict.rawValue) (\($0.study), \($0.profile))" })
      return "| \(rule.claim.id) | \(rule.claim.sentence) | \(now) | \(before) |"
    }
    return (["| claim | says | verdict | version 1 |", "|---|---|---|---|"] + lines).joined(separator: "\n")
  }

  /// Texts in a list; several settings of one study, such as its networks, may say the same.
  private static func alike(_ texts: [String]) -> String {
    var counts: [(text: String, count: Int)] = []
    for text in texts {
      if counts.last?.text == text { counts[counts.count - 1].count += 1 } else { counts.append((text, 1)) }
    }
    return counts.map { $0.count > 1 ? "\($0.text.dropLast()), in each of \($0.count) settings)" : $0.text }
      .joined(separator: "; ")
  }
}

extension StudyCard.Row {
  /// The verdict of a study.
  init(_ verdict: Verdict, of results: StudyResults, in folder: StudyFolder, change: RuleChange?) {
    let known = verdict.seeds.filter(RuleChange.isSuggested)
    let caveat =
      change == nil || known.isEmpty
      ? "" : " (Seed \(known.map(String.init).joined(separator: ", ")): among those that suggested the rule.)"
    self.init(
      claim: verdict.claim.id, sentence: verdict.claim.sentence, version: verdict.version, verdict: verdict.outcome,
      reason: verdict.explanation + caveat,
      parts: verdict.parts.map { part in
        Self(
          claim: part.id, sentence: part.sentence, version: verdict.version, verdict: part.outcome,
          reason: part.explanation, parts: [], seeds: verdict.seeds, profile: results.profile, study: results.study,
          change: nil, previous: [], folder: nil)
      },
      seeds: verdict.seeds, profile: results.profile, study: results.study, change: change,
      previous: FirstVersion.verdicts(on: verdict.claim.id), folder: folder.url.path)
  }

  /// A claim without a study.
  init(untested rule: any ClaimRule) {
    let studies = StudyCatalog.all.filter { $0.claims.contains(rule.claim.id) }.map(\.id)
    self.init(
      claim: rule.claim.id, sentence: rule.claim.sentence, version: Verdict.currentVersion, verdict: .notTested,
      reason: "It takes " + studies.map { "coherent study run \($0)" }.joined(separator: " or ") + ".", parts: [],
      seeds: [], profile: nil, study: nil, change: rule.change, previous: FirstVersion.verdicts(on: rule.claim.id),
      folder: nil)
  }

  /// The verdict and what it is by.
  fileprivate var outcome: String {
    guard let study, let profile else { return verdict.rawValue }
    let seeds = seeds.isEmpty ? "" : ", seed \(seeds.map(String.init).joined(separator: ", "))"
    return "\(verdict.rawValue) (\(study), \(profile)\(seeds))"
  }

  fileprivate var markdown: String {
    guard let study, let profile, let folder else { return verdict.rawValue }
    let parts = parts.map { "\($0.claim.suffix(1)) \($0.verdict.rawValue)" }.joined(separator: ", ")
    let name = URL(fileURLWithPath: folder).lastPathComponent
    return "\(verdict.rawValue) (\(parts.isEmpty ? "" : parts + "; ")[\(study)](\(name)), \(profile))"
  }
}
