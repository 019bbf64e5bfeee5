// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore
import Foundation

/// Medians against means: figures 2 and 3 of "Weak and Strong Gradient Directions" and figure 4 of "On the
/// Generalization Mystery".
enum RobustFigures {
  static let section = "Robust means"
  private static let robust = ["RM3", "RA3", "M3"]
  private static let order = ["SGD", "RM3", "RA3", "M3"]
  private static let meaning =
    "SGD steps along the mean gradient g of a mini-batch; RM3 along the coordinate-wise median of the last three g, RA3 "
    + "along their mean, M3 along the median of three parts of one mini-batch."

  static func robustMeans(_ source: FigureSource) -> [Figure?] {
    [grid(source), groups(source, id: "pristine-and-corrupt", noise: 0.5), gaps(source), medians(source)]
  }

  static func m3(_ all: FigureSource) -> [Figure?] {
    let source = all.only { ["SGD", "M3"].contains(FigureWording.optimizer($0)) }
    let noise = source.levels.filter { $0 > 0 }.min { abs($0 - 0.5) < abs($1 - 0.5) }
    return [groups(source, id: "m3-pristine-and-corrupt", noise: noise ?? 0.5), gaps(source)]
  }

  private static func runs(_ source: FigureSource, _ optimizer: String, _ level: Double) -> [RunHistory] {
    source.at(level).filter { FigureWording.optimizer($0) == optimizer }
  }

  /// Figure 2: each robust mean beside SGD.
  private static func grid(_ source: FigureSource) -> Figure? {
    let rows = robust.filter { name in source.runs.contains { FigureWording.optimizer($0) == name } }
    let panels = rows.flatMap { row in
      source.levels.map { level in
        FigurePanel(
          row: row, column: FigureWording.noise(level), x: HorizontalAxis.epochs.axis, y: .accuracy(),
          lines: [row, "SGD"].flatMap { name in
            ["train", "test"].map { split in
              FigureLine(name, measure: split, of: runs(source, name, level), along: .epochs) { $0.accuracy(split) }
            }
          })
      }
    }
    return FigureGrid(
      id: "robust-means", title: "Robust means against SGD",
      caption: source.caption(
        "As figure 2 of the paper: accuracy on training (solid) and test examples (dashed). \(meaning) The distance "
          + "between solid and dashed is the generalization gap."),
      section: section, order: order, panels: panels
    ).figure()
  }

  /// Figure 3: what each optimizer learns of pristine and of corrupt examples.
  private static func groups(_ source: FigureSource, id: String, noise: Double) -> Figure? {
    let names = order.filter { !runs(source, $0, noise).isEmpty }
    let panels = names.map { name in
      let own = runs(source, name, noise)
      return FigurePanel(
        column: name, x: HorizontalAxis.epochs.axis, y: .accuracy(),
        lines: [
          FigureLine("pristine", of: own, along: .epochs) { $0.pristineAccuracy },
          FigureLine("corrupt", of: own, along: .epochs) { $0.accuracy("train", "corrupt") },
          FigureLine("test", of: own, along: .epochs) { $0.accuracy("test") },
        ])
    }
    return FigureGrid(
      id: id, title: "Pristine and corrupt examples at \(FigureWording.noise(noise))",
      caption: FigureSource(runs: names.flatMap { runs(source, $0, noise) }).caption(
        "Training accuracy on examples whose label is unchanged (pristine) and changed (corrupt, counted against the "
          + "changed label), and test accuracy. \(meaning)"),
      section: section, order: ["pristine", "corrupt", "test"], panels: panels
    ).figure()
  }

  /// The gaps at the end.
  private static func gaps(_ source: FigureSource) -> Figure? {
    let panels = source.levels.map { level in
      FigureBars.Panel(
        FigureWording.noise(level),
        bars: order.compactMap { name in
          SeedRange(runs(source, name, level).compactMap(\.finalGap)).map {
            FigureBar(name, value: $0.mean, low: $0.low, high: $0.high)
          }
        })
    }
    return FigureBars(
      id: "final-gaps", title: "Generalization gap at the end",
      caption: source.caption("Training accuracy ta minus test accuracy va at the last evaluation. \(meaning)"),
      section: section, categories: "Optimizer", y: FigureAxis("Generalization gap", isShare: true), panels: panels
    ).figure()
  }

