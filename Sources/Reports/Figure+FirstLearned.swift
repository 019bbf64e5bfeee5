// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// When single examples were learned: a histogram of the step first learned, pristine against corrupt, one per run.
struct FirstLearned: FigureBuilder {
  private static let binCount = 24

  /// The histogram of a run.
  private struct Bins {
    let groups: [(name: String, examples: [ExampleRecord])]
    let edges: [Double]
    let rows: [JSON]

    /// Nil where there is nothing to compare.
    init?(_ run: RunData) {
      let all: [(name: String, examples: [ExampleRecord])] = [
        ("pristine", run.examples.filter { !$0.isCorrupt }), ("corrupt", run.examples.filter(\.isCorrupt)),
      ]
      let groups = all.filter { !$0.examples.isEmpty }
      let steps = run.examples.compactMap(\.firstLearned)
      guard groups.count == 2, Set(steps).count > 2 else { return nil }
      let edges = FirstLearned.edges(for: steps)
      self.edges = edges
      self.groups = groups
      rows = groups.flatMap { FirstLearned.rows(group: $0.name, examples: $0.examples, edges: edges) }
    }

    /// The height of the highest bar.
    var top: Double {
      rows.compactMap { row in if case .number(let value)? = row["density"] { value } else { nil } }.max() ?? 0
    }
  }

  /// Axes are those of all runs, so that histograms side by side compare.
  func figures(for runs: [RunData]) -> [Figure] {
    let bins = runs.map { Bins($0) }
    let shown = bins.compactMap { $0 }
    let first = shown.compactMap(\.edges.first).min() ?? 1
    let last = shown.compactMap(\.edges.last).max() ?? 10
    let top = FigureAxis.rounded(0, shown.map(\.top).max() ?? 1).upperBound
    return runs.indices.compactMap { index in
      bins[index].map { own in
        let title = "First learned" + (runs.count == 1 ? "" : ": \(runs[index].label)")
        return figure(
          for: runs[index], own, number: index + 1, title: title,
          chart: chart(title: title, steps: (first, last), top: top))
      }
    }
  }

  private func figure(for run: RunData, _ bins: Bins, number: Int, title: String, chart: JSON) -> Figure {
    let never = bins.groups.map { name, examples in
      let share = Double(examples.count { $0.firstLearned == nil }) / Double(examples.count)
      return "\(Wording.percent(share)) of the \(Wording.integer(examples.count)) \(name)"
    }.joined(separator: " and ")
    return Figure(
      id: "first-learned-\(number)", title: title,
      caption:
        "When the examples of each group were first classified as their training label. Height is the share of the "
        + "group per doubling of the step, so equal areas are equal shares. Never learned: \(never) examples."
        + (run.members.isEmpty ? "" : " The examples of \(run.members.count) runs together."),
      section: "Pristine against corrupt examples", isComposite: false, chart: chart,
      data: [FigureData(name: "bins", rows: bins.rows)])
  }

  private func chart(title: String, steps: (first: Double, last: Double), top: Double) -> JSON {
    let shades = [Palette.pristine, Palette.corrupt]
    return [
      "title": .string(title), "width": 400, "height": 260, "data": ["name": "bins"],
      "mark": ["type": "bar", "opacity": 0.62, "binSpacing": 0, "tooltip": true],
      "encoding": [
        "x": [
          "field": "from", "type": "quantitative", "title": "Step first learned",
          "scale": ["type": "log", "domain": .numbers([steps.first, steps.last]), "nice": false],
          "axis": [
            "labelExpr": .string(ChartStyle.stepLabel),
            "values": .numbers(LogarithmicAxis.ticks(from: steps.first, to: steps.last)),
          ],
        ],
        "x2": ["field": "to"],
        "y": [
          "field": "density", "type": "quantitative", "title": "Share of group per doubling", "stack": nil,
          "scale": ["domain": .numbers([0, top]), "nice": false], "axis": ChartStyle.shareAxis,
        ],
        "y2": ["datum": 0],
        "color": [
          "field": "group", "type": "nominal",
          "scale": ["domain": ["pristine", "corrupt"], "range": .strings(shades.map(\.light))],
          "legend": ["title": nil, "orient": "top", "symbolType": "square", "symbolSize": 110, "symbolStrokeWidth": 0],
        ],
        "tooltip": [
          ["field": "group", "title": "group"], ["field": "from", "title": "after step"],
          ["field": "to", "title": "up to step"], ["field": "percent", "title": "share of group"],
        ],
      ],
    ]
  }

  /// Edges about evenly spaced on a logarithmic axis, each on a step that occurs: examples are looked at only every so
  /// many steps, and edges in between would draw a comb.
  static func edges(for steps: [Int]) -> [Double] {
    let values = Set(steps.map { max(1, $0) }).sorted().map(Double.init)
    guard let low = values.first, let high = values.last, high > low else { return [1, 10] }
    var edges: [Double] = []
    var next = 0
    for bin in 0...binCount {
      let target = low * pow(high / low, Double(bin) / Double(binCount)) * (1 + 1e-9)
      var reached: Double?
      while next < values.count, values[next] <= target {
        reached = values[next]
        next += 1
      }
      if let reached { edges.append(reached) }
    }
    let ratio = edges.count > 1 ? min(edges[1] / edges[0], 2) : 2
    return [edges[0] / ratio] + edges
  }

  private static func rows(group: String, examples: [ExampleRecord], edges: [Double]) -> [JSON] {
    var counts = [Int](repeating: 0, count: edges.count - 1)
    for case let step? in examples.map(\.firstLearned) {
      let value = Double(max(1, step))
      let bin = edges.dropFirst().firstIndex { value <= $0 } ?? edges.count - 1
      counts[bin - 1] += 1
    }
    func share(_ count: Int) -> Double { Double(count) / Double(examples.count) }
    return counts.indices.filter { counts[$0] > 0 }.map { bin in
      [
        "group": .string(group), "from": .number(Wording.rounded(edges[bin])),
        "to": .number(Wording.rounded(edges[bin + 1])),
        "share": .number(Wording.rounded(share(counts[bin]))), "percent": .string(Wording.percent(share(counts[bin]))),
        "density": .number(Wording.rounded(share(counts[bin]) / log2(edges[bin + 1] / edges[bin]))),
      ]
    }
  }
}
