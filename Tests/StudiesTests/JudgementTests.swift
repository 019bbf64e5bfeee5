// SPDX-License-Identifier: Apache-2.0

import Foundation
import Reports
import RunStore
import Testing
import TestSupport

@testable import Studies

/// How judgements of seeds, and of runs that came to nothing, become a verdict.
@Suite struct JudgementTests {
  private func held(_ value: Double = 1) -> Judgement {
    Judgement(outcome: .held, explanation: "It holds.", numbers: [NamedValue("x", value)])
  }
  private let against = Judgement(outcome: .didNotHold, explanation: "It does not.")
  private let open = Judgement(
    outcome: .inconclusive, explanation: "They are alike.", numbers: [NamedValue("x", 5)], isOpen: true)
  private let absent = Judgement(outcome: .inconclusive, explanation: "Missing: a run.", missing: ["a run"])

  private func combined(_ parts: Judgement...) -> Judgement {
    .combining(parts.enumerated().map { (seed: UInt64($0 + 1), judgement: $1) })
  }

  @Test func seedsHaveToAgree() {
    let all = combined(held(1), held(2), held(3))
    #expect(all.outcome == .held && all.explanation == "It holds (in each of 3 seeds).")
    #expect(all.numbers == [NamedValue("x", values: [1, 2, 3])] && all.seeds == [1, 2, 3] && all.missing.isEmpty)
    #expect(combined(against, against).outcome == .didNotHold)
    let split = combined(held(), against, held())
    #expect(split.outcome == .inconclusive && split.explanation.contains("2 of 3 seeds, but with seed 2: It does not"))
  }

  /// A seed whose data do not decide speaks against nothing, and for nothing either.
  @Test func openSeedsCount() {
    let most = combined(held(1), open, held(3))
    #expect(most.outcome == .held && most.seeds == [1, 2, 3] && most.numbers[0].high == 5)
    #expect(most.explanation == "It holds (in 2 of 3 seeds; seed 2 leaves it open: They are alike).")
    for outcome in [combined(held(), open, open), combined(open, against), combined(open, open)] {
      #expect(outcome.outcome == .inconclusive && outcome.explanation.contains("They are alike"))
    }
    #expect(combined(held(), open, open).explanation.hasPrefix("With 1 of 3 seeds it held; seed 2"))
    // Open and lacking something is open still.
    var both = open
    both.missing = ["a run"]
    #expect(combined(held(), both, both).outcome == .inconclusive)
    // Where a least number of seeds has to hold, open ones are none of them.
    let few = combined(held(), held(), open).asking(for: 3, of: combined(held(), held(), open).heldSeeds ?? 0)
    #expect(few.outcome == .inconclusive && few.explanation.contains("3 seeds (2 so far)"))
  }

  /// What one seed says is not put into the mouths of the others.
  @Test func reasonsStayWithTheirSeeds() {
    let other = Judgement(outcome: .didNotHold, explanation: "Another way.", missing: ["a run"])
    let both = combined(against, other)
    #expect(both.outcome == .didNotHold && both.missing == ["a run, seed 2"])
    #expect(both.explanation == "in each of 2 seeds, such as seed 1: It does not.")
  }

  /// A seed whose runs are not there is named, and does not count.
  @Test func missingSeedsDoNot() {
    let one = combined(held(), absent, absent)
    #expect(one.outcome == .held && one.explanation == "It holds (seed 1 alone decides)." && one.seeds == [1])
    #expect(one.missing == ["a run, seed 2", "a run, seed 3"])
    #expect(combined(absent, absent).outcome == .inconclusive && combined(absent, open).outcome == .inconclusive)
    #expect(combined(absent, absent).missing.count == 2)
  }

  @Test func doubtOutweighsCounterExamples() {
    var assessment = Assessment()
    assessment.fail("it is smaller")
    #expect(assessment.judgement(held: "").outcome == .didNotHold)
    assessment.doubt("nothing was learned")
    let judgement = assessment.judgement(held: "")
    #expect(judgement.outcome == .inconclusive && judgement.explanation.contains("nothing was learned"))
  }

  /// Runs compare if they agree in how they were trained, too: what is usual is not said.
  @Test func runsThatDiffer() throws {
    let scratch = try Scratch()
    let usual = SampleRun(noise: 0.5)
    let changes: [(String, (inout SampleRun) -> Void)] = [
      ("momentum 0.9", { $0.momentum = 0.9 }), ("weight decay 0.01", { $0.weightDecay = 0.01 }),
      ("cosine schedule", { $0.schedule = "cosine" }), ("step schedule", { $0.schedule = "step:30,60" }),
      ("norm group:8", { $0.extra["norm"] = "group:8" }), ("augmented by flip", { $0.extra["augment"] = "flip" }),
    ]
    let plain = try RunHistory(
      usual.with { ($0.momentum, $0.weightDecay, $0.schedule) = (0, 0, "constant") }.write(in: scratch))
    #expect(try Matching.groups([plain, RunHistory(usual.write(in: scratch))], varying: []).count == 1)
    for (words, change) in changes {
      let other = try RunHistory(usual.with(change).write(in: scratch))
      #expect(Matching.groups([plain, other], varying: []).count == 2, "\(words)")
      let (first, second) = (Matching.description(of: [plain]), Matching.description(of: [other]))
      #expect(second.contains(words) && !first.contains(words), "\(second)")
    }
    // Milestones are steps, which differ with the batch.
    let steps = try ["step:30,60", "step:60,120"].map { word in
      try RunHistory(usual.with { $0.schedule = word }.write(in: scratch))
    }
    #expect(Matching.groups(steps, varying: []).count == 1)
  }

  /// Labels from a file: the level that would change as many of ten classes.
  @Test func theLevelOfLabelsFromElsewhere() throws {
    let scratch = try Scratch()
    let run = SampleRun(noise: 0.45, realised: 0.45).with { $0.kind = RunManifest.Noise.external }
    #expect(try abs(RunHistory(run.write(in: scratch)).noise - 0.5) < 1e-9)
    #expect(try RunHistory(SampleRun(noise: 0.45, realised: 0.4).write(in: scratch)).noise == 0.45)
  }

  /// The report of such a run names the level that the score card judges it by.
  @Test func reportAndScoreCardAgreeOnTheLevel() throws {
    let scratch = try Scratch()
    let directory = try SampleRun(noise: 0.45, realised: 0.45).with { $0.kind = RunManifest.Noise.external }
      .write(in: scratch)
    let bundle = directory.url.appendingPathComponent("bundle.js")
    try Data("//".utf8).write(to: bundle)
    let page = try Report(runs: [directory]).html(bundle: bundle)
    #expect(page.contains(/50[^<]{1,8}%, labels from a file/))
    #expect(try abs([RunHistory(directory)].levels[0] - 0.5) < 1e-9)
  }

  /// A loss that is no number is no evidence about where training leads.
  @Test(arguments: ["CG-1", "CG-9", "CG-10", "WS-3", "MC-2"]) func divergedRunsDecideNothing(_ claim: String) throws {
    let scratch = try Scratch()
    let winsorized = RobustTests.winsorized.map { $0.with { $0.status = .diverged } }
    let others = ["rm3", "m3", "ra3"].map {
      SampleRun(noise: 0.5, optimizer: $0, model: "mlp:256,256,256", status: .diverged)
    }
    let found = try verdict(claim, on: winsorized + others, in: scratch)
    #expect(found.outcome == .inconclusive && found.missing.contains { $0.contains("no longer a finite") }, "\(found)")
  }
}
