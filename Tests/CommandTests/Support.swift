// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Datasets
import Foundation
import Testing
import TestSupport

@testable import coherent

/// The built program.
enum Program {
  /// `coherent` beside the test bundle: the bundle's own folder, or one above it, or the scratch path of the build.
  static let path: String? = {
    var starts = [CommandLine.arguments.first ?? "", Bundle.main.bundlePath]
    starts += Bundle.allBundles.map(\.bundlePath)
    // `swift test` runs a helper that is told of the bundle by an argument.
    starts += CommandLine.arguments.filter { $0.contains(".xctest") }
    for start in starts where start.hasPrefix("/") {
      var folder = URL(fileURLWithPath: start).resolvingSymlinksInPath()
      for _ in 0..<4 {
        folder = folder.deletingLastPathComponent()
        let candidate = folder.appendingPathComponent("coherent").path
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: candidate, isDirectory: &isFolder), !isFolder.boolValue,
          FileManager.default.isExecutableFile(atPath: candidate)
        {
          return candidate
        }
      }
    }
    return root.map { $0.appendingPathComponent(".build/debug/coherent").path }.flatMap {
      FileManager.default.isExecutableFile(atPath: $0) ? $0 : nil
    }
  }()

  /// The folder of the package.
  static let root: URL? = {
    var folder = URL(fileURLWithPath: #filePath)
    while folder.path != "/" {
      folder = folder.deletingLastPathComponent()
      let manifest = folder.appendingPathComponent("Package.swift").path
      if FileManager.default.fileExists(atPath: manifest) { return folder }
    }
    return nil
  }()

  struct Result {
    let code: Int32
    let output: String
    let errors: String
    var signalled = false
  }

  /// Runs the program to its end.
  static func run(
    _ arguments: [String], in folder: String? = nil, environment: [String: String] = [:], errors: String? = nil
  ) throws -> Result {
    try Running(arguments, in: folder, environment: environment, errors: errors).wait()
  }
}

extension Program {
  /// What the program would answer to mistakes, found out in this process, which takes no time. Words of success go
  /// where this process writes.
  static func runHere(_ arguments: [String]) async -> Result {
    do {
      var command = try Coherent.parseAsRoot(arguments)
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      return Result(code: 0, output: "", errors: "")
    } catch {
      return Result(
        code: Coherent.exitCode(for: error).rawValue, output: "", errors: Coherent.fullMessage(for: error))
    }
  }
}

/// A program that is running. Its words go to files, so that no pipe can fill up.
final class Running {
  private let process = Process()
  private let scratch: Scratch
  private let errorPath: String

  init(
    _ arguments: [String], in folder: String? = nil, environment: [String: String] = [:], errors: String? = nil
  ) throws {
    scratch = try Scratch()
    process.executableURL = URL(fileURLWithPath: try #require(Program.path, "the program coherent was not built"))
    process.arguments = arguments
    if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
    var variables = ProcessInfo.processInfo.environment
    // The one thread of tests that run side by side is not the program's.
    variables["OMP_NUM_THREADS"] = nil
    variables["COLUMNS"] = "100"
    process.environment = variables.merging(environment) { $1 }
    errorPath = errors ?? scratch.path("errors")
    for path in [scratch.path("output"), errorPath] where !FileManager.default.fileExists(atPath: path) {
      try scratch.write("", (path as NSString).lastPathComponent)
    }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: scratch.path("output")))
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errorPath))
    // A thread of a pool may block signals, and its children inherit that.
    var (none, before) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    try process.run()
  }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  var isRunning: Bool { process.isRunning }

  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  func wait() throws -> Program.Result {
    process.waitUntilExit()
    return Program.Result(
      code: process.terminationStatus, output: try scratch.text("output"),
      // A device has nothing to read back.
      errors: errorPath == scratch.path("errors") ? try scratch.text("errors") : "",
      signalled: process.terminationReason == .uncaughtSignal)
  }

  /// Waits until something holds, for at most a minute.
  func until(_ condition: () -> Bool) throws {
    for _ in 0..<30_000 {
      if condition() { return }
      try #require(isRunning, "the program ended before its time")
      usleep(2000)
    }
    Issue.record("what was waited for did not happen")
  }
}

/// A few built-in digits under the names of MNIST: loaded in a moment, where drawing them takes longer.
enum SmallData {
  static let folder: String = {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("command-data-\(UUID().uuidString)").path
    do {
      for (split, count) in [(Split.train, 200), (.test, 100)] {
        try DatasetLoader.exportIDX(DatasetLoader.load(name: "digits", split: split, count: count), to: path)
      }
    } catch {
      Issue.record("The small data set could not be written: \(error)")
    }
    atexit { try? FileManager.default.removeItem(atPath: SmallData.folder) }
    return path
  }()

  /// Options of a run of a few milliseconds.
  static var options: [String] {
    [
      "--dataset", "mnist", "--data-dir", folder, "--model", "mlp:8", "--batch-size", "10", "--noise", "0.5",
      "--threads", "1", "--steps", "30", "--checkpoint-every", "10",
    ]
  }
}

/// Trains, expecting success.
@discardableResult
func train(_ arguments: [String], at location: SourceLocation = #_sourceLocation) throws -> Program.Result {
  let result = try Program.run(["train", "--no-report", "--quiet"] + arguments)
  #expect(result.code == 0, "\(result.errors)", sourceLocation: location)
  return result
}

func object(_ text: String) throws -> [String: Any] {
  try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
}

func objects(_ text: String) throws -> [[String: Any]] {
  try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
}

/// What a run leaves that may not depend on how often it was stopped.
func lastingFiles(_ run: String) throws -> [String: Data] {
  let folder = URL(fileURLWithPath: run)
  var files: [String: Data] = [:]
  for name in ["config.yaml", "metrics.csv", "examples.csv", "labels.csv"] {
    files[name] = try Data(contentsOf: folder.appendingPathComponent(name))
  }
  let checkpoints = folder.appendingPathComponent("checkpoints")
  let names = try FileManager.default.contentsOfDirectory(atPath: checkpoints.path).sorted()
  let newest = try #require(names.last { $0.hasSuffix(".json") }).dropLast(".json".count)
  for name in ["\(newest).safetensors", "\(newest).state.safetensors"] {
    files[name] = try Data(contentsOf: checkpoints.appendingPathComponent(name))
  }
  return files
}

/// Expects two runs to have ended in the same bytes.
func expectSameEnd(_ a: String, _ b: String, at location: SourceLocation = #_sourceLocation) throws {
  let (left, right) = (try lastingFiles(a), try lastingFiles(b))
  #expect(left.keys.sorted() == right.keys.sorted(), sourceLocation: location)
  for (name, data) in left { #expect(right[name] == data, "\(name) differs", sourceLocation: location) }
}
