// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import RunStore

@Suite struct ContributionLogTests {
  private func records(_ step: Int) -> [ContributionRecord] {
    (0...2).map { world in
      ContributionRecord(
        step: step, sample: world == 1 ? "population" : "paper", world: world,
        pristineShare: 0.1 * Double(step + 1) + 0.2, corruptShare: step == 3 ? nil : 1e-300,
        pristineCumulative: world == 2 ? nil : -2.0 / 3, corruptCumulative: .infinity)
    }
  }

  private func exists(_ run: RunDirectory) -> Bool {
    FileManager.default.fileExists(atPath: run.file(ContributionRecord.file).path)
  }

  @Test func recordsComeBackBitIdentical() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    try log.append([ContributionRecord]())
    #expect(!exists(run))
    try log.append(records(0))
    try log.append(records(3))
    try log.close()
    #expect(try run.log(ContributionRecord.self) == records(0) + records(3))
    let lines = try text(run.file(ContributionRecord.file)).split(separator: "\n")
    #expect(lines[0] == "step,sample,world,f_pristine,f_corrupt,i_pristine,i_corrupt")
    #expect(lines.count == 7 && lines[6].hasPrefix("3,paper,2,") && lines[6].hasSuffix(",,,inf"))
    #expect(throws: RunStoreError.self) { try log.append(records(4)) }
  }

  @Test func closedWriterMakesNoFile() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    try log.append([metric(0)])
    try log.close()
    #expect(message { try log.append(records(0)) }.contains("already closed"))
    #expect(!exists(run))
    #expect(try run.log(ContributionRecord.self).isEmpty)
  }

  @Test func wrongHeaderIsNamed() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    try Data("step,sample,world,f_pristine,f_corrupt\n".utf8).write(to: run.file(ContributionRecord.file))
    #expect(message { _ = try run.log(ContributionRecord.self) }.contains("contributions.csv:1: the header is"))
    let header = CSV.header(ContributionRecord.self)
    try Data((header + "0,paper,0,x,,,\n").utf8).write(to: run.file(ContributionRecord.file))
    let cell = message { _ = try run.log(ContributionRecord.self) }
    #expect(cell.contains("contributions.csv:2: column f_pristine") && cell.contains("\"x\""))
  }

  @Test func resumingCutsTheLogBack() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    try log.append(records(0))
    let offsets = try log.flush()
    let before = try text(run.file(ContributionRecord.file))
    #expect(offsets.bytes[ContributionRecord.file] == before.utf8.count)
    try log.append(records(1))
    try AppendOnlyFile(run.file(ContributionRecord.file)).append("2,pap")
    let resumed = try run.logWriter(resumingAt: offsets)
    #expect(try text(run.file(ContributionRecord.file)) == before)
    try resumed.append(records(1))
    try resumed.close()
    #expect(try run.log(ContributionRecord.self) == records(0) + records(1))
    try FileManager.default.removeItem(at: run.file(ContributionRecord.file))
    #expect(message { _ = try run.logWriter(resumingAt: offsets) }.contains("contributions.csv"))
  }

  @Test func logThatAppearedAfterTheCheckpointIsRemoved() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    try log.append([metric(0)])
    let offsets = try log.flush()
    #expect(offsets.bytes[ContributionRecord.file] == nil)
    try log.append(records(1))
    #expect(exists(run))
    let resumed = try run.logWriter(resumingAt: offsets)
    #expect(!exists(run))
    try resumed.append(records(1))
    try resumed.close()
    #expect(try run.log(ContributionRecord.self) == records(1))
    #expect(try run.log(MetricRecord.self).map(\.step) == [0])
  }

  @Test func runFromBeforeThisLogStillWorks() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    try log.append([metric(0)])
    let offsets = try log.flush()
    try log.close()
    #expect(Set(offsets.bytes.keys).isSuperset(of: ["metrics.csv", "coherence.csv", "events.jsonl"]))
    let reopened = try RunDirectory.open(at: run.url.path)
    #expect(try reopened.log(ContributionRecord.self).isEmpty)
    try reopened.logWriter(resumingAt: offsets).close()
    #expect(!exists(run))
    let update = try reopened.follow()
    #expect(update[ContributionRecord.self].isEmpty && update[MetricRecord.self].count == 1)
  }

  @Test func startingAgainDeletesTheLog() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    try run.logWriter().append(records(0))
    try run.logWriter().append([metric(2)])
    #expect(!exists(run))
    try run.logWriter().append(records(0))
    let fresh = try RunDirectory.create(at: run.url.path, existing: .replace)
    #expect(!exists(fresh))
  }

  @Test func followingSeesNewLinesAndRestarts() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    let offsets = try log.flush()
    var update = try run.follow()
    #expect(update[ContributionRecord.self].isEmpty)
    try log.append(records(0))
    update = try run.follow(from: update.offsets)
    #expect(update[ContributionRecord.self] == records(0) && !update.isRestart && !update.isEmpty)
    try log.append(records(1))
    update = try run.follow(from: update.offsets)
    #expect(update[ContributionRecord.self] == records(1))
    _ = try run.logWriter(resumingAt: offsets)
    update = try run.follow(from: update.offsets)
    #expect(update.isRestart && update[ContributionRecord.self].isEmpty)
  }
}
