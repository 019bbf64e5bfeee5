// SPDX-License-Identifier: Apache-2.0

import Charts

/// What runs say about a claim.
public enum Outcome: String, Sendable, Codable, CaseIterable {
  /// The runs support the claim, by the margins stated beforehand.
  case held
  /// The runs contradict it.
  case didNotHold = "did not hold"
  /// Runs are missing, or what there is does not decide.
  case inconclusive
  /// The runs are no test of the claim: it takes something that they do not have, which the explanation names.
  case notTested = "not tested"

  /// How many there are of each kind, in words.
  static func counts(_ outcomes: [Outcome]) -> String {
    allCases.map { outcome in "\(outcomes.count { $0 == outcome }) \(outcome.rawValue)" }.joined(separator: ", ")
  }
}

/// A number behind a verdict: one value, or the mean over seeds with its range.
public struct NamedValue: Sendable, Equatable, Codable {
  /// What it is, with unit or step where it needs one.
  public let name: String
  /// The value, or the mean over seeds.
  public let value: Double
  /// The least value over seeds; nil for one value.
  public let low: Double?
  /// The greatest value over seeds; nil for one value.
  public let high: Double?

  init(_ name: String, _ value: Double) { self.init(name, values: [value]) }

  /// - Parameter values: At least one, by seed.
  init(_ name: String, values: [Double]) {
    self.name = name
    value = values.reduce(0, +) / Double(max(1, values.count))
    low = values.count > 1 ? values.min() : nil
    high = values.count > 1 ? values.max() : nil
  }
}

/// What runs say about one claim, and why.
public struct Verdict: Sendable, Equatable, Codable {
  /// What is said about one part of a claim.
  public struct Part: Sendable, Equatable, Codable {
    /// The claim's name with a letter, such as `CG-5a`.
    public let id: String
    /// This part of the claim.
    public let sentence: String
    /// What the runs say about it.
    public let outcome: Outcome
    /// Why, in one sentence.
    public let explanation: String
    /// The numbers it rests on.
    public let numbers: [NamedValue]
  }

  /// The claim.
  public let claim: Claim
  /// The version of the rule: 2, or 1 in what was written before rules had versions.
  public let version: Int
  /// What the runs say.
  public let outcome: Outcome
  /// Why, in one sentence.
  public let explanation: String
  /// The verdicts on the parts of a claim that says several things; empty for others.
  public let parts: [Part]
  /// The numbers it rests on.
  public let numbers: [NamedValue]
  /// The run directories behind it.
  public let runs: [String]
  /// The names of the measurements behind it.
  public let measurements: [String]
  /// The seeds of both.
  public let seeds: [UInt64]
  /// What was trained, beside what the paper trained.
  public let scale: String
  /// Runs or measurements that the rule looked for and did not find, and the cells of its study that failed.
  public let missing: [String]
}

extension Verdict {
  /// The present version of the rules.
  public static let currentVersion = 2

  init(
    _ claim: Claim, _ judgement: Judgement, runs: [String], measurements: [String], seeds: [UInt64], scale: String,
    missing: [String] = []
  ) {
    self.init(
      claim: claim, version: Self.currentVersion, outcome: judgement.outcome, explanation: judgement.sentence,
      parts: judgement.parts.map { part in
        Part(
          id: claim.id + part.letter, sentence: part.sentence, outcome: part.judgement.outcome,
          explanation: part.judgement.sentence, numbers: part.judgement.numbers)
      },
      numbers: judgement.numbers, runs: runs, measurements: measurements, seeds: seeds, scale: scale,
      missing: judgement.missing + missing)
  }

  private enum CodingKeys: String, CodingKey {
    case claim, version, outcome, explanation, parts, numbers, runs, measurements, seeds, scale, missing
  }

  /// Reads a verdict; one without a version is of the first.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      claim: try values.decode(Claim.self, forKey: .claim),
      version: try values.decodeIfPresent(Int.self, forKey: .version) ?? 1,
      outcome: try values.decode(Outcome.self, forKey: .outcome),
      explanation: try values.decode(String.self, forKey: .explanation),
      parts: try values.decodeIfPresent([Part].self, forKey: .parts) ?? [],
      numbers: try values.decode([NamedValue].self, forKey: .numbers),
      runs: try values.decode([String].self, forKey: .runs),
      measurements: try values.decode([String].self, forKey: .measurements),
      seeds: try values.decode([UInt64].self, forKey: .seeds),
      scale: try values.decode(String.self, forKey: .scale),
      missing: try values.decode([String].self, forKey: .missing))
  }
}

/// The part of a verdict that a rule decides.
struct Judgement: Equatable {
  /// What is decided about one part of a claim.
  struct Part: Equatable {
    let letter: String
    let sentence: String
    var judgement: Judgement
  }

