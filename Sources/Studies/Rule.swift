// SPDX-License-Identifier: Apache-2.0

/// How one claim is judged. The margins are constants of the rule, each with its reason.
protocol Rule: Sendable {
  var claim: Claim { get }

  /// In what the runs of one judgement may differ; they agree in everything else.
  var varying: Set<Trait> { get }

  /// Whether the rule rests on how training ended, so that runs still going on do not count.
  var needsEnd: Bool { get }

  /// Whether the rule reads a run at all.
  func reads(_ run: StudyRun) -> Bool

  /// Whether matching runs say enough for the claim to be on the score card.
  func isSpokenAbout(by runs: [StudyRun]) -> Bool

  /// Judges matching runs; they may be too few, or none.
  func judge(_ runs: [StudyRun]) -> Judgement
}

extension Rule {
  var varying: Set<Trait> { [.noise, .seed] }
  var needsEnd: Bool { true }
  func reads(_ run: StudyRun) -> Bool { run.optimizer.isSGD }

  /// A comparison over noise levels begins with two.
  func isSpokenAbout(by runs: [StudyRun]) -> Bool { runs.levels.count > 1 }

  /// Judges seed by seed. Seeds that cannot be judged do not count where others can; those that can have to agree.
  func bySeed(_ runs: [StudyRun], _ judge: ([StudyRun]) -> Judgement) -> Judgement {
    let seeds = runs.seeds
    guard seeds.count > 1 else { return judge(runs) }
    let all = seeds.map { seed in (seed: seed, judgement: judge(runs.filter { $0.seed == seed })) }
    let decided = all.filter { $0.judgement.outcome != .inconclusive }
    guard let first = decided.first?.judgement else {
      var result = all[0].judgement
      result.explanation = "No seed decides; seed \(seeds[0]): " + result.explanation
      result.missing = all.flatMap { seed, part in part.missing.map { "\($0), seed \(seed)" } }
      result.seeds = [seeds[0]]
      return result
    }
    let held = decided.count { $0.judgement.outcome == .held }
    let names = decided.reduce(into: [String]()) { found, part in
      for number in part.judgement.numbers where !found.contains(number.name) { found.append(number.name) }
    }
    let numbers = names.map { name in
      NamedValue(name, values: decided.compactMap { $0.judgement.numbers.first { $0.name == name }?.value })
    }
    let agree = held == 0 || held == decided.count
    let against = decided.first { $0.judgement.outcome == .didNotHold }
    let basis = decided.count == 1 ? "seed \(decided[0].seed) alone decides" : "in each of \(decided.count) seeds"
    return Judgement(
      outcome: agree ? first.outcome : .inconclusive,
      explanation: agree
        ? "\(first.explanation.dropLast()) (\(basis))."
        : "Held with \(held) of \(decided.count) seeds, but with seed \(against?.seed ?? 0): "
          + (against?.judgement.explanation ?? ""),
      numbers: numbers, missing: [], seeds: Set(decided.map(\.seed)))
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

/// How unusual a value is among null worlds.
struct PermutationTest {
  /// (1 + number of worlds with at least the actual value)/(N + 1): the real world counts as a permutation.
  let p: Double

  init(actual: Double, nulls: [Double]) {
    p = Double(1 + nulls.count { $0 >= actual }) / Double(1 + nulls.count)
  }

  /// The usual level; with 20 worlds it asks for a value above all of them (1/21).
  static let level = 0.05
  /// The least number of null worlds: with fewer, no value could be significant at this level.
  static let leastWorlds = 20
}
