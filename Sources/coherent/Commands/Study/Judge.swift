// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import NeuralNetworks
import RunStore
import Studies
import Runs
import Training

extension StudyCommand {
  struct Judge: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Judge the papers' claims from runs: held, did not hold or inconclusive, with the numbers.",
      discussion: """
        Runs are matched by data set, model, optimizer, noise and seed; runs that a claim needs and lacks are named. \
        The margins are fixed in the rules (Sources/Studies/Rules).

        Example: coherent study judge runs/noise-0 runs/noise-50 runs/noise-100
        """)

    @Argument(help: "The run directories.") var runs: [String]
    @Option(help: "Only these claims, such as MC-2,CG-6; each gets a verdict. (default: those the runs bear on)")
    var claims: String?
    @Flag(help: "Print as JSON.") var json = false
    @Option(help: "Also write the score card to this JSON file.") var out: String?

    func validate() throws { _ = try claims.map(Self.claimNames) }

    func run() throws {
      let wanted = try claims.map(Self.claimNames)
      let card = try ScoreCard(runs: runs.map { try RunDirectory.open(at: $0) }, claims: wanted)
      if let out { try card.write(to: URL(fileURLWithPath: out)) }
      if json { return try Console.json(card) }
      Console.print(card.text)
    }

    /// The names in a list, each a known claim.
    static func claimNames(_ list: String) throws -> [String] {
      let known = ScoreCard.claims.map(\.id)
      let names = list.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces).uppercased() }
      guard !names.isEmpty else {
        throw ValidationError("--claims names no claim; known claims: \(known.joined(separator: ", ")).")
      }
      for name in names where !known.contains(name) {
        let hint = nearest(to: name, in: known).map { "did you mean \($0)? " } ?? ""
        throw ValidationError(
          "There is no claim \"\(name)\" to judge; \(hint)known claims: \(known.joined(separator: ", ")).")
      }
      return names
    }
  }
}
