// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// Accuracy and loss over training, laid out like figure 1 of "Coherent Gradients" (Chatterjee, ICLR 2020), with the
/// gap and the overfit of its section 3.3 as a sixth panel.
struct LearningCurves: FigureBuilder {
  private static let section = "Learning curves"

  private struct Panel {
    let id: String
    let name: String
    let axis: String
    let caption: String
    let isShare: Bool
    let series: [Series]
  }

  func figures(for runs: [RunData]) -> [Figure] {
    let panels = panels(for: runs).filter { !$0.series.isEmpty }
    let letters = "abcdefgh".map(String.init)
    let figures = zip(panels, letters).map { panel, letter in figure(panel, letter: letter, runs: runs) }
    guard figures.count > 1 else { return figures }
    return [overview(of: figures)] + figures
  }

  private func panels(for runs: [RunData]) -> [Panel] {
    func series(_ points: (RunData) -> [Point]) -> [Series] {
      runs.compactMap { Series(run: $0.label, points: points($0)) }
    }
    return [
      Panel(
        id: "train-accuracy", name: "Training accuracy", axis: "Training accuracy",
        caption: "Share of training examples classified as the label they are trained with, noise included.",
        isShare: true, series: series { $0.accuracy("train") }),
      Panel(
        id: "test-accuracy", name: "Test accuracy", axis: "Test accuracy",
        caption: "Share of test examples classified correctly; test labels carry no noise.",
        isShare: true, series: series { $0.accuracy("test") }),
      Panel(
        id: "train-loss", name: "Training loss", axis: "Cross entropy (nats)",
        caption: "Mean cross entropy over the training examples. Its slope at a small step is the squared norm of the "
          + "mean gradient: the less the examples agree, the flatter the start.",
        isShare: false, series: series { $0.loss("train") }),
      Panel(
        id: "pristine-accuracy", name: "Pristine examples learned", axis: "Pristine learned",
        caption: "Training accuracy on the examples whose label the noise left unchanged.",
        isShare: true, series: series(\.pristineAccuracy)),
      Panel(
        id: "corrupt-accuracy", name: "Corrupt examples learned", axis: "Corrupt learned",
        caption: "Training accuracy on the examples whose label the noise changed, counted against the changed label.",
        isShare: true, series: series(\.corruptAccuracy)),
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
      isShare: true, series: series)
  }

  private func figure(_ panel: Panel, letter: String, runs: [RunData]) -> Figure {
    let fewPoints = panel.series.contains { $0.points.count < 3 }
    let isDifference = panel.series.contains { $0.measure != nil }
    let scale: JSON = panel.isShare && !isDifference ? ["domain": [0, 1]] : ["zero": true, "nice": 5]
    var encoding: JSON = .object([
      "x": ChartStyle.stepAxis,
      "y": [
        "field": "value", "type": "quantitative", "title": .string(panel.axis), "scale": scale,
        "axis": panel.isShare ? ["format": ".0%", "tickCount": 5] : ["tickCount": 5],
      ],
      "color": ChartStyle.runColor(runs),
    ])
    let measures = panel.series.compactMap(\.measure)
    if Set(measures).count > 1 {
      encoding = encoding.merging([
        "strokeDash": [
          "field": "measure", "type": "nominal",
          "scale": ["domain": ["overfit", "gap"], "range": [[1, 0], [4, 4]]],
          "legend": [
            "title": nil, "orient": "top", "symbolType": "stroke", "direction": "horizontal", "offset": 2,
            "symbolStrokeColor": .string(Palette.neutral.light), "symbolStrokeWidth": 1.8, "columnPadding": 12,
          ],
        ]
      ])
    }
    let title = "(\(letter)) \(panel.name)"
    let chart: JSON = .object([
      "title": .string(title), "width": 400, "height": 260, "data": ["name": .string(panel.id)],
      "mark": .object([
        "type": "line", "strokeWidth": 1.8,
        "point": fewPoints ? .object(["filled": true, "size": 36]) : nil,
      ]),
      "encoding": encoding,
    ])
    return Figure(
      id: panel.id, title: title, caption: panel.caption, section: Self.section, isComposite: false, chart: chart,
      data: [FigureData(name: panel.id, series: panel.series)])
  }

  /// All panels in rows of three, for a page of a paper.
  private func overview(of figures: [Figure]) -> Figure {
    let panels = figures.map { figure in figure.chart.merging(["width": 210, "height": 150]) }
    let chart: JSON = [
      "columns": 3, "bounds": "flush", "spacing": ["row": 92, "column": 68], "concat": .array(panels),
      "resolve": ["scale": ["color": "shared", "strokeDash": "independent"]],
    ]
    let caption = figures.map { "\($0.title): \($0.caption)" }.joined(separator: " ")
    return Figure(
      id: "learning-curves", title: "Learning curves", caption: caption, section: Self.section, isComposite: true,
      chart: chart, data: figures.flatMap(\.data))
  }
}
