// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Training

/// Shows a training as it goes: a bar with rate and time left on a terminal, a line for each evaluation elsewhere.
final class TrainingProgress {
  private let steps: Int
  private let title: String
  private let isQuiet: Bool
  private var begun: (time: UInt64, step: Int)?
  private var lastDrawn: UInt64 = 0
  private var loss = Double.nan
  private var hasHeader = false

  init(title: String = "", steps: Int, isQuiet: Bool) {
    self.title = title
    self.steps = steps
    self.isQuiet = isQuiet
  }

  func observe(_ event: TrainingEvent) {
    guard !isQuiet else { return }
    switch event {
    case .stepped(let record):
      loss = record.loss
      draw(step: record.step)
    case .evaluated(let records):
      report(records)
    case .completedStep, .measured:
      break
    }
  }

  func finish() {
    if Console.isTerminal, !isQuiet { write("\r\u{1B}[K") }
  }

  /// The rate counts evaluations, as the time left has to.
  private func draw(step: Int) {
    let now = DispatchTime.now().uptimeNanoseconds
    guard let begun else {
      begun = (now, step)
      return
    }
    guard Console.isTerminal, now - lastDrawn > 100_000_000, now > begun.time else { return }
    lastDrawn = now
    let rate = Double(step - begun.step) / (Double(now - begun.time) / 1e9)
    let left = rate > 0 ? Console.duration(Double(steps - step) / rate) : "?"
    let bar = Console.bar(steps > 0 ? Double(step) / Double(steps) : 1, width: 24)
    let prefix = title.isEmpty ? "" : title + "  "
    write(
      "\r\u{1B}[K\(prefix)\(bar) \(step)/\(steps)  \(Int(rate)) steps/s  loss \(String(format: "%.4f", loss))  \(left) left"
    )
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