  var outcome: Outcome
  var explanation: String
  var numbers: [NamedValue] = []
  var missing: [String] = []
  /// Whether something that is there does not decide; otherwise an inconclusive judgement lacks runs only.
  var isOpen = false
  /// The seeds judged; nil for all of them.
  var seeds: Set<UInt64>?
  /// Of several seeds, how many the claim held with.
  var heldSeeds: Int?
  /// The parts that it was put together from.
  var parts: [Part] = []
}

extension Judgement {
  /// The explanation as a sentence.
  var sentence: String {
    // fᵖ, iᵖ and r are symbols and stay small.
    guard let first = explanation.first,
      !["fᵖ", "iᵖ", "r ", "rm3", "m3", "ra3", "sgd", "α "].contains(where: explanation.hasPrefix)
    else { return explanation }
    return first.uppercased() + explanation.dropFirst()
  }

  /// What an assessment comes to.
  static func assessing(held: String, _ assess: (inout Assessment) -> Void) -> Judgement {
    var assessment = Assessment()
    assess(&assessment)
    return assessment.judgement(held: held)
  }

  /// The judgement of a claim from those of its parts, whose letters are a, b, c and so on.
  static func joining(_ parts: [(sentence: String, judgement: Judgement)]) -> Judgement {
    joining(
      zip("abcdefghijklmnopqrstuvwxyz", parts).map { letter, part in
        Part(letter: String(letter), sentence: part.sentence, judgement: part.judgement)
      })
  }

  /// The same for parts whose sentences are known.
  static func joining(_ parts: KeyValuePairs<String, Judgement>) -> Judgement {
    joining(parts.map { (sentence: $0.key, judgement: $0.value) })
  }

  /// The judgement of a claim from those of its parts: it holds when all of them do, and does not when one does not. Parts
  /// that were not tested leave it open, unless none was.
  static func joining(_ parts: [Part]) -> Judgement {
    let outcomes = Set(parts.map(\.judgement.outcome))
    let outcome: Outcome =
      outcomes.count == 1
      ? outcomes.first ?? .inconclusive : outcomes.contains(.didNotHold) ? .didNotHold : .inconclusive
    // What speaks against the claim comes first.
    let order: [Outcome] = [.didNotHold, .inconclusive, .notTested, .held]
    let clauses = order.flatMap { word in
      parts.filter { $0.judgement.outcome == word }.map { part in
        "(\(part.letter)) \(word.rawValue): \(part.judgement.explanation.dropLast(part.judgement.explanation.hasSuffix(".") ? 1 : 0))"
      }
    }
    var numbers: [NamedValue] = []
    for number in parts.flatMap(\.judgement.numbers) where !numbers.contains(where: { $0.name == number.name }) {
      numbers.append(number)
    }

    let seeds = parts.compactMap(\.judgement.seeds)
    return Judgement(
      outcome: outcome, explanation: clauses.joined(separator: "; ") + ".", numbers: numbers,
      missing: unique(parts.flatMap(\.judgement.missing)),
      isOpen: parts.contains { $0.judgement.isOpen },
      seeds: seeds.count == parts.count ? seeds.reduce([]) { $0.union($1) } : nil,
      heldSeeds: parts.compactMap(\.judgement.heldSeeds).min(), parts: parts)
  }

  /// The judgement of several seeds. A seed whose runs are missing does not count where others do. Of those that count
  /// more than half have to decide, and those that decide have to agree: a claim that two seeds of three leave open has
  /// not held.
  ///
  /// - Parameter all: At least one.
  static func combining(_ all: [(seed: UInt64, judgement: Judgement)]) -> Judgement {
    if let first = all.first, !first.judgement.parts.isEmpty {
      return joining(
        first.judgement.parts.map { part in
          let own = all.compactMap { seed, judgement in
            judgement.parts.first { $0.letter == part.letter }.map { (seed: seed, judgement: $0.judgement) }
          }
          return Part(letter: part.letter, sentence: part.sentence, judgement: combining(own))
        })
    }
    let fair = all.filter { $0.judgement.outcome != .notTested }
    if fair.isEmpty, let first = all.first { return first.judgement }
    let counting = fair.filter { $0.judgement.outcome != .inconclusive || $0.judgement.isOpen }
    let missing = all.flatMap { seed, part in part.missing.map { "\($0), seed \(seed)" } }
    guard !counting.isEmpty else {
      var result = fair[0].judgement
      result.explanation = "No seed decides; seed \(fair[0].seed): " + result.explanation
      (result.missing, result.seeds) = (missing, [fair[0].seed])
      return result
    }
    let (outcome, explanation) = joined(counting)
    return Judgement(
      outcome: outcome, explanation: explanation, numbers: numbers(of: counting.map(\.judgement)), missing: missing,
      isOpen: outcome == .inconclusive, seeds: Set(counting.map(\.seed)),
      heldSeeds: counting.count { $0.judgement.outcome == .held })
  }

