// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import TestSupport
import Testing

@testable import Studies

/// Study folders that were edited or damaged.
@Suite struct ForeignStudyTests {
  private func settings(_ text: String) throws -> StudySettings {
    let scratch = try Scratch()
    return try StudySettings.read(URL(fileURLWithPath: scratch.write(text, "study.yaml")))
  }

  @Test func aRequestReadsBack() throws {
    var wanted = StudySettings(study: "gm/coherence", profile: .small, dataDir: "data: x")
    (wanted.seeds, wanted.threads, wanted.steps, wanted.set) = ([1, .max], 2, 70, ["lr": "0.5", "time": "12:30"])
    #expect(try settings(wanted.yaml()) == wanted)
    let plain = StudySettings(study: "gm/coherence", profile: .smoke)
    #expect(try settings(plain.yaml()) == plain)
  }

  @Test(arguments: [
    "threads: 4611686018427387904:10", "seeds: [4611686018427387904:10]", "steps: 1e300", "threads: -x",
    "seeds: 1", "set: [a]", "profile: huge", "threads: [1]", "set: {a: [b]}", "seeds: &a [1]", "<<: {a: b}",
  ])
  func damagedRequestsAreNamed(_ line: String) throws {
    let key = line.prefix { $0 != ":" }
    let lines = ["study: gm/coherence", "profile: small", "threads: 1", "set: {}"].filter { !$0.hasPrefix(key + ":") }
    #expect { _ = try settings((lines + [line]).joined(separator: "\n")) } throws: {
      "\($0)".contains("study.yaml is not the description of a study")
    }
  }

  /// Levels of noise from manifests are of any size.
  @Test func levelsOfEverySizeAreWritten() {
    for level in [1e300, -1e300, .infinity, .nan] { #expect(Level.text(level).hasSuffix(" % noise")) }
    #expect(Level.text(0.25) == "25 % noise" && Level.text(0.125) == "12.5 % noise")
  }

  /// Quantities of measurements too: no rule ends the program.
  @Test(arguments: [1e300, -1e300, 9.3e18, 0])
  func measuredQuantitiesOfEverySize(_ value: Double) throws {
    let names = [
      "m", "r_orthogonal", "r_identical", "r_cancelling", "seconds_m_1000", "seconds_m_100000", "peak_bytes_m_1000",
      "rounds", "examples", "cases", "seconds_sgd", "sgd", "rm3", "m3",
    ]
    let values = Dictionary(uniqueKeysWithValues: names.map { ($0, value) })
    for kind in ["m-coherence", "linear-example", "step-cost", "learning-order", "median", "laws", "coherence-cost"] {
      let card = try ScoreCard(runs: [], measurements: [Measurement(name: kind, values: values)], claims: nil)
      #expect(!card.text.isEmpty)
    }
  }
}
