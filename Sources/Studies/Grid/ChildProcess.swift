// SPDX-License-Identifier: Apache-2.0

import Collectives
import Foundation
import RunStore
import Runs
import Training

/// Somebody else has a cell.
struct CellTaken: Error {}

/// A cell at work in a process of its own, so that what goes wrong there stays there.
final class ChildProcess {
  let cell: Cell
  /// Which of the places on the processor it has.
  let place: Int
  private let process = Process()
  private let log: URL

  /// Starts a program on a cell.
  ///
  /// - Parameters:
  ///   - program: the executable of `coherent`.
  ///   - cores: the processors it may use, as `taskset` writes them; nil for all.
  ///   - log: the file that its words are added to.
  ///   - lock: the file whose lock it holds while it lives.
  /// - Throws: `StudyError` when it cannot be started or the log cannot be written.
  init(
    _ cell: Cell, program: String, arguments: [String], threads: Int, place: Int, cores: String?, log: URL, lock: URL
  ) throws {
    (self.cell, self.place, self.log) = (cell, place, log)
    let pinned = cores.flatMap { cores in Self.taskset.map { ($0, ["-c", cores, program] + arguments) } }
    process.executableURL = URL(fileURLWithPath: pinned?.0 ?? program)
    process.arguments = pinned?.1 ?? arguments
    var environment = ProcessInfo.processInfo.environment
    environment["OMP_NUM_THREADS"] = String(threads)
    // A cell is a process of its own, not a rank.
    for name in Launch.variables { environment[name] = nil }
    // Nobody watches a cell whose grid is gone: it stops with a checkpoint.
    environment[ParentProcessMonitor.variable] = String(ProcessInfo.processInfo.processIdentifier)
    process.environment = environment
    do {
      guard let held = try CellLock.take(lock) else { throw CellTaken() }
      process.standardInput = held
      defer { try? held.close() }
      if !FileManager.default.fileExists(atPath: log.path) {
        guard FileManager.default.createFile(atPath: log.path, contents: nil) else {
          throw CocoaError(.fileWriteUnknown)
        }
      }
      let handle = try FileHandle(forWritingTo: log)
      try handle.seekToEnd()
      process.standardOutput = handle
      process.standardError = handle
      try process.run()
    } catch let error as CellTaken {
      throw error
    } catch let error as StudyError {
      throw error
    } catch {
      throw StudyError(
        "The cell \(cell.name) could not be started (log \(log.path)): \(error.localizedDescription)",
        remedy: "Check that the folder can be written to and the disk is not full.")
    }
  }

  private static let taskset: String? = ["/usr/bin/taskset", "/bin/taskset"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  var isRunning: Bool { process.isRunning }

  /// Asks it to stop with a checkpoint.
  func interrupt() { if process.isRunning { process.interrupt() } }

  func wait() { process.waitUntilExit() }

  /// How it ended.
  var ending: Ending {
    if process.terminationReason == .uncaughtSignal { return .failed("killed by signal \(process.terminationStatus)") }
    switch process.terminationStatus {
    case 0: return .finished
    case 130: return .interrupted
    default: return .failed(lastWords)
    }
  }

  enum Ending: Equatable {
    case finished
    case interrupted
    case failed(String)
  }

  /// The end of what it said: the error, as a rule.
  private var lastWords: String {
    let text = (try? readFile(log)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    let lines = text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    let mark = "Error: "
    let error = lines.last { $0.hasPrefix(mark) }.map { String($0.dropFirst(mark.count)) } ?? lines.last
    if let error { return error }
    // A full disk has no room for the words either.
    let free = try? log.resourceValues(forKeys: [.volumeAvailableCapacityKey]).volumeAvailableCapacity
    if let free, free < 1 << 16 { return "The disk is full, so the error could not be recorded." }
    return "exited with code \(process.terminationStatus) and no error message"
  }
}

/// The processors that this process may use.
enum Cores {
  /// Their numbers; none where the system does not tell.
  static let allowed: [Int] = {
    guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed_list:") })
    else { return [] }
    return parse(line.split(separator: ":").last.map { String($0).trimmingCharacters(in: .whitespaces) } ?? "")
  }()

  /// The numbers of a list such as `0-3,8`.
  static func parse(_ list: String) -> [Int] {
    list.split(separator: ",").flatMap { part -> [Int] in
      let ends = part.split(separator: "-").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
      guard let low = ends.first, let high = ends.last, low <= high, high - low < 4096 else { return [] }
      return Array(low...high)
    }
  }

  /// The processors of a place among `jobs` with `threads` each, as `taskset` writes them; nil when there are too few to
  /// give each its own.
  static func list(place: Int, jobs: Int, threads: Int, among allowed: [Int] = allowed) -> String? {
    guard jobs * threads <= allowed.count, place < jobs else { return nil }
    return allowed[place * threads..<(place + 1) * threads].map(String.init).joined(separator: ",")
  }
}
