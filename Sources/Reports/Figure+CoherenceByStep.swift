// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// m-coherence of the whole network along training, on the fixed probes of training and of test examples.
struct CoherenceByStep: FigureBuilder {
  static let section = "Coherence"

  func figures(for runs: [RunData]) -> [Figure] {
    let splits = Self.splits(of: runs)
    let whole = runs.flatMap { run in
      splits.compactMap { Series(run: run.label, measure: $0, points: run.mCoherence($0), limit: .max) }
    }
    guard !whole.isEmpty else { return [] }
    let id = "coherence-by-step"
    let title = "m-coherence by step"
    let sizes = runs.reduce(into: Set<Int>()) { $0.formUnion($1.probeSizes) }.sorted()
    let values = whole.flatMap(\.points).map(\.value)
    let low = min(0.8, (values.min() ?? 1) * 0.8)
    let high = max(2, values.max() ?? 2, Double(sizes.last ?? 2)) * 1.25
    let y: JSON = [
      "field": "value", "type": "quantitative", "title": "m-coherence r",
      "scale": ["type": "log", "domain": .numbers([low, high]), "nice": false],
      "axis": LogarithmicAxis.axis(from: low, to: high),
    ]
    let x = EarlySteps.axis(last: whole.flatMap(\.points).map(\.step).max() ?? 1)
    let bands = CoherenceBands(runs: runs, splits: splits, range: (low, high))
    let series = whole.map { EarlySteps.joined($0, scale: .logarithmic, range: low...high) }.map { series in
      // One band is enough: where there are intervals, they say more than the range of neighbours.
      bands.hasIntervals(of: series) ? series.withoutBand : series
    }
    let isJoined = series.contains(where: \.hasBand) && !whole.contains(where: \.hasBand)
    let lines = ChartStyle.curves(
      .object([
        "x": x, "y": y, "color": ChartStyle.splitColor(runs, splits: splits),
        "strokeDash": Self.dash(for: splits, isColored: runs.count == 1),
      ]), series: series)
    let chart: JSON = [
      "title": .string(title), "width": 400, "height": 280, "data": ["name": .string(id)],
      "usermeta": EarlySteps.fixed,
      "layer": .array(
        bands.areas(x: x, y: y) + Self.references(sizes: sizes) + lines.layers + bands.points(x: x, y: y)),
    ]
    return [
      Figure(
        id: id, title: title,
        caption: caption(splits: splits, sizes: sizes) + bands.note + (isJoined ? CurveBins.note + " " : "")
          + EarlySteps.note + RunData.poolingNote(runs),
        section: Self.section, isComposite: false, chart: chart,
        data: [FigureData(name: id, series: series)] + bands.data,
        table: FigureData(name: id, series: whole).table + bands.data.flatMap(\.table))
    ]
  }

  private func caption(splits: [String], sizes: [Int]) -> String {
    var text =
      "m-coherence r = ‖Σgᵢ‖²/Σ‖gᵢ‖² of the per-example gradients of the whole network on a fixed probe of "
      + "\(Self.sizes(sizes)) examples. r = 1 (dotted) if the gradients are orthogonal, r = m (dotted) if they are all "
      + "equal; r grows with m, so only probes of the same size are comparable. "
    if splits.count > 1 { text += "Solid: training examples; dashed: \(splits[1]) examples. " }
    return text
  }

  /// The splits of all runs, training first.
  static func splits(of runs: [RunData]) -> [String] {
    let found = runs.flatMap(\.coherenceSplits)
    let known = ["train", "test"].filter(found.contains)
    return known + Set(found).subtracting(known).sorted()
  }

  /// Probe sizes as `m = 2000` or `m = 1000 or 2000`.
  static func sizes(_ sizes: [Int]) -> String {
    "m = " + sizes.map(Wording.integer).joined(separator: " or ")
  }

  /// Training solid, test dashed; nil where there is only one split.
  ///
  /// - Parameter isColored: Whether the curves also have colours by split, so that the legend takes these.
  static func dash(for splits: [String], isColored: Bool = false) -> JSON? {
    guard splits.count > 1 else { return nil }
    let patterns: [JSON] = [[1, 0], [5, 3], [1.5, 3]]
    return [
      "field": "measure", "type": "nominal",
      "scale": [
        "domain": .strings(splits), "range": .array(splits.indices.map { patterns[min($0, patterns.count - 1)] }),
      ],
      "legend": isColored
        ? ChartStyle.dashLegend
        : ChartStyle.dashLegend.merging(["symbolStrokeColor": .string(Palette.neutral.light)]),
    ]
  }

  /// Dotted lines where r = 1 and r = m, named beside the plot, where no curve is.
  private static func references(sizes: [Int]) -> [JSON] {
    let shown = sizes.count <= 3 ? sizes : []
    let values: [JSON] =
      [["r": 1, "name": "r = 1"]]
      + shown.map {
        ["r": .number(Double($0)), "name": .string(sizes.count == 1 ? "r = m" : "m = \(Wording.integer($0))")]
      }
    let y: JSON = ["field": "r", "type": "quantitative"]
    let color = JSON.string(Palette.neutral.light)
    return [
      [
        "data": ["values": .array(values)],
        "mark": ["type": "rule", "strokeDash": [1, 3], "strokeCap": "round", "strokeWidth": 1.3, "color": color],
        "encoding": ["y": y],
      ],
      [
        "data": ["values": .array(values)],
        "mark": ["type": "text", "align": "left", "baseline": "middle", "dx": 5, "fontSize": 10.5, "color": color],
        "encoding": ["x": ["value": "width"], "y": y, "text": ["field": "name"]],
      ],
    ]
  }
}
