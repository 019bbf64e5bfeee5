// SPDX-License-Identifier: Apache-2.0

import Charts
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
    let lines = zip(runs, moments).flatMap { run, moments in
      splits.map { split in
        FigureLine(run.label, measure: split, points: moments.filter { $0.split == split }.map(point))
      }
    }
    return [
      FigureCard(
        id: "coherence-by-loss", title: ["m-coherence by training loss"],
        caption: caption(runs: runs, shown: all, splits: splits), section: CoherenceByStep.section,
        panel: FigurePanel(
          x: FigureAxis("Training loss (nats), falling to the right", scale: .logarithmic, isReversed: true),
          y: FigureAxis("m-coherence r", scale: .logarithmic), lines: lines, details: ["step", "m", "α, unbiased"]),
        colors: .splits(splits, of: runs), dashes: splits, height: 280)
    ].compactMap { $0.figure() }
  }

  private func point(_ moment: Moment) -> FigurePoint {
    FigurePoint(
      x: moment.loss, y: moment.r,
      details: [Double(moment.record.step), Double(moment.record.m), moment.record.alphaUnbiased])
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
}
