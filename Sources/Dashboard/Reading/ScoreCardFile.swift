// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// The score card of a study, as far as pages show it: `scorecard.json`.
struct ScoreCardFile: Decodable, Sendable {
  /// A claim.
  struct Claim: Decodable, Sendable {
    let id, sentence: String
    let paper, section: String?
  }

  /// A number that an outcome rests on.
  struct Number: Decodable, Sendable {
    let name: String
    let value: Double?
    let low, high: Double?
  }

  /// A part of a claim that was judged on its own.
  struct Part: Decodable, Sendable {
    let id, outcome: String
    let sentence, explanation: String?
  }

  /// What became of a claim.
  struct Verdict: Decodable, Sendable {
    let claim: Claim
    let outcome: String
    let explanation: String?
    let numbers: [Number]?
    let parts: [Part]?
    let missing: [String]?
  }

  /// A run of the study.
  struct Cell: Decodable, Sendable {
    let name: String
    let title, status, results: String?
  }

  let study: String
  let profile: String?
  let verdicts: [Verdict]
  let cells: [Cell]?

  /// The score card of a study; nil where there is none that can be read.
  ///
  /// - Parameter folder: the study's folder.
  init?(_ folder: URL) {
    guard let data = try? readFile(folder.appendingPathComponent("scorecard.json")),
      let card = try? JSONDecoder().decode(Self.self, from: data)
    else { return nil }
    self = card
  }

  /// How many claims had each outcome, in the order of `outcomes`, without those that none had.
  var tally: [(outcome: String, count: Int)] {
    Self.outcomes.compactMap { outcome in
      let count = verdicts.count { $0.outcome == outcome }
      return count > 0 ? (outcome, count) : nil
    }
  }

  /// What can become of a claim.
  static let outcomes = ["held", "did not hold", "inconclusive", "not tested"]
}
