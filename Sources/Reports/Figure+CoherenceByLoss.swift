// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// m-coherence against the training loss of the same step: compares runs at equal progress instead of equal time.
struct CoherenceByLoss: FigureBuilder {
  private struct Moment {
    let split: String
    let loss: Double
    let record: CoherenceRecord
    let r: Double
  }

  func figures(for runs: [RunData]) -> [Figure] {
    let moments = runs.map(moments(of:))
    let all = moments.flatMap { $0 }
    guard moments.contains(where: { Set($0.map(\.record.step)).count > 1 }) else { return [] }
    let splits = CoherenceByStep.splits(of: runs).filter { split in all.contains { $0.split == split } }
    let (losses, values) = (all.map(\.loss), all.map(\.r))
    let (least, greatest) = (losses.min() ?? 0.1, losses.max() ?? 1)
    let (low, high) = ((values.min() ?? 1) * 0.8, (values.max() ?? 10) * 1.25)
    let rows = zip(runs, moments).flatMap { run, moments in moments.map { row($0, run: run.label) } }
    let id = "coherence-by-loss"
    let title = "m-coherence by training loss"
    let chart: JSON = [
      "title": .string(title), "width": 400, "height": 280, "data": ["name": .string(id)],
      "mark": ["type": "line", "strokeWidth": 1.6, "point": ["filled": true, "size": 14]],
      "encoding": .object([
        "x": [
          "field": "loss", "type": "quantitative", "title": "Training loss (nats), falling to the right",
          "scale": [
            "type": "log", "reverse": true, "nice": false, "domain": .numbers([least * 0.9, greatest * 1.1]),
          ],
          "axis": LogarithmicAxis.axis(from: least * 0.9, to: greatest * 1.1),
        ],
        "y": [
          "field": "r", "type": "quantitative", "title": "m-coherence r",
          "scale": ["type": "log", "nice": false, "domain": .numbers([low, high])],
          "axis": LogarithmicAxis.axis(from: low, to: high),
        ],
        "order": ["field": "step", "type": "quantitative"],
        "color": ChartStyle.splitColor(runs, splits: splits),
        "strokeDash": CoherenceByStep.dash(for: splits, isColored: runs.count == 1),
        "tooltip": [
          ["field": "run", "title": "run"], ["field": "measure", "title": "probe"],
          ["field": "step", "title": "step"], ["field": "loss", "title": "training loss", "format": ".4~g"],
          ["field": "r", "title": "r", "format": ".4~g"], ["field": "m", "title": "m"],
          ["field": "alpha", "title": "α, unbiased", "format": ".3~g"],
        ],
      ]),
    ]
    return [
      Figure(
        id: id, title: title, caption: caption(runs: runs, shown: all, splits: splits),
        section: CoherenceByStep.section, isComposite: false, chart: chart, data: [FigureData(name: id, rows: rows)])
    ]
  }

  private func caption(runs: [RunData], shown: [Moment], splits: [String]) -> String {
    let sizes = Set(shown.map(\.record.m)).sorted()
    let probes = runs.reduce(0) { sum, run in sum + run.coherenceSplits.reduce(0) { $0 + run.mCoherence($1).count } }
    var text =
      "The same r (\(CoherenceByStep.sizes(sizes))) against the training loss at the same step, each point a probe, "
      + "joined in the order of training. Nothing is interpolated: probes at steps without an evaluation are left out"
    text += shown.count < probes ? " (\(Wording.integer(probes - shown.count)) of \(Wording.integer(probes)))." : "."
    if splits.count > 1 { text += " Solid: training examples; dashed: \(splits[1]) examples." }
    if runs.contains(where: { !$0.members.isEmpty }) { text += " r and loss are means over runs." }
    return text
  }

  private func moments(of run: RunData) -> [Moment] {
    let loss = Dictionary(run.loss("train").map { ($0.step, $0.value) }, uniquingKeysWith: { _, last in last })
    return run.coherenceSplits.flatMap { split in
      let records = run.coherence(split)
      let kept = Set(EarlySteps.thinned(records.map(\.step).filter { loss[$0] != nil }, limit: 400))
      return records.compactMap { record -> Moment? in
        guard kept.contains(record.step), let value = loss[record.step], value.isFinite, value > 0,
          let r = record.mCoherence, r.isFinite, r > 0
        else { return nil }
        return Moment(split: split, loss: value, record: record, r: r)
      }
    }
  }

  private func row(_ moment: Moment, run: String) -> JSON {
    .object([
      "run": .string(run), "measure": .string(moment.split), "step": .number(Double(moment.record.step)),
      "loss": .number(Wording.rounded(moment.loss)), "r": .number(Wording.rounded(moment.r)),
      "m": .number(Double(moment.record.m)),
      "alpha": moment.record.alphaUnbiased.map { .number(Wording.rounded($0)) },
    ])
  }
}
