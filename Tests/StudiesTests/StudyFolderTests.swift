// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Runs
import Training
import TestSupport

@testable import Studies

@Suite struct StudyFolderTests {
  @Test func anotherRequestIsRefused() throws {
    let scratch = try Scratch()
    let folder = StudyFolder(scratch.url.appendingPathComponent("study").path)
    var settings = StudySettings(study: "cg/label-noise", profile: .smoke)
    settings.set = ["lr": "0.2"]
    try folder.make()
    try folder.open(for: settings)
    try folder.open(for: settings)
    #expect(try folder.settings() == settings)
    try Data("x".utf8).write(to: folder.log(of: "noise-0"))
    let changes: [(String, (inout StudySettings) -> Void)] = [
      ("study", { $0.study = "cg/winsorized" }), ("profile", { $0.profile = .small }), ("seeds", { $0.seeds = [4] }),
      ("steps", { $0.steps = 5 }), ("threads", { $0.threads = 2 }), ("data-dir", { $0.dataDir = "/d" }),
      ("set", { $0.set = [:] }),
    ]
    for (key, change) in changes {
      var other = settings
      change(&other)
      #expect { try folder.open(for: other) } throws: { "\($0)".contains("its \(key) is") }
    }
  }

  /// A start that came to nothing, for want of its data, does not take the folder.
  @Test func nothingBegunIsNothingHeld() throws {
    let scratch = try Scratch()
    let folder = StudyFolder(scratch.url.appendingPathComponent("study").path)
    var settings = StudySettings(study: "cg/label-noise", profile: .smoke)
    do { _ = try StudyGrid(try cells(settings, in: folder), settings: settings, in: folder) }
    try Data("{}".utf8).write(to: folder.estimatesFile)
    // As a copy may be: without its empty folders.
    try FileManager.default.removeItem(at: folder.url.appendingPathComponent("logs"))
    settings.set = ["lr": "0.3"]
    do { _ = try StudyGrid(try cells(settings, in: folder), settings: settings, in: folder) }
    #expect(try folder.settings() == settings)
    #expect(!FileManager.default.fileExists(atPath: folder.estimatesFile.path))
    #expect(FileManager.default.fileExists(atPath: folder.log(of: "x").deletingLastPathComponent().path))
    let file = scratch.url.appendingPathComponent("file")
    try Data("x".utf8).write(to: file)
    #expect { try StudyFolder(file.path).make() } throws: { "\($0)".contains("is a file") }
  }

  /// A program in place of `coherent` that repeats what it is asked to do.
  @Test(arguments: [true, false]) func whatACellIsAskedToDo(ignoresMemory: Bool) throws {
    let scratch = try Scratch()
    let folder = StudyFolder(scratch.url.appendingPathComponent("study").path)
    let settings = StudySettings(study: "gm/coherence", profile: .smoke)
    let cells = try self.cells(settings, in: folder)
    _ = try StudyGrid(cells, settings: settings, in: folder)
    let runner = GridRunner(
      cells, settings: settings, in: folder, jobs: 2, program: "/bin/echo", estimates: [:],
      ignoresMemory: ignoresMemory)
    var failed: Set<String> = []
    let isDone = try runner.run(shouldStop: { false }) { event in
      if case .ended(let cell, .failed) = event { failed.insert(cell) }
    }
    #expect(isDone && failed == Set(cells.map(\.name)), "A program that leaves no results has failed.")
    for cell in cells {
      let words = try String(contentsOf: folder.log(of: cell.name), encoding: .utf8)
      #expect(words.contains("train") && words.contains("--config \(folder.configuration(of: cell.name).path)"))
      #expect(words.contains("--ignore-memory-estimate") == ignoresMemory, "\(words)")
    }
  }

  private func cells(_ settings: StudySettings, in folder: StudyFolder) throws -> [Cell] {
    try StudyCatalog.study(settings.study).cells(settings, in: folder)
  }

