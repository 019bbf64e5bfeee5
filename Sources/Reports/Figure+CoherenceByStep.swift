// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// m-coherence of the whole network along training, on the fixed probes of training and of test examples.
struct CoherenceByStep: FigureBuilder {
  static let section = "Coherence"

  func figures(for runs: [RunData]) -> [Figure] {
    let splits = Self.splits(of: runs)
    let lines = runs.flatMap { run in
      splits.compactMap { FigureLine(run.label, measure: $0, points: run.mCoherence($0)) }
    }
    let sizes = runs.reduce(into: Set<Int>()) { $0.formUnion($1.probeSizes) }.sorted()
    let bands = CoherenceBands(runs: runs, splits: splits)
    let panel = FigurePanel(
      x: .steps,
      y: FigureAxis(
        "m-coherence r", scale: .logarithmic, including: [1, Double(sizes.last ?? 2)]),
      lines: lines, references: Self.references(sizes: sizes), marks: bands.marks)
    return [
      FigureCard(
        id: "coherence-by-step", title: ["m-coherence by step"],
        caption: caption(splits: splits, sizes: sizes) + bands.note + FigureAxis.logarithmicStepsNote
          + RunData.poolingNote(runs),
        section: Self.section, panel: panel, colors: .splits(splits, of: runs), dashes: splits, height: 280,
        bins: FigureCard.pointsAcross)
    ].compactMap { $0.figure() }
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
  static func sizes(_ sizes: [Int]) -> String { "m = " + sizes.map(Wording.integer).joined(separator: " or ") }

  /// Dotted lines where r = 1 and r = m.
  private static func references(sizes: [Int]) -> [FigureReference] {
    [FigureReference(1, label: "r = 1")]
      + (sizes.count <= 3 ? sizes : []).map {
        FigureReference(Double($0), label: sizes.count == 1 ? "r = m" : "m = \(Wording.integer($0))")
      }
  }
}
