// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The installed files that pages and figures need: the JavaScript bundle for HTML, and the exporter for SVG, PNG and PDF.
public struct ChartAssets: Sendable, Equatable {
  /// The folder of installed dependencies, `.deps`.
  public let dependencies: URL
  /// The folder with the project's scripts.
  public let scripts: URL

  #if PACKED
    /// Whether this is a packed program, which comes with all that HTML reports need, and without the exporter's Python.
    public static let isPacked = true
  #else
    /// Whether this is a packed program, which comes with all that HTML reports need, and without the exporter's Python.
    public static let isPacked = false
  #endif

  /// What to do where the exporter is missing.
  static let remedy =
    isPacked ? "Install vl-convert as the README beside the program says." : "Run make setup in the project's folder."

  /// Assets at known places.
  public init(dependencies: URL, scripts: URL) {
    self.dependencies = dependencies
    self.scripts = scripts
  }

  /// The JavaScript bundle that a page embeds.
  public var bundle: URL { dependencies.appendingPathComponent("vega/vega-bundle.js") }

  /// The folder of Python packages that the exporter imports from.
  public var python: URL { dependencies.appendingPathComponent("python", isDirectory: true) }

  /// The script that draws figures.
  public var exporter: URL { scripts.appendingPathComponent("export-figures.py") }

  /// Finds the assets: in the folder that the environment variable `COHERENT_DEPS` names, else in the `.deps` of the
  /// nearest folder at or above the program's own folder, or the current one.
  ///
  /// - Throws: `ChartError` when no such folder holds the bundle.
  public static func locate() throws -> ChartAssets {
    let manager = FileManager.default
    let starts =
      [Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()].compactMap { $0 }
      + [URL(fileURLWithPath: manager.currentDirectoryPath)]
    return try locate(named: ProcessInfo.processInfo.environment["COHERENT_DEPS"], near: starts)
  }

  /// The text of a JavaScript bundle.
  static func script(at bundle: URL) throws -> String {
    guard let data = try? Data(contentsOf: bundle), !data.isEmpty else {
      throw ChartError(
        "The JavaScript bundle \(bundle.path) cannot be read.", remedy: "Run make setup in the project's folder.")
    }
    return String(decoding: data, as: UTF8.self)
  }

  static func locate(named folder: String?, near starts: [URL]) throws -> ChartAssets {
    if let folder, !folder.isEmpty {
      let dependencies = URL(fileURLWithPath: folder, isDirectory: true)
      let near = [dependencies.deletingLastPathComponent()] + starts
      let scripts = near.lazy.compactMap { nearest("scripts/export-figures.py", from: $0) }.first
      let assets = ChartAssets(
        dependencies: dependencies,
        scripts: scripts?.appendingPathComponent("scripts") ?? dependencies.appendingPathComponent("../scripts"))
      guard exists(assets.bundle) else { throw missing(assets.bundle.path) }
      return assets
    }
    for start in starts {
      guard let root = nearest(".deps/vega/vega-bundle.js", from: start) else { continue }
      return ChartAssets(
        dependencies: root.appendingPathComponent(".deps", isDirectory: true),
        scripts: root.appendingPathComponent("scripts", isDirectory: true))
    }
    throw missing(".deps/vega/vega-bundle.js")
  }

  private static func missing(_ path: String) -> ChartError {
    ChartError(
      "The JavaScript bundle for reports was not found (\(path)).",
      remedy: "Run make setup in the project's folder, or set COHERENT_DEPS to its .deps folder.")
  }

  private static func exists(_ url: URL) -> Bool { FileManager.default.fileExists(atPath: url.path) }

  private static func nearest(_ path: String, from start: URL) -> URL? {
    var folder = start.standardizedFileURL
    while true {
      if exists(folder.appendingPathComponent(path)) { return folder }
      let parent = folder.deletingLastPathComponent()
      if parent.path == folder.path || folder.path == "/" { return nil }
      folder = parent
    }
  }
}
