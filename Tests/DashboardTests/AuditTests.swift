// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import TestSupport
import Testing

@testable import Dashboard

/// The gallery over HTTP: its data, its pictures, and decisions that nobody overwrites unseen.
@Suite struct AuditTests {
  private func audit(in scratch: Scratch, at path: String? = nil) throws -> AuditDirectory {
    let audit = AuditDirectory(at: path ?? scratch.path("audit"))
    let suspects = (0..<6).map { index in
      SuspectRecord(
        rank: index + 1, index: 5 - index, file: "a/\(index).png", given: index % 2, suggested: 1 - index % 2,
        suspicion: 0.9 - Double(index) / 10, isFlagged: index < 3)
    }
    try audit.write(sheet: Data([0x89, 0x50, 0x4E, 0x47]), number: 0)
    try audit.write(
      AuditRecord(dataset: "pictures", count: 6, classes: ["cat", "dog"], flagged: 3), suspects: suspects,
      thumbnails: AuditThumbnails(indices: [5, 4, 3]))
    return audit
  }

  private struct State: Decodable, Equatable {
    var decision: String?
    var label: String?
    var revision: Int?
    var error: String?
  }

  private func decide(
    _ dashboard: RunningDashboard, _ audit: AuditDirectory, _ index: Int, _ decision: String, label: String = "",
    previous: Int = 0
  ) async throws -> (Int, State) {
    let body = """
      {"index": \(index), "decision": "\(decision)", "label": "\(label)", "previous": \(previous)}
      """
    let answer = try await dashboard.post("/audit/\(FolderIndex.id(audit.url.path))/decisions", body)
    return (answer.status, try JSONDecoder().decode(State.self, from: Data(answer.body.utf8)))
  }

  @Test func pageDataAndPictures() async throws {
    let scratch = try Scratch()
    let audit = try audit(in: scratch)
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let base = "/audit/\(FolderIndex.id(audit.url.path))"
    #expect(try await dashboard.get("/audits").body.contains("3 of 6 flagged"))
    let page = try await dashboard.get(base)
    #expect(page.status == 200 && page.body.contains("audit-settings"))
    let version = try #require(page.body.firstMatch(of: /data\\?\/([0-9a-f]{16})/)?.output.1)
    let data = try await dashboard.get("\(base)/data/\(version)")
    #expect(data.status == 200 && data.headers["content-type"] == "application/json")
    let picture = try await dashboard.get("\(base)/pictures/\(version)/0000.png")
    #expect(picture.status == 200 && picture.headers["content-type"] == "image/png")
    #expect(picture.headers["cache-control"]?.contains("immutable") ?? false)
    for path in ["pictures/\(version)/0001.png", "pictures/\(version)/..%2faudit.json", "pictures/1/audit.json", "x"] {
      #expect(try await dashboard.get("\(base)/\(path)").status == 404, "\(path)")
    }
  }

  @Test func decisionsAndConflicts() async throws {
    let scratch = try Scratch()
    let audit = try audit(in: scratch)
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let first = try await decide(dashboard, audit, 5, "relabel", label: "dog")
    #expect(first.0 == 200 && first.1.revision == 2)
    // Another browser has not seen it.
    let conflict = try await decide(dashboard, audit, 5, "drop")
    #expect(conflict == (409, State(decision: "relabel", label: "dog", revision: 2)))
    let second = try await decide(dashboard, audit, 5, "drop", previous: 2)
    #expect(second.0 == 200 && second.1.revision == 3)
    #expect(try await decide(dashboard, audit, 4, "keep").1.revision == 4)
    // On the disk, and found again by another server.
    let lines = try scratch.text("audit/corrections.csv").split(separator: "\n")
    #expect(lines.count == 4 && lines[2].hasPrefix("5,") && lines[2].contains(",drop,"))
    let other = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let all = try await other.get("/audit/\(FolderIndex.id(audit.url.path))/decisions").body
    #expect(all.contains("\"5\":{\"decision\":\"drop\",\"label\":\"\",\"revision\":3}"))
    #expect(try await other.get("/audits").body.contains("2 decided"))
    // A line that somebody added by hand counts at once.
    let handle = try FileHandle(forWritingTo: audit.corrections)
    try handle.seekToEnd()
    try handle.write(contentsOf: Data("3,a/2.png,cat,drop,,\n".utf8))
    #expect(try await decide(dashboard, audit, 3, "keep").0 == 409)
  }

