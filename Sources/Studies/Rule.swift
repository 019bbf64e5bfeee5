// SPDX-License-Identifier: Apache-2.0

import RunStore

/// How one claim is judged. The margins are constants of the rule, each with its reason.
protocol ClaimRule: Sendable {
  var claim: Claim { get }

  /// How the rule differs from its first version; nil where it does not.
  var change: RuleChange? { get }

  /// Where its code lies below the folder of this target.
  var file: String { get }

  /// What the evidence says about the claim: one verdict for every set of runs that belong together.
  func verdicts(on evidence: Evidence) -> [Verdict]
}

extension ClaimRule {
  var change: RuleChange? { nil }
  var file: String { "Rules/\(claim.id.replacing("-", with: "")).swift" }
}

/// How a rule differs from its first version. A rule changes only for a reason that can be read off the paper's words or
/// follows from arithmetic, never because it failed; the new one is written down before the runs that it judges.
public struct RuleChange: Sendable, Equatable, Codable {
  /// How the claim is judged now.
  public let rule: String
  /// Why: words of the paper, or arithmetic.
  public let reason: String

  /// Whether runs of a seed were among those that suggested the changes: a changed rule is not judged by them.
  static func isSuggested(by seed: UInt64) -> Bool { (1...8).contains(seed) || (101...103).contains(seed) }

  init(_ rule: String, because reason: String) { (self.rule, self.reason) = (rule, reason) }
}

/// What there is to judge by.
struct Evidence {
  let runs: [RunHistory]
  let measurements: [Measurement]
  /// Whether the claim was asked for by name and gets a verdict in any case.
  let isWanted: Bool
}

/// How a claim is judged by runs.
protocol Rule: ClaimRule {
  /// In what the runs of one judgement may differ; they agree in everything else.
  var varying: Set<Factor> { get }

  /// Whether the rule rests on how training ended, so that runs still going on do not count.
  var needsEnd: Bool { get }

  /// Whether the rule reads a run at all.
  func reads(_ run: RunHistory) -> Bool

  /// The sets of runs that are judged together.
  func groups(of runs: [RunHistory]) -> [[RunHistory]]

  /// Whether matching runs say enough for the claim to be on the score card.
  func isSpokenAbout(by runs: [RunHistory]) -> Bool

  /// Judges matching runs; they may be too few, or none.
  func judge(_ runs: [RunHistory]) -> Judgement
}

/// A rule that compares settings with each other: all runs it reads are judged together, however they differ.
protocol PooledRule: Rule {}

extension PooledRule {
  var varying: Set<Factor> { Set(Factor.allCases) }
  func groups(of runs: [RunHistory]) -> [[RunHistory]] { runs.isEmpty ? [] : [runs] }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { !runs.isEmpty }
}

extension Rule {
  var varying: Set<Factor> { [.noise, .seed] }
  var needsEnd: Bool { true }

  /// Stochastic gradient descent; what the full batch does is a claim of its own.
  func reads(_ run: RunHistory) -> Bool { run.optimizer.isSGD && !run.isFullBatch }

  func groups(of runs: [RunHistory]) -> [[RunHistory]] { Matching.groups(runs, varying: varying) }

  /// A comparison over noise levels begins with two.
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { runs.levels.count > 1 }

  /// Judges seed by seed, as `Judgement.combining` says.
  ///
  /// - Parameter minimum: So many seeds have to hold for the claim to hold: more than one where a single pair of runs could
  ///   differ by chance.
  func bySeed(_ runs: [RunHistory], minimum: Int = 1, _ judge: ([RunHistory]) -> Judgement) -> Judgement {
    let seeds = runs.seeds
    let judgement =
      seeds.count > 1
      ? Judgement.combining(seeds.map { seed in (seed: seed, judgement: judge(runs.filter { $0.seed == seed })) })
      : judge(runs)
    return judgement.asking(for: minimum, of: judgement.heldSeeds ?? seeds.count)
  }

  /// Assesses seed by seed.
  func bySeed(
    _ runs: [RunHistory], minimum: Int = 1, held: String, _ assess: ([RunHistory], inout Assessment) -> Void
  ) -> Judgement {
    bySeed(runs, minimum: minimum) { runs in .assessing(held: held) { assess(runs, &$0) } }
  }

  func verdicts(on evidence: Evidence) -> [Verdict] {
    let groups = groups(of: evidence.runs.filter { $0.isAbout(claim) && reads($0) })
    let speaking = groups.filter(isSpokenAbout)
    guard speaking.isEmpty else { return speaking.map(verdict) }
    guard evidence.isWanted else { return [] }
    return [verdict(on: groups.max { $0.count < $1.count } ?? [])]
  }

  private func verdict(on group: [RunHistory]) -> Verdict {
    // Where the loss is no longer a number, what training came to is neither for a claim nor against it.
    let diverged = group.filter(\.isDiverged)
    let unfinished = needsEnd ? group.filter { !$0.hasEnded && !$0.isDiverged } : []
    let runs = group.filter { !$0.isDiverged && ($0.hasEnded || !needsEnd) }
    let judgement = judge(runs)
    let judged = runs.filter { judgement.seeds?.contains($0.seed) ?? true }
    let trained = Matching.description(of: judged.isEmpty ? group : judged)
    return Verdict(
      claim, judgement, runs: judged.map(\.name), measurements: [], seeds: judged.seeds,
      scale: trained.isEmpty ? "no runs (paper: \(claim.setting))" : "\(trained) (paper: \(claim.setting))",
      missing: unfinished.map { "the end of \($0.name), which is still running" }
        + diverged.map { "the end of \($0.name), whose loss was no longer a finite number" })
  }
}

/// Whether values by noise level rise.
struct Trend {
  /// Neighbours that fall, and neighbours that are too close to tell.
  private(set) var falls: [(Double, Double)] = []
  private(set) var ties: [(Double, Double)] = []

  /// - Parameter tolerance: Differences up to this are ties.
  init(_ values: [(level: Double, value: Double)], tolerance: Double) {
    for (before, after) in zip(values, values.dropFirst()) {
      // Two infinities, "never" and "never", are a tie too.
      let difference = before.value == after.value ? 0 : after.value - before.value
      if difference < -tolerance {
        falls.append((before.level, after.level))
      } else if difference <= tolerance {
        ties.append((before.level, after.level))
      }
    }
  }

  /// Writes into an assessment what is against a rise.
  func assess(_ assessment: inout Assessment, of what: String, falling: String, tied: String) {
    for (before, after) in falls {
      assessment.fail("\(what) \(falling) from \(Level.text(before)) to \(Level.text(after))")
    }
    for (before, after) in ties {
      assessment.leaveOpen("\(what) \(tied) at \(Level.text(before)) and \(Level.text(after))")
    }
  }
}

/// How unusual a value is among permutation nulls.
struct PermutationTest {
  /// (1 + number of worlds with at least the actual value)/(N + 1): the real world counts as a permutation.
  let p: Double

  init(actual: Double, nulls: [Double]) { p = Double(1 + nulls.count { $0 >= actual }) / Double(1 + nulls.count) }

  /// The usual level; with 20 worlds it asks for a value above all of them (1/21).
  static let level = 0.05
  /// The least number of permutation nulls: with fewer, no value could be significant at this level.
  static let minimumNulls = 20
}
