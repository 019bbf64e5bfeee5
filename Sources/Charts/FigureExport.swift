// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The picture formats that figures are exported in.
public enum FigureFormat: String, Sendable, CaseIterable {
  /// Vector graphics for the web and for editing.
  case svg
  /// Pixels, at 288 per inch.
  case png
  /// Vector graphics for papers.
  case pdf
}

extension Figure {
  /// Draws figures in each format into a folder, as `ID.svg` and so on, in one go.
  ///
  /// - Parameters:
  ///   - figures: The figures; nothing is written without any.
  ///   - folder: Made when it does not exist.
  ///   - formats: The formats of each figure.
  ///   - withTables: Whether the data of each figure goes beside it, as `ID.csv`.
  ///   - assets: The exporter; found with `ChartAssets.locate()` when not given.
  /// - Returns: The files written.
  /// - Throws: `ChartError` when Python or vl-convert is missing, the drawing fails or a file cannot be written.
  @discardableResult
  public static func export(
    _ figures: [Figure], to folder: URL, formats: [FigureFormat], withTables: Bool = false,
    assets: ChartAssets? = nil
  ) throws -> [URL] {
    try makeFolder(folder)
    let jobs = figures.flatMap { figure in
      formats.map { (figure, folder.appendingPathComponent("\(figure.id).\($0.rawValue)"), $0) }
    }
    var tables: [URL] = []
    if withTables {
      for figure in figures {
        let url = folder.appendingPathComponent("\(figure.id).csv")
        try write(figure.csv, to: url)
        tables.append(url)
      }
    }
    if !jobs.isEmpty { try draw(jobs, assets: assets ?? ChartAssets.locate()) }
    return jobs.map(\.1) + tables
  }

  package static func draw(_ jobs: [(Figure, URL, FigureFormat)], assets: ChartAssets) throws {
    guard !jobs.isEmpty else { return }
    for needed in [assets.exporter, assets.python] where !FileManager.default.fileExists(atPath: needed.path) {
      throw ChartError("Figures cannot be drawn: \(needed.path) does not exist.", remedy: ChartAssets.remedy)
    }
    let work = FileManager.default.temporaryDirectory.appendingPathComponent("coherent-figures-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: work) }
    var arguments = [assets.exporter.path]
    do {
      try FileManager.default.createDirectory(at: work, withIntermediateDirectories: true)
    } catch {
      throw ChartError("Cannot create the temporary folder \(work.path).", remedy: "Set TMPDIR to a writable folder.")
    }
    for (figure, url, format) in jobs {
      let specification = work.appendingPathComponent("\(figure.id).json")
      try write(figure.specification, to: specification)
      guard url.pathExtension.lowercased() == format.rawValue else {
        throw ChartError(
          "\(url.lastPathComponent) does not end in .\(format.rawValue).", remedy: "Give the file that ending.")
      }
      arguments += [specification.path, url.path]
    }
    try runPython(arguments, assets: assets)
  }

  private static func runPython(_ arguments: [String], assets: ChartAssets) throws {
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
      throw ChartError("python3 could not be started: \(error).", remedy: "Install Python 3.")
    }
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      let lines = String(decoding: output, as: UTF8.self).split(separator: "\n").suffix(4).joined(separator: " ")
      let isFull = lines.contains(String(cString: strerror(ENOSPC)))
      if lines.contains("panels do not fit") {
        throw ChartError(
          "The panels of a figure do not fit into the size asked for.",
          remedy: "Choose a larger --width or --height, or a smaller --font-size.")
      }
      throw ChartError(
        "The figures could not be drawn: \(isFull ? "the disk is full. " : "")\(lines)",
        remedy: isFull ? "Free some space, then try again." : "Run make setup, then try again.")
    }
  }
}

/// Makes the folder that something is to be written to, with those above it; one that is there stays as it is.
package func makeFolder(_ folder: URL) throws {
  do {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  } catch {
    throw ChartError("Cannot create the folder \(folder.path).", remedy: "Choose a folder that you can write to.")
  }
}

/// Writes a text file, all at once or not at all.
private func write(_ text: String, to url: URL) throws {
  do {
    try Data(text.utf8).write(to: url, options: .atomic)
  } catch {
    throw ChartError(
      "\(url.path) cannot be written: \(error.localizedDescription)",
      remedy: "Check that the folder is writable and the disk has space, then try again.")
  }
}
