// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// When single examples were learned: a histogram of the step first learned, pristine against corrupt, one per run.
struct FirstLearned: FigureBuilder {
  private static let binCount = 24

  func figures(for runs: [RunData]) -> [Figure] {
    runs.enumerated().compactMap { index, run in figure(for: run, number: index + 1, isOnly: runs.count == 1) }
  }

  private func figure(for run: RunData, number: Int, isOnly: Bool) -> Figure? {
    let groups = [("pristine", run.examples.filter { !$0.isCorrupt }), ("corrupt", run.examples.filter(\.isCorrupt))]
      .filter { !$0.1.isEmpty }
    let steps = run.examples.compactMap(\.firstLearned)
    guard groups.count == 2, Set(steps).count > 2 else { return nil }
    let edges = Self.edges(for: steps)
    let rows = groups.flatMap { name, examples in Self.rows(group: name, examples: examples, edges: edges) }
    let never = groups.map { name, examples in
      let share = Double(examples.count { $0.firstLearned == nil }) / Double(examples.count)
      return "\(Wording.percent(share)) of the \(Wording.integer(examples.count)) \(name)"
    }.joined(separator: " and ")
    let title = "First learned" + (isOnly ? "" : ": \(run.label)")
    return Figure(
      id: "first-learned-\(number)", title: title,
      caption:
        "When the examples of each group were first classified as their training label. Height is the share of the "
        + "group per doubling of the step, so equal areas are equal shares. Never learned: \(never) examples."
        + (run.members.isEmpty ? "" : " The examples of \(run.members.count) runs together."),
      section: "Pristine against corrupt examples", isComposite: false, chart: chart(title: title, edges: edges),
      data: [FigureData(name: "bins", rows: rows)])
  }

  private func chart(title: String, edges: [Double]) -> JSON {
    let shades = [Palette.pristine, Palette.corrupt]
    return [
      "title": .string(title), "width": 400, "height": 260, "data": ["name": "bins"],
      "mark": ["type": "bar", "opacity": 0.62, "binSpacing": 0, "tooltip": true],
      "encoding": [
        "x": [
          "field": "from", "type": "quantitative", "title": "Step first learned",
          "scale": ["type": "log", "domain": .numbers([edges.first ?? 1, edges.last ?? 10]), "nice": false],
          "axis": [
            "labelExpr": .string(ChartStyle.stepLabel),
            "values": .numbers(LogarithmicAxis.ticks(from: edges.first ?? 1, to: edges.last ?? 10)),
          ],
        ],
        "x2": ["field": "to"],
        "y": [
          "field": "density", "type": "quantitative", "title": "Share of group per doubling", "stack": nil,
          "scale": ["zero": true, "nice": 5], "axis": ChartStyle.shareAxis,
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
