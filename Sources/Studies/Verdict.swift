// SPDX-License-Identifier: Apache-2.0

/// What runs say about a claim.
public enum Outcome: String, Sendable, Codable, CaseIterable {
  /// The runs support the claim, by the margins stated beforehand.
  case held
  /// The runs contradict it.
  case didNotHold = "did not hold"
  /// Runs are missing, or what there is does not decide.
  case inconclusive
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

  init(_ name: String, _ value: Double) {
    self.init(name, values: [value])
  }

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
  /// The claim.
  public let claim: Claim
  /// What the runs say.
  public let outcome: Outcome
  /// Why, in one sentence.
  public let explanation: String
  /// The numbers it rests on.
  public let numbers: [NamedValue]
  /// The run directories behind it.
  public let runs: [String]
  /// Their seeds.
  public let seeds: [UInt64]
  /// What was trained, beside what the paper trained.
  public let scale: String
  /// Runs or measurements that the rule looked for and did not find.
  public let missing: [String]
}

/// The part of a verdict that a rule decides.
struct Judgement: Equatable {
  var outcome: Outcome
  var explanation: String
  var numbers: [NamedValue] = []
  var missing: [String] = []
  /// The seeds judged; nil for all of them.
  var seeds: Set<UInt64>?
}

/// Collects what speaks for and against a claim.
struct Assessment {
  private var numbers: [NamedValue] = []
  private var failures: [String] = []
  private var missing: [String] = []
  private var open: [String] = []

  /// A number to report, whichever way it points; no value or an infinite one is left out.
  mutating func note(_ name: String, _ value: Double?) {
    guard let value, value.isFinite, !numbers.contains(where: { $0.name == name }) else { return }
    numbers.append(NamedValue(name, value))
  }

  mutating func note(_ value: NamedValue) { numbers.append(value) }

  /// Something that contradicts the claim.
  mutating func fail(_ reason: String) { failures.append(reason) }

  /// A run or measurement that is not there.
  mutating func miss(_ what: String) {
    if !missing.contains(what) { missing.append(what) }
  }

  /// Something that is there but does not decide.
  mutating func leaveOpen(_ reason: String) { open.append(reason) }

  /// A counter-example decides; without one, everything has to be there.
  func judgement(held: String) -> Judgement {
    func sentence(_ parts: [String]) -> String { parts.joined(separator: "; ") + "." }
    if !failures.isEmpty {
      return Judgement(outcome: .didNotHold, explanation: sentence(failures), numbers: numbers, missing: missing)
    }
    if !open.isEmpty || !missing.isEmpty {
      let gaps = missing.isEmpty ? [] : ["missing: " + missing.joined(separator: ", ")]
      return Judgement(outcome: .inconclusive, explanation: sentence(open + gaps), numbers: numbers, missing: missing)
    }
    return Judgement(outcome: .held, explanation: held + ".", numbers: numbers)
  }
}
