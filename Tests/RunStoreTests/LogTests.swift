// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import RunStore

@Suite struct LogTests {
  @Test func numbersComeBackBitIdentical() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    var records = [metric(0), metric(100, group: "pristine")]
    records[0].loss = .infinity
    records[1].accuracy5 = 1e-300
    let coherence = [
      CoherenceRecord(
        step: 5, split: "train", layer: "fc,\"1\"", m: 8, alpha: 0.1, mCoherence: nil, batchNormPolicy: "none")
    ]
    let event = RunEvent(
      time: Date(timeIntervalSince1970: 1_700_000_000.25), kind: "diverged", step: 3, message: "loss",
      values: ["loss": .infinity])
    try log.append(records)
    try log.append(coherence)
    try log.append(event)
    try log.close()
    #expect(try run.log(MetricRecord.self) == records)
    #expect(try run.log(CoherenceRecord.self) == coherence)
    #expect(try run.events() == [event])
    let header = try text(run.file(MetricRecord.file)).split(separator: "\n")[0]
    #expect(header == "epoch,step,split,group,count,loss,acc1,acc5")
    #expect(
      try text(run.file(CoherenceRecord.file)).hasPrefix(
        "step,split,layer,m,alpha,m_coherence,alpha_unbiased,share,bn_policy\n"))
    #expect(throws: RunStoreError.self) { try log.append([metric(1)]) }
  }

  @Test func theEndIsTheLastEvaluationOfEveryGroup() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    try log.append([metric(0), metric(0, group: "early"), metric(100), metric(100, group: "hard, \"late\"")])
    try log.close()
    let ends = try EndRecord.ends(of: run, name: "one")
    #expect(ends.map(\.metrics) == [metric(100), metric(100, group: "hard, \"late\"")])
    #expect(try ends.allSatisfy { try $0.run == "one" && $0.seed == run.manifest().seed && $0.wallSeconds == 12.5 })
    let lines = EndRecord.table(ends).split(separator: "\n")
    #expect(lines[0] == "run,seed,status,wall_seconds,processor_seconds,epoch,step,split,group,count,loss,acc1,acc5")
    #expect(lines.count == 3 && lines[1].hasPrefix("one,") && lines[2].contains("\"hard, \"\"late\"\"\""))
  }

  @Test func resumingCutsEveryLogBack() throws {
    let scratch = try Scratch()
    let straight = try scratch.newRun("straight")
    let resumed = try scratch.newRun("resumed")
    func work(_ log: RunLogWriter, _ steps: Range<Int>) throws {
      for step in steps {
        try log.append([metric(step), metric(step, group: "corrupt")])
        try log.append([
          CoherenceRecord(step: step, split: "train", m: 4, alpha: 0.5, mCoherence: 2, batchNormPolicy: "none")
        ])
        try log.append(RunEvent(time: Date(timeIntervalSince1970: 0), kind: "evaluation", step: step))
      }
    }
    let one = try straight.logWriter()
    try work(one, 0..<20)
    try one.close()

    let first = try resumed.logWriter()
    try work(first, 0..<10)
    let offsets = try first.flush()
    try work(first, 10..<13)
    // The process is killed in the middle of a line and of an atomic write.
    let torn = try AppendOnlyFile(resumed.file(MetricRecord.file))
    try torn.append("0.1,13,tra")
    try Data().write(to: resumed.checkpoints.appendingPathComponent(".step.safetensors.partial-77"))
    let decoded = try JSONDecoder().decode(RunLogOffsets.self, from: JSONEncoder().encode(offsets))
    #expect(decoded == offsets)
    let second = try resumed.logWriter(resumingAt: decoded)
    try work(second, 10..<20)
    try second.close()

    for name in [MetricRecord.file, CoherenceRecord.file, RunFile.events] {
      #expect(try text(straight.file(name)) == text(resumed.file(name)))
    }
    let eventFiles = try [straight, resumed].map { run in
      try run.entries().filter { $0.hasPrefix(RunFile.tensorBoardPrefix) }.map(run.file)
    }
    #expect(eventFiles.map(\.count) == [1, 1])
    let sizes = try eventFiles.map { try Data(contentsOf: $0[0]).count }
    #expect(sizes[0] == sizes[1])
    #expect(try FileManager.default.contentsOfDirectory(atPath: resumed.checkpoints.path).isEmpty)
  }

  @Test func resumingRefusesAShorterLog() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    try log.append([metric(1)])
    var offsets = try log.flush()
    offsets.bytes[MetricRecord.file, default: 0] += 1
    #expect(message { _ = try run.logWriter(resumingAt: offsets) }.contains("metrics.csv has"))
    let outside = RunLogOffsets(bytes: ["../x": 0])
    #expect(message { _ = try run.logWriter(resumingAt: outside) }.contains("../x"))
  }

  @Test func startingAgainEmptiesTheLogs() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    try run.logWriter().append([metric(1)])
    try run.logWriter().append([metric(2)])
    #expect(try run.log(MetricRecord.self).map(\.step) == [2])
  }

  @Test func halfWrittenLinesAreLeftForLater() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    try log.append([metric(1)])
    let file = try AppendOnlyFile(run.file(MetricRecord.file))
    let half = CSV.lines([metric(2)])
    try file.append(String(half.prefix(9)))
    #expect(try run.log(MetricRecord.self).map(\.step) == [1])
    var update = try run.follow()
    #expect(update[MetricRecord.self].map(\.step) == [1])
    #expect(try run.follow(from: update.offsets).isEmpty)
    try file.append(String(half.dropFirst(9)))
    update = try run.follow(from: update.offsets)
    #expect(update[MetricRecord.self] == [metric(2)] && !update.isRestart)
    try log.append(RunEvent(kind: "checkpoint"))
    update = try run.follow(from: update.offsets)
    #expect(update[MetricRecord.self].isEmpty && update.events.map(\.kind) == ["checkpoint"])
    try run.logWriter().append([metric(7)])
    update = try run.follow(from: update.offsets)
    #expect(update.isRestart && update[MetricRecord.self].map(\.step) == [7])
  }

  @Test func runWithoutLogsReadsAsEmpty() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    #expect(
      try run.log(MetricRecord.self).isEmpty && run.events().isEmpty && run.log(CoherenceRecord.self).isEmpty
        && run.examples().isEmpty)
    #expect(try run.follow().isEmpty)
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "needs /dev/full"))
  func fullDeviceIsReported() throws {
    let file = try AppendOnlyFile(URL(fileURLWithPath: "/dev/full"))
    let failure = message { try file.append("x") }
    #expect(failure.contains("The disk is full") && failure.contains("--resume"))
  }

  /// Whether this process may mount a small file system to fill up.
  static let canMount: Bool = {
    guard let scratch = try? Scratch(),
      launch("/bin/mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", scratch.url.path])?.status == 0
    else { return false }
    return launch("/bin/umount", [scratch.url.path])?.status == 0
  }()

  @Test(.enabled(if: Self.canMount, "needs the right to mount a file system"))
  func fullDiskTakesTheRecordBack() throws {
    let scratch = try Scratch()
    let disk = scratch.path("disk")
    try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
    try #require(launch("/bin/mount", ["-t", "tmpfs", "-o", "size=96k", "tmpfs", disk])?.status == 0)
    defer { _ = launch("/bin/umount", [disk]) }
    let run = try RunDirectory.create(at: disk + "/run", existing: .refuse)
    try run.write(manifest: sampleManifest())
    let before = try text(run.file(RunFile.manifest))
    let log = try run.logWriter()
    var failure = ""
    var written = 0
    while failure.isEmpty, written < 10_000 {
      failure = message { try log.append([metric(written)]) }
      if failure.isEmpty { written += 1 }
    }
    #expect(failure.contains("The disk is full") && failure.contains("--resume"))
    let steps = try run.log(MetricRecord.self).map(\.step)
    #expect(steps == Array(0..<written) || steps == Array(0...written))
    #expect(try text(run.file(MetricRecord.file)).hasSuffix("\n"))
    var large = sampleManifest()
    large.extra["padding"] = String(repeating: "x", count: 100_000)
    #expect(message { try run.write(manifest: large) }.contains("The disk is full"))
    #expect(try text(run.file(RunFile.manifest)) == before)
    #expect(try !run.entries().contains { isTemporaryName($0) })
  }
}
