// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import RunStore

@Suite struct LockTests {
  @Test func oneHolderAtATime() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let lock = try run.lock()
    let refusal = message { _ = try run.lock() }
    #expect(refusal.contains("Another process is training in \(run.url.path)") && refusal.contains("--out"))
    #expect(message { _ = try RunDirectory.lockOfExisting(at: run.url.path) } == refusal)
    lock.release()
    lock.release()
    // Nothing stays behind, and the next one may.
    #expect(try !FileManager.default.contentsOfDirectory(atPath: run.url.path).contains(".lock"))
    let next = try run.lock()
    #expect(message { _ = try run.lock() } == refusal)
    next.release()
  }

  @Test func goesWithItsHolder() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    for _ in 0..<3 { _ = try run.lock() }
    #expect(try run.manifest() == sampleManifest())
  }

  /// A kill leaves the file, not the lock.
  @Test func theFileAloneLocksNothing() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    try Data().write(to: run.file(RunFile.lock))
    let lock = try #require(try RunDirectory.lockOfExisting(at: run.url.path))
    lock.release()
    // A folder in which a run was killed before it had written anything is as good as new.
    let bare = try RunDirectory.create(at: scratch.path("bare"), existing: .refuse)
    try Data().write(to: bare.file(RunFile.lock))
    _ = try RunDirectory.create(at: bare.url.path, existing: .refuse)
  }

  @Test func whereThereIsNoRun() throws {
    let scratch = try Scratch()
    #expect(try RunDirectory.lockOfExisting(at: scratch.path("none")) == nil)
    try Data("mine".utf8).write(to: URL(fileURLWithPath: scratch.path("thesis.tex")))
    #expect(try RunDirectory.lockOfExisting(at: scratch.url.path) == nil)
    #expect(message { _ = try RunDirectory.createLocked(at: scratch.url.path, existing: .replace) } != "")
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.url.path) == ["thesis.tex"])
  }

  /// Replacing deletes nothing of a run that someone is training.
  @Test func replacingWaitsItsTurn() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let lock = try run.lock()
    #expect(
      message { _ = try RunDirectory.createLocked(at: run.url.path, existing: .replace) }
        .contains("Another process is training"))
    #expect(try run.manifest() == sampleManifest())
    let (fresh, same) = try RunDirectory.createLocked(at: run.url.path, existing: .replace, held: lock)
    #expect(same === lock && message { _ = try fresh.manifest() } != "")
    #expect(message { _ = try fresh.lock() }.contains("Another process is training"))
  }
}
