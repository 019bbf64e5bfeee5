// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// The rules by claim.
enum Rules {
  static let all: [any Rule] = [
    CG1(), CG2(), CG3(), CG4(), CG6(), CG7(), CG8(), CG9(), CG10(), CG11(), WS2(), WS3(), MC2(), MC3(), MC4(),
  ]
}

/// What runs say about the claims of the papers.
///
/// Runs are matched by their manifests: those that agree in data set, model, learning rate and so on, and differ in
/// what a claim is about, are judged together. A claim is judged once for each such set of runs.
public struct ScoreCard: Sendable, Equatable, Codable {
  /// The verdicts, in the order of the claims.
  public let verdicts: [Verdict]

  /// The claims that can be judged, in the order of the papers.
  public static let claims: [Claim] = Rules.all.map(\.claim)

  /// Judges runs.
  ///
  /// - Parameters:
  ///   - runs: Run directories.
  ///   - claims: Identifiers, such as `CG-6`, in any case; each gets a verdict, be it that runs are missing. Without
  ///     them, the claims that the runs speak about.
  /// - Throws: `RunStoreError` when a run cannot be read; `StudyError` for an unknown claim.
  public init(runs directories: [RunDirectory], claims wanted: [String]? = nil) throws {
    let known = Set(Self.claims.map(\.id))
    let ids = wanted.map { Set($0.map { $0.uppercased() }) }
    if let stranger = ids?.subtracting(known).sorted().first {
      throw StudyError(
        "There is no claim \"\(stranger)\".",
        remedy: "The claims that can be judged are \(Self.claims.map(\.id).joined(separator: ", ")).")
    }
    var seen: Set<String> = []
    let runs = try directories.filter { seen.insert($0.url.path).inserted }.map(StudyRun.init)
    verdicts = Rules.all.filter { ids?.contains($0.claim.id) ?? true }.flatMap { rule in
      Self.verdicts(of: rule, on: runs, isWanted: ids != nil)
    }
  }

  /// Writes the verdicts as JSON, all at once or not at all.
  ///
  /// - Throws: `RunStoreError` when the file cannot be written.
  public func write(to url: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try writeAtomically(try encoder.encode(self) + Data("\n".utf8), to: url)
  }

  private static func verdicts(of rule: any Rule, on runs: [StudyRun], isWanted: Bool) -> [Verdict] {
    let groups = Matching.groups(runs.filter(rule.reads), varying: rule.varying)
    let speaking = groups.filter(rule.isSpokenAbout)
    guard speaking.isEmpty else { return speaking.map { verdict(of: rule, on: $0) } }
    guard isWanted else { return [] }
    return [verdict(of: rule, on: groups.max { $0.count < $1.count } ?? [])]
  }

  private static func verdict(of rule: any Rule, on group: [StudyRun]) -> Verdict {
    let runs = rule.needsEnd ? group.filter(\.hasEnded) : group
    let unfinished = rule.needsEnd ? group.filter { !$0.hasEnded } : []
    let judgement = rule.judge(runs)
    let judged = runs.filter { judgement.seeds?.contains($0.seed) ?? true }
    let trained = Matching.description(of: judged.isEmpty ? group : judged)
    return Verdict(
      claim: rule.claim, outcome: judgement.outcome, explanation: Self.capitalized(judgement.explanation),
      numbers: judgement.numbers, runs: judged.map(\.name), seeds: judged.seeds,
      scale: trained.isEmpty ? "no runs (paper: \(rule.claim.setting))" : "\(trained) (paper: \(rule.claim.setting))",
      missing: judgement.missing + unfinished.map { "the end of \($0.name), which is still going on" })
  }

  private static func capitalized(_ sentence: String) -> String {
    // fᵖ, iᵖ and r are symbols and stay small.
    guard let first = sentence.first,
      !["fᵖ", "iᵖ", "r ", "rm3", "m3", "ra3", "sgd"].contains(where: sentence.hasPrefix)
    else { return sentence }
    return first.uppercased() + sentence.dropFirst()
  }
}

extension ScoreCard {
  /// The score card for people: outcome, claim, numbers and reason of each verdict.
  public var text: String {
    guard !verdicts.isEmpty else {
      return "These runs say nothing about the claims that can be judged "
        + "(\(Self.claims.map(\.id).joined(separator: ", ")))."
    }
    let counts = Outcome.allCases.map { outcome in
      "\(verdicts.count { $0.outcome == outcome }) \(outcome.rawValue)"
    }
    return (verdicts.map(\.text) + [counts.joined(separator: ", ")]).joined(separator: "\n\n")
  }
}

extension Verdict {
  /// The verdict in a few lines.
  public var text: String {
    var lines = ["\(claim.id)  \(outcome.rawValue)", "  \(claim.sentence)", "  → \(explanation)"]
    lines += numbers.map { "    \($0.text)" }
    let unsaid = missing.filter { !explanation.contains($0) }
    if !unsaid.isEmpty { lines.append("  missing: \(unsaid.joined(separator: ", "))") }
    let seeds = seeds.map(String.init).joined(separator: ", ")
    let basis = runs.count == 1 ? "1 run" : "\(runs.count) runs"
    lines.append("  \(basis)\(seeds.isEmpty ? "" : ", seed \(seeds)"): \(scale)")
    return lines.joined(separator: "\n")
  }
}

extension NamedValue {
  /// Name and value, with the range over seeds.
  public var text: String {
    func number(_ value: Double) -> String { String(format: abs(value) >= 1000 ? "%.0f" : "%.4g", value) }
    guard let low, let high else { return "\(name): \(number(value))" }
    return "\(name): \(number(value)) (\(number(low)) to \(number(high)))"
  }
}