  /// What seeds that count say together, and why.
  private static func joined(_ counting: [(seed: UInt64, judgement: Judgement)]) -> (Outcome, String) {
    let decided = counting.filter { $0.judgement.outcome != .inconclusive }
    let open = counting.first { $0.judgement.outcome == .inconclusive }
    let undecided = open.map { "seed \($0.seed) leaves it open: \($0.judgement.explanation)" } ?? ""
    guard let first = decided.first else { return (.inconclusive, "No seed decides; \(undecided)") }
    let outcome = first.judgement.outcome
    let held = decided.count { $0.judgement.outcome == .held }
    if held > 0, let against = decided.first(where: { $0.judgement.outcome == .didNotHold }) {
      return (
        .inconclusive,
        "Held with \(held) of \(counting.count) seeds, but with seed \(against.seed): " + against.judgement.explanation
      )
    }
    guard 2 * decided.count > counting.count else {
      return (.inconclusive, "With \(decided.count) of \(counting.count) seeds it \(outcome.rawValue); \(undecided)")
    }
    let basis =
      decided.count == 1
      ? "seed \(first.seed) alone decides"
      : "in \(open == nil ? "each of" : "\(decided.count) of") \(counting.count) seeds"
    let rest = open == nil ? "" : "; \(undecided.dropLast())"
    let reason = first.judgement.explanation.dropLast()
    // Seeds that come to the same by other numbers are not made to say the first one's.
    let isOne = decided.allSatisfy { $0.judgement.explanation == first.judgement.explanation }
    return (outcome, isOne ? "\(reason) (\(basis)\(rest))." : "\(basis), such as seed \(first.seed): \(reason)\(rest).")
  }

  /// Each number with its range over the seeds that have it.
  private static func numbers(of parts: [Judgement]) -> [NamedValue] {
    unique(parts.flatMap { $0.numbers.map(\.name) }).map { name in
      NamedValue(name, values: parts.compactMap { part in part.numbers.first { $0.name == name }?.value })
    }
  }

  /// The same, but open when the claim holds with too few seeds.
  func asking(for minimum: Int, of count: Int) -> Judgement {
    guard outcome == .held, count < minimum else { return self }
    var result = self
    result.outcome = .inconclusive
    result.missing.append("\(minimum) seeds (\(count) so far)")
    result.explanation += " But one pair of runs can differ by chance; missing: \(minimum) seeds (\(count) so far)."
    return result
  }
}

/// Collects what speaks for and against a claim.
struct Assessment {
  private var numbers: [NamedValue] = []
  private var failures: [String] = []
  private var missing: [String] = []
  private var open: [String] = []
  private var doubts: [String] = []
  private var unfair: [String] = []

  /// A number to report, whichever way it points; no value or an infinite one is left out.
  mutating func note(_ name: String, _ value: Double?) {
    guard let value, value.isFinite, !numbers.contains(where: { $0.name == name }) else { return }
    numbers.append(NamedValue(name, value))
  }

  mutating func note(_ value: NamedValue) { numbers.append(value) }

  /// Something that contradicts the claim.
  mutating func fail(_ reason: String) { failures.append(reason) }

  /// A run or measurement that is not there.
  mutating func miss(_ what: String) { if !missing.contains(what) { missing.append(what) } }

  /// A value, such as a run, that there has to be; where there is none, that is named as missing.
  mutating func need<Value>(_ value: Value?, _ what: @autoclosure () -> String) -> Value? {
    if value == nil { miss(what()) }
    return value
  }

  /// A comparison that comes out as the claim says, or contradicts it, or does not decide.
  mutating func expect(_ comparison: Bool?, else failure: @autoclosure () -> String, open: @autoclosure () -> String) {
    switch comparison {
    case true?: break
    case false?: fail(failure())
    case nil: leaveOpen(open())
    }
  }

  /// Something that is there but does not decide.
  mutating func leaveOpen(_ reason: String) { open.append(reason) }

  /// Something without which the numbers say nothing about the claim, whichever way they point.
  mutating func doubt(_ reason: String) { doubts.append(reason) }

  /// Something that makes the runs no test of the claim, whichever way they point, and what a test takes.
  mutating func notTested(_ reason: String) { unfair.append(reason) }

  /// A counter-example decides, unless it is one in doubt; without one, everything has to be there.
  func judgement(held: String) -> Judgement {
    func sentence(_ parts: [String]) -> String { parts.joined(separator: "; ") + "." }
    if !unfair.isEmpty {
      return Judgement(outcome: .notTested, explanation: sentence(unfair), numbers: numbers, missing: missing)
    }
    let open = doubts + open
    if !failures.isEmpty, doubts.isEmpty {
      return Judgement(outcome: .didNotHold, explanation: sentence(failures), numbers: numbers, missing: missing)
    }
    if !open.isEmpty || !missing.isEmpty {
      let gaps = missing.isEmpty ? [] : ["missing: " + missing.joined(separator: ", ")]
      return Judgement(
        outcome: .inconclusive, explanation: sentence(open + gaps), numbers: numbers, missing: missing,
        isOpen: !open.isEmpty)
    }
    return Judgement(outcome: .held, explanation: held + ".", numbers: numbers)
  }
}
