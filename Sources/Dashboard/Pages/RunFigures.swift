// SPDX-License-Identifier: Apache-2.0

import Charts
import Reports
import RunStore

/// The figures of one run, and of several compared.
enum RunFigures {
  private static let learning = "Learning curves"
  private static let coherence = "Coherence"
  /// More columns than this are narrower than a pixel or two.
  private static let mapColumns = 140

  // MARK: - One run

  /// The figures that a run has data for.
  ///
  /// - Parameter curves: the run's curves.
  static func figures(of curves: RunCurves) -> [Figure] {
    [accuracyCard(curves), lossCard(curves), alphaCard(curves), layerMap(curves.layers)].compactMap { $0 }
      + curves.contributions.compactMap(contributionCard)
  }

  private static func accuracyCard(_ curves: RunCurves) -> Figure? {
    let ends = AccuracyAxis.ends(of: curves.accuracy.map { moments($0.points) })
    return card(
      "accuracy", "Accuracy",
      "Share of examples classified as labelled: with the labels trained on, noise included, and on the test set."
        + AccuracyAxis.note(ends), learning, x: .linearSteps, y: .accuracy(ends: ends), curves.accuracy)
  }

  private static func lossCard(_ curves: RunCurves) -> Figure? {
    card(
      "loss", "Loss", "Mean cross entropy, with the labels trained on and on the test set.", learning,
      x: .linearSteps, y: FigureAxis("Cross entropy (nats)", including: [0]), curves.loss)
  }

  private static func alphaCard(_ curves: RunCurves) -> Figure? {
    card(
      "alpha-by-step", "Coherence α by step",
      "α = ‖Σgᵢ‖²/(m Σ‖gᵢ‖²) of the per-example gradients of the whole network on the probe: 1 where all are equal, "
        + "1/m where they are orthogonal. \(FigureAxis.logarithmicStepsNote)", coherence,
      x: .steps, y: FigureAxis("α", scale: .logarithmic), curves.alpha)
  }

  private static func layerMap(_ layers: RunCurves.Layers?) -> Figure? {
    guard let layers, layers.names.count > 1 else { return nil }
    let steps = EarlySteps.thinned(Set(layers.cells.map(\.step)).sorted(), limit: mapColumns)
    guard steps.count > 1, let low = layers.cells.map(\.alpha).min(), let high = layers.cells.map(\.alpha).max() else {
      return nil
    }
    let edges = EarlySteps.edges(of: steps)
    let columns = Dictionary(uniqueKeysWithValues: steps.enumerated().map { ($1, $0) })
    let cells = layers.cells.compactMap { cell in
      columns[cell.step].map { column in
        FigureHeatmap.Cell(
          row: cell.layer, from: edges[column], to: EarlySteps.overlapped(edges, column), value: cell.alpha,
          details: [Wording.integer(cell.step), cell.share.isFinite ? Wording.percent(cell.share) : "–"])
      }
    }
    return FigureHeatmap(
      id: "alpha-by-layer", title: ["Coherence α by layer and step"],
      caption:
        "α of each layer’s gradients on the \(layers.split) probe, in the order of the network; the colour scale "
        + "is logarithmic. A cell extends halfway to the next probe. \(FigureAxis.logarithmicStepsNote)",
      section: coherence, x: .steps, rows: layers.names, value: "α", range: low...max(high, low * 1.01), cells: cells,
      details: ["step", "share of Σ‖gᵢ‖²"]
    ).figure()
  }

  private static func contributionCard(_ shares: RunCurves.Shares) -> Figure? {
    let plain = shares.sample.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
    let nulls =
      shares.worlds == 0
      ? "" : "Shaded: the range of \(shares.worlds) permutations of the two labels among the examples. "
    return card(
      "contributions-\(String(plain))", "Contributions, " + (samples[shares.sample] ?? shares.sample),
      "fᵖ and fᶜ, the shares of pristine and of corrupt examples in the reduction of the loss at each step. \(nulls)"
        + FigureAxis.logarithmicStepsNote, coherence,
      x: .steps, y: FigureAxis("Share of the loss reduction", isShare: true, including: [0, 0.5]), shares.curves,
      references: [FigureReference(0.5)])
  }

