// SPDX-License-Identifier: Apache-2.0

import Charts
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

  private struct Panel {
    let id: String
    let title: String
    let axis: String
    let caption: String
    let curves: [Curve]
    var scale = FigureScale.linear
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
    let lines = runs.flatMap { run in
      panel.curves.compactMap { curve in
        let points = run.measure(curve.measure).filter { panel.scale != .logarithmic || $0.value > 0 }
        return FigureLine(run.label, measure: panel.curves.count > 1 ? curve.name : nil, points: points)
      }
    }
    let sizes = panel.curves.flatMap { curve in
      runs.flatMap { run in run.measures.filter { $0.measure == curve.measure }.map(\.m) }
    }
    return FigureCard(
      id: panel.id, title: [panel.title],
      caption: "\(panel.caption) Measured on \(CoherenceByStep.sizes(Set(sizes).sorted())) examples. "
        + FigureAxis.logarithmicStepsNote + RunData.poolingNote(runs),
      section: panel.section,
      panel: FigurePanel(x: .steps, y: FigureAxis(panel.axis, scale: panel.scale), lines: lines), colors: .runs(runs),
      dashes: panel.curves.map(\.name).filter { name in lines.contains { $0.measure == name } }, height: 200,
      bins: FigureCard.pointsAcross
    ).figure()
  }
}
