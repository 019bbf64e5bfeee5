// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// Figures and an HTML page about one or more runs, from their run directories alone; runs may still be training.
public struct Report: Sendable {
  /// The title of the page.
  public let title: String
  let runs: [RunData]

  /// Reads the runs.
  ///
  /// - Parameters:
  ///   - runs: the run directories.
  ///   - title: the title of the page; made from the runs by default.
  ///   - selection: Which evaluation of each run its findings are about; the last unless given.
  ///   - keys: What runs may differ in and still be drawn as one: their mean, with a band from the least to the
  ///     greatest value. Nothing unless given.
  /// - Throws: `ReportError` without any run, when pooling finds no runs that belong together, or when a run has no such
  ///   evaluation; `RunStoreError` when a run cannot be read.
  public init(
    runs: [RunDirectory], title: String? = nil, pooling keys: Set<PooledKey> = [],
    select selection: WeightSelection = .last
  ) throws {
    guard !runs.isEmpty else {
      throw ReportError("A report needs at least one run.", remedy: "Name one or more run directories.")
    }
    var loaded = try RunData.load(runs, pooling: keys)
    if selection != .last { for index in loaded.indices { try loaded[index].choose(selection) } }
    self.runs = loaded
    let names = Set(self.runs.map { "\($0.manifest.dataset.name), \($0.manifest.model)" }).sorted()
    self.title = title ?? (names.count == 1 ? names[0] : "\(runs.count) runs")
  }

  /// The figures that the runs have data for, the composite page first.
  ///
  /// - Parameter logarithmicSteps: Whether the step axes are logarithmic, which shows the first steps of long runs.
  public func figures(logarithmicSteps: Bool = false) -> [Figure] {
    let figures = FigureBuilders.all.flatMap { $0.figures(for: runs) }
    return logarithmicSteps ? figures.map { $0.logarithmicSteps() } : figures
  }

  /// What the runs show, in plain sentences: a headline, then a few sentences for each run.
  public func findings() -> (headline: String, runs: [(label: String, sentences: [String])]) {
    (Findings.headline(for: runs), runs.map { ($0.label, Findings.sentences(for: $0)) })
  }

  /// The page as one HTML file that needs no network, with the JavaScript bundle inside.
  ///
  /// - Parameter bundle: The file that `make setup` leaves at `.deps/vega/vega-bundle.js`.
  /// - Throws: `ReportError` when the bundle cannot be read.
  public func html(bundle: URL) throws -> String { try html(bundle: bundle, folder: nil) }

  /// Writes the page, all at once or not at all.
  ///
  /// - Parameters:
  ///   - url: The HTML file.
  ///   - bundle: The JavaScript bundle; found with `ChartAssets.locate()` when not given.
  /// - Throws: `ReportError` when the bundle is missing or there is no folder and none can be made, `RunStoreError` when
  ///   the file cannot be written.
  public func write(to url: URL, bundle: URL? = nil) throws {
    let bundle = try bundle ?? ChartAssets.locate().bundle
    let folder = url.deletingLastPathComponent()
    let page = try html(bundle: bundle, folder: folder.standardizedFileURL)
    if !FileManager.default.fileExists(atPath: folder.path) { try makeFolder(folder) }
    try writeAtomically(Data(page.utf8), to: url)
  }

  private func html(bundle: URL, folder: URL?) throws -> String {
    try ReportPage(title: title, runs: runs, figures: figures(), folder: folder).html(bundle: bundle)
  }
}
