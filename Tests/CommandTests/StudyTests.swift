// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@Suite struct StudyCommandTests {
  @Test func judgesRuns() throws {
    let scratch = try Scratch()
    let runs = try ["0", "0.5"].map { noise in
      try train(SmallData.options.overridden(by: ["--noise", noise]) + ["--out", scratch.path("noise-" + noise)])
      return scratch.path("noise-" + noise)
    }
    let card = scratch.path("card.json")
    let words = try Program.run(["study", "judge"] + runs + ["--out", card])
    #expect(words.code == 0, "\(words.errors)")
    // Thirty steps do not fit anything, but "usually" is about several seeds.
    #expect(words.output.contains("CG-1  inconclusive") && words.output.contains("issing: 3 seeds, 0 % noise"))
    #expect(words.output.contains("2 runs, seed 1: mnist, 200 training examples, mlp:8, sgd"))
    let json = try Program.run(["study", "judge"] + runs + ["--json", "--claims", "mc-2, CG-1"])
    let verdicts = try #require(try object(json.output)["verdicts"] as? [[String: Any]])
    #expect(verdicts.map { ($0["claim"] as? [String: Any])?["id"] as? String } == ["CG-1", "MC-2"])
    #expect(verdicts.map { $0["outcome"] as? String } == ["inconclusive", "inconclusive"])
    let written = try object(try String(contentsOfFile: card, encoding: .utf8))
    #expect((written["verdicts"] as? [Any])?.isEmpty == false)
  }

  @Test func mistakes() async throws {
    let scratch = try Scratch()
    let stranger = await Program.runHere(["study", "judge", "x", "--claims", "CG-61"])
    #expect(
      stranger.code == 64 && stranger.errors.contains("no claim \"CG-61\"")
        && stranger.errors.contains("did you mean CG-"))
    let empty = await Program.runHere(["study", "judge", "x", "--claims", ","])
    #expect(empty.code == 64 && empty.errors.contains("names no claim"))
    let none = await Program.runHere(["study", "judge", scratch.path("none")])
    #expect(none.code == 1 && none.errors.contains("There is no folder"))
    let folder = await Program.runHere(["study", "judge", scratch.url.path])
    #expect(folder.code == 1 && folder.errors.contains("not a run directory"))
    let missing = await Program.runHere(["study", "judge"])
    #expect(missing.code == 64)
  }
}
