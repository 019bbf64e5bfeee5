// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// Figures 2 and 3 of "Coherent Gradients" as grids: samples as rows, noise levels as columns.
enum ContributionFigures {
  private static let section = "Contributions"
  private static let samples = ["paper", "population"]

  static func grid(_ all: FigureSource) -> [Figure?] {
    let source = all.only { !$0.contributions.isEmpty && $0.noise > 0 && $0.noise < 1 }
    let shares = FigureAxis("Share of the loss reduction", isShare: true, ticks: [-1, 0, 0.5, 1, 2])
    let wanted = source.only { run in run.seed == source.runs.seeds.first }
    func panels(
      _ x: FigureAxis, _ y: @escaping (String) -> FigureAxis, last: Int, reference: Double?,
      pristine: KeyPath<ContributionRecord, Double?>, corrupt: KeyPath<ContributionRecord, Double?>
    ) -> [FigurePanel] {
      samples.flatMap { sample in
        wanted.levels.map { level in
          let records = wanted.at(level).first?.contributions.filter { $0.sample == sample && $0.step <= last } ?? []
          return FigurePanel(
            row: sample == "paper" ? "paper’s sample" : "whole population", column: FigureWording.noise(level), x: x,
            y: y(sample),
            lines: [("pristine", pristine), ("corrupt", corrupt)].flatMap {
              lines($0.0, records, $0.1, inside: reference == nil ? nil : -1...2)
            },
            references: reference.map { [FigureReference($0)] } ?? [])
        }
      }
    }
    let nulls =
      "Solid: with the actual labels pristine and corrupt; dashed, with the band from the least to the greatest "
      + "value: the permutation null, with these labels permuted among the examples."
    let meaning =
      "The paper’s sample is 400 examples and 300 weights of each layer, the whole population all examples "
      + "of the probe and all weights."
    return [
      FigureGrid(
        id: "contribution-grid", title: "Contributions of pristine and corrupt examples",
        caption: wanted.caption(
          "As figure 2 of the paper: fᵖ = ⟨g, gᵖ⟩/⟨g, g⟩ and fᶜ = ⟨g, gᶜ⟩/⟨g, g⟩, dotted line at one half; values outside "
            + "−1 and 2, where g almost vanishes, are left out. \(nulls) \(meaning) The step axis is logarithmic and starts "
            + "at step 0."),
        section: section,
        panels: panels(
          .steps, { _ in shares }, last: .max, reference: 0.5, pristine: \.pristineShare, corrupt: \.corruptShare)
      ).figure(),
      FigureGrid(
        id: "contribution-early-grid", title: "Contribution of a mean example, first steps",
        caption: wanted.caption(
          "As figure 3 of the paper: iᵖ and iᶜ, ⟨gᵢ, ḡ⟩ of a mean pristine and a mean corrupt example summed over the "
            + "steps so far. \(nulls) \(meaning)"),
        section: section,
        panels: panels(
          .linearSteps, { FigureAxis($0 == "paper" ? "Contribution (sample)" : "Contribution (all)", including: [0]) },
          last: 10,
          reference: nil, pristine: \.pristineCumulative,
          corrupt: \.corruptCumulative)
      ).figure(),
    ]
  }

  private static func lines(
    _ name: String, _ records: [ContributionRecord], _ value: KeyPath<ContributionRecord, Double?>,
    inside range: ClosedRange<Double>?
  ) -> [FigureLine] {
    func usable(_ record: ContributionRecord) -> Double? {
      record[keyPath: value].flatMap { $0.isFinite && range?.contains($0) ?? true ? $0 : nil }
    }
    let actual = Curve(
      records.filter { $0.world == 0 }.compactMap { record in usable(record).map { (record.step, $0) } })
    let worlds = Dictionary(grouping: records.filter { $0.world > 0 }, by: \.step)
    return [
      FigureLine(name, measure: "actual", points: actual.points.map { FigurePoint(x: Double($0.step), y: $0.value) }),
      FigureLine(
        name, measure: "permutation null", values: worlds.map { (Double($0.key), $0.value.compactMap(usable)) }),
    ]
  }
}