  /// What the usual samples of contributions are called.
  private static let samples = ["paper": "the paper’s sample", "population": "whole population"]

  private static func card(
    _ id: String, _ title: String, _ caption: String, _ section: String, x: FigureAxis, y: FigureAxis,
    _ curves: [RunCurves.Curve], references: [FigureReference] = []
  ) -> Figure? {
    let drawn = curves.filter { !$0.points.isEmpty }
    return FigureCard(
      id: id, title: [title], caption: caption, section: section,
      panel: FigurePanel(
        x: x, y: y, lines: drawn.map { FigureLine(series, measure: $0.name, points: $0.points) },
        references: references),
      colors: FigureColoring(by: .measure, shades(of: drawn.map(\.name)))
    ).figure()
  }

  /// What the curves of one run have in common.
  static let series = "run"

  /// The colours of splits and groups: what means the same has the same colour on all figures.
  private static func shades(of names: [String]) -> [(name: String, shade: Shade)] {
    var others = 0
    return names.map { name in
      switch name {
      case "train": return (name, Palette.neutral)
      case "test": return (name, Palette.test)
      case "pristine": return (name, Palette.pristine)
      case "corrupt": return (name, Palette.corrupt)
      default:
        defer { others += 1 }
        return (name, Palette.categorical[others % Palette.categorical.count])
      }
    }
  }

  private static func moments(_ points: [FigurePoint]) -> [AccuracyAxis.Moment] {
    let last = points.last?.x ?? 0
    return points.map { AccuracyAxis.Moment(place: last > 0 ? $0.x / last : 1, value: $0.y) }
  }

  // MARK: - Several runs

  /// A run among those compared.
  struct Compared: Sendable {
    /// Its name, different from that of every other one.
    let label: String
    /// Its colour.
    let shade: Shade
    /// Its curves.
    let curves: RunCurves
  }

  /// The figures of runs on common axes.
  ///
  /// - Parameter runs: the runs.
  static func figures(comparing runs: [Compared]) -> [Figure] {
    let accuracies = ["test", "train", "validation", "pristine", "corrupt"]
    let ends = AccuracyAxis.ends(
      of: runs.flatMap { run in run.curves.accuracy.map { moments($0.points) } })
    let titles = [
      "test": "Test accuracy", "train": "Training accuracy", "validation": "Validation accuracy",
      "pristine": "Pristine examples learned", "corrupt": "Corrupt examples learned",
    ]
    let accuracy = accuracies.map { name in
      comparison(
        "\(name)-accuracy", titles[name] ?? name,
        "Share of examples classified as labelled." + AccuracyAxis.note(ends), learning, x: .linearSteps,
        y: .accuracy(ends: ends), runs
      ) { RunCurves.named(name, in: $0.accuracy) }
    }
    let loss = ["train", "test"].map { name in
      comparison(
        "\(name)-loss", name == "train" ? "Training loss" : "Test loss", "Mean cross entropy.", learning,
        x: .linearSteps, y: FigureAxis("Cross entropy (nats)", including: [0]), runs
      ) { RunCurves.named(name, in: $0.loss) }
    }
    let alpha = ["train", "test"].map { name in
      comparison(
        "\(name)-alpha", name == "train" ? "α on training examples" : "α on test examples",
        "Coherence of the per-example gradients of the whole network. Probes of different sizes are not comparable. "
          + FigureAxis.logarithmicStepsNote, coherence,
        x: .steps, y: FigureAxis("α", scale: .logarithmic), runs
      ) { RunCurves.named(name, in: $0.alpha) }
    }
    return (accuracy + loss + alpha).compactMap { $0 }
  }

  private static func comparison(
    _ id: String, _ title: String, _ caption: String, _ section: String, x: FigureAxis, y: FigureAxis,
    _ runs: [Compared], _ points: (RunCurves) -> [FigurePoint]
  ) -> Figure? {
    let lines = runs.map { FigureLine($0.label, points: points($0.curves)) }.filter { !$0.points.isEmpty }
    return FigureCard(
      id: id, title: [title], caption: caption, section: section, panel: FigurePanel(x: x, y: y, lines: lines),
      colors: FigureColoring(by: .series, runs.map { ($0.label, $0.shade) })
    ).figure()
  }
}
