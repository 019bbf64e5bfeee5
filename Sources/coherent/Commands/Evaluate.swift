// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Datasets
import Foundation
import RunStore
import Runs
import Tensors
import Training

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Evaluate a model: loss, accuracy by class and group, confusion of classes, calibration.",
    discussion: """
      Of a run, or of a model of the zoo with a file of weights, on the run's data or on others. Accuracies are those on \
      the labels that the run was trained with for its own training set, and on the data set's labels otherwise.

      Examples: coherent evaluate runs/noisy --select best
                coherent evaluate --model resnet18 --weights resnet18.safetensors --dataset folder --data-dir imagenet
      """)

  @Argument(help: ArgumentHelp("The run directory whose weights are evaluated.", valueName: "run")) var runPath: String?
  @OptionGroup var source: ModelSource
  @Option(help: "Which examples: train or test.") var split: Split = .test
  @Option(help: "Another data set than the run's own.") var dataset: String?
  @Option(help: "The folder with the data set's files. (default: as in the run)") var dataDir: String?
  @OptionGroup var files: PredictionFiles
  @Flag(help: "Print as JSON, with the whole confusion matrix.") var json = false

  func validate() throws {
    guard (runPath == nil) != (source.model == nil) else {
      throw ValidationError("Name a run, or a model with --model and --weights.")
    }
  }

  struct Result: Encodable {
    let weights, dataset, split: String
    let step: Int?
    let classNames: [String]
    let report: ClassificationReport
    let seconds: Double
    let examplesPerSecond: Double
  }

  func run() throws {
    Runtime.keepFreedMemory()
    try files.check()
    let trained =
      if let runPath {
        try TrainedModel(
          run: runPath, source.select, step: source.step, split: split, datasetName: dataset, dataDirectory: dataDir,
          adapting: source.adapted)
      } else {
        try TrainedModel(source.configuration(dataset: dataset ?? "folder", dataDir: dataDir), split: split)
      }
    for note in trained.dataset.notes { Console.note(note) }
    let begun = ContinuousClock.now
    let predictions = try trained.predictions()
    let seconds = (ContinuousClock.now - begun) / .seconds(1)
    try files.write(predictions)
    let report = try trained.report(predictions)
    let result = Result(
      weights: source.name(of: trained), dataset: trained.dataset.name, split: split.rawValue,
      step: source.model == nil ? trained.step : nil, classNames: trained.dataset.classNames, report: report,
      seconds: seconds, examplesPerSecond: Double(predictions.count) / seconds)
    if json { return try Console.json(result) }
    Console.print(Self.text(result))
  }

  /// More classes than this have their worst shown.
  private static let maximumClasses = 20

  private static func text(_ result: Result) -> String {
    let report = result.report
    func row(_ group: ClassificationReport.Group) -> [String] {
      [
        group.name, "\(group.count)", group.loss.map { String(format: "%.4f", $0) } ?? "–",
        Console.percent(group.accuracy), Console.percent(group.accuracyTop5),
      ]
    }
    let shown =
      report.classes.count <= maximumClasses
      ? report.classes : Array(report.classes.sorted { ($0.accuracy ?? 2) < ($1.accuracy ?? 2) }.prefix(maximumClasses))
    var lines = [
      Console.table(
        [["", "examples", "loss", "accuracy", "among five"], row(report.all)] + report.groups.map(row) + shown.map(row))
    ]
    if shown.count < report.classes.count {
      lines.append("The \(shown.count) worst of \(report.classes.count) classes.")
    }
    let confused = report.confusion.enumerated().flatMap { label, row in
      row.enumerated().filter { $0.offset != label && $0.element > 0 }.map { (label, $0.offset, $0.element) }
    }.sorted { ($0.2, $1.0, $1.1) > ($1.2, $0.0, $0.1) }.prefix(5)
    if !confused.isEmpty {
      let names = result.classNames
      lines += [
        "",
        "Most often confused: "
          + confused.map { "\(names[$0]) taken for \(names[$1]) (\($2))" }.joined(separator: ", "),
      ]
    }
    lines += [
      "", String(format: "Expected calibration error %.2f %% (15 bins)", 100 * report.calibrationError),
      "\(report.all.count) \(result.split) examples of \(result.dataset), \(result.weights), "
        + String(format: "%.2f s, %.0f examples/s", result.seconds, result.examplesPerSecond),
    ]
    return lines.joined(separator: "\n")
  }
}
