// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Runs
import Training

/// What happens while a grid runs.
public enum GridEvent: Sendable {
  /// A cell ended.
  case ended(String, CellStatus)
  /// A moment passed: for progress bars.
  case progressed(GridProgress)
}

/// How far a grid is.
public struct GridProgress: Sendable, Equatable {
  /// Cells with results, and all cells.
  public var done, total: Int
  /// Cells that failed.
  public var failed: Int
  /// The cells at work.
  public var running: [String]
  /// The share of the work that is done, from 0 to 1.
  public var share: Double
  /// Seconds left; nil while nothing is known.
  public var secondsLeft: Double?
}

/// Runs the cells of a study, several at a time, each in a process of its own. What is complete is skipped and what was
/// begun is gone on with: the folder alone says what is left to do, so a grid may be killed at any moment.
public final class GridRunner {
  /// The cells.
  public let cells: [Cell]
  /// Where results go.
  public let folder: StudyFolder
  private let settings: StudySettings
  private let jobs: Int
  private let program: String
  private var running: [ChildProcess] = []
  /// Cells that a process of an earlier grid still has, and since when.
  private var awaited: [String: UInt64] = [:]
  /// Cells that failed in this process: one attempt each.
  private var failed: Set<String> = []
  private var isStopping = false
  private var ends: [String: CellStatus] = [:]
  private var lastProgress: UInt64 = 0
  private let estimates: [String: CellEstimate]
  private let ignoresMemory: Bool
  private let isShared: Bool
  private let began = DispatchTime.now().uptimeNanoseconds
  private let beganAt = Date()
  private var shareAtStart: Double?

  /// - Parameters:
  ///   - cells: the cells.
  ///   - settings: what the request asks for.
  ///   - folder: the study's folder.
  ///   - jobs: cells at a time.
  ///   - program: the executable of `coherent`.
  ///   - estimates: costs by cell.
  ///   - ignoresMemory: whether runs start that are estimated not to fit in memory.
  ///   - isShared: whether other processes work at the same grid. Each takes what is free, and what one that is lost had
  ///     begun, another goes on with.
  public init(
    _ cells: [Cell], settings: StudySettings, in folder: StudyFolder, jobs: Int, program: String,
    estimates: [String: CellEstimate], ignoresMemory: Bool = false, isShared: Bool = false
  ) {
    (self.cells, self.settings, self.folder) = (cells, settings, folder)
    (self.jobs, self.program, self.estimates) = (max(1, jobs), program, estimates)
    (self.ignoresMemory, self.isShared) = (ignoresMemory, isShared)
  }

  /// Runs to the end, or until `shouldStop`: cells at work then write a checkpoint.
  ///
  /// - Returns: whether it was left to come to its end.
  /// - Throws: `StudyError` or `RunStoreError` when the folder cannot be written to. A cell that fails is no error.
  public func run(shouldStop: () -> Bool, observe: (GridEvent) -> Void) throws -> Bool {
    defer { running.forEach { $0.interrupt() } }
    while true {
      collect(observe)
      if shouldStop() {
        isStopping = true
        running.forEach { $0.interrupt() }
        running.forEach { $0.wait() }
        collect(observe)
        return false
      }
      while running.count < jobs, let cell = next() {
        try? FileManager.default.removeItem(at: folder.failure(of: cell.name))
        do {
          for input in cell.inputs { try input.make(in: folder) }
        } catch {
          try fail(cell, "\(error)", observe)
          continue
        }
        try start(cell)
      }
      if running.isEmpty, awaited.isEmpty { return true }
      try giveUpWaiting(observe)
      let now = DispatchTime.now().uptimeNanoseconds
      if now - lastProgress >= Self.progressDistance {
        lastProgress = now
        observe(.progressed(progress()))
      }
      usleep(Self.pause)
    }
  }

  private static let pause: UInt32 = 100_000
  /// Progress is looked for in the runs' files.
  private static let progressDistance: UInt64 = 1_000_000_000
  /// How long a run may still be held by a process of a grid that was killed: it stops after its step, which can be long.
  private static let patience: UInt64 = 300_000_000_000

  /// The first cell that is left to do, has what it needs and is in nobody's hands.
  private func next() -> Cell? {
    cells.first { cell in
      !failed.contains(cell.name) && !hasFailedElsewhere(cell) && !running.contains { $0.cell.name == cell.name }
        && !status(of: cell).isFinal && cell.needs.allSatisfy(hasResults) && isFree(cell)
    }
  }

  /// Whether another process of a shared grid has tried the cell in vain: one attempt each.
  private func hasFailedElsewhere(_ cell: Cell) -> Bool {
    guard isShared else { return false }
    let facts = try? FileManager.default.attributesOfItem(atPath: folder.failure(of: cell.name).path)
    guard let written = facts?[.modificationDate] as? Date, written >= beganAt else { return false }
    failed.insert(cell.name)
    return true
  }

  /// Whether no process of an earlier grid is still at the cell, and none writes its run; remembers since when one does.
  private func isFree(_ cell: Cell) -> Bool {
    let isFree = !isAtWork(cell)
    awaited[cell.name] = isFree ? nil : awaited[cell.name] ?? DispatchTime.now().uptimeNanoseconds
    return isFree
  }

  private func isAtWork(_ cell: Cell) -> Bool {
    do {
      guard let held = try CellLock.take(folder.lock(of: cell.name)) else { return true }
      try held.close()
    } catch {
      // A file that cannot be made is no process at work; the start of the cell will say what is wrong.
    }
    guard cell.configuration != nil else { return false }
    do {
      try RunDirectory.lockOfExisting(at: folder.run(of: cell.name).path)?.release()
      return false
    } catch { return true }
  }