  /// WS-5: how much longer the median is than the mean, and how much of the common direction it keeps.
  private static func medians(_ all: FigureSource) -> Figure? {
    let source = all.only { !$0.measure("median_norm_ratio").isEmpty || !$0.measure("median_along_mean").isEmpty }
    func panel(_ title: String, _ measure: String) -> FigurePanel {
      FigurePanel(
        column: title, x: .steps, y: FigureAxis("Ratio to the mean", including: [1]),
        lines: source.grouped(by: FigureWording.optimizer).flatMap { name, runs in
          source.levels.map { level in
            FigureLine(
              name, measure: FigureWording.noise(level), of: runs.filter { Level.isEqual($0.noise, level) },
              along: .steps
            ) { $0.measure(measure) }
          }
        }, references: [1.0])
    }
    return FigureGrid(
      id: "median-against-mean", title: "The median of three against the mean",
      caption: source.caption(
        "On a fixed sample of training examples cut into batches, each of three groups: left, the median’s part along the "
          + "mean gradient ḡ of the whole sample over the mean’s, Σ⟨median, ḡ⟩/Σ⟨mean, ḡ⟩; right, the mean of "
          + "‖median‖/‖mean‖ over batches. Above 1 (dotted) the median takes the longer step. The step axis is "
          + "logarithmic and starts at step 0."),
      section: section, layout: .lettered(columns: 2), order: order,
      panels: [panel("Along the common direction", "median_along_mean"), panel("Length", "median_norm_ratio")]
        .filter { !$0.lines.isEmpty }
    ).figure()
  }

  /// The gap against the batch size.
  static func batchSize(_ source: FigureSource) -> [Figure?] {
    let sizes = Set(source.runs.compactMap(\.manifest.batchSize)).sorted()
    func panels(_ y: FigureAxis, _ value: (RunHistory) -> Double?) -> [FigurePanel] {
      source.levels.map { level in
        FigurePanel(
          row: y.title, column: FigureWording.noise(level),
          x: FigureAxis("Batch size (examples)", scale: .logarithmic, ticks: sizes.map(Double.init)), y: y,
          lines: order.map { name in
            FigureLine(
              name,
              values: sizes.map { size in
                let own = runs(source, name, level).filter { $0.manifest.batchSize == size }
                return (Double(size), own.compactMap(value))
              })
          })
      }
    }
    let all =
      panels(FigureAxis("Overfit", isShare: true, including: [0])) { $0.overfit.last?.value }
      + panels(.accuracy("Test accuracy")) { $0.accuracy("test").last?.value }
    return [
      FigureGrid(
        id: "batch-size", title: "Overfitting by batch size",
        caption: source.caption(
          "Overfit, ta − [ε/K + (1 − ε)·va], and test accuracy va at the last evaluation, against the batch size. "
            + "\(meaning) The larger the mini-batches, the less their gradients differ, and the less the median differs "
            + "from the mean."),
        section: section, order: order, panels: all
      ).figure(),
      batchSizeCourse(source, sizes),
    ]
  }

  /// The way to the ends, which are alike where everything is memorised.
  private static func batchSizeCourse(_ source: FigureSource, _ sizes: [Int]) -> Figure? {
    let panels = source.levels.flatMap { level in
      sizes.map { size in
        FigurePanel(
          row: FigureWording.noise(level), column: "Batch size \(size)", x: HorizontalAxis.steps.axis,
          y: FigureAxis("Overfit", isShare: true, including: [0]),
          lines: order.map { name in
            FigureLine(
              name, of: runs(source, name, level).filter { $0.manifest.batchSize == size }, along: .steps
            ) { $0.overfit }
          })
      }
    }
    return FigureGrid(
      id: "batch-size-course", title: "Overfitting along training, by batch size",
      caption: source.caption("Overfit, ta − [ε/K + (1 − ε)·va], by step. \(meaning)"),
      section: section, order: order, panels: panels
    ).figure()
  }
}
