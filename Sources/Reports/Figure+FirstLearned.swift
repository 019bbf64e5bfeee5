// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// When single examples were learned: a histogram of the step first learned, pristine against corrupt, one per run.
struct FirstLearned: FigureBuilder {
  private static let binCount = 24

  /// The histogram of a run.
  private struct Bins {
    let groups: [(name: String, examples: [ExampleRecord])]
    let edges: [Double]
    let bins: [FigureHistogram.Bin]

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
      bins = groups.flatMap { FirstLearned.bins(group: $0.name, examples: $0.examples, edges: edges) }
    }
  }

  /// Axes are those of all runs, so that histograms side by side compare.
  func figures(for runs: [RunData]) -> [Figure] {
    let bins = runs.map { Bins($0) }
    let shown = bins.compactMap { $0 }
    let first = shown.compactMap(\.edges.first).min() ?? 1
    let last = shown.compactMap(\.edges.last).max() ?? 10
    let top = shown.flatMap(\.bins).map(\.height).max() ?? 1
    return runs.indices.compactMap { index in
      bins[index].flatMap { own in
        figure(for: runs[index], own, number: index + 1, isOnly: runs.count == 1, steps: first...last, top: top)
      }
    }
  }

  private func figure(
    for run: RunData, _ bins: Bins, number: Int, isOnly: Bool, steps: ClosedRange<Double>, top: Double
  ) -> Figure? {
    let never = bins.groups.map { name, examples in
      let share = Double(examples.count { $0.firstLearned == nil }) / Double(examples.count)
      return "\(Wording.percent(share)) of the \(Wording.integer(examples.count)) \(name)"
    }.joined(separator: " and ")
    return FigureHistogram(
      id: "first-learned-\(number)", title: "First learned" + (isOnly ? "" : ": \(run.label)"),
      caption:
        "When the examples of each group were first classified as their training label. Height is the share of the "
        + "group per doubling of the step, so equal areas are equal shares. Never learned: \(never) examples."
        + (run.members.isEmpty ? "" : " The examples of \(run.members.count) runs together."),
      section: "Pristine against corrupt examples",
      x: FigureAxis("Step first learned", scale: .logarithmic, ends: steps),
      y: FigureAxis("Share of group per doubling", isShare: true, including: [0, top]),
      groups: FigureColoring(by: .series, [("pristine", Palette.pristine), ("corrupt", Palette.corrupt)]),
      bins: bins.bins
    ).figure()
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

  private static func bins(group: String, examples: [ExampleRecord], edges: [Double]) -> [FigureHistogram.Bin] {
    var counts = [Int](repeating: 0, count: edges.count - 1)
    for case let step? in examples.map(\.firstLearned) {
      let value = Double(max(1, step))
      let bin = edges.dropFirst().firstIndex { value <= $0 } ?? edges.count - 1
      counts[bin - 1] += 1
    }
    return counts.indices.filter { counts[$0] > 0 }.map { bin in
      let share = Double(counts[bin]) / Double(examples.count)
      return FigureHistogram.Bin(
        group: group, from: edges[bin], to: edges[bin + 1], height: share / log2(edges[bin + 1] / edges[bin]),
        share: share)
    }
  }
}
