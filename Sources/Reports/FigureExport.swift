// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// The picture formats that figures are exported in.
public enum FigureFormat: String, Sendable, CaseIterable {
  /// Vector graphics for the web and for editing.
  case svg
  /// Pixels, at 288 per inch.
  case png
  /// Vector graphics for papers.
  case pdf
}

extension Report {
  /// Draws one figure as a picture, with `python3` and vl-convert; no browser and no network.
  ///
  /// - Throws: `ReportError` when Python or vl-convert is missing, the drawing fails or the file cannot be written.
  public func export(
    figure: Figure, to url: URL, format: FigureFormat, assets: ReportAssets? = nil
  ) throws {
    try Figure.draw([(figure, url, format)], assets: assets ?? ReportAssets.locate())
  }

  /// Draws every figure in each format into a folder, as `ID.svg` and so on, in one go.
  ///
  /// - Parameters:
  ///   - folder: Made when it does not exist.
  ///   - formats: The formats of each figure.
  ///   - logarithmicSteps: Whether the step axes are logarithmic.
  ///   - assets: The exporter; found with `ReportAssets.locate()` when not given.
  /// - Returns: The files written.
  /// - Throws: `ReportError` when Python or vl-convert is missing, the drawing fails or a file cannot be written.
  @discardableResult
  public func exportFigures(
    to folder: URL, formats: [FigureFormat], logarithmicSteps: Bool = false, assets: ReportAssets? = nil
  ) throws -> [URL] {
    try Figure.export(figures(logarithmicSteps: logarithmicSteps), to: folder, formats: formats, assets: assets)
  }

  /// Draws some of the figures in each format into a folder, as `ID.svg` and so on, in one go.
  ///
  /// - Parameters:
  ///   - names: The ids of the figures; all of them when empty.
  ///   - look: How they are to look.
  ///   - folder: Made when it does not exist.
  ///   - formats: The formats of each figure.
  ///   - assets: The exporter; found with `ReportAssets.locate()` when not given.
  /// - Returns: The files written.
  /// - Throws: `ReportError` when there is no figure of a name (with the names there are), Python or vl-convert is
  ///   missing, the drawing fails or a file cannot be written.
  @discardableResult
  public func exportFigures(
    named names: [String], look: FigureLook, to folder: URL, formats: [FigureFormat], assets: ReportAssets? = nil
  ) throws -> [URL] {
    let chosen = try figures(named: names).map(look.applied)
    return try Figure.export(chosen, to: folder, formats: formats, assets: assets)
  }

  /// The figures of these ids, in the order of the report; all of them without any.
  ///
  /// - Throws: `ReportError` for an id that there is not, with those there are.
  public func figures(named names: [String]) throws -> [Figure] {
    let all = figures()
    let ids = all.map(\.id)
    if let unknown = names.first(where: { !ids.contains($0) }) {
      let runs = runs.flatMap(\.each).count
      throw ReportError(
        "\(runs == 1 ? "This run has" : "These runs have") no figure called \"\(unknown)\".",
        remedy: ids.isEmpty
          ? "There is none before the first evaluation." : "Choose from \(ids.joined(separator: ", ")).")
    }
    return names.isEmpty ? all : all.filter { names.contains($0.id) }
  }
}

extension Figure {
  /// Draws figures in each format into a folder, as `ID.svg` and so on, in one go.
  ///
  /// - Parameters:
  ///   - figures: The figures; nothing is written without any.
  ///   - folder: Made when it does not exist.
  ///   - formats: The formats of each figure.
  ///   - withTables: Whether the data of each figure goes beside it, as `ID.csv`.
  ///   - assets: The exporter; found with `ReportAssets.locate()` when not given.
  /// - Returns: The files written.
  /// - Throws: `ReportError` when Python or vl-convert is missing, the drawing fails or a file cannot be written.
  @discardableResult
  public static func export(
    _ figures: [Figure], to folder: URL, formats: [FigureFormat], withTables: Bool = false,
    assets: ReportAssets? = nil
  ) throws -> [URL] {
    try makeFolder(folder)
    let jobs = figures.flatMap { figure in
      formats.map { (figure, folder.appendingPathComponent("\(figure.id).\($0.rawValue)"), $0) }
    }
    var tables: [URL] = []
    if withTables {
      for figure in figures {
        let url = folder.appendingPathComponent("\(figure.id).csv")
        try writeAtomically(Data(figure.csv.utf8), to: url)
        tables.append(url)
      }
    }
    if !jobs.isEmpty { try draw(jobs, assets: assets ?? ReportAssets.locate()) }
    return jobs.map(\.1) + tables
  }

  fileprivate static func draw(_ jobs: [(Figure, URL, FigureFormat)], assets: ReportAssets) throws {
    guard !jobs.isEmpty else { return }
    for needed in [assets.exporter, assets.python] where !FileManager.default.fileExists(atPath: needed.path) {
      throw ReportError(
        "Figures cannot be drawn: \(needed.path) does not exist.", remedy: ReportAssets.remedy)
    }
    let work = FileManager.default.temporaryDirectory.appendingPathComponent("coherent-figures-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: work) }
    var arguments = [assets.exporter.path]
    do {
      try FileManager.default.createDirectory(at: work, withIntermediateDirectories: true)
    } catch {
      throw ReportError("Cannot create the temporary folder \(work.path).", remedy: "Set TMPDIR to a writable folder.")
    }
    for (figure, url, format) in jobs {
      let specification = work.appendingPathComponent("\(figure.id).json")
      try writeAtomically(Data(figure.specification.utf8), to: specification)
      guard url.pathExtension.lowercased() == format.rawValue else {
        throw ReportError(
          "\(url.lastPathComponent) does not end in .\(format.rawValue).", remedy: "Give the file that ending.")
      }
      arguments += [specification.path, url.path]
    }
    try runPython(arguments, assets: assets)
  }

  private static func runPython(_ arguments: [String], assets: ReportAssets) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3"] + arguments
    process.environment = ProcessInfo.processInfo.environment.merging(["PYTHONPATH": assets.python.path]) { $1 }
    let pipe = Pipe()
    process.standardError = pipe
    process.standardOutput = FileHandle.nullDevice
    do {
      try process.run()
    } catch {
      throw ReportError("python3 could not be started: \(error).", remedy: "Install Python 3.")
    }
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      let lines = String(decoding: output, as: UTF8.self).split(separator: "\n").suffix(4).joined(separator: " ")
      let isFull = lines.contains(String(cString: strerror(ENOSPC)))
      if lines.contains("panels do not fit") {
        throw ReportError(
          "The panels of a figure do not fit into the size asked for.",
          remedy: "Choose a larger --width or --height, or a smaller --font-size.")
      }
      throw ReportError(
        "The figures could not be drawn: \(isFull ? "the disk is full. " : "")\(lines)",
        remedy: isFull ? "Free some space, then try again." : "Run make setup, then try again.")
    }
  }
}

/// Makes the folder that something is to be written to, with those above it; one that is there stays as it is.
func makeFolder(_ folder: URL) throws {
  do {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  } catch {
    throw ReportError("Cannot create the folder \(folder.path).", remedy: "Choose a folder that you can write to.")
  }
}
