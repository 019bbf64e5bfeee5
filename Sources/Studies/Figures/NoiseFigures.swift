// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore
import Foundation

/// Curves by label noise: figure 1 of "Coherent Gradients", figures 1, 6 and 7 of "Weak and Strong Gradient Directions".
enum NoiseFigures {
  static let section = "Label noise"

  /// Figure 1 of "Coherent Gradients", with the overfit of its §3.3 as a sixth panel.
  static func coherentGradients(_ all: FigureSource) -> [Figure?] {
    let source = all.only { $0.optimizer.isSGD }
    func panel(_ title: String, _ y: FigureAxis, _ curve: (RunHistory) -> Curve) -> FigurePanel {
      FigurePanel(column: title, x: .steps, y: y, lines: source.lines(curve))
    }
    let panels = [
      panel("Training accuracy", .accuracy()) { $0.accuracy("train") },
      panel("Test accuracy", .accuracy()) { $0.accuracy("test") },
      panel("Training loss", FigureAxis("Cross entropy (nats)", including: [0])) { $0.loss("train") },
      panel("Pristine learned", .accuracy()) { $0.pristineAccuracy },
      panel("Corrupt learned", .accuracy()) { $0.accuracy("train", "corrupt") },
      panel("Overfit", FigureAxis("Overfit", isShare: true, including: [0])) { $0.overfit },
    ]
    return [
      FigureGrid(
        id: "label-noise", title: "Learning with label noise",
        caption: source.caption(
          "As figure 1 of the paper: (a) accuracy on training examples and the labels trained with, (b) on test "
            + "examples, whose labels carry no noise, (c) mean training loss, (d) training accuracy on examples whose "
            + "label the noise left unchanged, (e) on those whose label it changed; (f) overfit = ta − [ε/K + (1 − ε)·va] "
            + "(§3.3), with training and test accuracy ta and va, noise level ε and K classes. The step axis is "
            + "logarithmic and starts at step 0."),
        section: section, layout: .lettered(columns: 3), colors: .ordered, order: source.noiseNames,
        panels: panels.contains { !$0.lines.isEmpty } ? panels : []
      ).figure()
    ]
  }

  /// Full batches beside mini-batches, by noise level.
  static func fullBatch(_ source: FigureSource) -> [Figure?] {
    func name(_ run: RunHistory) -> String {
      let size = run.manifest.batchSize ?? 0
      return size >= (run.manifest.dataset.trainExamples ?? .max) ? "full batch" : "batch \(size)"
    }
    let groups = source.grouped(by: name)
    let panels = source.levels.map { level in
      FigurePanel(
        column: FigureWording.noise(level), x: .steps, y: .accuracy(),
        lines: groups.flatMap { group, runs in
          ["train", "test"].map { split in
            FigureLine(group, measure: split, of: runs.filter { Level.isEqual($0.noise, level) }, along: .steps) {
              $0.accuracy(split)
            }
          }
        })
    }
    return [
      FigureGrid(
        id: "full-batch", title: "Full batches and mini-batches",
        caption: source.caption(
          "Accuracy on training examples (solid) and test examples (dashed) by noise level. With full batches every "
            + "step follows the mean gradient of the whole training set, so one step is one epoch; the step axis is "
            + "logarithmic and starts at step 0."),
        section: section, panels: panels
      ).figure()
    ]
  }

  /// Beyond this a loss leaves no room on its axis for the others: an untrained Inception-V3 starts at tens of millions.
  private static let greatestLoss = 10.0

  /// Figures 1, 6 and 7 of "Weak and Strong Gradient Directions": a row for each model.
  static func byModel(_ source: FigureSource) -> [Figure?] {
    let panels = source.grouped(by: { $0.manifest.model }).flatMap { model, runs -> [FigurePanel] in
      let own = FigureSource(runs: runs)
      func panel(_ column: String, _ y: FigureAxis, _ lines: [FigureLine]) -> FigurePanel {
        FigurePanel(row: model, column: column, x: HorizontalAxis.epochs.axis, y: y, lines: lines)
      }
      return [
        panel(
          "Accuracy", .accuracy(),
          own.lines(measure: "train", along: .epochs) { $0.accuracy("train") }
            + own.lines(measure: "test", along: .epochs) { $0.accuracy("test") }),
        panel(
          "Training loss", FigureAxis("Loss (nats)", including: [0]),
          own.lines(measure: "train", along: .epochs) { $0.loss("train").upTo(greatestLoss) }),
        panel("Pristine learned", .accuracy(), own.lines(measure: "train", along: .epochs) { $0.pristineAccuracy }),
        panel(
          "Corrupt learned", .accuracy(),
          own.lines(measure: "train", along: .epochs) { $0.accuracy("train", "corrupt") }),
      ]
    }
    return [
      FigureGrid(
        id: "label-noise-models", title: "Learning with label noise, by model",
        caption: source.caption(
          "As figures 1, 6 and 7 of the paper: accuracy on training (solid) and test examples (dashed), training loss, "
            + "and training accuracy on examples whose label is unchanged (pristine) and changed (corrupt). Losses above "
            + "\(Wording.whole(greatestLoss)) nats, such as batch norm's running statistics give before they have settled, are left out."
        ),
        section: section, colors: .ordered, order: source.noiseNames, panels: panels
      ).figure()
    ]
  }

