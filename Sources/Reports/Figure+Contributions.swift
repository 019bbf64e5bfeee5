// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// What pristine and corrupt examples contribute to the reduction of the loss, with permutation nulls: fᵖ and fᶜ by step, like
/// figure 2 of "Coherent Gradients" (Chatterjee, ICLR 2020), and iᵖ and iᶜ over the first steps, like its figure 3; one
/// pair for each sample of each run with noise.
struct Contributions: FigureBuilder {
  /// The last step of the figure of iᵖ and iᶜ.
  static let lastEarlyStep = 10

  /// One curve with its permutation nulls.
  private struct Group {
    let name: String
    let shade: Shade
    let points: [Point]
    let bands: [NullBand]
  }

  private struct Panel {
    let id: String
    let title: String
    let caption: String
    let x, y: FigureAxis
    /// Where dotted lines are drawn.
    let references: [FigureReference]
    let groups: [Group]
  }

  func figures(for runs: [RunData]) -> [Figure] {
    // Shares have one axis in all figures, so that they compare.
    let domain = Self.domain(runs.flatMap(\.contributionCurves).flatMap { Self.groups($0, .share) })
    return runs.enumerated().flatMap { index, run in
      run.contributionCurves.flatMap { curves in
        [shares(curves, number: index + 1, domain: domain), cumulative(curves, number: index + 1)].compactMap { $0 }
          .compactMap { panel in figure(panel, run: run, isOnly: runs.count == 1) }
      }
    }
  }

  private func shares(_ curves: ContributionCurves, number: Int, domain: ClosedRange<Double>) -> Panel? {
    let groups = Self.groups(curves, .share)
    guard groups.contains(where: { $0.points.count > 1 }) else { return nil }
    let isClipped = groups.contains { $0.points.contains { !domain.contains($0.value) } }
    return Panel(
      id: "contributions-\(Self.identifier(curves.sample))-\(number)", title: "Contributions, \(curves.title)",
      caption: "fᵖ = ⟨g, gᵖ⟩/⟨g, g⟩ and fᶜ = ⟨g, gᶜ⟩/⟨g, g⟩, the shares of pristine and of corrupt examples in the "
        + "reduction of the loss at each step, from \(curves.description); fᵖ + fᶜ = 1, dotted line at one half. "
        + Self.nullNote(curves) + (isClipped ? "Curves leave the plot where g almost vanishes. " : "")
        + FigureAxis.logarithmicStepsNote,
      x: .steps, y: FigureAxis("Share of the loss reduction", isShare: true, ends: domain),
      references: [FigureReference(0.5)], groups: groups)
  }

  private func cumulative(_ curves: ContributionCurves, number: Int) -> Panel? {
    let early = ContributionCurves(
      sample: curves.sample, actual: curves.actual.filter { $0.step <= Self.lastEarlyStep }, nulls: curves.nulls)
    let groups = Self.groups(early, .cumulative)
    guard groups.count == 2, groups.contains(where: { $0.points.count > 1 }) else { return nil }
    let last = early.actual.last?.step ?? Self.lastEarlyStep
    return Panel(
      id: "contributions-early-\(Self.identifier(curves.sample))-\(number)",
      title: "First \(last) steps, \(curves.title)",
      caption: "iᵖ and iᶜ: ⟨gᵢ, ḡ⟩ of a mean pristine and of a mean corrupt example, summed over the probed steps "
        + "so far, from \(curves.description). Multiplied by the learning rate, it is to first order how far such an example’s loss fell. "
        + Self.nullNote(curves) + Self.excess(early),
      x: FigureAxis(
        "Training step", ticks: stride(from: 0, through: Double(last), by: Double(max(1, last / 5))).map { $0 }),
      y: FigureAxis("Cumulative contribution of a mean example", including: [0]), references: [], groups: groups)
  }

  private static func groups(_ curves: ContributionCurves, _ measure: ContributionMeasure) -> [Group] {
    func group(_ name: String, _ shade: Shade, _ value: (ContributionRecord) -> Double?) -> Group {
      Group(name: name, shade: shade, points: curves.points(value), bands: curves.bands(value))
    }
    return [
      group("pristine", Palette.pristine, measure.pristine), group("corrupt", Palette.corrupt, measure.corrupt),
    ].filter { !$0.points.isEmpty }
  }

  /// From 0 to 1, and further where the curves are for more than a moment, but not beyond −1 and 2.
  private static func domain(_ groups: [Group]) -> ClosedRange<Double> {
    let values = groups.flatMap { $0.points.map(\.value) + $0.bands.flatMap { [$0.low, $0.high] } }.sorted()
    guard let least = values.first, let greatest = values.last else { return 0...1 }
    let edge = values.count / 50
    let (low, high) = values.count < 100 ? (least, greatest) : (values[edge], values[values.count - 1 - edge])
    return max(-1, min(0, low * 1.05))...min(2, max(1, high * 1.05))
  }

  private static func nullNote(_ curves: ContributionCurves) -> String {
    guard curves.worlds > 0 else { return "" }
    return "Shaded: the permutation null, the same with the labels pristine and corrupt permuted among the examples "
      + "\(curves.worlds) times: its 5–95 % band (darker) and its range (lighter). "
  }

  /// How iᵖ − iᶜ at the last step compares with the permutation nulls.
  private static func excess(_ curves: ContributionCurves) -> String {
    func difference(_ record: ContributionRecord) -> Double? {
      guard let pristine = ContributionMeasure.cumulative.pristine(record),
        let corrupt = ContributionMeasure.cumulative.corrupt(record)
      else { return nil }
      return pristine - corrupt
    }
    guard let last = curves.actual.last, let actual = difference(last) else { return "" }
    let nulls = (curves.nulls[last.step] ?? []).compactMap(difference)
    guard !nulls.isEmpty else { return "" }
    let reached = nulls.count { $0 >= actual }
    return "At step \(last.step) iᵖ − iᶜ is "
      + (reached == 0 ? "above all" : "reached in \(reached) of") + " \(nulls.count) permutations"
      + String(format: " (one-sided permutation p = %.2g).", Double(1 + reached) / Double(1 + nulls.count))
  }

  private static func identifier(_ sample: String) -> String {
    let plain = sample.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
    return plain.isEmpty ? "sample" : String(plain)
  }

  private func figure(_ panel: Panel, run: RunData, isOnly: Bool) -> Figure? {
    func range(_ name: String, _ opacity: Double, _ low: KeyPath<NullBand, Double>, _ high: KeyPath<NullBand, Double>)
      -> FigureMarks
    {
      FigureMarks(
        "\(panel.id)-\(name)",
        lines: panel.groups.map { group in
          FigureLine(
            run.label, measure: group.name,
            points: group.bands.map {
              FigurePoint(x: Double($0.step), from: $0[keyPath: low], to: $0[keyPath: high])
            })
        }, opacity: opacity)
    }
    return FigureCard(
      id: panel.id, title: [panel.title + (isOnly ? "" : ": \(run.label)")], caption: panel.caption + run.firstRunNote,
      section: CoherenceByStep.section,
      panel: FigurePanel(
        x: panel.x, y: panel.y,
        lines: panel.groups.compactMap { FigureLine(run.label, measure: $0.name, points: $0.points) },
        references: panel.references,
        marks: [range("nulls-range", 0.13, \.minimum, \.maximum), range("nulls", 0.2, \.low, \.high)]),
      colors: FigureColoring(by: .measure, panel.groups.map { ($0.name, $0.shade) }), bins: FigureCard.pointsAcross
    ).figure()
  }
}
