// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Runs
import Training

/// A study's folder taken into use for its grid: no other process runs it meanwhile.
public final class StudyGrid {
  private let cells: [Cell]
  private let folder: StudyFolder
  private let lock: DirectoryLock

  /// Makes the folder, or finds it made for the same request, and takes it.
  ///
  /// - Throws: `StudyError` when the folder holds something else; `RunStoreError` when another process has it.
  public init(_ cells: [Cell], settings: StudySettings, in folder: StudyFolder) throws {
    (self.cells, self.folder) = (cells, folder)
    try folder.make()
    // The lock is a file, which a folder that is refused shall not see.
    try folder.check(for: settings)
    lock = try DirectoryLock(folder.url, activity: "running the study in")
    try folder.open(for: settings)
    for cell in cells { try Self.checkUnchanged(cell, in: folder) }
  }

  /// A cell that was begun with other settings, by another version of the program, does not belong to this grid.
  private static func checkUnchanged(_ cell: Cell, in folder: StudyFolder) throws {
    let file = folder.configuration(of: cell.name)
    guard let now = cell.configuration, FileManager.default.fileExists(atPath: file.path) else { return }
    var before = try TrainingConfiguration(file: file.path)
    before.takeFormerDefaults(absentIn: String(decoding: try readFile(file), as: UTF8.self))
    guard before != now else { return }
    let (old, new) = (try before.options(), try now.options())
    let key = Set(old.keys).union(new.keys).sorted().first { old[$0] != new[$0] } ?? "configuration"
    throw StudyError(
      "\(folder.url.path) was made by a different version of the study: \(key) of \(cell.name) was "
        + "\(old[key] ?? "not set") and is now \(new[key] ?? "not set").",
      remedy: "Choose another folder with --out.")
  }

  /// What the cells will cost: as found before, and found out for the rest.
  public func estimates(
    _ find: ([Cell], [String: CellEstimate]) throws -> [String: CellEstimate]
  ) throws -> [String: CellEstimate] {
    let known = Self.knownEstimates(in: folder)
    let isKnown = cells.allSatisfy { cell in
      cell.configuration == nil ? folder.status(of: cell).isFinal : known[cell.name] != nil
    }
    if isKnown { return known }
    let found = try find(cells, known)
    try writeAtomically(prettyJSON(found, escapingSlashes: true), to: folder.estimatesFile)
    return found
  }

  /// How many cells run at a time: as many as wished for, or as processors and memory allow.
  ///
  /// - Throws: `StudyError` when more are wished for than fit in memory.
  public func jobs(
    wanted: Int?, processors: Int, estimates: [String: CellEstimate], ignoresMemory: Bool
  ) throws -> Int {
    try Self.jobs(
      wanted: wanted, processors: processors, largest: estimates.values.map(\.memory).max() ?? 0,
      limit: ignoresMemory ? nil : MemoryLimit.current())
  }

  /// What is known of the cells' costs in a folder whose grid another process has taken.
  public static func knownEstimates(in folder: StudyFolder) -> [String: CellEstimate] {
    (try? readFile(folder.estimatesFile)).flatMap {
      try? JSONDecoder().decode([String: CellEstimate].self, from: $0)
    } ?? [:]
  }

  /// How many cells run at a time.
  ///
  /// - Parameters:
  ///   - wanted: as many as wished for; nil for as many as fit.
  ///   - processors: as many as processors allow.
  ///   - largest: what the largest cell takes of memory, in bytes.
  ///   - limit: what there is; nil for any.
  /// - Throws: `StudyError` when more are wished for than fit in memory.
  public static func jobs(wanted: Int?, processors: Int, largest: Int, limit: Int?) throws -> Int {
    let fitting = largest > 0 ? limit.map { max(1, $0 / largest) } ?? .max : .max
    guard let wanted else { return max(1, min(processors, fitting)) }
    guard wanted <= fitting else {
      let (each, all) = (Double(largest) / Double(1 << 30), Double(limit ?? 0) / Double(1 << 30))
      throw StudyError(
        "\(wanted) jobs do not fit in memory: a cell takes about \(String(format: "%.1f", each)) GB, and "
          + "\(String(format: "%.1f", all)) GB is available.",
        remedy: "Use --jobs \(fitting), or --ignore-memory-estimate at your own risk.")
    }
    return wanted
  }
}
