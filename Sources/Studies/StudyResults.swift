// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// What a study has found so far: the verdicts on its claims and the state of its cells, from its folder alone.
public struct StudyResults: Sendable, Codable, Equatable {
  /// A cell and where its results are, below the study's folder.
  public struct CellRecord: Sendable, Codable, Equatable {
    /// Its name.
    public let name: String
    /// What it is.
    public let title: String
    /// How far it is, as a word.
    public let status: String
    /// Why it failed, or what it waits for; nil otherwise.
    public let problem: String?
    /// The run directory or the file of measurements.
    public let results: String
    /// What repeats it, in the study's folder or in that of an export.
    public internal(set) var command: String
  }

  /// The study's name.
  public let study: String
  /// The profile, and what was changed.
  public let profile: String
  /// The verdicts, one or more for each claim of the study.
  public let verdicts: [Verdict]
  /// The cells, in the order of the grid.
  public internal(set) var cells: [CellRecord]

  /// The score card of an export, as it was kept; nil for the folder of a study.
  ///
  /// - Throws: `StudyError` when it cannot be read.
  static func kept(in folder: StudyFolder) throws -> StudyResults? {
    guard folder.isKept else { return nil }
    do {
      return try JSONDecoder().decode(StudyResults.self, from: readFile(folder.scoreCardFile))
    } catch {
      throw StudyError(
        "\(folder.scoreCardFile.path) cannot be read as the score card of a study.",
        remedy: "Restore the file, or export the study again (coherent study report FOLDER --export).")
    }
  }

  /// Judges what is there.
  ///
  /// - Throws: `StudyError` when the folder is no study's; `RunStoreError` when results cannot be read.
  public init(_ folder: StudyFolder) throws {
    let settings = try folder.settings()
    try folder.checkNotKept(remedy: "Name the folder given to coherent study run --out.")
    let study = try StudyCatalog.study(settings.study)
    let cells = try study.cells(settings, in: folder)
    let statuses = Dictionary(cells.map { ($0.name, folder.status(of: $0)) }, uniquingKeysWith: { first, _ in first })
    self.study = study.id
    profile = settings.scale
    self.cells = cells.map { Self.record(of: $0, statuses, in: folder) }
    // Runs that diverged are named by the verdicts that would have rested on them.
    let problems = Self.problems(of: self.cells.filter { $0.status != CellStatus.diverged.word })
    verdicts = try folder.scoreCard(of: cells, claims: study.claims).verdicts.map { verdict in
      let measured = cells.filter { verdict.measurements.contains($0.name) }
      let restsOnRuns = !verdict.runs.isEmpty || measured.contains { !$0.needs.isEmpty }
      let isTrained = restsOnRuns || measured.contains { $0.setting != nil }
      // What the first steps of a run look like, or a few hundred digits, neither supports a claim nor contradicts it.
      var cut: [String] = []
      if restsOnRuns, let steps = settings.steps { cut.append("what --steps \(steps) cut off") }
      if isTrained, settings.profile == .smoke { cut.append("data and training beyond the size of smoke") }
      let found = verdict.missing(problems + cut)
      return cut.isEmpty ? found : found.undecided
    }
  }

  /// Whether every cell has its results.
  public var isComplete: Bool { cells.allSatisfy { ["completed", "diverged"].contains($0.status) } }

  /// What went wrong with the cells that failed: a line for all with the same words.
  public var failures: [String] { Self.problems(of: cells.filter { $0.status == CellStatus.failed("").word }) }

  static func problems(of cells: [CellRecord]) -> [String] {
    alike(cells.filter { $0.problem != nil }).map { cells in
      let names = cells.map(\.name)
      let who =
        switch names.count {
        case 1: "cell \(names[0])"
        case 2...3: "cells " + names.joined(separator: ", ")
        default: "cells \(names[0]), \(names[1]) and \(names.count - 2) more"
        }
      return "\(who): \(cells[0].problem ?? "")"
    }
  }

  /// The cells that ended alike, together: what is wrong with one is as a rule wrong with many.
  private static func alike(_ cells: [CellRecord]) -> [[CellRecord]] {
    let kinds = Dictionary(grouping: cells.indices) { [cells[$0].status, cells[$0].problem ?? ""] }.values
    return kinds.sorted { $0[0] < $1[0] }.map { $0.map { cells[$0] } }
  }

