// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// m-coherence of every layer along training, as a map of layers by steps; one for each run.
struct CoherenceByLayer: FigureBuilder {
  /// More columns than this are narrower than a pixel or two.
  private static let maximumColumns = 140
  private static let network = "whole network"

  func figures(for runs: [RunData]) -> [Figure] {
    let maps = runs.map(cells(of:))
    let values = maps.flatMap { $0 }.map(\.value)
    guard let low = values.min(), let high = values.max() else { return [] }
    return runs.indices.compactMap { index in
      figure(
        for: runs[index], cells: maps[index], range: low...max(high, low * 1.01), number: index + 1,
        isOnly: runs.count == 1)
    }
  }

  private func figure(
    for run: RunData, cells: [FigureHeatmap.Cell], range: ClosedRange<Double>, number: Int, isOnly: Bool
  ) -> Figure? {
    guard let split = run.coherenceSplits.first else { return nil }
    let sizes = Set(run.coherence(split).map(\.m)).sorted()
    return FigureHeatmap(
      // In two lines: the names of runs are too long for one on a narrow card.
      id: "coherence-by-layer-\(number)", title: ["m-coherence by layer"] + (isOnly ? [] : [run.label]),
      caption: "r of each layer’s gradients on the probe of \(CoherenceByStep.sizes(sizes)) \(Self.name(split)) "
        + "examples, in the order of the network; the colour scale is logarithmic\(isOnly ? "" : " and the same for all runs"). "
        + "A cell extends halfway to the next probe. The first row is the whole network: the mean of the layers, each "
        + "weighted by its share of Σ‖gᵢ‖². \(FigureAxis.logarithmicStepsNote)"
        + (run.members.isEmpty ? "" : " Means over \(run.members.count) runs."),
      section: CoherenceByStep.section, x: .steps, rows: [Self.network] + run.coherenceLayers(split),
      value: "m-coherence r", range: range, cells: cells, details: ["step", "m", "α, unbiased", "share of Σ‖gᵢ‖²"]
    ).figure()
  }

  /// The split in front of “examples”.
  static func name(_ split: String) -> String { split == "train" ? "training" : split }

  /// The cells of the training probe, or of the first split there is; none for a network of one layer.
  private func cells(of run: RunData) -> [FigureHeatmap.Cell] {
    guard let split = run.coherenceSplits.first else { return [] }
    let layers = run.coherenceLayers(split)
    let curves = ["all"] + layers
    let records = curves.map { run.coherence(split, layer: $0) }
    let probed = Set(records.joined().map(\.step)).sorted()
    let steps = EarlySteps.thinned(probed, limit: Self.maximumColumns)
    guard layers.count > 1, steps.count > 1 else { return [] }
    let edges = EarlySteps.edges(of: steps)
    let columns = Dictionary(uniqueKeysWithValues: steps.enumerated().map { ($1, $0) })
    return zip(curves, records).flatMap { layer, records in
      records.compactMap { record in
        guard let column = columns[record.step], let r = record.mCoherence, r.isFinite, r > 0 else { return nil }
        return FigureHeatmap.Cell(
          row: layer == "all" ? Self.network : layer, from: edges[column], to: EarlySteps.overlapped(edges, column),
          value: r,
          details: [
            Wording.integer(record.step), Wording.integer(record.m),
            record.alphaUnbiased.map { String(format: "%.3g", $0) } ?? "–",
            record.share.map { Wording.percent($0) } ?? "–",
          ])
      }
    }
  }
}
