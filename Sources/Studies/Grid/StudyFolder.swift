// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Runs
import Training

/// Where a study keeps its results.
///
///     study.yaml  configs/NAME.yaml  runs/NAME/  measured/NAME.csv  prepared/*  logs/NAME.log
///     estimates.json  scorecard.json  scorecard.txt  figures/  report.html
public struct StudyFolder: Sendable, Hashable {
  /// The folder.
  public let url: URL

  /// The folder at a path, whether it exists or not.
  public init(_ path: String) { url = URL(fileURLWithPath: path).standardizedFileURL }

  var settingsFile: URL { url.appendingPathComponent("study.yaml") }
  var estimatesFile: URL { url.appendingPathComponent("estimates.json") }
  /// The score card for programs.
  public var scoreCardFile: URL { url.appendingPathComponent("scorecard.json") }
  /// The score card for people.
  public var scoreCardText: URL { url.appendingPathComponent("scorecard.txt") }
  /// The page.
  public var report: URL { url.appendingPathComponent("report.html") }
  /// The figures' files.
  public var figures: URL { url.appendingPathComponent("figures", isDirectory: true) }

  /// The configuration of a cell.
  public func configuration(of cell: String) -> URL { url.appendingPathComponent("configs/\(cell).yaml") }
  /// The run directory of a cell.
  public func run(of cell: String) -> URL { url.appendingPathComponent("runs/\(cell)", isDirectory: true) }
  /// The numbers of a cell that computes.
  public func measurement(of cell: String) -> URL { url.appendingPathComponent("measured/\(cell).csv") }
  /// Where it says what computed them.
  func computation(of cell: String) -> URL { url.appendingPathComponent("measured/\(cell).json") }
  /// What a cell printed.
  public func log(of cell: String) -> URL { url.appendingPathComponent("logs/\(cell).log") }
  /// Whose lock a cell's process holds.
  func lock(of cell: String) -> URL { url.appendingPathComponent("logs/\(cell).lock") }
  /// Why a cell failed; absent otherwise.
  func failure(of cell: String) -> URL { url.appendingPathComponent("logs/\(cell).failed") }
  func prepared(_ name: String) -> URL { url.appendingPathComponent("prepared/\(name)") }

  /// The request whose results are here.
  ///
  /// - Throws: `StudyError` when the folder is not a study's.
  public func settings() throws -> StudySettings {
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw StudyError("There is no folder \(url.path).", remedy: "Check the path for a typing error.")
    }
    guard FileManager.default.fileExists(atPath: settingsFile.path) else {
      throw StudyError(
        "\(url.path) holds no study: it has no study.yaml.",
        remedy: "Name the folder given to coherent study run --out.")
    }
    return try StudySettings.read(settingsFile)
  }

  /// Makes the folder, empty, where there is none.
  ///
  /// - Throws: `StudyError` when it cannot be made.
  func make() throws {
    if FileManager.default.fileExists(atPath: url.path), !isFolder {
      throw StudyError("\(url.path) is a file.", remedy: "Choose a folder, or a place for a new one.")
    }
    try make(url)
  }

  private func make(_ place: URL) throws {
    do {
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    } catch {
      throw StudyError(
        "The folder \(place.path) cannot be created.",
        remedy: "Choose a folder that you can write to.")
    }
  }

  /// Whether the folder can take a request, before anything is written to it.
  ///
  /// - Throws: `StudyError` when it holds the results of another request, or files that are no study's.
  func check(for settings: StudySettings) throws {
    try checkNotKept(remedy: "Choose another folder with --out.")
    if FileManager.default.fileExists(atPath: settingsFile.path) {
      guard let (key, here, there) = settings.difference(from: try self.settings()), hasResults else { return }
      throw StudyError(
        "\(url.path) holds the results of a different request: its \(key) is \(there), not \(here).",
        remedy: "Choose another folder with --out, or repeat the options it was made with (\(settingsFile.path)).")
    }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
    guard names.allSatisfy({ $0.hasPrefix(".") }) else {
      throw StudyError("\(url.path) holds files, but no study.", remedy: "Choose an empty or a new folder with --out.")
    }
  }

  /// Lays the folder out for a request, or finds that done for the same one. Whoever calls it has the folder's lock.
  ///
  /// - Throws: as `check(for:)`, and `StudyError` when a folder cannot be made.
  func open(for settings: StudySettings) throws {
    try check(for: settings)
    // Nothing was begun for another request: it could not start, for want of its data.
    let isAnother = try FileManager.default.fileExists(atPath: settingsFile.path) && self.settings() != settings
    if isAnother { clear() }
    try make()
    // First what says that this is a study: whoever is stopped here leaves no files without it.
    if isAnother || !FileManager.default.fileExists(atPath: settingsFile.path) {
      try writeAtomically(Data(try settings.yaml().utf8), to: settingsFile)
    }
    for name in ["configs", "runs", "measured", "prepared", "logs"] { try make(url.appendingPathComponent(name)) }
  }

  /// Whether there is something here that a run, a computation or a failed start has left.
  var hasResults: Bool {
    ["runs", "measured", "prepared", "logs"].contains { name in
      let found = try? FileManager.default.contentsOfDirectory(atPath: url.appendingPathComponent(name).path)
      return !(found ?? []).isEmpty
    }
  }

  /// Whether this is what an export has kept of a study: its score card, without its runs.
  var isKept: Bool {
    let manager = FileManager.default
    return manager.fileExists(atPath: scoreCardFile.path)
      && !manager.fileExists(atPath: url.appendingPathComponent("runs").path)
  }

  /// - Throws: `StudyError` when this is an export, whose score card nothing could make anew.
  func checkNotKept(remedy: String) throws {
    if isKept { throw StudyError("\(url.path) is an export of a study, without its runs.", remedy: remedy) }
  }

  private var isFolder: Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) && isFolder.boolValue
  }

  /// Takes away what a request left that never began.
  private func clear() {
    let manager = FileManager.default
    let configs = url.appendingPathComponent("configs")
    let names = (try? manager.contentsOfDirectory(atPath: configs.path)) ?? []
    for file in [estimatesFile, scoreCardFile, scoreCardText, report] + names.map(configs.appendingPathComponent) {
      try? manager.removeItem(at: file)
    }
  }

  /// What became of a cell so far.
  public func status(of cell: Cell) -> CellStatus {
    let manager = FileManager.default
    switch cell.work {
    case .computation: if manager.fileExists(atPath: measurement(of: cell.name).path) { return .completed }
    case .training:
      if let manifest = try? RunDirectory.open(at: run(of: cell.name).path).manifest() {
        if manifest.status == .completed { return .completed }
        if manifest.status == .diverged { return .diverged }
      }
    }
    if let data = try? readFile(failure(of: cell.name)) {
      return .failed(String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))
    }
    return manager.fileExists(atPath: run(of: cell.name).path) ? .begun : .open
  }
}

/// How far a cell has come.
public enum CellStatus: Sendable, Equatable {
  /// Not begun.
  case open
  /// Begun, and to be gone on with.
  case begun
  /// Done.
  case completed
  /// Its loss was no longer a finite number; that is a result.
  case diverged
  /// It ended with an error, which is given.
  case failed(String)

  /// Whether nothing is left to do.
  public var isFinal: Bool { self == .completed || self == .diverged }

  /// The status as a word.
  public var word: String {
    switch self {
    case .open: "not begun"
    case .begun: "begun"
    case .completed: "completed"
    case .diverged: "diverged"
    case .failed: "failed"
    }
  }
}
