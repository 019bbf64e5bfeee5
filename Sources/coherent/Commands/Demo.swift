// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Reports
import RunStore
import Training

struct Demo: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "The label-noise study in small, on built-in digits: what is learned first, and what is memorised?")

  @Option(help: "The folder for the runs and the report.")
  var out = "demo"
  @Flag(help: "Print the results as JSON.")
  var json = false

  @Option(parsing: .unconditional, help: ArgumentHelp("Updates of each run.", visibility: .hidden))
  var steps = 5000

  static let noiseLevels = [0.0, 0.5, 1.0]

  static func settings(noise: Double, steps: Int) -> TrainingConfiguration {
    var settings = TrainingConfiguration()
    settings.dataset = "digits"
    settings.subset = 5000
    settings.model = "mlp:512"
    settings.noise = noise
    settings.steps = steps
    return settings
  }

  func run() throws {
    Interruption.listen()
    var directories: [RunDirectory] = []
    var rows: [Row] = []
    for noise in Self.noiseLevels {
      let path = out + "/noise-\(Int(noise * 100))"
      let run = try TrainingRun(
        Self.settings(noise: noise, steps: steps), at: path, existing: .replace, toolVersion: Coherent.version)
      let progress = TrainingProgress(
        title: "\(Int(noise * 100)) % label noise", steps: run.trainer.steps, isQuiet: !Console.isTerminal)
      if !Console.isTerminal { Console.note("Training on digits with \(Int(noise * 100)) % label noise") }
      let outcome = try run.train(shouldStop: { Interruption.isWished }, observe: progress.observe)
      progress.finish()
      guard outcome == .completed else { throw ExitCode(130) }
      directories.append(run.directory)
      rows.append(try Row(noise: noise, run: run.directory))
    }
    let page = URL(fileURLWithPath: out).appendingPathComponent("report.html")
    let report = try Report(runs: directories, title: "Label noise on built-in digits")
    try report.write(to: page)
    if json { return try Console.json(rows) }
    print(Self.table(rows))
    print("")
    print(Self.finding(rows))
    print("")
    print("Report: \(page.path)")
  }

  /// What one noise level came to.
  struct Row: Encodable {
    let noise: Double
    let trainAccuracy: Double?
    let testAccuracy: Double?
    let bestTestAccuracy: Double?
    let stepPristineHalfLearned: Int?
    let stepCorruptHalfLearned: Int?
    let pristineAccuracy: Double?
    let corruptAccuracy: Double?

    init(noise: Double, run: RunDirectory) throws {
      self.noise = noise
      let metrics = try run.metrics()
      func last(_ group: String) -> Double? {
        metrics.last { $0.split == "train" && $0.group == group }?.accuracy1
      }
      func firstHalf(_ group: String) -> Int? {
        metrics.first { $0.split == "train" && $0.group == group && $0.accuracy1 >= 0.5 }?.step
      }
      let summary = try run.manifest().summary
      trainAccuracy = last("all")
      testAccuracy = summary?.last?.testAccuracy
      bestTestAccuracy = summary?.best?.testAccuracy
      stepPristineHalfLearned = firstHalf("pristine")
      stepCorruptHalfLearned = firstHalf("corrupt")
      pristineAccuracy = last("pristine")
      corruptAccuracy = last("corrupt")
    }
  }

  static func table(_ rows: [Row]) -> String {
    func step(_ value: Int?) -> String { value.map(String.init) ?? "–" }
    let head = ["label noise", "train", "test", "best test", "pristine half learned", "corrupt half learned"]
    return Console.table(
      [head]
        + rows.map { row in
          [
            "\(Int(row.noise * 100)) %", Console.percent(row.trainAccuracy), Console.percent(row.testAccuracy),
            Console.percent(row.bestTestAccuracy), step(row.stepPristineHalfLearned), step(row.stepCorruptHalfLearned),
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
    if let half = rows.first(where: { $0.noise == 0.5 }), let pristine = half.stepPristineHalfLearned {
      if let corrupt = half.stepCorruptHalfLearned {
        let order = pristine < corrupt ? "before" : "not before"
        sentences.append(
          "With half of the labels shuffled, the pristine examples are learned \(order) the corrupt ones: half of them "
            + "are right after \(pristine) steps, half of the corrupt ones after \(corrupt).")
      } else {
        sentences.append(
          "With half of the labels shuffled, half of the pristine examples are right after \(pristine) steps; the "
            + "corrupt ones are never half learned.")
      }
      if let best = half.bestTestAccuracy, let last = half.testAccuracy {
        sentences.append(
          best - last > 0.005
            ? "Stopping early would have paid: test accuracy falls from \(Console.percent(best)) to \(Console.percent(last)) "
              + "while the corrupt labels are memorised."
            : "Test accuracy ends within half a point of its best.")
      }
    }
    return sentences.joined(separator: "\n")
  }
}
