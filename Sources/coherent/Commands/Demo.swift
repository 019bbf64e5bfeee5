// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Charts
import Foundation
import Reports
import RunStore
import Tensors
import Runs
import Training

struct Demo: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Run a small label-noise study on built-in digits: what is learned first, what is memorised, and what do robust averages change?"
  )

  @Option(help: "The folder for the runs and the report.")
  var out = "demo"
  @Flag(help: "Print the results as JSON.")
  var json = false

  @Option(parsing: .unconditional, help: ArgumentHelp("Updates of each run. (default: 17 passes)", visibility: .hidden))
  var steps: Int?

  /// Noise level, optimizer and folder of every run.
  static let cells: [(noise: Double, optimizer: String, folder: String)] = [
    (0, "sgd", "noise-0"), (0.5, "sgd", "noise-50"), (0.5, "rm3", "noise-50-rm3"), (0.5, "m3", "noise-50-m3"),
    (1, "sgd", "noise-100"),
  ]

  /// Medians suppress memorising where the examples are many times as many as a group has, here some 800 times: groups of 32,
  /// which are RM3's mini-batches and thirds of M3's.
  static func settings(noise: Double, optimizer: String, steps: Int?) -> TrainingConfiguration {
    var settings = TrainingConfiguration()
    (settings.dataset, settings.subset, settings.testSubset) = ("digits", 26_000, 5000)
    (settings.model, settings.optimizer, settings.noise) = ("mlp:256,256,256", optimizer, noise)
    settings.batchSize = optimizer == "m3" ? 96 : 32
    (settings.steps, settings.epochs, settings.evalSchedule) = (steps, steps == nil ? 17 : nil, .dense)
    return settings
  }

  func run() throws {
    Runtime.keepFreedMemory()
    Interruption.listen()
    var directories: [RunDirectory] = []
    var rows: [Row] = []
    for cell in Self.cells {
      let title = "\(Wording.whole(cell.noise * 100)) % label noise, \(cell.optimizer)"
      let run = try TrainingRun(
        Self.settings(noise: cell.noise, optimizer: cell.optimizer, steps: steps), at: out + "/" + cell.folder,
        existing: .replace, tool: Coherent.tool)
      let progress = TrainingProgress(title: title, of: run.trainer, isQuiet: !Console.isTerminal)
      if !Console.isTerminal { Console.note("Training on digits with \(title)") }
      let outcome = try run.train(shouldStop: { Interruption.isRequested }, observe: progress.observe)
      progress.finish()
      guard outcome == .completed else { throw ExitCode(130) }
      directories.append(run.directory)
      rows.append(try Row(noise: cell.noise, optimizer: cell.optimizer, run: run.directory))
    }
    let page = URL(fileURLWithPath: out).appendingPathComponent("report.html")
    let report = try Report(runs: directories, title: "Label noise on built-in digits")
    try report.write(to: page)
    if json { return try Console.json(rows) }
    Console.print(Self.table(rows))
    Console.print("")
    Console.print(Self.finding(rows))
    Console.print("")
    Console.print("Report: \(page.path)")
  }

  /// What one noise level came to.
  struct Row: Encodable {
    let noise: Double
    let optimizer: String
    let trainAccuracy: Double?
    let testAccuracy: Double?
    let bestTestAccuracy: Double?
    /// Passes over the training examples until half of them were right: mini-batches differ in size.
    let passesPristineHalfLearned: Double?
    let passesCorruptHalfLearned: Double?
    let pristineAccuracy: Double?
    let corruptAccuracy: Double?

    init(noise: Double, optimizer: String, run: RunDirectory) throws {
      (self.noise, self.optimizer) = (noise, optimizer)
      let metrics = try run.log(MetricRecord.self)
      func last(_ group: String) -> Double? { metrics.last { $0.split == "train" && $0.group == group }?.accuracy1 }
      func firstHalf(_ group: String) -> Double? {
        metrics.first { $0.split == "train" && $0.group == group && $0.accuracy1 >= 0.5 }?.epoch
      }
      let summary = try run.manifest().summary
      (trainAccuracy, pristineAccuracy, corruptAccuracy) = (last("all"), last("pristine"), last("corrupt"))
      (testAccuracy, bestTestAccuracy) = (summary?.last?.testAccuracy, summary?.best?.testAccuracy)
      (passesPristineHalfLearned, passesCorruptHalfLearned) = (firstHalf("pristine"), firstHalf("corrupt"))
    }
  }

  /// Passes over the data, such as 0.05 or 12.
  private static func passes(_ value: Double) -> String { String(format: value < 1 ? "%.2f" : "%.0f", value) }

  static func table(_ rows: [Row]) -> String {
    func half(_ value: Double?) -> String { value.map { "pass \(passes($0))" } ?? "–" }
    let head = [
      "label noise", "optimizer", "train", "pristine", "corrupt", "test", "best test", "pristine half learned",
      "corrupt half learned",
    ]
    return Console.table(
      [head]
        + rows.map { row in
          [
            "\(Wording.whole(row.noise * 100)) %", row.optimizer, Console.percent(row.trainAccuracy),
            Console.percent(row.pristineAccuracy), Console.percent(row.corruptAccuracy),
            Console.percent(row.testAccuracy), Console.percent(row.bestTestAccuracy),
            half(row.passesPristineHalfLearned), half(row.passesCorruptHalfLearned),
          ]
        })
  }

  /// Says in words what the numbers say, whichever way they point.
  static func finding(_ rows: [Row]) -> String {
    var sentences: [String] = []
    if let clean = rows.first, let random = rows.last {
      sentences.append(
        "The same network reaches \(Console.percent(clean.trainAccuracy)) on its training labels when they are real and "
          + "\(Console.percent(random.trainAccuracy)) when they are random; on new digits it then gets "
          + "\(Console.percent(clean.testAccuracy)) and \(Console.percent(random.testAccuracy)).")
    }
    if let half = rows.first(where: { $0.noise == 0.5 && $0.optimizer == "sgd" }),
      let pristine = half.passesPristineHalfLearned
    {
      if let corrupt = half.passesCorruptHalfLearned {
        let order = pristine < corrupt ? "before" : "not before"
        sentences.append(
          "With half of the labels shuffled, the pristine examples are learned \(order) the corrupt ones: half of them "
            + "are right after \(passes(pristine)) passes over the data, half of the corrupt ones after \(passes(corrupt))."
        )
      } else {
        sentences.append(
          "With half of the labels shuffled, half of the pristine examples are right after \(passes(pristine)) passes; the "
            + "corrupt ones are never half learned.")
      }
      if let best = half.bestTestAccuracy, let last = half.testAccuracy {
        sentences.append(
          best - last > 0.005
            ? "Stopping early would have paid off: test accuracy falls from \(Console.percent(best)) to \(Console.percent(last)) "
              + "while the corrupt labels are memorised."
            : "Test accuracy ends within half a point of its best.")
      }
    }
    sentences += robust(rows)
    return sentences.joined(separator: "\n")
  }

  /// What the robust averages did with pristine and corrupt examples, beside plain descent.
  private static func robust(_ rows: [Row]) -> [String] {
    guard let plain = rows.first(where: { $0.noise == 0.5 && $0.optimizer == "sgd" }),
      let plainCorrupt = plain.corruptAccuracy
    else { return [] }
    return rows.filter { $0.noise == 0.5 && $0.optimizer != "sgd" }.compactMap { row in
      guard let corrupt = row.corruptAccuracy else { return nil }
      let verb =
        corrupt < plainCorrupt / 2
        ? "memorises far less" : corrupt < plainCorrupt - 0.01 ? "memorises less" : "only memorises later, if at all"
      func half(_ pass: Double?) -> String { pass.map { "half of them by pass \(passes($0))" } ?? "never half of them" }
      return "\(row.optimizer.uppercased()), a median of three gradients, \(verb): in the end it fits "
        + "\(Console.percent(corrupt)) of the corrupt labels (\(half(row.passesCorruptHalfLearned))) where SGD fits "
        + "\(Console.percent(plainCorrupt)) (\(half(plain.passesCorruptHalfLearned))), and "
        + "\(Console.percent(row.pristineAccuracy)) of the pristine ones where SGD fits "
        + "\(Console.percent(plain.pristineAccuracy)); on new digits it gets \(Console.percent(row.testAccuracy)), SGD "
        + "\(Console.percent(plain.testAccuracy))."
    }
  }
}
