// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import RunStore

@Suite struct RunDirectoryTests {
  @Test func manifestAndConfigSurviveARoundTrip() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    try run.write(config: "lr: 0.1\n")
    let reopened = try RunDirectory.open(at: run.url.path)
    #expect(try reopened.config() == "lr: 0.1\n")
    #expect(try reopened.manifest() == sampleManifest())
    let json = try text(run.file(RunFile.manifest))
    for key in ["cpu_model", "command_line", "realised_rate", "peak_rss_bytes", "commit"] {
      #expect(json.contains("\"\(key)\""))
    }
    #expect(FileManager.default.fileExists(atPath: run.checkpoints.path))
  }

  @Test func damagedManifestNamesTheKey() throws {
    let run = try Scratch().newRun()
    let scratch = try Scratch()
    let other = try scratch.newRun()
    try writeAtomically(Data("{\"seed\": \"x\"}".utf8), to: other.file(RunFile.manifest))
    #expect(message { _ = try other.manifest() }.contains("manifest.json"))
    try writeAtomically(Data("{".utf8), to: other.file(RunFile.manifest))
    #expect(message { _ = try other.manifest() }.contains("damaged"))
    #expect(throws: RunStoreError.self) { _ = try run.config() }
  }

  @Test func existingFolderIsRefused() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let refusal = message { _ = try RunDirectory.create(at: run.url.path, existing: .refuse) }
    #expect(refusal.contains("--resume") && refusal.contains("--force"))
  }

  @Test func replacingKeepsForeignFiles() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    try run.write(labels: [LabelRecord(index: 0, original: 1, assigned: 2)])
    let notes = run.url.appendingPathComponent("notes.txt")
    try Data("mine".utf8).write(to: notes)
    let fresh = try RunDirectory.create(at: run.url.path, existing: .replace)
    #expect(try fresh.labels().isEmpty)
    #expect(try text(notes) == "mine")
  }

  @Test func replacingRefusesAFolderThatIsNoRun() throws {
    let scratch = try Scratch()
    try Data("mine".utf8).write(to: URL(fileURLWithPath: scratch.path("thesis.tex")))
    let refusal = message { _ = try RunDirectory.create(at: scratch.url.path, existing: .replace) }
    #expect(refusal.contains("does not look like a run"))
    #expect(FileManager.default.fileExists(atPath: scratch.path("thesis.tex")))
  }

  @Test func emptyFolderIsFine() throws {
    let scratch = try Scratch()
    _ = try RunDirectory.create(at: scratch.url.path, existing: .refuse)
  }

  @Test func pathsUnderAFileAreRefusedUpFront() throws {
    let scratch = try Scratch()
    try Data().write(to: URL(fileURLWithPath: scratch.path("file")))
    let under = message { _ = try RunDirectory.create(at: scratch.path("file/run"), existing: .refuse) }
    #expect(under.contains("is a file, not a folder"))
    let itself = message { _ = try RunDirectory.create(at: scratch.path("file"), existing: .replace) }
    #expect(itself.contains("is a file"))
  }

  @Test func folderThatTakesNoFilesIsRefusedUpFront() {
    // Nothing can be created under /proc, not even by root.
    let refusal = message { _ = try RunDirectory.create(at: "/proc/run", existing: .refuse) }
    #expect(refusal.contains("/proc/run"))
  }

  @Test func openingWantsARun() throws {
    let scratch = try Scratch()
    #expect(message { _ = try RunDirectory.open(at: scratch.path("none")) }.contains("There is no folder"))
    #expect(message { _ = try RunDirectory.open(at: scratch.url.path) }.contains("manifest.json"))
  }

  @Test func atomicWriteLeavesNoTemporaryFiles() throws {
    let scratch = try Scratch()
    let target = URL(fileURLWithPath: scratch.path("a.txt"))
    try writeAtomically(Data("one".utf8), to: target)
    try writeAtomically(Data("two".utf8), to: target)
    #expect(try text(target) == "two")
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.url.path) == ["a.txt"])
  }

  @Test func exampleAndLabelRoundTrip() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let labels = [LabelRecord(index: 0, original: 7, assigned: 3), LabelRecord(index: 1, original: 2, assigned: 2)]
    let examples = [
      ExampleRecord(
        sampleID: 0, label: 3, isCorrupt: true, firstLearned: 900, lastLearned: 1200, forgettingEvents: 2,
        finalLoss: 1e-7, finalCorrect: true),
      ExampleRecord(sampleID: 1, label: 2, isCorrupt: false),
    ]
    try run.write(labels: labels)
    try run.write(examples: examples)
    #expect(try run.labels() == labels)
    #expect(try run.examples() == examples)
    #expect(try text(run.file(RunFile.labels)) == "index,original,assigned,is_corrupt\n0,7,3,1\n1,2,2,0\n")
    #expect(try text(run.file(RunFile.examples)).hasPrefix("sample_id,"))
  }

  @Test func badCellsAreNamed() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let file = run.file(RunFile.labels)
    let header = "index,original,assigned,is_corrupt\n"
    try Data((header + "0,1,1,0\n1,one,1,0\n").utf8).write(to: file)
    let cell = message { _ = try run.labels() }
    #expect(cell.contains("labels.csv:3") && cell.contains("original") && cell.contains("one"))
    try Data((header + "0,1,1\n").utf8).write(to: file)
    #expect(message { _ = try run.labels() }.contains("labels.csv:2: expected 4 columns"))
    try Data((header + "0,1,1,1\n").utf8).write(to: file)
    #expect(message { _ = try run.labels() }.contains("is_corrupt"))
    try Data("id,label\n0,1\n".utf8).write(to: file)
    #expect(message { _ = try run.labels() }.contains("labels.csv:1: the header is \"id,label\""))
    try Data().write(to: file)
    #expect(message { _ = try run.labels() }.contains("labels.csv:1"))
  }
}
