// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import RunStore

@Suite struct CorrectionTests {
  private let header = "index,file,given,decision,label,time\n"
  private let noon = Date(timeIntervalSince1970: 1_700_000_000)

  private func log(in scratch: Scratch) -> CorrectionLog {
    CorrectionLog(scratch.url.appendingPathComponent("corrections.csv"), for: AuditFixture.labels)
  }

  private func read(_ scratch: Scratch) throws -> [Int: Corrections.State] {
    try Corrections.read(scratch.url.appendingPathComponent("corrections.csv"), for: AuditFixture.labels).states
  }

  private func revision(_ outcome: CorrectionLog.Outcome) -> Int? {
    if case .saved(let revision) = outcome { revision } else { nil }
  }

  @Test func decisionsAreLines() throws {
    let scratch = try Scratch()
    let log = log(in: scratch)
    #expect(try log.corrections() == Corrections() && read(scratch).isEmpty)
    let decisions: [(Int, LabelDecision, String?, Int)] = [
      (5, .keep, nil, 0), (2, .relabel, "dog, big", 0), (7, .drop, "", 0), (5, .relabel, "Ünï 鳥", 2),
      (2, .undo, nil, 3),
    ]
    for (line, (index, decision, label, previous)) in zip(2..., decisions) {
      let outcome = try log.append(index: index, decision: decision, label: label, previous: previous, time: noon)
      #expect(revision(outcome) == line)
    }
    #expect(
      try scratch.text("corrections.csv") == header
        + "5,\"class 1/a,5.png\",\"dog, big\",keep,,2023-11-14T22:13:20Z\n"
        + "2,\"class 2/a,2.png\",\"\"\"bird\"\" <b>&\",relabel,\"dog, big\",2023-11-14T22:13:20Z\n"
        + "7,,Ünï 鳥,drop,,2023-11-14T22:13:20Z\n"
        + "5,\"class 1/a,5.png\",\"dog, big\",relabel,Ünï 鳥,2023-11-14T22:13:20Z\n"
        + "2,\"class 2/a,2.png\",\"\"\"bird\"\" <b>&\",undo,,2023-11-14T22:13:20Z\n")
    let corrections = try log.corrections()
    #expect(try read(scratch) == corrections.states)
    #expect(corrections.states.mapValues(\.revision) == [5: 5, 2: 6, 7: 4])
    #expect(corrections.decided.mapValues(\.label) == [5: "Ünï 鳥", 7: ""])
    let json =
      try JSONSerialization.jsonObject(with: JSONEncoder().encode(corrections.states)) as? [String: [String: Any]]
    #expect(json?["5"]?["decision"] as? String == "relabel" && json?["2"]?["label"] as? String == "")
  }

  /// A name with the end of a line in it, as tables keep it: decisions about its example were all refused.
  @Test(arguments: ["a\nb.png", "a\u{2028}b.png", "a\u{85}b.png", "a\u{0B},b.png"]) func namesOfTwoLines(_ name: String)
    throws
  {
    let scratch = try Scratch()
    let url = scratch.url.appendingPathComponent("corrections.csv")
    let examples = LabelledExamples(classes: ["cat", "dog"], labels: [0, 1], files: [name, "c.png"])
    #expect(try revision(CorrectionLog(url, for: examples).append(index: 0, decision: .drop, previous: 0)) == 2)
    #expect(try Corrections.read(url, for: examples).states[0]?.decision == .drop)
    #expect(try Corrections.read(url, for: examples, isByFile: true).states[0]?.decision == .drop)
    // What a killed process left of a decision is no fault of the file.
    let text = try scratch.text("corrections.csv")
    try Data((text + text.split(separator: "\n")[1].prefix(12)).utf8).write(to: url)
    #expect(try Corrections.read(url, for: examples).states.count == 1)
  }

  /// Whoever has not seen the last decision cannot overwrite it, be it of this process or of another one.
  @Test func staleDecisions() throws {
    let scratch = try Scratch()
    let (one, two) = (log(in: scratch), log(in: scratch))
    #expect(try revision(one.append(index: 1, decision: .keep, previous: 0)) == 2)
    let kept = try #require(try two.corrections().states[1])
    #expect(try two.append(index: 1, decision: .drop, previous: 0) == .conflict(kept))
    #expect(try revision(two.append(index: 1, decision: .drop, previous: 2)) == 3)
    // Undone and decided again is not as before.
    #expect(try revision(two.append(index: 1, decision: .undo, previous: 3)) == 4)
    #expect(try revision(two.append(index: 1, decision: .keep, previous: 4)) == 5)
    guard case .conflict(let state?) = try one.append(index: 1, decision: .drop, previous: 2) else {
      Issue.record("no conflict")
      return
    }
    #expect(state.decision == .keep && state.revision == 5)
    // The file was taken away.
    try FileManager.default.removeItem(at: one.url)
    #expect(try one.append(index: 1, decision: .drop, previous: 5) == .conflict(nil))
    #expect(try revision(one.append(index: 1, decision: .drop, previous: 0)) == 2)
  }

  @Test func manyAtOnce() async throws {
    let scratch = try Scratch()
    let logs = (0..<4).map { _ in log(in: scratch) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (place, log) in logs.enumerated() {
        group.addTask {
          for index in stride(from: place, to: 12, by: 4) {
            guard case .saved = try log.append(index: index, decision: .keep, previous: 0) else {
              throw RunStoreError("Not saved.", remedy: "")
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let states = try read(scratch)
    #expect(Set(states.keys) == Set(0..<12) && Set(states.values.map(\.revision)) == Set(2...13))
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.url.path) == ["corrections.csv"])
  }

  @Test func refusals() throws {
    let scratch = try Scratch()
    let log = log(in: scratch)
    func refusal(_ index: Int, _ decision: LabelDecision, _ label: String? = nil) throws -> String {
      if case .refused(let error) = try log.append(index: index, decision: decision, label: label, previous: 0) {
        return error.description
      }
      return ""
    }
    #expect(
      try refusal(12, .keep) == "There is no example 12, the data set has 12, from 0. Name an example of the data set.")
    #expect(try refusal(-1, .keep).contains("no example -1"))
    #expect(try refusal(1, .relabel).contains("The decision relabel has no new class"))
    #expect(try refusal(1, .drop, "cat").contains("drop has the class \"cat\""))
    #expect(try refusal(1, .relabel, "cow").hasPrefix("Unknown class \"cow\". Choose from cat, dog, big,"))
    #expect(!FileManager.default.fileExists(atPath: log.url.path))
  }

  @Test(arguments: [
    (
      "5,,\"dog, big\",relable,cat,", ":4: column decision holds \"relable\", which is not keep, relabel, drop or undo."
    ),
    ("5,,\"dog, big\",relabel,cow,", ":4: column label: unknown class \"cow\"."),
    ("5,,\"dog, big\",relabel,,", ":4: relabel has no new class in column label."),
    ("5,,\"dog, big\",keep,cat,", ":4: keep has the class \"cat\" in column label."),
    ("5,,cat,keep,,", ":4: column given: the label of example 5 is \"dog, big\", not \"cat\"."),
    ("5,b.png,\"dog, big\",keep,,", ":4: column file: the file of example 5 is \"class 1/a,5.png\", not \"b.png\"."),
    ("7,b.png,Ünï 鳥,keep,,", ":4: column file: the file of example 7 has no name"),
    ("12,,cat,keep,,", ":4: column index: there is no example 12"),
    ("-1,,cat,keep,,", ":4: column index holds \"-1\", which is not a whole number from 0"),
    ("five,,cat,keep,,", ":4: column index holds \"five\", which is not a whole number"),
    ("5,keep", ":4: expected 6 columns"),
  ])
  func handEdited(_ line: String, _ expected: String) throws {
    for end in ["\n", ""] {
      let scratch = try Scratch()
      let before = header + "0,,cat,keep,,\n\n"
      try scratch.write(before + line + end, "corrections.csv")
      let failure = message { _ = try read(scratch) }
      #expect(failure.contains("corrections.csv" + expected), "\(failure)")
      // Nothing is added to a file that cannot be read, and nothing is taken from it.
      #expect(message { _ = try log(in: scratch).append(index: 1, decision: .keep, previous: 0) } == failure)
      #expect(try scratch.text("corrections.csv") == before + line + end)
    }
  }

  @Test func spreadsheetsAndEditors() throws {
    let scratch = try Scratch()
    try scratch.write(
      "\u{FEFF}" + header.dropLast() + "\r\n5,,\"dog, big\",drop,,29/11/2026\r\n0,,cat,keep,,", "corrections.csv")
    #expect(try read(scratch).mapValues(\.revision) == [5: 2, 0: 3])
    #expect(try revision(log(in: scratch).append(index: 1, decision: .keep, previous: 0)) == 4)
    #expect(try read(scratch).mapValues(\.revision) == [5: 2, 0: 3, 1: 4])
    try scratch.write("index,decision\n", "corrections.csv")
    #expect(message { _ = try read(scratch) }.contains("corrections.csv:1: the header is \"index,decision\""))
    for empty in ["", header] {
      try scratch.write(empty, "corrections.csv")
      #expect(try read(scratch).isEmpty)
      #expect(try revision(log(in: scratch).append(index: 1, decision: .keep, previous: 0)) == 2)
    }
    #expect(try scratch.text("corrections.csv").hasPrefix(header + "1,"))
  }

  /// Wherever a kill cut the last line off: the lines before it count, and the next decision follows them.
  @Test func halfLines() throws {
    let scratch = try Scratch()
    let log = log(in: scratch)
    #expect(try revision(log.append(index: 2, decision: .keep, previous: 0)) == 2)
    let before = try scratch.bytes("corrections.csv")
    #expect(try revision(log.append(index: 3, decision: .relabel, label: "\"bird\" <b>&", previous: 0)) == 3)
    let whole = try scratch.bytes("corrections.csv")
    let line = String(decoding: whole[before.count...], as: UTF8.self)
    // The decision is known once the comma before the time is there.
    let known = before.count + line.utf8.count - "2026-11-29T12:00:00Z\n".utf8.count
    for length in 0..<whole.count {
      try scratch.write(whole[..<length], "corrections.csv")
      let kept = length < header.utf8.count ? [] : length >= known ? [2, 3] : length >= before.count - 21 ? [2] : []
      #expect(try read(scratch).keys.sorted() == kept, "\(length) bytes")
      #expect(try revision(self.log(in: scratch).append(index: 1, decision: .drop, previous: 0)) == kept.count + 2)
      #expect(try read(scratch).keys.sorted() == ([1] + kept).sorted(), "\(length) bytes")
    }
  }

  @Test(.enabled(if: SmallDisk.isAvailable)) func fullDisk() throws {
    let disk = try SmallDisk(bytes: 1 << 20)
    let log = CorrectionLog(URL(fileURLWithPath: disk.path + "/corrections.csv"), for: AuditFixture.labels)
    #expect(try revision(log.append(index: 1, decision: .keep, previous: 0)) == 2)
    // A line that begins on the last page of the disk and does not fit.
    let room = 4096 - (try Data(contentsOf: log.url).count)
    let handle = try FileHandle(forWritingTo: log.url)
    try handle.seekToEnd()
    try handle.write(contentsOf: Data(repeating: 0x0A, count: room - 20))
    try handle.close()
    try disk.fill(leaving: 0)
    let before = try Data(contentsOf: log.url)
    let failure = message { _ = try log.append(index: 2, decision: .drop, previous: 0) }
    #expect(failure.contains("The disk is full") && failure.contains("The decision was not saved"), "\(failure)")
    #expect(try Data(contentsOf: log.url) == before)
    #expect(try log.corrections().states.mapValues(\.decision) == [1: .keep])
    try disk.makeRoom()
    #expect(revision(try log.append(index: 2, decision: .drop, previous: 0)) != nil)
    #expect(try log.corrections().states.mapValues(\.decision) == [1: .keep, 2: .drop])
  }

  @Test func lockedOrReadOnly() throws {
    let scratch = try Scratch()
    let log = log(in: scratch)
    // Held for longer than anybody waits, by what is asked for here.
    let lock = try DirectoryLock(scratch.url)
    let start = Date()
    #expect(
      message { _ = try DirectoryLock(scratch.url, activity: "writing to", remedy: "Wait.", patience: 0.1) }
        == "Another process is writing to \(scratch.url.path). Wait.")
    #expect(Date().timeIntervalSince(start) >= 0.1)
    // Released while it is waited for.
    nonisolated(unsafe) let held = lock
    DispatchQueue.global().asyncAfter(deadline: .now() + 0.1) { held.release() }
    #expect(try revision(log.append(index: 1, decision: .keep, previous: 0)) == 2)
    try FileManager.default.removeItem(at: log.url)
    try FileManager.default.createDirectory(at: log.url, withIntermediateDirectories: true)
    #expect(message { _ = try log.append(index: 1, decision: .keep, previous: 0) }.contains("is a folder, not a file"))
  }
}
