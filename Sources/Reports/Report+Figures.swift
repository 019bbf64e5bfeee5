// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

extension Report {
  /// Draws one figure as a picture, with `python3` and vl-convert; no browser and no network.
  ///
  /// - Throws: `ChartError` when Python or vl-convert is missing, the drawing fails or the file cannot be written.
  public func export(figure: Figure, to url: URL, format: FigureFormat, assets: ChartAssets? = nil) throws {
    try Figure.draw([(figure, url, format)], assets: assets ?? ChartAssets.locate())
  }

  /// Draws every figure in each format into a folder, as `ID.svg` and so on, in one go.
  ///
  /// - Parameters:
  ///   - folder: Made when it does not exist.
  ///   - formats: The formats of each figure.
  ///   - logarithmicSteps: Whether the step axes are logarithmic.
  ///   - assets: The exporter; found with `ChartAssets.locate()` when not given.
  /// - Returns: The files written.
  /// - Throws: `ChartError` when Python or vl-convert is missing, the drawing fails or a file cannot be written.
  @discardableResult
  public func exportFigures(
    to folder: URL, formats: [FigureFormat], logarithmicSteps: Bool = false, assets: ChartAssets? = nil
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
  ///   - assets: The exporter; found with `ChartAssets.locate()` when not given.
  /// - Returns: The files written.
  /// - Throws: `ChartError` when there is no figure of a name (with the names there are), Python or vl-convert is
  ///   missing, the drawing fails or a file cannot be written.
  @discardableResult
  public func exportFigures(
    named names: [String], look: FigureLook, to folder: URL, formats: [FigureFormat], assets: ChartAssets? = nil
  ) throws -> [URL] {
    let chosen = try figures(named: names).map(look.applied)
    return try Figure.export(chosen, to: folder, formats: formats, assets: assets)
  }

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
}