  @Test func foldersThatAreNoStudies() throws {
    let scratch = try Scratch()
    let settings = StudySettings(study: "cg/label-noise", profile: .smoke)
    try Data("x".utf8).write(to: scratch.url.appendingPathComponent("thesis.tex"))
    try Data("x".utf8).write(to: scratch.url.appendingPathComponent(".lock"))
    #expect { _ = try StudyGrid([], settings: settings, in: StudyFolder(scratch.url.path)) } throws: {
      "\($0)".contains("but no study")
    }
    #expect(FileManager.default.fileExists(atPath: scratch.url.path + "/.lock"))
    #expect { _ = try StudyFolder(scratch.url.path).settings() } throws: { "\($0)".contains("no study.yaml") }
    #expect { _ = try StudyFolder("/nowhere/at/all").settings() } throws: { "\($0)".contains("There is no folder") }
    let study = StudyFolder(scratch.url.appendingPathComponent("study").path)
    try study.open(for: settings)
    try Data("study: [".utf8).write(to: study.settingsFile)
    #expect { _ = try study.settings() } throws: { "\($0)".contains("study.yaml") }
  }

  @Test func oneGridAtATime() throws {
    let scratch = try Scratch()
    let folder = StudyFolder(scratch.url.appendingPathComponent("study").path)
    let settings = StudySettings(study: "gm/linear-example", profile: .smoke)
    let cells = try StudyCatalog.study(settings.study).cells(settings, in: folder)
    let grid = try StudyGrid(cells, settings: settings, in: folder)
    #expect { _ = try StudyGrid(cells, settings: settings, in: folder) } throws: { "\($0)".contains(folder.url.path) }
    withExtendedLifetime(grid) {}
  }

  /// Of a grid that was killed, cells may still be starting: nothing in the folder but the lock tells.
  @Test func aCellIsHeldAsLongAsItsProcessLives() throws {
    let scratch = try Scratch()
    let file = scratch.url.appendingPathComponent("cell.lock")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sleep")
    process.arguments = ["60"]
    let held = try #require(try CellLock.take(file))
    #expect(try CellLock.take(file) == nil)
    process.standardInput = held
    try process.run()
    try held.close()
    #expect(try CellLock.take(file) == nil)
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    #expect(try CellLock.take(file) != nil)
    #expect(throws: POSIXError.self) { try CellLock.take(scratch.url.appendingPathComponent("none/cell.lock")) }
  }

  @Test func aStudyThatHasChangedIsRefused() throws {
    let scratch = try Scratch()
    let folder = StudyFolder(scratch.url.appendingPathComponent("study").path)
    let settings = StudySettings(study: "gm/coherence", profile: .smoke)
    let cells = try StudyCatalog.study(settings.study).cells(settings, in: folder)
    let first = try #require(cells.first?.configuration)
    do { _ = try StudyGrid(cells, settings: settings, in: folder) }
    let file = folder.configuration(of: cells[0].name)
    try Data(first.yaml().utf8).write(to: file)
    do { _ = try StudyGrid(cells, settings: settings, in: folder) }
    // A grid of a version that had no choice of evaluations and of kept weights goes on.
    let former = try first.yaml().split(separator: "\n").filter {
      !$0.hasPrefix("eval-schedule:") && !$0.hasPrefix("keep:")
    }
    try Data((former.joined(separator: "\n") + "\n").utf8).write(to: file)
    do { _ = try StudyGrid(cells, settings: settings, in: folder) }
    try Data(first.with { $0.lr = 0.3 }.yaml().utf8).write(to: file)
    #expect { _ = try StudyGrid(cells, settings: settings, in: folder) } throws: {
      "\($0)".contains("lr of \(cells[0].name) was 0.3 and is now 0.1") && "\($0)".contains("another folder")
    }
  }

  @Test func jobsWithinMemory() throws {
    let gigabyte = 1 << 30
    #expect(try StudyGrid.jobs(wanted: nil, processors: 8, largest: 3 * gigabyte, limit: 10 * gigabyte) == 3)
    #expect(try StudyGrid.jobs(wanted: nil, processors: 2, largest: 3 * gigabyte, limit: 10 * gigabyte) == 2)
    #expect(try StudyGrid.jobs(wanted: nil, processors: 2, largest: 30 * gigabyte, limit: 10 * gigabyte) == 1)
    #expect(try StudyGrid.jobs(wanted: 3, processors: 2, largest: 3 * gigabyte, limit: 10 * gigabyte) == 3)
    #expect(try StudyGrid.jobs(wanted: 9, processors: 2, largest: 3 * gigabyte, limit: nil) == 9)
    #expect { _ = try StudyGrid.jobs(wanted: 4, processors: 8, largest: 3 * gigabyte, limit: 10 * gigabyte) } throws: {
      "\($0)".contains("4 jobs do not fit") && "\($0)".contains("--jobs 3")
    }
  }

  @Test func placesOnTheProcessor() {
    #expect(Cores.parse("0-3,8") == [0, 1, 2, 3, 8])
    #expect(Cores.parse("") == [] && Cores.parse("x") == [] && Cores.parse("5") == [5])
    #expect(Cores.list(place: 1, jobs: 2, threads: 2, among: [0, 1, 4, 5]) == "4,5")
    #expect(Cores.list(place: 0, jobs: 3, threads: 2, among: [0, 1, 4, 5]) == nil, "there are too few")
  }
}
