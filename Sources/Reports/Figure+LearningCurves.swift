// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// Accuracy and loss over training, laid out like figure 1 of "Coherent Gradients" (Chatterjee, ICLR 2020), with the
/// gap and the overfit of its section 3.3 as a sixth panel.
struct LearningCurves: FigureBuilder {
  private static let section = "Learning curves"

  private enum Kind { case accuracy, difference, loss }

  private struct Panel {
    let id: String
    let name: String
    let axis: String
    let caption: String
    let kind: Kind
    /// The group of examples shown, which gives the colour in a report of one run.
    let shade: Shade?
    let series: [Series]
  }

  func figures(for runs: [RunData]) -> [Figure] {
    let panels = panels(for: runs).filter { !$0.series.isEmpty }
    let letters = "abcdefgh".map(String.init)
    let ends = AccuracyAxis.ends(for: runs)
    let figures = zip(panels, letters).map { panel, letter in figure(panel, letter: letter, runs: runs, ends: ends) }
    guard figures.count > 1 else { return figures }
    let captions = zip(figures, panels).map { "\($0.title): \($1.caption)" }
    let notes = AccuracyAxis.note(ends) + RunData.poolingNote(runs) + RunData.sampleNote(runs)
    return [overview(of: figures, caption: captions.joined(separator: " ") + notes)] + figures
  }

  private func panels(for runs: [RunData]) -> [Panel] {
    func series(_ points: (RunData) -> [Point]) -> [Series] {
      runs.compactMap { Series(run: $0.label, points: points($0)) }
    }
    return [
      Panel(
        id: "train-accuracy", name: "Training accuracy", axis: "Training accuracy",
        caption: "Share of training examples classified as the label they are trained with, noise included.",
        kind: .accuracy, shade: Palette.neutral, series: series { $0.accuracy("train") }),
      Panel(
        id: "test-accuracy", name: "Test accuracy", axis: "Test accuracy",
        caption: "Share of test examples classified correctly; test labels carry no noise.",
        kind: .accuracy, shade: Palette.test, series: series { $0.accuracy("test") }),
      Panel(
        id: "train-loss", name: "Training loss", axis: "Cross entropy (nats)",
        caption: "Mean cross entropy over the training examples. Its slope at a small step is the squared norm of the "
          + "mean gradient: the less the examples agree, the flatter the start.",
        kind: .loss, shade: Palette.neutral, series: series { $0.loss("train") }),
      Panel(
        id: "pristine-accuracy", name: "Pristine examples learned", axis: "Pristine learned",
        caption: "Training accuracy on the examples whose label the noise left unchanged.",
        kind: .accuracy, shade: Palette.pristine, series: series(\.pristineAccuracy)),
      Panel(
        id: "corrupt-accuracy", name: "Corrupt examples learned", axis: "Corrupt learned",
        caption: "Training accuracy on the examples whose label the noise changed, counted against the changed label.",
        kind: .accuracy, shade: Palette.corrupt, series: series(\.corruptAccuracy)),
      overfitPanel(for: runs),
    ]
  }

  private func overfitPanel(for runs: [RunData]) -> Panel {
    let series =
      runs.compactMap { Series(run: $0.label, measure: "overfit", points: $0.overfit) }
      + runs.filter { $0.noiseLevel > 0 }.compactMap { Series(run: $0.label, measure: "gap", points: $0.gap) }
    let classes = Set(runs.map(\.classes)).sorted().map(String.init).joined(separator: " or ")
    return Panel(
      id: "overfit", name: "Overfit and gap", axis: "Difference in accuracy",
      caption: "Solid: overfit = ta − [ε/K + (1 − ε)·va], which allows for test labels without noise. "
        + "Dashed: gap = ta − va (without noise the two are equal). ta and va are training and test accuracy, "
        + "ε the noise level, K = \(classes) the number of classes.",
      kind: .difference, shade: nil, series: series)
  }

  private func figure(_ panel: Panel, letter: String, runs: [RunData], ends: ClosedRange<Double>) -> Figure {
    let y: JSON =
      panel.kind == .accuracy
      ? AccuracyAxis.encoding(title: panel.axis, ends: ends)
      : [
        "field": "value", "type": "quantitative", "title": .string(panel.axis), "scale": ["zero": true, "nice": 5],
        "axis": panel.kind == .difference ? ChartStyle.shareAxis : ["tickCount": 5],
      ]
    let isNarrow = panel.kind == .accuracy && ends != AccuracyAxis.whole
    var encoding: JSON = .object([
      "x": ChartStyle.stepAxis, "y": y, "color": ChartStyle.runColor(runs, group: panel.shade),
    ])
    if Set(panel.series.compactMap(\.measure)).count > 1 {
      // Below, where it does not move the plot out of line with its neighbours.
      let dash = CoherenceByStep.dash(for: ["overfit", "gap"])
      let legend = dash?["legend"]?.merging(["orient": "bottom"])
      encoding = encoding.merging(["strokeDash": dash?.merging(["legend": legend])])
    }
    let title = "(\(letter)) \(panel.name)"
    let chart: JSON = .object([
      "title": .string(title), "width": 400, "height": 260, "data": ["name": .string(panel.id)],
      "usermeta": panel.kind == .accuracy ? AccuracyAxis.mark : JSON?.none,
    ]).merging(members: ChartStyle.curves(encoding, series: panel.series, isClipped: isNarrow))
    return Figure(
      id: panel.id, title: title,
      caption: panel.caption + (isNarrow ? AccuracyAxis.note(ends) : "") + RunData.poolingNote(runs),
      section: Self.section, isComposite: false, chart: chart,
      data: [FigureData(name: panel.id, series: panel.series)])
  }

  /// All panels in rows of three, for a page of a paper.
  private func overview(of figures: [Figure], caption: String) -> Figure {
    // The legend of runs is as wide as the page.
    let panels = figures.map { figure in
      figure.chart.merging(["width": 210, "height": 150]).mappingLayers { layer in
        guard let encoding = layer["encoding"], let color = encoding["color"], let legend = color["legend"],
          legend != .null, case .array(let names)? = color["scale"]?["domain"]
        else { return layer }
        let texts = names.compactMap { if case .string(let text) = $0 { text } else { nil } }
        let columns = Double(ChartStyle.legendColumns(texts, width: 760))
        return layer.merging([
          "encoding": encoding.merging([
            "color": color.merging(["legend": legend.merging(["columns": .number(columns)])])
          ])
        ])
      }
    }
    let chart: JSON = [
      "columns": 3, "bounds": "flush", "spacing": ["row": 92, "column": 68], "concat": .array(panels),
      "resolve": ["scale": ["color": "shared", "strokeDash": "independent"]],
    ]
    return Figure(
      id: "learning-curves", title: "Learning curves", caption: caption, section: Self.section, isComposite: true,
      chart: chart, data: figures.flatMap(\.data))
  }
}
