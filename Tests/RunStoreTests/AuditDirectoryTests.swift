// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import RunStore

@Suite struct AuditDirectoryTests {
  @Test func readsBack() throws {
    let scratch = try Scratch()
    _ = try AuditFixture.write(to: scratch)
    let audit = try AuditDirectory.open(at: scratch.path("audit"))
    let record = try audit.record()
    #expect(record == AuditFixture.record)
    #expect(try audit.suspects(of: record) == AuditFixture.suspects)
    #expect(try audit.thumbnails(of: record) == AuditFixture.thumbnails)
    #expect(try audit.neighbours(of: record) == AuditFixture.neighbours)
    #expect(try audit.labels() == AuditFixture.labels)
    #expect(try audit.labels().given(2) == "\"bird\" <b>&")
    #expect(AuditFixture.thumbnails.sheets == 2 && audit.sheet(12).lastPathComponent == "0012.png")
  }

  /// The files are those that other programs are told to expect.
  @Test func filesHaveTheirForm() throws {
    let scratch = try Scratch()
    _ = try AuditFixture.write(to: scratch)
    let lines = try scratch.text("audit/suspects.csv").split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines[0] == "rank,index,file,given,suggested,suspicion,flagged,margin,wrong")
    #expect(lines[1] == "1,5,\"class 1/a,5.png\",\"dog, big\",\"\"\"bird\"\" <b>&\",1.0,1,-0.0,1e-300")
    #expect(lines[5].hasSuffix(",0,,1e-300") && lines.count == 14)
    let json = try #require(
      JSONSerialization.jsonObject(with: Data(scratch.bytes("audit/audit.json"))) as? [String: Any])
    #expect(json["format"] as? Int == 1 && json["created"] as? String == "2023-11-14T22:13:20.125Z")
    #expect(json["precision"] as? [[Double]] == [[1, 0.9], [6, 0.4]])
    let near = try #require(
      JSONSerialization.jsonObject(with: Data(scratch.bytes("audit/neighbours.json"))) as? [String: Any])
    let examples = try #require(near["examples"] as? [String: [String: [[String: Any]]]])
    #expect(examples["5"]?["helpers"]?.first?["cosine"] as? Double == 0.75 && near["step"] as? Int == 40)
  }

  @Test func noAudit() throws {
    let scratch = try Scratch()
    func opening(_ name: String) -> String { message { _ = try AuditDirectory.open(at: scratch.path(name)) } }
    #expect(opening("none").contains("There is no folder"))
    try scratch.write("x", "file")
    #expect(opening("file").contains("is a file, not a folder"))
    try scratch.write("x", "other/thesis.tex")
    #expect(opening("other").contains("is not an audit directory: it has no audit.json. Name a folder"))
    try scratch.write("{\"format\": 2}", "later/audit.json")
    #expect(opening("later").contains("audit.json has format 2, but this version reads format 1"))
    try scratch.write("{}", "bare/audit.json")
    #expect(opening("bare").contains("format is missing"))
    try scratch.write("{\"format\": 1, \"cre", "half/audit.json")
    #expect(opening("half").contains("half/audit.json cannot be read"))
    try scratch.write("{\"format\": 1, \"created\": \"x\"}", "odd/audit.json")
    #expect(message { _ = try AuditDirectory.open(at: scratch.path("odd")).record() }.contains("created is not valid"))
  }

  /// The optional files may be missing, and go when an audit without them replaces one with them.
  @Test func whatIsOptional() throws {
    let scratch = try Scratch()
    let audit = try AuditFixture.write(to: scratch)
    try "decisions".write(to: audit.corrections, atomically: true, encoding: .utf8)
    var record = AuditFixture.record
    (record.estimate, record.run) = (nil, nil)
    try audit.write(record, suspects: AuditFixture.suspects)
    #expect(try audit.record() == record)
    #expect(try audit.thumbnails(of: record) == nil && audit.neighbours(of: record) == nil)
    #expect(try text(audit.corrections) == "decisions")
    try FileManager.default.removeItem(at: audit.file(AuditFile.suspects))
    #expect(message { _ = try audit.suspects(of: record) }.contains("suspects.csv: it does not exist"))
  }

  @Test(arguments: [
    ("1,5,", "2,5,", "found rank 2 where 1 was expected"), ("2,4,", "2,5,", "rank 2 has index 5, which an earlier"),
    ("2,4,", "2,12,", "rank 2 has index 12, but there are 12 examples"),
    ("2,4,", "2,x,", "suspects.csv:3: column index holds \"x\", which is not a whole number"),
    (",cat,", ",cow,", "suspects.csv:3: column given holds \"cow\", which is not a class of the audit"),
    (",1.0,1,", ",1.5,1,", "suspects.csv:2: column suspicion holds \"1.5\", which is not a number from 0 to 1"),
    (",1.0,1,", ",1.0,yes,", "suspects.csv:2: column flagged"),
    (",1.0,1,", ",1.0,", "suspects.csv:2: expected 9 columns"),
    ("margin,wrong", "wrong,margin", "suspects.csv:1: the header is"),
    ("12,6,", "12,7,", "rank 12 has index 7"),
  ])
  func faultyTable(_ old: String, _ new: String, _ expected: String) throws {
    let scratch = try Scratch()
    let audit = try AuditFixture.write(to: scratch)
    let whole = try scratch.text("audit/suspects.csv")
    let place = try #require(whole.range(of: old))
    try scratch.write(whole.replacingCharacters(in: place, with: new), "audit/suspects.csv")
    #expect(message { _ = try audit.suspects(of: AuditFixture.record) }.contains(expected))
  }

  @Test func writesOnlyWhatItWouldRead() throws {
    let scratch = try Scratch()
    let audit = AuditDirectory(at: scratch.path("audit"))
    func writing(
      _ suspects: [SuspectRecord] = AuditFixture.suspects, thumbnails: AuditThumbnails? = nil,
      neighbours: AuditNeighbours? = nil, _ change: (inout AuditRecord) -> Void = { _ in }
    ) -> String {
      var record = AuditFixture.record
      change(&record)
      return message {
        try audit.write(record, suspects: suspects, thumbnails: thumbnails, neighbours: neighbours)
      }
    }
    #expect(writing { $0.classes = [] }.contains("at least one class"))
    #expect(writing { $0.classes[1] = "" }.contains("Class 1 has no name"))
    #expect(writing { $0.classes[1] = "a\nb" }.contains("name of class 1 has a line end"))
    #expect(writing { $0.classes[3] = "cat" }.contains("Two classes are called \"cat\""))
    #expect(writing { $0.scores[0].name = "rank" }.contains("two columns are called \"rank\""))
    #expect(writing { $0.flagged = 13 }.contains("13 of 12 examples cannot be flagged"))
    #expect(
      writing { $0.estimate = .init(errors: 1, low: 0, high: .nan, method: "") }.contains(
        "estimate holds what is no number"))
    #expect(writing { $0.precision[1].count = 1 }.contains("precision has [1, 0.4] after 1 of 12 examples"))
    #expect(writing { $0.precision[0].precision = 1.5 }.contains("precision has [1, 1.5] after 0"))
    #expect(writing { $0.duplicates[0].indices[0] = 12 }.contains("duplicates name example 12 of 12"))
    #expect(writing { $0.duplicates[0].labels = [] }.contains("have 0 labels"))
    #expect(writing { $0.confused[0].given = "cow" }.contains("there is no class \"cow\""))
    #expect(writing { $0.count = 11 }.contains("12 examples where audit.json has 11"))
    var suspects = AuditFixture.suspects
    suspects[3].suggested = 4
    #expect(writing(suspects).contains("rank 4 has class"))
    #expect(writing(thumbnails: AuditThumbnails(columns: 0, indices: [])).contains("sheets of 0 by 10 pictures"))
    #expect(writing(thumbnails: AuditThumbnails(indices: [12])).contains("there is no example 12 among 12"))
    #expect(
      writing(neighbours: .init(step: 1, examples: [12: .init(helpers: [], opponents: [])])).contains("no example 12"))
    let odd = AuditNeighbours.Neighbour(index: 0, label: "cow", cosine: 0, dot: 0)
    #expect(
      writing(neighbours: .init(step: 1, examples: [1: .init(helpers: [odd], opponents: [])])).contains("\"cow\""))
    #expect(!FileManager.default.fileExists(atPath: audit.url.path))
  }

  /// An audit that cannot be written to the end is none, and says that the disk is full.
  @Test(.enabled(if: SmallDisk.isAvailable)) func fullDisk() throws {
    let disk = try SmallDisk(bytes: 1 << 20)
    let audit = AuditDirectory(at: disk.path + "/audit")
    // Room for the first file alone.
    try disk.fill(leaving: 4096)
    let failure = message { try audit.write(AuditFixture.record, suspects: AuditFixture.suspects) }
    #expect(failure.contains("The disk is full"))
    #expect(message { _ = try AuditDirectory.open(at: audit.url.path) }.contains("it has no audit.json"))
  }
}
