// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// The rules by claim.
enum Rules {
  static let all: [any ClaimRule] =
    [
      CG1(), CG2(), CG3(), CG4(), CG5(), CG6(), CG7(), CG8(), CG9(), CG10(), CG11(), CG12(),
      WS1(), WS2(), WS3(), WS4(), WS5(), WS6(), WS7(), WS8(), WS9(), WS10(), WS11(),
      MC1(), MC2(), MC3(), MC4(), MC5(),
      GM1(), GM2(), GM3(), GM4(), GM5(), GM6(), GM7(), GM8(),
    ] + StudyCatalog.own.flatMap(\.rules)

  /// How a claim is judged and was judged by the first version, and what came of that, in sentences.
  static func history(of claim: String) -> [String] {
    guard let rule = all.first(where: { $0.claim.id == claim }) else { return [] }
    let earlier = FirstVersion.verdicts(on: claim)
    let unchanged = earlier.isEmpty ? "The rule is new." : "The rule is unchanged."
    let now = rule.change.map { ["Version 2: \($0.rule)", "Why it changed: \($0.reason)"] } ?? [unchanged]
    let before = earlier.first.map { ["Version 1: \($0.rule)."] } ?? []
    return now + before
      + earlier.map { verdict in
        let seeds = verdict.seeds.isEmpty ? "" : ", seed \(verdict.seeds.map(String.init).joined(separator: ", "))"
        return "Version 1 on the first runs (\(verdict.study), \(verdict.profile)\(seeds)): "
          + "\(verdict.verdict.rawValue). \(verdict.reason)"
      }
  }
}

/// What runs and measurements say about the claims of the papers.
///
/// Runs are matched by their manifests: those that agree in data set, model, learning rate and so on, and differ in
/// what a claim is about, are judged together. A claim is judged once for each such set of runs.
public struct ScoreCard: Sendable, Equatable, Codable {
  /// The verdicts, in the order of the claims.
  public let verdicts: [Verdict]

  /// The claims that can be judged, in the order of the papers.
  public static let claims: [Claim] = Rules.all.map(\.claim)

  /// Judges runs and measurements.
  ///
  /// - Parameters:
  ///   - directories: Run directories.
  ///   - measurements: What computations without training gave.
  ///   - wanted: Identifiers, such as `CG-6`, in any case; each gets a verdict, be it that runs are missing. Without
  ///     them, the claims that runs and measurements speak about.
  ///   - folder: Runs inside this folder are named by their path below it.
  /// - Throws: `RunStoreError` when a run cannot be read; `StudyError` for an unknown claim.
  public init(
    runs directories: [RunDirectory], measurements: [Measurement] = [], claims wanted: [String]? = nil,
    relativeTo folder: URL? = nil
  ) throws {
    let known = Set(Self.claims.map(\.id))
    let ids = wanted.map { Set($0.map { $0.uppercased() }) }
    if let stranger = ids?.subtracting(known).sorted().first {
      throw StudyError(
        "There is no claim \"\(stranger)\".",
        remedy: "The claims that can be judged are \(Self.claims.map(\.id).joined(separator: ", ")).")
    }
    var seen: Set<String> = []
    let evidence = Evidence(
      runs: try directories.filter { seen.insert($0.url.path).inserted }.map { try RunHistory($0, relativeTo: folder) },
      measurements: measurements, isWanted: ids != nil)
    verdicts = Rules.all.filter { ids?.contains($0.claim.id) ?? true }.flatMap { $0.verdicts(on: evidence) }
  }

  /// Writes the verdicts as JSON, all at once or not at all.
  ///
  /// - Throws: `RunStoreError` when the file cannot be written.
  public func write(to url: URL) throws { try writeAtomically(prettyJSON(self) + Data("\n".utf8), to: url) }
}

extension ScoreCard {
  /// The score card for people: outcome, claim, numbers and reason of each verdict.
  public var text: String {
    guard !verdicts.isEmpty else {
      return "These runs say nothing about the claims that can be judged "
        + "(\(Self.claims.map(\.id).joined(separator: ", ")))."
    }
    return (verdicts.map(\.text) + [Outcome.counts(verdicts.map(\.outcome))]).joined(separator: "\n\n")
  }
}

extension Verdict {
  /// The verdict in a few lines.
  public var text: String {
    var lines = ["\(claim.id)  \(outcome.rawValue)", "  \(claim.sentence)", "  → \(explanation)"]
    lines += parts.map { "    \($0.id)  \($0.outcome.rawValue)  \($0.sentence)" }
    lines += numbers.map { "    \($0.text)" }
    let unsaid = missing.filter { !explanation.contains($0) }
    if !unsaid.isEmpty {
      // The cells without results stand below all claims.
      let shown = unsaid.prefix(4).joined(separator: ", ")
      lines.append("  missing: \(shown)\(unsaid.count > 4 ? " and \(unsaid.count - 4) more" : "")")
    }
    let seeds = seeds.map(String.init).joined(separator: ", ")
    func count(_ names: [String], _ word: String) -> String { "\(names.count) \(word)\(names.count == 1 ? "" : "s")" }
    let basis = measurements.isEmpty ? count(runs, "run") : count(measurements, "measurement")
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
