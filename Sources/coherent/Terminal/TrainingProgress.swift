// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Runs
import Training

/// Shows a training as it goes: a bar with rate and time left on a terminal; elsewhere a line for each evaluation, and
/// one a minute in between.
final class TrainingProgress {
  private let steps: Int
  private let title: String
  private let isQuiet: Bool
  private var pace: Pace
  private var lastShown: UInt64
  private var loss = Double.nan
  private var hasHeader = false

  /// - Parameter trainer: what is about to train.
  init(title: String = "", of trainer: Trainer, isQuiet: Bool) {
    self.title = title
    self.isQuiet = isQuiet
    steps = trainer.steps
    lastShown = DispatchTime.now().uptimeNanoseconds
    pace = trainer.pace(now: lastShown)
    guard !isQuiet, Console.isTerminal, trainer.step == 0 else { return }
    let seen = trainer.evaluations.counts(of: trainer.evaluations.early).total
    show(["evaluating \(seen) examples before the first step"])
  }

  func observe(_ event: TrainingEvent) {
    guard !isQuiet else { return }
    let now = DispatchTime.now().uptimeNanoseconds
    pace.note(event, now: now)
    switch event {
    case .stepped(let record):
      // A step that no example was drawn for has none.
      if !record.loss.isNaN { loss = record.loss }
      draw(step: record.step, now)
    case .evaluated(let records):
      report(records)
      lastShown = now
    case .completedStep, .measured: break
    }
  }

  func finish() { if Console.isTerminal, !isQuiet { write("\r\u{1B}[K") } }

  private func draw(step: Int, _ now: UInt64) {
    guard now - lastShown > (Console.isTerminal ? 100_000_000 : 60_000_000_000) else { return }
    lastShown = now
    let rate = pace.stepsPerSecond.map { "\(Self.rate($0)) steps/s" } ?? ""
    let left = pace.secondsLeft(after: step).map { "\(Console.duration($0)) left" } ?? ""
    let parts = ["\(step)/\(steps)", left, rate, "loss \(String(format: "%.4f", loss))"]
    guard Console.isTerminal else {
      return Console.note("step " + parts.filter { !$0.isEmpty }.joined(separator: ", "))
    }
    show([Console.bar(steps > 0 ? Double(step) / Double(steps) : 1, width: 24)] + parts)
  }

  /// Three digits where there are fewer than a hundred steps a second.
  static func rate(_ perSecond: Double) -> String {
    perSecond >= 100 ? String(format: "%.0f", perSecond) : String(format: "%.3g", perSecond)
  }

  /// Replaces the line on the terminal. Where it is narrow, how far the run is and how long it will take stay longest.
  private func show(_ parts: [String]) {
    write("\r\u{1B}[K" + Console.fitted([title] + parts, droppingFirst: [5, 4, 1, 0].filter { $0 <= parts.count }))
  }

  private func report(_ records: [MetricRecord]) {
    func accuracy(_ split: String, _ group: String) -> String {
      Console.percent(records.first { $0.split == split && $0.group == group }?.accuracy1)
    }
    var columns = [("train", "train", "all")]
    if records.contains(where: { $0.group == "corrupt" }) {
      columns += [("pristine", "train", "pristine"), ("corrupt", "train", "corrupt")]
    }
    if records.contains(where: { $0.split == "validation" }) { columns.append(("validation", "validation", "all")) }
    columns.append(("test", "test", "all"))
    func line(_ cells: [String]) -> String { cells.map { pad($0, 11) }.joined() }
    if Console.isTerminal { write("\r\u{1B}[K") }
    if !hasHeader {
      if !title.isEmpty { Console.note(title) }
      Console.note(line(["step"] + columns.map(\.0) + ["train loss"]))
      hasHeader = true
    }
    let first = records.first
    let trainLoss = first.map { String(format: "%.4f", $0.loss) } ?? ""
    Console.note(line([String(first?.step ?? 0)] + columns.map { accuracy($0.1, $0.2) } + [trainLoss]))
  }

  private func pad(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }

  private func write(_ text: String) { Console.write(text) }
}