  @Test func whatIsNoDecision() async throws {
    let scratch = try Scratch()
    let audit = try audit(in: scratch)
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    #expect(try await decide(dashboard, audit, 6, "keep").0 == 400)
    #expect(try await decide(dashboard, audit, -1, "keep").0 == 400)
    #expect(try await decide(dashboard, audit, 1, "relabel").0 == 400)
    #expect(try await decide(dashboard, audit, 1, "relabel", label: "owl").0 == 400)
    let unknown = try await decide(dashboard, audit, 1, "burn")
    #expect(unknown.0 == 400 && unknown.1.error?.contains("choose from keep, relabel, drop, undo") ?? false)
    let path = "/audit/\(FolderIndex.id(audit.url.path))/decisions"
    for body in ["", "[]", "{\"index\": \"x\"}", String(repeating: "x", count: 100_000)] {
      let answer = try await dashboard.post(path, body)
      #expect(answer.status == 400 && answer.body.contains("This is no decision"))
    }
    #expect(!FileManager.default.fileExists(atPath: audit.corrections.path))
    try scratch.write("index,file,given,decision,label,time\n1,,cat,burn,,\n", "audit/corrections.csv")
    let wrong = try await decide(dashboard, audit, 1, "keep")
    #expect(wrong.0 == 500 && wrong.1.error?.contains("corrections.csv:2") ?? false)
    #expect(try scratch.text("audit/corrections.csv").split(separator: "\n").count == 2)
  }

  @Test(.enabled(if: SmallDisk.isAvailable, "a small disk can only be mounted by root")) func aFullDisk() async throws {
    let scratch = try Scratch()
    let disk = try SmallDisk(bytes: 1 << 20)
    let audit = try audit(in: scratch, at: disk.path + "/audit")
    let real = AuditDirectory(at: SafePath.real(audit.url.path) ?? "")
    let dashboard = try await RunningDashboard([disk.path], scratch: scratch)
    #expect(try await decide(dashboard, real, 5, "keep").0 == 200)
    let before = try String(contentsOf: real.corrections, encoding: .utf8)
    // The rest of the last page is used up too.
    try disk.fill(leaving: 0)
    var (revision, isFull) = (0, false)
    for round in 0..<400 where !isFull {
      let decision = round.isMultiple(of: 2) ? "keep" : "undo"
      let (status, state) = try await decide(dashboard, real, 4, decision, previous: revision)
      revision = state.revision ?? 0
      isFull = status != 200
      if isFull { #expect(status == 500 && state.error?.contains("The disk is full") ?? false, "\(state)") }
    }
    #expect(isFull)
    let after = try String(contentsOf: real.corrections, encoding: .utf8)
    #expect(after.hasPrefix(before) && after.hasSuffix("\n"))
    try disk.makeRoom()
    #expect(try await decide(dashboard, real, 3, "keep").0 == 200)
  }

  @Test func anAuditThatIsDamaged() async throws {
    let scratch = try Scratch()
    let audit = try audit(in: scratch)
    try scratch.write("{\"format\": 9}", "audit/audit.json")
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let answer = try await dashboard.get("/audit/\(FolderIndex.id(audit.url.path))")
    #expect(answer.status == 500 && answer.body.contains("has format 9"))
    #expect(try await dashboard.get("/audits").body.contains("has format 9"))
  }
}
