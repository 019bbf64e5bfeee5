// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore
import Foundation

/// m-coherence along training: "Making Coherence Out of Nothing At All" and "On the Generalization Mystery".
enum CoherenceFigures {
  static let section = "Coherence"
  private static let axis = FigureAxis("m-coherence r", scale: .logarithmic, including: [1])

  private static func sizes(_ source: FigureSource) -> String {
    let found = source.runs.reduce(into: Set<Int>()) { $0.formUnion($1.probeSizes("train")) }.sorted()
    return "r = ‖Σgᵢ‖²/Σ‖gᵢ‖² over the gradients gᵢ of a fixed sample of m = "
      + found.map(String.init).joined(separator: " or ")
      + " examples: 1 (dotted) if they are orthogonal, m if they are equal."
  }

  /// r(t) of all architectures, and of the first one with real beside random labels.
  static func trajectory(_ source: FigureSource) -> [Figure?] {
    let first = source.grouped(by: { $0.manifest.model }).first?.runs ?? []
    return evolution(source) + byEpochAndLoss(FigureSource(runs: first))
  }

  /// r(t) by noise, a row for each architecture.
  static func evolution(_ all: FigureSource) -> [Figure?] {
    let source = all.only { !$0.positiveMCoherence("train").isEmpty }
    let panels = source.grouped(by: { $0.manifest.model }).flatMap { model, runs in
      ["train", "test"].map { split in
        let own = FigureSource(runs: runs)
        return FigurePanel(
          row: model, column: split == "train" ? "training sample" : "test sample", x: .steps, y: axis,
          lines: own.lines { $0.positiveMCoherence(split) }, references: [1.0])
      }
    }
    let hasTest = panels.contains { $0.column == "test sample" && !$0.lines.isEmpty }
    return [
      FigureGrid(
        id: "coherence-evolution", title: "Coherence along training",
        caption: source.caption("\(sizes(source)) The step axis is logarithmic and starts at step 0."),
        section: section, colors: .ordered, order: source.noiseNames,
        panels: hasTest ? panels : panels.filter { $0.column == "training sample" }
      ).figure()
    ]
  }

  /// Figure 3 of "On the Generalization Mystery": by epoch and by training loss, real and random labels.
  static func byEpochAndLoss(_ all: FigureSource) -> [Figure?] {
    let source = all.only { !$0.positiveMCoherence("train").isEmpty && [0, 1].contains($0.noise) }
    let epochs = FigureAxis("Epoch", scale: .logarithmic)
    let loss = FigureAxis("Training loss (nats)", scale: .logarithmic)
    let panels = source.levels.flatMap { level -> [FigurePanel] in
      let row = level == 0 ? "real labels" : "random labels"
      let runs = source.at(level)
      let splits = ["train", "test"].filter { split in runs.contains { !$0.positiveMCoherence(split).isEmpty } }
      return [
        FigurePanel(
          row: row, column: "by epoch", x: epochs, y: axis,
          lines: splits.map { split in
            FigureLine(name(split), of: runs, along: .epochs) { $0.positiveMCoherence(split) }
          }, references: [1.0]),
        FigurePanel(
          row: row, column: "by training loss", x: loss, y: axis,
          lines: splits.map { FigureLine(name($0), points: byLoss(runs, split: $0)) }, references: [1.0]),
      ]
    }
    return [
      FigureGrid(
        id: "coherence-real-random", title: "Coherence of real and random labels",
        caption: source.caption(
          "As figure 3 of the paper, on a sample of training and one of test examples, by epoch and by training loss "
            + "(training proceeds to the left). The epoch axis is logarithmic, without step 0. \(sizes(source)) By loss: the first seed, as each seed reaches its own losses."
        ),
        section: section, panels: panels
      ).figure()
    ]
  }

  private static func name(_ split: String) -> String { split == "train" ? "training sample" : "\(split) sample" }

  /// Points of the first run at the steps with a training loss; r between two probes is taken along the logarithm of steps.
  private static func byLoss(_ runs: [RunHistory], split: String) -> [FigurePoint] {
    guard let run = runs.first else { return [] }
    let r = run.positiveMCoherence(split)
    return run.loss("train").points.compactMap { point in
      r.value(at: point.step).map { FigurePoint(x: point.value, y: $0) }
    }
  }

  /// What others measure, beside r.
  static func measures(_ all: FigureSource) -> [Figure?] {
    let source = all.only { run in !run.positiveMCoherence("train").isEmpty || !run.measure("gsnr_mean").isEmpty }
    let logarithmic = FigureScale.logarithmic
    let wanted: [(String, FigureAxis, (RunHistory) -> Curve)] = [
      ("m-coherence", FigureAxis("m-coherence r", scale: logarithmic), { $0.positiveMCoherence("train") }),
      ("Stiffness in a class", FigureAxis("Mean cosine", including: [0]), { $0.measure("stiffness_cosine_within") }),
      (
        "Stiffness between classes", FigureAxis("Mean cosine", including: [0]),
        { $0.measure("stiffness_cosine_between") }
      ),
      ("Gradient confusion", FigureAxis("Least cosine", including: [0]), { $0.measure("confusion_min_cosine") }),
      ("Signal to noise (GSNR)", FigureAxis("Signal to noise", scale: logarithmic), { $0.measure("gsnr_mean") }),
      (
        "Gradient diversity", FigureAxis("Gradient diversity", scale: logarithmic), { $0.measure("gradient_diversity") }
      ),
      ("Simple noise scale", FigureAxis("Noise scale (examples)", scale: logarithmic), { $0.measure("noise_scale") }),
    ]
    let panels = wanted.map { title, y, curve in FigurePanel(column: title, x: .steps, y: y, lines: source.lines(curve))
    }
    return [
      FigureGrid(
        id: "related-measures", title: "Measures of agreement between gradients",
        caption: source.caption(
          "\(sizes(source)) Stiffness: the mean cosine of the gradients of two examples (Fort et al., 2019); confusion: the "
            + "least such cosine (Sankararaman et al., 2020); GSNR: squared mean over variance of a weight’s gradient "
            + "(Liu et al., 2020); gradient diversity = 1/r on its own sample (Yin et al., 2018); noise scale: trace of "
            + "the gradients’ covariance over ‖g‖², in examples (McCandlish et al., 2018). Values that a logarithmic axis "
            + "cannot show are left out. The step axis is logarithmic and starts at step 0."),
        section: section, layout: .lettered(columns: 3), colors: .ordered, order: source.noiseNames,
        panels: panels.filter { !$0.lines.isEmpty }
      ).figure()
    ]
  }

  /// The sum of the stability bound along training.
  static func stabilityBound(_ source: FigureSource) -> [Figure?] {
    let panel = FigurePanel(
      x: .steps, y: FigureAxis("Sum (natural logarithm)"), lines: source.lines { $0.measure("stability_log_sum") })
    return [
      FigureGrid(
        id: "stability-sum", title: "The sum of the stability bound",
        caption: source.caption(
          "ln Σₜ [Πₖ₌ₜ₊₁ (1 + ηₖβ)] ηₜ √(2(1 − α(wₜ₋₁))) up to each step, the part of the bound on the generalization gap "
            + "that changes along training, with rate η, smoothness β and coherence α as measured. It grows "
            + "exponentially: only the order of the curves means anything. The step axis is logarithmic and starts at "
            + "step 0."),
        section: "Stability bound (qualitative)", colors: .ordered, order: source.noiseNames, panels: [panel]
      ).figure()
    ]
  }
}
