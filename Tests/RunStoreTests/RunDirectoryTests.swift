// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

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

  /// Until the new run has a checkpoint, the earlier one can still be had.
  @Test func whatIsReplacedIsSetAsideFirst() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    func put(_ text: String, _ name: String) throws {
      let file = run.url.appendingPathComponent(name)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    func kept(_ name: String) throws -> String { try text(run.url.appendingPathComponent(name)) }
    let own = [
      "config.yaml", "metrics.csv", "report.html", "checkpoints/step-000000010.json",
      "checkpoints/kept-000000004.safetensors", "checkpoints/best.json", "example-gradients/step-00000003.safetensors",
    ]
    let foreign = [
      "figures/mine.svg", "figures/learning-curves.svg", "checkpoints/notes.txt", "checkpoints/step-10.txt",
      "thesis.tex",
      "example-gradients/step-3.safetensors",
    ]
    for name in own + foreign { try put("old " + name, name) }
    let fresh = try RunDirectory.create(at: run.url.path, existing: .replace)
    for name in foreign { #expect(try kept(name) == "old " + name) }
    for name in own {
      #expect(!FileManager.default.fileExists(atPath: run.url.path + "/" + name), "\(name)")
      #expect(try kept(".replaced/" + name) == "old " + name)
    }
    #expect(fresh.holdsReplacedRun)
    // Killed before its first checkpoint, the new run gives way, and the earlier one is still there.
    try fresh.write(manifest: sampleManifest())
    try put("new", "metrics.csv")
    _ = try RunDirectory.create(at: run.url.path, existing: .replace)
    #expect(try kept(".replaced/metrics.csv") == "old metrics.csv")
    #expect(!FileManager.default.fileExists(atPath: run.url.path + "/metrics.csv"))
    try fresh.discardReplaced()
    #expect(!fresh.holdsReplacedRun)
    for name in foreign { #expect(try kept(name) == "old " + name) }
  }

  /// Many programs write a manifest.json.
  @Test(arguments: ["{\"name\": \"my site\"}", "not JSON", ""])
  func aManifestOfSomethingElseIsNoRun(_ manifest: String) throws {
    let scratch = try Scratch()
    for name in ["manifest.json", "report.html", "figures/plot.svg", "checkpoints/step-000000010.json"] {
      let file = URL(fileURLWithPath: scratch.path(name))
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data((name == "manifest.json" ? manifest : "mine").utf8).write(to: file)
    }
    let refusal = message { _ = try RunDirectory.create(at: scratch.url.path, existing: .replace) }
    #expect(refusal.contains("its manifest.json is not that of a run") && refusal.contains("nothing was deleted"))
    #expect(try text(URL(fileURLWithPath: scratch.path("report.html"))) == "mine")
  }

  /// Nor is a folder with files of a run's names.
  @Test func reportsAndFiguresAloneAreNoRun() throws {
    let scratch = try Scratch()
    for name in ["report.html", "config.yaml"] {
      try Data("mine".utf8).write(to: URL(fileURLWithPath: scratch.path(name)))
    }
    #expect(
      message { _ = try RunDirectory.create(at: scratch.url.path, existing: .replace) }.contains(
        "it has no manifest.json"))
    #expect(try text(URL(fileURLWithPath: scratch.path("config.yaml"))) == "mine")
  }

  @Test func howFarARunHasRecorded() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    var manifest = try run.manifest()
    (manifest.status, manifest.summary) = (.running, nil)
    try run.write(manifest: manifest)
    #expect(try run.recordedStep() == nil)
    let log = try run.logWriter()
    func append(_ step: Int) throws {
      try log.append([MetricRecord(epoch: 0, step: step, split: "train", count: 1, loss: 1, accuracy1: 0)])
    }
    try append(0)
    #expect(try run.recordedStep() == nil)
    try append(7)
    #expect(try run.recordedStep() == 7)
    manifest.status = .completed
    manifest.summary = RunSummary(steps: 12)
    try run.write(manifest: manifest)
    #expect(try run.recordedStep() == 12)
  }

  /// A disk that lost power may keep the size of a log without its bytes: a run that had come to no checkpoint then starts
  /// anew, where it could neither be continued nor read. Other damage stays an error.
  @Test(arguments: [true, false]) func zerosOfAPowerFailureAreNoProgress(_ isZero: Bool) throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    var manifest = try run.manifest()
    (manifest.status, manifest.summary) = (.running, nil)
    try run.write(manifest: manifest)
    try run.logWriter().close()
    let lost = isZero ? Data(repeating: 0, count: 40) + Data("\n1,2\n".utf8) : Data("\n1,2\n".utf8)
    try lost.write(to: run.file(MetricRecord.file))
    if isZero {
      #expect(try run.recordedStep() == nil)
    } else {
      #expect(throws: RunStoreError.self) { _ = try run.recordedStep() }
    }
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

  /// Root may look everywhere.
  @Test(.enabled(if: getuid() != 0)) func aFolderThatMayNotBeEnteredIsNamed() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    for closed in [run.url, scratch.url] {
      chmod(closed.path, 0)
      defer { chmod(closed.path, 0o700) }
      #expect(
        message { _ = try RunDirectory.open(at: run.url.path) }.contains("No permission to look into \(closed.path)"))
    }
  }

  /// What a killed writer left is no more; what belongs to a process that lives stays.
  @Test func unfinishedFilesOfTheDeadAreRemoved() throws {
    let scratch = try Scratch()
    let target = scratch.url.appendingPathComponent("page.html")
    let child = Process()
    child.executableURL = URL(fileURLWithPath: "/bin/sh")
    child.arguments = ["-c", "exit 0"]
    try child.run()
    child.waitUntilExit()
    let (dead, alive) = (child.processIdentifier, getppid())
    let (own, other) = (temporaryBeginning(for: "page.html"), temporaryBeginning(for: "other"))
    let others = ["\(own)x", "\(other)\(dead)", "\(own)\(alive)", ".page.html.partial-elsewhere-\(dead)"]
    for name in others + ["\(own)\(dead)"] {
      try Data().write(to: scratch.url.appendingPathComponent(name))
    }
    try checkWritable(target)
    #expect(try Set(FileManager.default.contentsOfDirectory(atPath: scratch.url.path)) == Set(others))
  }

  /// A link under the name of the file that is being written does not lead elsewhere.
  @Test func atomicWriteFollowsNoLinks() throws {
    let scratch = try Scratch()
    let (target, mine) = (URL(fileURLWithPath: scratch.path("a.txt")), URL(fileURLWithPath: scratch.path("mine")))
    try Data("mine".utf8).write(to: mine)
    let link = scratch.path(temporaryName(for: "a.txt"))
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: mine.path)
    #expect(throws: RunStoreError.self) { try writeAtomically(Data("one".utf8), to: target) }
    #expect(try text(mine) == "mine")
  }

  @Test func exampleAndLabelRoundTrip() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let labels = [LabelRecord(index: 0, original: 7, assigned: 3), LabelRecord(index: 1, original: 2, assigned: 2)]
    let examples = [
      ExampleRecord(
        index: 0, label: 3, isCorrupt: true, firstLearned: 900, lastLearned: 1200, forgettingEvents: 2,
        finalLoss: 1e-7, finalCorrect: true),
      ExampleRecord(index: 1, label: 2, isCorrupt: false),
    ]
    try run.write(labels: labels)
    try run.write(examples: examples)
    #expect(try run.labels() == labels)
    #expect(try run.examples() == examples)
    #expect(try text(run.file(RunFile.labels)) == "index,original,assigned,is_corrupt\n0,7,3,1\n1,2,2,0\n")
    #expect(try text(run.file(RunFile.examples)).hasPrefix("index,"))
  }

  /// Only where an example has a file is there a column for it, and then for all.
  @Test func filesOfExamples() throws {
    let scratch = try Scratch()
    let folder = try scratch.newRun()
    let labels = [
      LabelRecord(index: 0, original: 1, assigned: 1, file: "train/cat/a, \"b\".jpg"),
      LabelRecord(index: 1, original: 0, assigned: 1),
    ]
    let examples = [ExampleRecord(index: 3, label: 2, isCorrupt: false, finalCorrect: true, file: "cat/é.png")]
    try folder.write(labels: labels)
    try folder.write(examples: examples)
    #expect(try folder.labels() == labels && folder.examples() == examples)
    #expect(
      try text(folder.file(RunFile.labels))
        == "index,original,assigned,is_corrupt,file\n0,1,1,0,\"train/cat/a, \"\"b\"\".jpg\"\n1,0,1,1,\n")
    #expect(try text(folder.file(RunFile.examples)).contains("final_correct,file\n3,2,0,,,0,,1,cat/é.png\n"))
    try Data("index,original,assigned,is_corrupt,file\n0,1,1,0\n".utf8).write(to: folder.file(RunFile.labels))
    #expect(message { _ = try folder.labels() }.contains("labels.csv:2: expected 5 columns"))
  }

  /// Earlier versions called the index sample_id.
  @Test func formerNamesAreRead() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let columns = "label,is_corrupt,first_learned,last_learned,forgetting_events,final_loss,final_correct\n"
    try Data(("sample_id," + columns + "7,2,0,5,,1,0.5,1\n").utf8).write(to: run.file(RunFile.examples))
    let record = ExampleRecord(
      index: 7, label: 2, isCorrupt: false, firstLearned: 5, forgettingEvents: 1, finalLoss: 0.5, finalCorrect: true)
    #expect(try run.examples() == [record])
    try Data(("id," + columns).utf8).write(to: run.file(RunFile.examples))
    #expect(message { _ = try run.examples() }.contains("should be \"index,label"))
  }

  @Test func namesOfClasses() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    #expect(try run.classes() == nil)
    try run.write(classes: ["T-shirt/top", "cat, big", "9"])
    #expect(try run.classes() == ["T-shirt/top", "cat, big", "9"])
    #expect(try text(run.file(RunFile.classes)) == "class,name\n0,T-shirt/top\n1,\"cat, big\"\n2,9\n")
    try Data("class,name\n1,b\n0,a\n".utf8).write(to: run.file(RunFile.classes))
    #expect(message { _ = try run.classes() }.contains("found class 1 where class 0 was expected"))
    #expect(RunFile.own.contains(RunFile.classes))
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
