// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import Testing
import TestSupport

/// Runs that are stopped from outside, against one that was left alone.
@Suite struct InterruptionTests {
  /// A checkpoint every few steps, a validation split, momentum, a short last batch.
  private static var options: [String] {
    SmallData.options + [
      "--steps", "500", "--checkpoint-every", "25", "--momentum", "0.9", "--validation", "13", "--lr", "0.01",
    ]
  }

  private func hasCheckpoint(_ run: String) -> Bool {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: run + "/checkpoints")) ?? []
    return names.contains { $0.hasSuffix(".json") && !$0.contains("step-000000000") }
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
  func aSignalLeavesACheckpointAndSaysHowToGoOn(_ signal: Int32) throws {
    let scratch = try Scratch()
    let (whole, run) = (scratch.path("whole"), scratch.path("run"))
    try train(Self.options + ["--out", whole])
    let running = try Running(["train", "-q"] + Self.options + ["--out", run])
    try running.until { hasCheckpoint(run) }
    running.send(signal)
    let result = try running.wait()
    #expect(result.code == 130 && !result.signalled)
    #expect(result.errors.contains("Interrupted at step"))
    #expect(result.errors.contains("coherent train --resume \(run)"))
    #expect(try RunDirectory.open(at: run).manifest().status == .interrupted)
    // A page shows how far it came.
    #expect(FileManager.default.fileExists(atPath: run + "/report.html"))
    try train(["--resume", run])
    try expectSameEnd(whole, run)
    #expect(try RunDirectory.open(at: run).events().map(\.kind) == ["started", "resumed", "completed"])
  }

  /// `coherent train 2>&1 | head -n 1`: the reader is gone after a line, and the training comes to its end.
  @Test func aReaderThatGoesAway() throws {
    let scratch = try Scratch()
    let run = scratch.path("run")
    let program = try #require(Program.path)
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/bin/bash")
    let words = ["train", "--no-report", "--eval-every", "5"] + Self.options + ["--out", run]
    shell.arguments = ["-o", "pipefail", "-c", "\"$0\" \"$@\" 2>&1 | head -n 1 > /dev/null", program] + words
    try shell.run()
    shell.waitUntilExit()
    #expect(shell.terminationReason == .exit && shell.terminationStatus == 0)
    #expect(try RunDirectory.open(at: run).manifest().status == .completed)
  }

  /// Under nohup a terminal that is closed ends nothing.
  @Test func aHangUpThatIsIgnoredStaysIgnored() throws {
    let scratch = try Scratch()
    let run = scratch.path("run")
    let program = try #require(Program.path)
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/bin/bash")
    shell.arguments =
      ["-c", "trap '' HUP; exec \"$0\" \"$@\"", program, "train", "--no-report", "-q"] + Self.options + ["--out", run]
    try shell.run()
    let deadline = Date().addingTimeInterval(120)
    while !hasCheckpoint(run), Date() < deadline { usleep(20_000) }
    kill(shell.processIdentifier, SIGHUP)
    shell.waitUntilExit()
    #expect(shell.terminationReason == .exit && shell.terminationStatus == 0)
    #expect(try RunDirectory.open(at: run).manifest().status == .completed)
  }

  /// Ten kills without warning, at moments that a seed draws, over as many runs as that takes. Whatever a kill leaves
  /// behind, the same command or a resume goes on from it to the same bytes.
  @Test func tenKillsAtRandomMoments() throws {
    let scratch = try Scratch()
    let whole = scratch.path("whole")
    let begun = DispatchTime.now().uptimeNanoseconds
    try train(Self.options + ["--out", whole])
    // Moments are spread over the time that a run takes here, its start included.
    let longest = Double(DispatchTime.now().uptimeNanoseconds - begun) / 1000
    var random = SeededGenerator(seed: 2024)
    var (kills, runs) = (0, 0)
    while kills < 10 {
      let run = scratch.path("run-\(runs)")
      runs += 1
      while true {
        let begun = FileManager.default.fileExists(atPath: run + "/config.yaml")
        let start = begun ? ["--resume", run] : Self.options + ["--out", run]
        let running = try Running(["train", "--no-report", "-q"] + start)
        if kills < 10 {
          usleep(UInt32(random.uniform(0, min(longest, 20_000_000))))
          running.send(SIGKILL)
        }
        let result = try running.wait()
        if result.signalled {
          kills += 1
        } else {
          #expect(result.code == 0, "\(result.errors)")
          break
        }
      }
      try expectSameEnd(whole, run)
      let names = try FileManager.default.contentsOfDirectory(atPath: run)
      #expect(!names.contains { $0.hasPrefix(".") }, "\(names)")
    }
  }
}