  /// What early stopping gains: best minus final test accuracy by noise, and the curves.
  static func earlyStopping(_ source: FigureSource) -> [Figure?] {
    let differ = Set(source.runs.map(\.manifest.model)).count > 1
    func name(_ run: RunHistory) -> String { (differ ? "\(run.manifest.model), " : "") + FigureWording.optimizer(run) }
    let groups = source.grouped(by: name)
    let gains = groups.map { name, runs in
      let own = FigureSource(runs: runs)
      return FigureLine(
        name,
        values: own.levels.map { level in
          (
            level,
            own.at(level).compactMap { run in
              let curve = run.accuracy("test")
              return curve.peak.flatMap { peak in curve.last.map { peak.value - $0.value } }
            }
          )
        })
    }
    let curves = groups.map { name, runs in
      FigurePanel(
        column: groups.count > 1 ? name : "", x: .steps, y: .accuracy("Test accuracy"),
        lines: FigureSource(runs: runs).lines { $0.accuracy("test") })
    }
    return [
      FigureGrid(
        id: "early-stopping-gain", title: "What early stopping gains",
        caption: source.caption(
          "The best test accuracy along the run minus that at its end, by noise level: what one would gain by stopping "
            + "at the best moment, which the test set itself picks here (an upper bound on what a validation set gives)."
        ),
        section: "Early stopping",
        panels: [
          FigurePanel(
            x: FigureAxis("Label noise", isShare: true, ticks: source.levels),
            y: FigureAxis("Test accuracy gained", isShare: true, including: [0]), lines: gains)
        ]
      ).figure(),
      FigureGrid(
        id: "early-stopping-curves", title: "Test accuracy by noise",
        caption: source.caption(
          "Accuracy on test examples, whose labels carry no noise. The step axis is logarithmic and starts at step 0."),
        section: "Early stopping", colors: .ordered, order: source.noiseNames, panels: curves
      ).figure(),
    ]
  }
}

/// CG-5: the early slope of the loss and the squared norm of the mean gradient, against noise.
enum GradientNormFigure {
  /// The steps of the claim.
  static let lastStep = 10

  static func figure(_ all: FigureSource) -> Figure? {
    let source = all.only { $0.optimizer.isSGD }
    let axis = FigureAxis("Squared gradient norm", including: [0])
    let byStep = source.lines(along: .evenSteps, early)
    func means(_ name: String, _ value: (RunHistory) -> Double?) -> FigureLine {
      FigureLine(name, values: source.levels.map { ($0, source.at($0).compactMap(value)) })
    }
    let against = [
      means("measured by the probe", { mean(early($0)) }), means("from the loss slope", slope),
    ]
    let noise = FigureAxis("Label noise", isShare: true, ticks: source.levels)
    guard byStep.contains(where: { !$0.points.isEmpty }) || against.contains(where: { !$0.points.isEmpty }) else {
      return nil
    }
    return FigureGrid(
      id: "early-gradient-norm", title: "Squared norm of the mean gradient in the first steps",
      caption: source.caption(
        "The squared norm ‖ḡ‖² of the mean gradient, summed over all weights, in squared nats per squared weight. "
          + "Equation 1: a small step of rate η along −ḡ lowers the loss by η‖ḡ‖². By step: ‖ḡ‖² of the probe’s sample at the "
          + "first \(lastStep) steps. Against noise: its mean over those steps, and the estimate −ΔL/(η·Δt) from the training "
          + "loss at step 0 and at the last evaluation up to step \(lastStep)."),
      section: NoiseFigures.section, layout: .lettered(columns: 2), colors: .categorical,
      order: source.noiseNames,
      panels: [
        FigurePanel(column: "By step", x: .linearSteps, y: axis, lines: byStep),
        FigurePanel(column: "Against noise", x: noise, y: axis, lines: against),
      ].filter { !$0.lines.isEmpty }
    ).figure()
  }

  private static func early(_ run: RunHistory) -> Curve {
    Curve(run.measure("gradient_norm2").points.filter { $0.step <= lastStep }.map { ($0.step, $0.value) })
  }

  private static func mean(_ curve: Curve) -> Double? {
    curve.isEmpty ? nil : curve.points.reduce(0) { $0 + $1.value } / Double(curve.points.count)
  }

  private static func slope(_ run: RunHistory) -> Double? {
    let loss = run.loss("train")
    guard let rate = run.manifest.learningRate, rate > 0, let start = loss[0],
      let end = loss.points.last(where: { $0.step > 0 && $0.step <= lastStep })
    else { return nil }
    return (start - end.value) / (rate * Double(end.step))
  }
}
