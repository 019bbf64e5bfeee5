// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore
import Foundation

/// Winsorized gradients: figure 4 of "Coherent Gradients", figure 8 of "Weak and Strong Gradient Directions".
enum WinsorizedFigures {
  static let section = "Winsorized gradients"

  static func mnist(_ all: FigureSource) -> [Figure?] {
    let source = all.only { $0.clipped != nil }
    return [paperGrid(source), byClipping(source)]
  }

  private static func clippings(_ source: FigureSource) -> [Int] { Set(source.runs.compactMap(\.clipped)).sorted() }

  /// The paper's own layout: noise to the right, clipping downwards.
  private static func paperGrid(_ source: FigureSource) -> Figure? {
    let y = FigureAxis("Accuracy", isShare: true, including: [0, 1], ticks: [0, 0.5, 1])
    let panels = clippings(source).flatMap { clipped in
      source.levels.map { level in
        let runs = source.at(level).filter { $0.clipped == clipped }
        return FigurePanel(
          row: "c = \(clipped)", column: FigureWording.noise(level), x: .linearSteps, y: y,
          lines: [
            FigureLine("training accuracy", of: runs, along: .evenSteps) { $0.accuracy("train") },
            FigureLine("test accuracy", of: runs, along: .evenSteps) { $0.accuracy("test") },
            FigureLine("overfit", of: runs, along: .evenSteps) { $0.overfit },
          ],
          references: runs.first.flatMap { $0.noise > 0 ? $0.properAccuracy : nil }.map { [FigureReference($0)] } ?? [])
      }
    }
    return FigureGrid(
      id: "winsorized-grid", title: "Suppressing weak gradient directions",
      caption: source.caption(
        "As figure 4 of the paper: columns are levels of label noise ε, rows amounts of winsorization c: in every "
          + "coordinate the c smallest and c largest percent of a mini-batch’s gradients are clipped (c = 0: SGD). "
          + "Overfit = ta − [ε/K + (1 − ε)·va], with training and test accuracy ta and va, and K classes. Dotted: the "
          + "proper accuracy, the share of labels left unchanged."),
      section: section, panels: panels
    ).figure()
  }

  /// The same data the other way: clipping to the right, noise as colours.
  private static func byClipping(_ source: FigureSource) -> Figure? {
    let overfit = FigureAxis("Overfit", isShare: true, including: [0])
    let panels = clippings(source).flatMap { clipped -> [FigurePanel] in
      func lines(_ measure: String, _ curve: (RunHistory) -> Curve) -> [FigureLine] {
        source.levels.map { level in
          FigureLine(
            FigureWording.noise(level), measure: measure, of: source.at(level).filter { $0.clipped == clipped },
            along: .evenSteps, curve)
        }
      }
      let column = "c = \(clipped)"
      return [
        FigurePanel(
          row: "Accuracy", column: column, x: .linearSteps, y: .accuracy(),
          lines: lines("train") { $0.accuracy("train") } + lines("test") { $0.accuracy("test") }),
        FigurePanel(
          row: overfit.title, column: column, x: .linearSteps, y: overfit, lines: lines("train") { $0.overfit }),
      ]
    }
    return FigureGrid(
      id: "winsorized-by-clipping", title: "Accuracy and overfit by amount of winsorization",
      caption: source.caption(
        "Above: accuracy on training (solid) and test examples (dashed). Below: overfit = ta − [ε/K + (1 − ε)·va]. "
          + "c is the percentage of gradients clipped at either end, in every coordinate; c = 0 is SGD."),
      section: section, colors: .ordered, order: source.noiseNames, panels: panels
    ).figure()
  }

  /// Figure 8 of "Weak and Strong Gradient Directions".
  static func cifar(_ all: FigureSource) -> [Figure?] {
    let source = all.only { $0.clipped != nil }
    let panels = source.levels.flatMap { level in
      clippings(source).map { clipped in
        let runs = source.at(level).filter { $0.clipped == clipped }
        return FigurePanel(
          row: FigureWording.noise(level), column: "s = \(clipped)", x: HorizontalAxis.epochs.axis, y: .accuracy(),
          lines: [
            FigureLine("training", of: runs, along: .epochs) { $0.accuracy("train") },
            FigureLine("test", of: runs, along: .epochs) { $0.accuracy("test") },
          ])
      }
    }
    return [
      FigureGrid(
        id: "winsorized-cifar", title: "Winsorized gradients, by clipping and noise",
        caption: source.caption(
          "As figure 8 of the paper: accuracy on training and test examples. In every coordinate the s smallest and s "
            + "largest gradients of a mini-batch are clipped (s = 0: SGD); rows are levels of label noise."),
        section: section, panels: panels
      ).figure()
    ]
  }
}