  private func giveUpWaiting(_ observe: (GridEvent) -> Void) throws {
    let now = DispatchTime.now().uptimeNanoseconds
    for cell in cells where awaited[cell.name] != nil {
      // The process may have come to its end, or the lock be free while all places here were taken.
      if status(of: cell).isFinal {
        awaited[cell.name] = nil
        observe(.ended(cell.name, status(of: cell)))
        continue
      }
      guard !isFree(cell), !isShared, let since = awaited[cell.name], now - since > Self.patience else { continue }
      awaited[cell.name] = nil
      try fail(cell, "another process is still running it or writing \(folder.run(of: cell.name).path)", observe)
    }
  }

  private func hasResults(_ name: String) -> Bool {
    cells.first { $0.name == name }.map { status(of: $0) == .completed } ?? false
  }

  private func start(_ cell: Cell) throws {
    let log = folder.log(of: cell.name)
    let places = Set(running.map(\.place))
    let place = (0..<jobs).first { !places.contains($0) } ?? 0
    do {
      running.append(
        try ChildProcess(
          cell, program: program, arguments: try arguments(for: cell), threads: settings.threads, place: place,
          cores: isShared ? nil : Cores.list(place: place, jobs: jobs, threads: settings.threads), log: log,
          lock: folder.lock(of: cell.name)))
    } catch is CellTaken {
      // Another process of a shared grid was faster; alone, one that an earlier grid has left behind.
      awaited[cell.name] = DispatchTime.now().uptimeNanoseconds
    }
  }

  private func arguments(for cell: Cell) throws -> [String] {
    let run = folder.run(of: cell.name)
    guard case .training(let configuration) = cell.work else {
      return ["study", "cell", cell.name, "--out", folder.url.path]
    }
    let file = folder.configuration(of: cell.name)
    try writeAtomically(Data(try configuration.yaml().utf8), to: file)
    let isBegun = FileManager.default.fileExists(atPath: run.appendingPathComponent("config.yaml").path)
    return ["train", "--quiet", "--no-report"] + (ignoresMemory ? ["--ignore-memory-estimate"] : [])
      + (isBegun ? ["--resume", run.path] : ["--config", file.path, "--out", run.path])
  }

  /// What became of a cell. An end stays an end, and is read once: the grid asks ten times a second while the cells need
  /// the processors.
  private func status(of cell: Cell) -> CellStatus {
    if let known = ends[cell.name] { return known }
    let status = folder.status(of: cell)
    if status.isFinal { ends[cell.name] = status }
    return status
  }

  private func collect(_ observe: (GridEvent) -> Void) {
    let ended = running.filter { !$0.isRunning }
    running.removeAll { child in ended.contains { $0 === child } }
    for child in ended {
      let status = status(of: child.cell)
      switch child.ending {
      case .interrupted: observe(.ended(child.cell.name, .begun))
      // A computation, or a run that was still loading its data, dies of the signal.
      case .failed where isStopping: observe(.ended(child.cell.name, .begun))
      case .finished where status.isFinal: observe(.ended(child.cell.name, status))
      // Divergence ends with an error, and is a result.
      case .failed where status == .diverged: observe(.ended(child.cell.name, status))
      case .finished: try? fail(child.cell, "exited without a result", observe)
      case .failed(let words): try? fail(child.cell, words, observe)
      }
    }
  }

  private func fail(_ cell: Cell, _ words: String, _ observe: (GridEvent) -> Void) throws {
    failed.insert(cell.name)
    observe(.ended(cell.name, .failed(words)))
    try writeAtomically(Data((words + "\n").utf8), to: folder.failure(of: cell.name))
  }

  /// How far the grid is, by the estimated seconds of its cells.
  func progress() -> GridProgress {
    func weight(_ cell: Cell) -> Double { max(estimates[cell.name]?.seconds ?? 0, 0.5) }
    var (done, doneWeight, total) = (0, 0.0, 0.0)
    for cell in cells {
      total += weight(cell)
      if status(of: cell).isFinal {
        done += 1
        doneWeight += weight(cell)
      } else if let steps = estimates[cell.name]?.steps, steps > 0 {
        doneWeight += weight(cell) * min(1, Double(lastStep(of: cell)) / Double(steps))
      }
    }
    let share = total > 0 ? doneWeight / total : 1
    let start = shareAtStart ?? share
    shareAtStart = start
    let elapsed = Double(DispatchTime.now().uptimeNanoseconds - began) / 1e9
    let left = share > start && elapsed > 2 ? (1 - share) / (share - start) * elapsed : nil
    return GridProgress(
      done: done, total: cells.count, failed: failed.count, running: running.map(\.cell.name), share: share,
      secondsLeft: left)
  }

  /// The last step that a run has evaluated.
  private func lastStep(of cell: Cell) -> Int {
    let file = folder.run(of: cell.name).appendingPathComponent("metrics.csv")
    guard let handle = try? openForReading(file), let end = try? handle.seekToEnd() else { return 0 }
    defer { try? handle.close() }
    try? handle.seek(toOffset: end > 512 ? end - 512 : 0)
    let lines = String(decoding: (try? handle.readToEnd()) ?? Data(), as: UTF8.self).split(separator: "\n")
    return lines.reversed().lazy.compactMap { line in
      let cells = line.split(separator: ",")
      return cells.count > 2
        ? Int(cells[1]).flatMap { (0...TrainingSettings.maximumSteps).contains($0) ? $0 : nil } : nil
    }.first ?? 0
  }
}
