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
  /// - Throws: `RunStoreError` without any run, when pooling finds no runs that belong together, when a run has no such
  ///   evaluation, or cannot be read.
  public init(
    runs: [RunDirectory], title: String? = nil, pooling keys: Set<PooledKey> = [],
    select selection: WeightSelection = .last
  ) throws {
    guard !runs.isEmpty else {
      throw RunStoreError("A report needs at least one run.", remedy: "Name one or more run directories.")
    }
    var loaded = try RunData.load(runs, pooling: keys)
    if selection != .last { for index in loaded.indices { try loaded[index].choose(selection) } }
    self.runs = loaded
    let names = Set(self.runs.map { "\($0.manifest.dataset.name), \($0.manifest.model)" }).sorted()
    self.title = title ?? (names.count == 1 ? names[0] : "\(runs.count) runs")
  }

  /// The figures that the runs have data for, the composite page first.
  public func figures() -> [Figure] { FigureBuilders.all.flatMap { $0.figures(for: runs) } }

  /// The figures of these ids, in the order of the report; all of them without any.
  ///
  /// - Throws: `ChartError` for an id that there is not, with those there are.
  public func figures(named names: [String]) throws -> [Figure] {
    let all = figures()
    let ids = all.map(\.id)
    if let unknown = names.first(where: { !ids.contains($0) }) {
      let runs = runs.flatMap(\.each).count
      throw ChartError(
        "\(runs == 1 ? "This run has" : "These runs have") no figure called \"\(unknown)\".",
        remedy: ids.isEmpty
          ? "There is none before the first evaluation." : "Choose from \(ids.joined(separator: ", ")).")
    }
    return names.isEmpty ? all : all.filter { names.contains($0.id) }
  }

  /// What the runs show, in plain sentences: a headline, then a few sentences for each run.
  public func findings() -> (headline: String, runs: [(label: String, sentences: [String])]) {
    (Findings.headline(for: runs), runs.map { ($0.label, Findings.sentences(for: $0)) })
  }

  /// The page as one HTML file that needs no network, with the JavaScript bundle inside.
  ///
  /// - Parameter bundle: The file that `make setup` leaves at `.deps/vega/vega-bundle.js`.
  /// - Throws: `ChartError` when the bundle cannot be read.
  public func html(bundle: URL) throws -> String { try html(bundle: bundle, folder: nil) }

  /// Writes the page, all at once or not at all.
  ///
  /// - Parameters:
  ///   - url: The HTML file.
  ///   - bundle: The JavaScript bundle; found with `ChartAssets.locate()` when not given.
  /// - Throws: `ChartError` when the bundle is missing or there is no folder and none can be made, `RunStoreError` when
  ///   the file cannot be written.
  public func write(to url: URL, bundle: URL? = nil) throws {
    let bundle = try bundle ?? ChartAssets.locate().bundle
    let folder = url.deletingLastPathComponent()
    if !FileManager.default.fileExists(atPath: folder.path) { try makeFolder(folder) }
    try checkWritable(url)
    let page = try html(bundle: bundle, folder: folder.standardizedFileURL)
    try writeAtomically(Data(page.utf8), to: url)
  }

  private func html(bundle: URL, folder: URL?) throws -> String {
    try ReportPage(title: title, runs: runs, figures: figures(), folder: folder).html(bundle: bundle)
  }
}
