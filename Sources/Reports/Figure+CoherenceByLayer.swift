// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// m-coherence of every layer along training, as a map of layers by steps; one for each run.
struct CoherenceByLayer: FigureBuilder {
  /// More columns than this are narrower than a pixel or two.
  private static let maximumColumns = 140
  private static let network = "whole network"

  private struct Cell {
    let layer: String
    let record: CoherenceRecord
    let from, to: Double
    let r: Double
  }

  func figures(for runs: [RunData]) -> [Figure] {
    let maps = runs.map(cells(of:))
    let values = maps.flatMap { $0 }.map(\.r)
    guard let low = values.min(), let high = values.max() else { return [] }
    return runs.indices.compactMap { index in
      figure(
        for: runs[index], cells: maps[index], range: (low, max(high, low * 1.01)), number: index + 1,
        isOnly: runs.count == 1)
    }
  }

  private func figure(
    for run: RunData, cells: [Cell], range: (low: Double, high: Double), number: Int, isOnly: Bool
  ) -> Figure? {
    guard let split = run.coherenceSplits.first, !cells.isEmpty else { return nil }
    let layers = [Self.network] + run.coherenceLayers(split)
    let id = "coherence-by-layer-\(number)"
    let title = "m-coherence by layer" + (isOnly ? "" : ": \(run.label)")
    let last = cells.map(\.to).max() ?? 1
    let x = EarlySteps.axis(field: "from", last: Int(last))
    let chart: JSON = [
      // In two lines: the names of runs are too long for one on a narrow card.
      "title": isOnly ? .string(title) : .strings(["m-coherence by layer", run.label]), "width": 400,
      "height": .number(Double(min(520, max(150, layers.count * 22)))),
      "data": ["name": "cells"], "mark": ["type": "rect", "tooltip": true],
      "encoding": [
        "x": x.merging([
          "scale": [
            "type": "symlog", "constant": 1, "nice": false, "domain": .numbers([cells.map(\.from).min() ?? 0, last]),
          ]
        ]),
        "x2": ["field": "to"],
        "y": [
          "field": "layer", "type": "nominal", "title": nil, "sort": nil,
          "scale": ["domain": .strings(layers)],
          "axis": ["labelLimit": 130, "labelOverlap": true],
        ],
        "color": [
          "field": "r", "type": "quantitative",
          "scale": ["type": "log", "scheme": "viridis", "domain": .numbers([range.low, range.high]), "nice": false],
          "legend": [
            "title": "m-coherence r", "orient": "right", "gradientThickness": 10, "format": "~g",
            "values": .numbers(LogarithmicAxis.ticks(from: range.low, to: range.high)),
          ],
        ],
        "tooltip": [
          ["field": "layer", "title": "layer"], ["field": "step", "title": "step"],
          ["field": "r", "title": "r", "format": ".4~g"], ["field": "m", "title": "m"],
          ["field": "alpha", "title": "α, unbiased", "format": ".3~g"],
          ["field": "percent", "title": "share of Σ‖gᵢ‖²"],
        ],
      ],
    ]
    let sizes = Set(cells.map(\.record.m)).sorted()
    return Figure(
      id: id, title: title,
      caption: "r of each layer’s gradients on the probe of \(CoherenceByStep.sizes(sizes)) \(Self.name(split)) "
        + "examples, in the order of the network; the colour scale is logarithmic\(isOnly ? "" : " and the same for all runs"). "
        + "A cell extends halfway to the next probe. The first row is the whole network: the mean of the layers, each "
        + "weighted by its share of Σ‖gᵢ‖². \(EarlySteps.note)"
        + (run.members.isEmpty ? "" : " Means over \(run.members.count) runs."),
      section: CoherenceByStep.section, isComposite: false, chart: chart,
      data: [FigureData(name: "cells", rows: cells.map(row))])
  }

  /// The split in front of “examples”.
  static func name(_ split: String) -> String { split == "train" ? "training" : split }

  /// The cells of the training probe, or of the first split there is; none for a network of one layer.
  private func cells(of run: RunData) -> [Cell] {
    guard let split = run.coherenceSplits.first else { return [] }
    let layers = run.coherenceLayers(split)
    let curves = ["all"] + layers
    let records = curves.map { run.coherence(split, layer: $0) }
    let probed = Set(records.joined().map(\.step)).sorted()
    let steps = EarlySteps.thinned(probed, limit: Self.maximumColumns)
    guard layers.count > 1, steps.count > 1 else { return [] }
    let edges = Self.edges(of: steps)
    let columns = Dictionary(uniqueKeysWithValues: steps.enumerated().map { ($1, $0) })
    return zip(curves, records).flatMap { layer, records in
      records.compactMap { record -> Cell? in
        guard let column = columns[record.step], let r = record.mCoherence, r.isFinite, r > 0 else { return nil }
        return Cell(
          layer: layer == "all" ? Self.network : layer, record: record, from: edges[column],
          to: Self.overlapped(edges, column), r: r)
      }
    }
  }

  /// Half-way between neighbours on the axis; the first and the last step are the ends.
  static func edges(of steps: [Int]) -> [Double] {
    let places = steps.map { EarlySteps.place(Double($0)) }
    let inner = zip(places, places.dropFirst()).map { EarlySteps.step(at: ($0 + $1) / 2) }
    return [Double(steps[0])] + inner + [Double(steps[steps.count - 1])]
  }

  /// The right edge of a column, a little under the next one, which is drawn over it: else the page shines through.
  private static func overlapped(_ edges: [Double], _ column: Int) -> Double {
    let edge = edges[column + 1]
    return column + 2 < edges.count ? min(EarlySteps.step(at: EarlySteps.place(edge) + 0.06), edges[column + 2]) : edge
  }

  private func row(_ cell: Cell) -> JSON {
    func number(_ value: Double?) -> JSON? { value.map { .number(Wording.rounded($0)) } }
    return .object([
      "layer": .string(cell.layer), "step": .number(Double(cell.record.step)), "from": number(cell.from),
      "to": number(cell.to), "r": number(cell.r), "m": .number(Double(cell.record.m)),
      "alpha": number(cell.record.alphaUnbiased), "share": number(cell.record.share),
      "percent": cell.record.share.map { .string(Wording.percent($0)) },
    ])
  }
}
