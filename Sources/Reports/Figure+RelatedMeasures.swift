// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// What others have measured where coherence is measured, from `measures.csv`: stiffness, signal to noise, gradient
/// diversity and noise scale by step, and the stability bound.
struct RelatedMeasures: FigureBuilder {
  static let section = "Related measures"
  static let stabilitySection = "Stability bound (qualitative)"

  /// A curve of a figure: its name in `measures.csv` and in the legend.
  private struct Curve {
    let measure: String
    let name: String
  }

  /// The y axis: the last is linear around 0 and logarithmic on both sides.
  private enum Scale { case linear, logarithmic, signedLogarithmic }

  private struct Panel {
    let id: String
    let title: String
    let axis: String
    let caption: String
    let curves: [Curve]
    var scale = Scale.linear
    var section = RelatedMeasures.section
  }

  private static let panels = [
    Panel(
      id: "stiffness", title: "Stiffness", axis: "Mean cosine of two gradients",
      caption:
        "The mean cosine between the gradients of two different examples of one class (solid) and of two classes "
        + "(dashed): above 0, a step for one helps the other (Fort et al., 2019).",
      curves: [
        Curve(measure: "stiffness_cosine_within", name: "within a class"),
        Curve(measure: "stiffness_cosine_between", name: "between classes"),
      ]),
    Panel(
      id: "gsnr", title: "Gradient signal to noise", axis: "Mean signal to noise",
      caption: "The squared mean of a parameter’s gradient over its variance between examples, averaged over the "
        + "parameters (Liu et al., 2020).",
      curves: [Curve(measure: "gsnr_mean", name: "GSNR")], scale: .logarithmic),
    Panel(
      id: "gradient-diversity", title: "Gradient diversity", axis: "Gradient diversity",
      caption:
        "Σ‖gᵢ‖²/‖Σgᵢ‖² = 1/r, the inverse of m-coherence (Yin et al., 2018), on the sample of the other measures "
        + "in this section.",
      curves: [Curve(measure: "gradient_diversity", name: "gradient diversity")], scale: .logarithmic),
    Panel(
      id: "noise-scale", title: "Simple noise scale", axis: "Noise scale (examples)",
      caption:
        "tr Σ/‖g‖², with Σ the covariance of the gradients over examples: about the batch size beyond which larger "
        + "batches bring little (McCandlish et al., 2018). Steps at which ‖g‖² cannot be distinguished from 0 are left out.",
      curves: [Curve(measure: "noise_scale", name: "noise scale")], scale: .logarithmic),
    Panel(
      id: "stability-bound", title: "Stability bound", axis: "Bound (natural logarithm)",
      caption:
        "ln of the bound (L²/m) Σₜ [Πₖ₌ₜ₊₁ (1 + ηₖβ)] ηₜ √(2(1 − α)) on the generalization gap (solid) and of its sum "
        + "alone, without L²/m (dashed), from the L, β and α seen so far along the run. L and β are underestimated and "
        + "the bound grows exponentially, so its value means nothing: only the order of runs of the same length does. The vertical axis is logarithmic away from 0.",
      curves: [
        Curve(measure: "stability_log_bound", name: "bound"), Curve(measure: "stability_log_sum", name: "sum"),
      ], scale: .signedLogarithmic, section: stabilitySection),
  ]

  func figures(for runs: [RunData]) -> [Figure] { Self.panels.compactMap { figure($0, runs: runs) } }

  private func figure(_ panel: Panel, runs: [RunData]) -> Figure? {
    let whole = runs.flatMap { run in
      panel.curves.compactMap { curve in
        let points = run.measure(curve.measure).filter { panel.scale != .logarithmic || $0.value > 0 }
        return Series(run: run.label, measure: panel.curves.count > 1 ? curve.name : nil, points: points, limit: .max)
      }
    }
    guard !whole.isEmpty else { return nil }
    let values = whole.flatMap(\.points).map(\.value)
    let series = whole.map { EarlySteps.joined($0, scale: panel.scale == .logarithmic ? .logarithmic : .linear) }
    let isJoined = series.contains(where: \.hasBand) && !whole.contains(where: \.hasBand)
    let names = panel.curves.map(\.name).filter { name in series.contains { $0.measure == name } }
    let encoding: JSON = .object([
      // From 0 on, also where the first value comes later: the charts of a report share their steps.
      "x": EarlySteps.axis(last: whole.flatMap(\.points).map(\.step).max() ?? 1).merging([
        "scale": ["type": "symlog", "constant": 1, "nice": false, "zero": false, "domainMin": 0]
      ]),
      "y": .object([
        "field": "value", "type": "quantitative", "title": .string(panel.axis),
      ]).merging(members: Self.scale(values, panel.scale)),
      "color": ChartStyle.runColor(runs), "strokeDash": CoherenceByStep.dash(for: names),
    ])
    let frame: JSON = [
      "title": .string(panel.title), "width": 400, "height": 200, "data": ["name": .string(panel.id)],
      "usermeta": EarlySteps.fixed,
    ]
    let chart = frame.merging(members: ChartStyle.curves(encoding, series: series))
    let sizes = panel.curves.flatMap { curve in
      runs.flatMap { run in run.measures.filter { $0.measure == curve.measure }.map(\.m) }
    }
    return Figure(
      id: panel.id, title: panel.title,
      caption:
        "\(panel.caption) Measured on \(CoherenceByStep.sizes(Set(sizes).sorted())) examples. \(isJoined ? CurveBins.note + " " : "")"
        + EarlySteps.note + RunData.poolingNote(runs),
      section: panel.section, isComposite: false, chart: chart, data: [FigureData(name: panel.id, series: series)],
      table: FigureData(name: panel.id, series: whole).table)
  }

  private static func scale(_ values: [Double], _ scale: Scale) -> JSON {
    guard let least = values.min(), let greatest = values.max() else { return [:] }
    switch scale {
    case .linear:
      return ["scale": ["zero": false, "nice": 5], "axis": ["tickCount": 5, "format": "~g"]]
    case .logarithmic:
      let (low, high) = (least * 0.8, greatest * 1.25)
      return [
        "scale": ["type": "log", "domain": .numbers([low, high]), "nice": false],
        "axis": LogarithmicAxis.axis(from: low, to: high),
      ]
    case .signedLogarithmic:
      let ticks = [-1000, -100, -10, 0] + LogarithmicAxis.ticks(from: 10, to: max(100, greatest))
      return [
        "scale": ["type": "symlog", "constant": 1, "nice": false],
        "axis": [
          "values": .numbers(ticks.filter { $0 >= least }), "labelOverlap": true,
          "labelExpr": "format(datum.value, '~s')",
        ],
      ]
    }
  }
}
