// SPDX-License-Identifier: Apache-2.0

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
    let axisTitle: String
    let caption: String
    let x: JSON
    /// The ends of the y axis where they are set.
    let domain: ClosedRange<Double>?
    /// Where a dotted line is drawn.
    let reference: Double?
    let groups: [Group]
  }

  func figures(for runs: [RunData]) -> [Figure] {
    // Shares have one axis in all figures, so that they compare.
    let domain = Self.domain(runs.flatMap(\.contributionCurves).flatMap { Self.groups($0, .share) })
    return runs.enumerated().flatMap { index, run in
      run.contributionCurves.flatMap { curves in
        [shares(curves, number: index + 1, domain: domain), cumulative(curves, number: index + 1)].compactMap { $0 }.map
        { panel in
          figure(panel, run: run, isOnly: runs.count == 1)
        }
      }
    }
  }

  private func shares(_ curves: ContributionCurves, number: Int, domain: ClosedRange<Double>) -> Panel? {
    let groups = Self.groups(curves, .share)
    guard groups.contains(where: { $0.points.count > 1 }) else { return nil }
    let isClipped = groups.contains { $0.points.contains { !domain.contains($0.value) } }
    return Panel(
      id: "contributions-\(Self.identifier(curves.sample))-\(number)", title: "Contributions, \(curves.title)",
      axisTitle: "Share of the loss reduction",
      caption: "fᵖ = ⟨g, gᵖ⟩/⟨g, g⟩ and fᶜ = ⟨g, gᶜ⟩/⟨g, g⟩, the shares of pristine and of corrupt examples in the "
        + "reduction of the loss at each step, from \(curves.description); fᵖ + fᶜ = 1, dotted line at one half. "
        + Self.nullNote(curves) + (isClipped ? "Curves leave the plot where g almost vanishes. " : "")
        + EarlySteps.note,
      x: EarlySteps.axis(last: curves.actual.last?.step ?? 1), domain: domain, reference: 0.5, groups: groups)
  }

  private func cumulative(_ curves: ContributionCurves, number: Int) -> Panel? {
    let early = ContributionCurves(
      sample: curves.sample, actual: curves.actual.filter { $0.step <= Self.lastEarlyStep }, nulls: curves.nulls)
    let groups = Self.groups(early, .cumulative)
    guard groups.count == 2, groups.contains(where: { $0.points.count > 1 }) else { return nil }
    let last = early.actual.last?.step ?? Self.lastEarlyStep
    return Panel(
      id: "contributions-early-\(Self.identifier(curves.sample))-\(number)",
      title: "First \(last) steps, \(curves.title)", axisTitle: "Cumulative contribution of a mean example",
      caption: "iᵖ and iᶜ: ⟨gᵢ, ḡ⟩ of a mean pristine and of a mean corrupt example, summed over the probed steps "
        + "so far, from \(curves.description). Multiplied by the learning rate, it is to first order how far such an example’s loss fell. "
        + Self.nullNote(curves) + Self.excess(early),
      x: [
        "field": "step", "type": "quantitative", "title": "Training step",
        "scale": ["nice": false, "zero": false], "axis": ["tickMinStep": 1, "tickCount": 6, "format": "d"],
      ],
      domain: nil, reference: nil, groups: groups)
  }

  private static func groups(_ curves: ContributionCurves, _ measure: ContributionMeasure) -> [Group] {
    func group(_ name: String, _ shade: Shade, _ value: (ContributionRecord) -> Double?) -> Group {
      Group(
        name: name, shade: shade, points: curves.points(value),
        bands: joined(curves.bands(value)))
    }
    return [
      group("pristine", Palette.pristine, measure.pristine), group("corrupt", Palette.corrupt, measure.corrupt),
    ].filter { !$0.points.isEmpty }
  }

  /// Bands whose steps lie as close as those of the curves that are drawn: means of their ends.
  private static func joined(_ bands: [NullBand]) -> [NullBand] {
    func ends(_ value: (NullBand) -> Double) -> [Double] {
      points(value).map(\.value)
    }
    func points(_ value: (NullBand) -> Double) -> [Point] {
      let all = bands.map { Point(step: $0.step, value: value($0)) }
      return Series(run: "", points: all, limit: .max).map { EarlySteps.joined($0, scale: .linear).points } ?? []
    }
    let (steps, low, high) = (points(\.minimum), ends(\.low), ends(\.high))
    let greatest = ends(\.maximum)
    return steps.indices.map { index in
      NullBand(
        step: steps[index].step, minimum: steps[index].value, maximum: greatest[index], low: low[index],
        high: high[index])
    }
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

  private func figure(_ panel: Panel, run: RunData, isOnly: Bool) -> Figure {
    let title = panel.title + (isOnly ? "" : ": \(run.label)")
    let nullData = panel.id + "-nulls"
    let y: JSON = .object([
      "field": "value", "type": "quantitative", "title": .string(panel.axisTitle),
      "scale": panel.domain.map { ["domain": .numbers([$0.lowerBound, $0.upperBound]), "nice": false] }
        ?? ["zero": true, "nice": 5],
      "axis": panel.domain != nil ? ChartStyle.shareAxis : ["tickCount": 5, "format": "~g"],
    ])
    let reference = panel.reference.map { value -> JSON in
      [
        "data": ["values": [["y": .number(value)]]],
        "mark": [
          "type": "rule", "strokeDash": [1, 3], "strokeCap": "round", "strokeWidth": 1.3,
          "color": .string(Palette.neutral.light),
        ],
        "encoding": ["y": ["field": "y", "type": "quantitative"]],
      ]
    }
    let bands = panel.groups.filter { !$0.bands.isEmpty }.flatMap { group in
      [("minimum", "maximum", 0.13), ("low", "high", 0.2)].map { low, high, opacity in
        band(of: group, from: low, to: high, opacity: opacity, data: nullData, x: panel.x)
      }
    }
    let lines: JSON = [
      "mark": [
        "type": "line", "strokeWidth": 1.8, "clip": true,
        "point": .bool(panel.groups.contains { $0.points.count < 3 }),
      ],
      "encoding": [
        "x": panel.x, "y": y,
        "color": [
          "field": "measure", "type": "nominal",
          "scale": [
            "domain": .strings(panel.groups.map(\.name)), "range": .strings(panel.groups.map(\.shade.light)),
          ],
          "legend": ["title": nil, "orient": "top", "symbolType": "stroke", "columnPadding": 12, "offset": 4],
        ],
      ],
    ]
    let chart: JSON = [
      "title": .string(title), "width": 400, "height": 260, "data": ["name": .string(panel.id)],
      "usermeta": EarlySteps.fixed, "layer": .array(bands + [reference, lines].compactMap { $0 }),
    ]
    let whole = panel.groups.compactMap { Series(run: run.label, measure: $0.name, points: $0.points, limit: .max) }
    // Bands are those of the permutation nulls.
    let series = whole.map { EarlySteps.joined($0, scale: .linear).withoutBand }
    let rows = panel.groups.flatMap { group in group.bands.map { row($0, group: group.name, run: run.label) } }
    return Figure(
      id: panel.id, title: title, caption: panel.caption + run.firstRunNote, section: CoherenceByStep.section,
      isComposite: false, chart: chart,
      data: [FigureData(name: panel.id, series: series)]
        + (rows.isEmpty ? [] : [FigureData(name: nullData, rows: rows)]),
      table: FigureData(name: panel.id, series: whole).table + FigureData(name: nullData, rows: rows).table)
  }

  private func band(
    of group: Group, from low: String, to high: String, opacity: Double, data: String, x: JSON
  ) -> JSON {
    [
      "data": ["name": .string(data)],
      "transform": [["filter": .string("datum.measure === '\(group.name)'")]],
      "mark": [
        "type": "area", "color": .string(group.shade.light), "opacity": .number(opacity), "clip": true,
        "strokeWidth": 0,
      ],
      "encoding": [
        "x": x, "y": ["field": .string(low), "type": "quantitative"], "y2": ["field": .string(high)],
      ],
    ]
  }

  private func row(_ band: NullBand, group: String, run: String) -> JSON {
    func number(_ value: Double) -> JSON { .number(Wording.rounded(value)) }
    return [
      "run": .string(run), "measure": .string(group), "step": .number(Double(band.step)),
      "minimum": number(band.minimum), "low": number(band.low), "high": number(band.high),
      "maximum": number(band.maximum),
    ]
  }
}
