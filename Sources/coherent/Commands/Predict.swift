// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import RunStore
import Runs
import Tensors
import Training

struct Predict: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Classify pictures without labels: class, probability and runner-up of each.",
    discussion: """
      Pictures are files, folders of them (with all folders below), and text files that end in .txt with a path a line. \
      The output is a table in CSV: file, label, probability, runner_up, runner_up_probability.

      Examples: coherent predict runs/pictures new-pictures --out predictions.csv
                coherent predict --model resnet18 --weights resnet18.safetensors --classes names.txt cat.jpg
      """)

  @Argument(
    help: ArgumentHelp("The run directory, unless --model is given, and the pictures.", valueName: "run-and-pictures"))
  var places: [String]
  @OptionGroup var source: ModelSource
  @Option(help: "The names of the classes of --model, one a line. (default: their numbers)") var classes: String?
  @Option(help: "The table. (default: standard output)") var out: String?
  @OptionGroup var files: PredictionFiles

  func validate() throws {
    let needed = source.model == nil ? 2 : 1
    guard places.count >= needed else {
      throw ValidationError(
        needed == 2 ? "Name a run and pictures: coherent predict RUN PICTURES..." : "Name the pictures to look at.")
    }
    guard classes == nil || source.model != nil else {
      throw ValidationError("--classes is for --model: a run knows the names of its classes.")
    }
  }

  func run() throws {
    Runtime.keepFreedMemory()
    try files.check()
    if let out { try checkWritable(URL(fileURLWithPath: out)) }
    let found =
      if source.model == nil {
        try TrainedModel.forPictures(
          Array(places.dropFirst()), run: places[0], source.select, step: source.step, adapting: source.adapted)
      } else {
        try TrainedModel.forPictures(
          places, source.configuration(dataset: "folder", dataDir: nil), classNames: classes.map(Self.names))
      }
    for picture in found.model.dataset.skipped { Console.note("\(picture.path) is left out: \(picture.reason)") }
    let begun = ContinuousClock.now
    let predictions = try found.model.predictions()
    let seconds = (ContinuousClock.now - begun) / .seconds(1)
    try files.write(predictions)
    let table = Self.table(predictions, names: found.names, classes: found.model.dataset.classNames)
    if let out {
      try writeAtomically(Data(table.utf8), to: URL(fileURLWithPath: out))
    } else {
      Console.print(table, terminator: "")
    }
    Console.note(
      "\(predictions.count) pictures, \(source.name(of: found.model)), "
        + String(format: "%.2f s, %.0f pictures/s", seconds, Double(predictions.count) / seconds))
  }

  private static func names(_ path: String) throws -> [String] {
    guard let data = try? readFile(URL(fileURLWithPath: path)), let text = String(data: data, encoding: .utf8) else {
      throw ValidationError("The names of classes in \(path) cannot be read. Check the path and that it is UTF-8 text.")
    }
    return text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.filter {
      !$0.isEmpty
    }
  }

  static let columns = ["file", "label", "probability", "runner_up", "runner_up_probability"]

  private static func table(_ predictions: Predictions, names: [String], classes: [String]) -> String {
    let rows = names.indices.map { place in
      let (ranking, probabilities) = (predictions.ranking(of: place), predictions.probabilities(of: place))
      let cells =
        [csvCell(names[place])]
        + ranking.prefix(2).flatMap { [csvCell(classes[$0]), String(format: "%.6f", probabilities[$0])] }
      return cells.joined(separator: ",")
    }
    return ([columns.joined(separator: ",")] + rows).joined(separator: "\n") + "\n"
  }
}
