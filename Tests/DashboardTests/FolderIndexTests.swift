// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import TestSupport
import Testing

@testable import Dashboard

/// What is found below a folder, and how often anything is read for that.
@Suite struct FolderIndexTests {
  private func index(_ scratch: Scratch) -> FolderIndex { FolderIndex(roots: [scratch.url]) }

  @Test func findsRunsStudiesAndAudits() async throws {
    let scratch = try Scratch()
    for number in 1...3 { try scratch.run("study/runs/cell-\(number)", seed: UInt64(number)) }
    try scratch.write("study: x\n", "study/study.yaml")
    try scratch.write("{}", "audit/audit.json")
    try scratch.run("audit/run")
    try scratch.run(".hidden/run")
    try scratch.run("a/b/c/d/e/f/g/too-deep")
    let found = await index(scratch).snapshot()
    let cells = (1...3).map { "study/runs/cell-\($0)" }
    #expect(found.entries(.run).map(\.name) == ["audit/run"] + cells)
    #expect(found.entries(.study).map(\.name) == ["study"] && found.entries(.audit).map(\.name) == ["audit"])
    #expect(Set(found.entries.map(\.id)).count == found.entries.count)
    let row = try #require(found.rows[found.entries(.run)[1].id])
    #expect(row.status == .finished && row.step == 20 && row.train == 0.52 && row.test == 0.62)
    #expect(abs((row.alpha ?? 0) - 0.02 / 21) < 1e-12 && row.manifest?.seed == 1)
  }

  @Test func linksOutOfTheFolderAreNotFollowed() async throws {
    let scratch = try Scratch()
    let other = try Scratch()
    try other.run("secret")
    try scratch.run("own")
    try FileManager.default.createSymbolicLink(atPath: scratch.path("link"), withDestinationPath: other.path("secret"))
    try FileManager.default.createSymbolicLink(atPath: scratch.path("loop"), withDestinationPath: scratch.url.path)
    #expect(await index(scratch).snapshot().entries.map(\.name) == ["own"])
  }

  @Test func foldersInsideOfEachOtherAreServedOnce() async throws {
    let scratch = try Scratch()
    try scratch.run("inner/run")
    let index = FolderIndex(roots: [scratch.url, scratch.url.appendingPathComponent("inner", isDirectory: true)])
    #expect(await index.snapshot().entries(.run).count == 1)
  }

  @Test func nothingIsReadTwice() async throws {
    let scratch = try Scratch()
    for number in 0..<20 { try scratch.run("runs/\(number)") }
    try age(scratch.url)
    let index = index(scratch)
    _ = await index.snapshot()
    let first = await index.work
    #expect(first == (22, 20))
    _ = await index.snapshot(isForced: true)
    #expect(await index.work == first)
    // A record more in one of them: that one alone is read.
    let file = scratch.url.appendingPathComponent("runs/7/metrics.csv")
    let handle = try FileHandle(forWritingTo: file)
    try handle.seekToEnd()
    try handle.write(contentsOf: Data("2.1,21,test,all,100,1.5,0.25,\n".utf8))
    let found = await index.snapshot(isForced: true)
    #expect(await index.work.read == 21)
    let entry = try #require(found.entries(.run).first { $0.name == "runs/7" })
    #expect(found.rows[entry.id]?.test == 0.25 && found.rows[entry.id]?.step == 21)
  }

  /// As if everything had been written some time ago.
  private func age(_ folder: URL, seconds: Double = 600) throws {
    let manager = FileManager.default
    let names = manager.enumerator(at: folder, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL } ?? []
    for url in names.reversed() + [folder] {
      try manager.setAttributes([.modificationDate: Date(timeIntervalSinceNow: -seconds)], ofItemAtPath: url.path)
    }
  }

  @Test func whatComesAndGoesIsNoticed() async throws {
    let scratch = try Scratch()
    try scratch.run("one")
    let index = index(scratch)
    #expect(await index.snapshot().entries.count == 1)
    try scratch.run("deeper/two")
    #expect(await index.snapshot(isForced: true).entries.map(\.name) == ["deeper/two", "one"])
    try FileManager.default.removeItem(atPath: scratch.path("one"))
    try FileManager.default.removeItem(atPath: scratch.path("deeper/two/manifest.json"))
    #expect(await index.snapshot(isForced: true).entries.isEmpty)
    try FileManager.default.removeItem(at: scratch.url)
    #expect(await index.snapshot(isForced: true).entries.isEmpty)
  }

  @Test func aManifestThatCannotBeRead() async throws {
    let scratch = try Scratch()
    try scratch.write("{\"tool\": 3}", "broken/manifest.json")
    let found = await index(scratch).snapshot()
    let row = try #require(found.rows[found.entries[0].id])
    #expect(row.status == .unreadable && row.problem?.contains("manifest.json cannot be read") ?? false)
  }

  @Test func whetherARunIsGoingOn() async throws {
    let scratch = try Scratch()
    let run = try scratch.run("run", status: .running)
    let index = index(scratch)
    func status() async -> RunRow.Status? { await index.snapshot(isForced: true).rows.values.first?.status }
    // No lock, but records a moment ago: a program of one's own.
    #expect(await status() == .running)
    try age(run.url, seconds: RunRow.patience + 5)
    #expect(await status() == .interrupted)
    let lock = try run.lock()
    #expect(await status() == .running)
    lock.release()
    try age(run.url, seconds: RunRow.patience + 5)
    #expect(await status() == .interrupted)
    try run.write(manifest: scratch.manifest(status: .diverged))
    #expect(await status() == .diverged)
  }

  /// A lock file that nobody holds is left by a process that was killed.
  @Test func aLockThatIsLeftOver() async throws {
    let scratch = try Scratch()
    let run = try scratch.run("run", status: .running)
    try scratch.write("", "run/.lock")
    try age(run.url, seconds: RunRow.patience + 5)
    let expected: RunRow.Status = FileManager.default.fileExists(atPath: "/proc/locks") ? .interrupted : .running
    #expect(await index(scratch).snapshot().rows.values.first?.status == expected)
  }
}
