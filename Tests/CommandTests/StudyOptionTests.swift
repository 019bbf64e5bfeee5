// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import Testing
import TestSupport

/// What a grid of runs asks of the program.
@Suite struct StudyOptionTests {
  /// A training without end.
  private static var endless: [String] { SmallData.options + ["--steps", "100000000", "--checkpoint-every", "1000"] }

  private func hasCheckpoint(_ run: String) -> Bool {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: run + "/checkpoints")) ?? []
    return names.contains { $0.hasSuffix(".json") }
  }

  @Test func splitTagsAndStopAccuracy() throws {
    let scratch = try Scratch()
    let rows = (0..<100).map { "\($0),\($0 < 60 ? "train" : "test"),\($0 % 2 == 0 ? "easy" : "hard")\n" }
    let file = try scratch.write("index,split,group\n" + rows.joined(), "parts/e-h.csv")
    let config = try scratch.write("tags: {study: easy-hard, cell: a}\n", "cell.yaml")
    try train(
      SmallData.options + [
        "--config", config, "--split", file, "--tag", "cell=b", "--tag", "profile=x=y", "--noise", "0",
        "--stop-accuracy", "0.3", "--steps", "5000", "--out", scratch.path("run"),
      ])
    let run = try RunDirectory.open(at: scratch.path("run"))
    let manifest = try run.manifest()
    #expect(manifest.status == .completed && (manifest.summary?.steps ?? 5000) < 5000)
    #expect((manifest.summary?.last?.trainAccuracy ?? 0) >= 0.3)
    for (key, value) in ["study": "easy-hard", "cell": "b", "profile": "x=y", "split": "e-h"] {
      #expect(manifest.extra[key] == value, "\(key)")
    }
    let places = Set(try run.log(MetricRecord.self).map { "\($0.split)/\($0.group)" })
    #expect(places.isSuperset(of: ["train/easy", "train/hard", "test/easy", "test/hard"]))
    // Reports and verdicts take groups and measures that they know nothing of.
    let report = try Program.run(["report", run.url.path, "--out", scratch.path("report.html")])
    #expect(report.code == 0, "\(report.errors)")
    #expect(try Program.run(["study", "judge", run.url.path]).code == 0)
    #expect(try Program.run(["measure", "--checkpoint", run.url.path, "--json"]).output.contains("\"m\" : 60"))
  }

  @Test(arguments: [
    (["--tag", "study"], 64, "study"), (["--tag", "=x"], 64, "=x"), (["--tag", "a b=x"], 1, "without spaces"),
    (["--tag", "weights=x"], 1, "choose another key"), (["--stop-accuracy", "0"], 1, "stop-accuracy must be above 0"),
    (["--stop-accuracy", "high"], 64, "high"), (["--split", "/nowhere/parts.csv"], 1, "/nowhere/parts.csv"),
    (["--split", ""], 1, "split has an empty name"), (["--probe", "median:m=9"], 1, "batch-size, 10"),
    (["--probe", "median:k=3"], 1, "m=N"),
  ])
  func mistakes(_ arguments: [String], _ code: Int32, _ part: String) async throws {
    let scratch = try Scratch()
    let result = await Program.runHere(
      ["train", "-q"] + SmallData.options + arguments + ["--out", scratch.path("run")])
    #expect(result.code == code && result.errors.contains(part), "\(result.errors)")
    #expect(!FileManager.default.fileExists(atPath: scratch.path("run")))
  }

  /// Two processes never write one run; looking at it is free; a kill takes the lock along.
  @Test func oneProcessWritesARun() throws {
    let scratch = try Scratch()
    let run = scratch.path("run")
    var running = try Running(["train", "--no-report", "-q"] + Self.endless + ["--out", run])
    try running.until { hasCheckpoint(run) }
    for arguments in [["--resume", run], Self.endless + ["--out", run], Self.endless + ["--out", run, "--force"]] {
      let result = try Program.run(["train", "--no-report", "-q"] + arguments)
      #expect(result.code == 1 && result.errors.contains("Another process is training in \(run)"), "\(result.errors)")
    }
    #expect(try Program.run(["report", run, "--out", scratch.path("report.html")]).code == 0)
    #expect(try Program.run(["study", "judge", run]).code == 0)
    #expect(running.isRunning)
    running.send(SIGKILL)
    #expect(try running.wait().signalled)
    running = try Running(["train", "--no-report", "-q", "--resume", run])
    try running.until { (try? RunDirectory.open(at: run).events().last?.kind) == "resumed" }
    running.send(SIGINT)
    #expect(try running.wait().code == 130)
    #expect(try !FileManager.default.contentsOfDirectory(atPath: run).contains(".lock"))
  }

  /// The training of a parent that was killed stops by itself, with a checkpoint.
  @Test func anOrphanStops() throws {
    let scratch = try Scratch()
    let run = scratch.path("run")
    let program = try #require(Program.path, "the program coherent was not built")
    let parent = Process()
    parent.executableURL = URL(fileURLWithPath: "/bin/sh")
    parent.arguments =
      ["-c", "\"$0\" \"$@\" & wait", program, "train", "--no-report", "-q"] + Self.endless + ["--out", run]
    parent.environment = ProcessInfo.processInfo.environment.merging(["COHERENT_STOP_WITH_PARENT": "1"]) { $1 }
    try parent.run()
    func wait(_ condition: () -> Bool) -> Bool {
      for _ in 0..<6000 {
        if condition() { return true }
        usleep(10_000)
      }
      return false
    }
    #expect(wait { hasCheckpoint(run) })
    // It goes on as long as there is a parent.
    usleep(1_500_000)
    #expect(try RunDirectory.open(at: run).manifest().status == .running && parent.isRunning)
    kill(parent.processIdentifier, SIGKILL)
    parent.waitUntilExit()
    #expect(wait { (try? RunDirectory.open(at: run).manifest().status) == .interrupted })
    #expect(try RunDirectory.open(at: run).events().map(\.kind) == ["started", "interrupted"])
    #expect(wait { !FileManager.default.fileExists(atPath: run + "/.lock") })
  }
}