  private static func record(of cell: Cell, _ statuses: [String: CellStatus], in folder: StudyFolder) -> CellRecord {
    let status = statuses[cell.name] ?? .open
    var problem: String?
    if case .failed(let words) = status { problem = words }
    if status == .diverged { problem = "its loss was no longer a finite number" }
    if status == .open, let blocker = cell.needs.first(where: { statuses[$0] != .completed }) {
      problem = "it needs \(blocker), which is \(statuses[blocker]?.word ?? "unknown")"
    }
    let (results, command): (String, String)
    switch cell.work {
    case .training:
      results = "runs/\(cell.name)"
      command = trainingCommand(cell.name)
    case .computation:
      results = "measured/\(cell.name).csv"
      command = "coherent study cell \(cell.name) --out ."
    }
    return CellRecord(
      name: cell.name, title: cell.title, status: status.word, problem: problem, results: results, command: command)
  }

  static func trainingCommand(_ cell: String, dataDir: String? = nil) -> String {
    "coherent train --config configs/\(cell).yaml\(dataDir.map { " --data-dir \($0)" } ?? "") --out \(cell)"
  }

  /// Writes `scorecard.json` and `scorecard.txt`.
  ///
  /// - Throws: `RunStoreError` when they cannot be written.
  public func write(to folder: StudyFolder) throws {
    try writeAtomically(prettyJSON(self) + Data("\n".utf8), to: folder.scoreCardFile)
    try writeAtomically(Data((text + "\n").utf8), to: folder.scoreCardText)
  }

  /// The results for people.
  public var text: String {

    let open = Self.alike(cells.filter { $0.status != "completed" }).map { cells in
      "  \(cells.map(\.name).joined(separator: ", ")): \(cells[0].status)" + (cells[0].problem.map { ", \($0)" } ?? "")
    }
    let head = "\(study), profile \(profile): \(Outcome.counts(verdicts.map(\.outcome)))"
    let rest = open.isEmpty ? [] : ["Cells without results:\n" + open.joined(separator: "\n")]
    return ([head] + verdicts.map(\.text) + rest).joined(separator: "\n\n")
  }
}

extension StudyFolder {
  /// The runs that have begun, by cell.
  func runs(of cells: [Cell]) -> [RunDirectory] {
    cells.filter { $0.configuration != nil }.compactMap { try? RunDirectory.open(at: run(of: $0.name).path) }
  }

  /// The measurements there are.
  func measurements(of cells: [Cell]) throws -> [Measurement] {
    try cells.filter { $0.configuration == nil }.compactMap { cell in
      let file = measurement(of: cell.name)
      guard FileManager.default.fileExists(atPath: file.path) else { return nil }
      return try Measurement(file)
    }
  }

  func scoreCard(of cells: [Cell], claims: [String]) throws -> ScoreCard {
    try ScoreCard(runs: runs(of: cells), measurements: measurements(of: cells), claims: claims, relativeTo: url)
  }

  /// Computes a cell that is no training run, and keeps its numbers.
  ///
  /// - Throws: `StudyError` when there is no such cell; what the computation throws.
  public func compute(cell name: String, tool: RunManifest.Tool) throws {
    let settings = try self.settings()
    let cells = try StudyCatalog.study(settings.study).cells(settings, in: self)
    guard let cell = cells.first(where: { $0.name == name }), case .computation(let computation) = cell.work else {
      throw StudyError(
        "\(settings.study) has no computation \"\(name)\".",
        remedy: "Its cells are \(cells.map(\.name).joined(separator: ", ")).")
    }
    let begin = ContinuousClock.now
    let quantities = try computation.quantities(in: self)
    try ComputationRecord(tool: tool, wallSeconds: (ContinuousClock.now - begin) / .seconds(1)).write(
      to: self.computation(of: name))
    // The numbers last: with them the cell is complete.
    try QuantityRecord.write(quantities, to: measurement(of: name))
  }
}

extension Verdict {
  /// This verdict with more that was not found.
  fileprivate func missing(_ more: [String]) -> Verdict { changed(outcome: outcome, missing: missing + more) }

  /// This verdict as an inconclusive one.
  fileprivate var undecided: Verdict { changed(outcome: .inconclusive, missing: missing) }

  private func changed(outcome: Outcome, missing: [String]) -> Verdict {
    Verdict(
      claim: claim, version: version, outcome: outcome, explanation: explanation,
      parts: outcome == self.outcome
        ? parts
        : parts.map {
          Part(
            id: $0.id, sentence: $0.sentence, outcome: outcome, explanation: $0.explanation, numbers: $0.numbers)
        },
      numbers: numbers, runs: runs, measurements: measurements, seeds: seeds, scale: scale, missing: missing)
  }
}
