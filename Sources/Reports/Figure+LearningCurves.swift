// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// Accuracy and loss over training, laid out like figure 1 of "Coherent Gradients" (Chatterjee, ICLR 2020), with the
/// gap and the overfit of its section 3.3 as a sixth panel.
struct LearningCurves: FigureBuilder {
  private static let section = "Learning curves"

  private enum Group: String {
    case training, test, pristine, corrupt

    var shade: Shade {
      switch self {
      case .training: Palette.neutral
      case .test: Palette.test
      case .pristine: Palette.pristine
      case .corrupt: Palette.corrupt
      }
    }
  }

  private struct Panel {
    let id: String
    let name: String
    let caption: String
    let y: FigureAxis
    /// The examples shown, whose colour a report of one run has.
    let group: Group?
    let lines: [FigureLine]
  }

  func figures(for runs: [RunData]) -> [Figure] {
    let ends = AccuracyAxis.ends(for: runs)
    let panels = panels(for: runs, ends: ends).filter { !$0.lines.isEmpty }
    let figures = zip(panels, "abcdefgh").compactMap { panel, letter in card(panel, letter: letter, runs: runs).figure()
    }
    guard figures.count > 1 else { return figures }
    let captions = zip(figures, panels).map { "\($0.title): \($1.caption)" }
    let notes = AccuracyAxis.note(ends) + RunData.poolingNote(runs) + RunData.sampleNote(runs)
    return [overview(of: panels, runs: runs, caption: captions.joined(separator: " ") + notes)].compactMap { $0 }
      + figures
  }

  private func panels(for runs: [RunData], ends: ClosedRange<Double>) -> [Panel] {
    func lines(_ points: (RunData) -> [Point]) -> [FigureLine] {
      runs.compactMap { FigureLine($0.label, points: points($0)) }
    }
    func accuracy(
      _ id: String, _ name: String, axis: String, _ caption: String, _ group: Group, _ points: (RunData) -> [Point]
    ) -> Panel {
      Panel(id: id, name: name, caption: caption, y: .accuracy(axis, ends: ends), group: group, lines: lines(points))
    }
    return [
      accuracy(
        "train-accuracy", "Training accuracy", axis: "Training accuracy",
        "Share of training examples classified as the label they are trained with, noise included.", .training
      ) { $0.accuracy("train") },
      accuracy(
        "test-accuracy", "Test accuracy", axis: "Test accuracy",
        "Share of test examples classified correctly; test labels carry no noise.", .test
      ) { $0.accuracy("test") },
      Panel(
        id: "train-loss", name: "Training loss",
        caption: "Mean cross entropy over the training examples. Its slope at a small step is the squared norm of the "
          + "mean gradient: the less the examples agree, the flatter the start.",
        y: FigureAxis("Cross entropy (nats)", including: [0]), group: .training, lines: lines { $0.loss("train") }),
      accuracy(
        "pristine-accuracy", "Pristine examples learned", axis: "Pristine learned",
        "Training accuracy on the examples whose label the noise left unchanged.", .pristine, \.pristineAccuracy),
      accuracy(
        "corrupt-accuracy", "Corrupt examples learned", axis: "Corrupt learned",
        "Training accuracy on the examples whose label the noise changed, counted against the changed label.",
        .corrupt, \.corruptAccuracy),
      overfitPanel(for: runs),
    ]
  }

  private func overfitPanel(for runs: [RunData]) -> Panel {
    let lines =
      runs.compactMap { FigureLine($0.label, measure: "overfit", points: $0.overfit) }
      + runs.filter { $0.noiseLevel > 0 }.compactMap { FigureLine($0.label, measure: "gap", points: $0.gap) }
    let classes = Set(runs.map(\.classes)).sorted().map(String.init).joined(separator: " or ")
    return Panel(
      id: "overfit", name: "Overfit and gap",
      caption: "Solid: overfit = ta − [ε/K + (1 − ε)·va], which allows for test labels without noise. "
        + "Dashed: gap = ta − va (without noise the two are equal). ta and va are training and test accuracy, "
        + "ε the noise level, K = \(classes) the number of classes."
        + (runs.contains { $0.manifest.redrawnShare != $0.noiseLevel }
          ? " Where noise moves labels to certain classes, ε = q·K/(K − 1) with the share q of labels changed." : ""),
      y: FigureAxis("Difference in accuracy", isShare: true, including: [0]), group: nil, lines: lines)
  }

  private func card(_ panel: Panel, letter: Character, runs: [RunData]) -> FigureCard {
    FigureCard(
      id: panel.id, title: ["(\(letter)) \(panel.name)"],
      caption: panel.caption + (panel.y.ends.map { AccuracyAxis.note($0) } ?? "") + RunData.poolingNote(runs),
      section: Self.section, panel: FigurePanel(x: .linearSteps, y: panel.y, lines: panel.lines),
      colors: .runs(runs, group: panel.group?.shade), dashes: unique(panel.lines.compactMap(\.measure)),
      hasDashesBelow: true)
  }

  /// All panels in rows of three, for a page of a paper.
  private func overview(of panels: [Panel], runs: [RunData], caption: String) -> Figure? {
    // A single run has the colours of its groups here too.
    func named(_ panel: Panel) -> [FigureLine] {
      guard runs.count == 1, let group = panel.group else { return panel.lines }
      return panel.lines.map { FigureLine(group.rawValue, measure: $0.measure, points: $0.points) }
    }
    var figure = FigureGrid(
      id: "learning-curves", title: "Learning curves", caption: caption, section: Self.section,
      layout: .lettered(columns: 3),
      colors: .named(Dictionary(runs.map { ($0.label, $0.shade) }, uniquingKeysWith: { first, _ in first })),
      order: runs.count == 1 ? [] : runs.map(\.label),
      panels: panels.map { FigurePanel(column: $0.name, x: .linearSteps, y: $0.y, lines: named($0)) }
    ).figure()
    figure?.isComposite = true
    return figure
  }
}
