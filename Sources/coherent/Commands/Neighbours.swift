// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Coherence
import Datasets
import Foundation
import RunStore
import Runs
import Tensors
import Training

extension NeighbourOrder: ExpressibleByArgument {}

struct Neighbours: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show which training examples help an example most, and which hurt it most.",
    discussion: """
      A step along the negative gradient gⱼ of a training example with learning rate η lowers the loss of example i by \
      η·⟨gᵢ, gⱼ⟩ to first order. Helpers are the training examples with the largest ⟨gᵢ, gⱼ⟩, opponents those with the \
      most negative. Labels are those that the run was trained with. Several --at show how neighbourhoods change.

      Examples: coherent neighbours run --example 12 --example 40 --html neighbours.html
                coherent neighbours run --picture new.jpg --label cat --by cosine --at best --at last
      """)

  @Argument(help: ArgumentHelp("The run directory.", valueName: "run")) var runPath: String?
  @Option(help: ArgumentHelp("The same as <run>.", valueName: "run")) var checkpoint: String?
  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("An example by its number in the data set; can be given several times.", valueName: "index"))
  var example: [Int] = []
  @Option(help: "Which split --example is of: train or test.") var split: Split = .train
  @Option(help: ArgumentHelp("A picture of one's own; can be given several times.", valueName: "file"))
  var picture: [String] = []
  @Option(help: ArgumentHelp("The class of a --picture, in the same order: its name or number.", valueName: "class"))
  var label: [String] = []
  @Option(
    name: [.long, .customLong("select")],
    help: ArgumentHelp(
      "Which weights: a checkpoint's step, last, best or selected; can be given several times. (default: last)",
      valueName: "weights"))
  var at: [Moment] = []
  @Option(parsing: .unconditional, help: "How many helpers, and how many opponents.") var count = 10
  @Option(help: "What ranks them: product or cosine.") var by: NeighbourOrder = .product
  @Option(help: ArgumentHelp("Rank by the gradients of this layer alone.", valueName: "name")) var layer: String?
  @Option(parsing: .unconditional, help: "How many training examples are looked through. (default: all)")
  var examples: Int?
  @Option(help: "The folder with the data set's files. (default: as in the run)") var dataDir: String?
  @Option(
    parsing: .unconditional,
    help: "Examples in a pass; results do not depend on it. (default: 150, or fewer for a large model)"
  ) var chunkSize: Int?
  @Option(parsing: .unconditional, help: "Threads for the computation. (default: as in the run)") var threads: Int?
  @Option(help: "Where to compute: cpu or cuda[:INDEX]. (default: as in the run)") var device: String?
  @Flag(help: "Show layer by layer how neighbours agree.") var byLayer = false
  @Flag(help: "Print as JSON, with every layer.") var json = false
  @Option(help: ArgumentHelp("Write a line for each neighbour and layer to this CSV file.", valueName: "file"))
  var csv: String?
  @Option(help: ArgumentHelp("Write a page with the pictures to this HTML file.", valueName: "file"))
  var html: String?

  /// Weights of a run: a checkpoint's step, or a selection.
  enum Moment: ExpressibleByArgument, Decodable {
    case step(Int)
    case selection(WeightSelection)

    init?(argument: String) {
      if let selection = WeightSelection(rawValue: argument) {
        self = .selection(selection)
      } else if let step = Int(argument), step >= 0 {
        self = .step(step)
      } else {
        return nil
      }
    }

    func weights(of run: RunDirectory) throws -> SelectedWeights {
      switch self {
      case .step(let step): try SelectedWeights(of: run, step: step)
      case .selection(let selection): try SelectedWeights(of: run, selection)
      }
    }
  }

  func validate() throws {
    if runPath == nil, checkpoint == nil {
      throw ValidationError("No run directory was named. Write coherent neighbours RUN --example INDEX.")
    }
    if let runPath, let checkpoint, runPath != checkpoint {
      throw ValidationError("Two runs were named, \(runPath) and \(checkpoint). Name one.")
    }
    guard !example.isEmpty || !picture.isEmpty else {
      throw ValidationError("Name the examples to look at with --example, or pictures with --picture and --label.")
    }
    guard picture.count == label.count else {
      throw ValidationError(
        "\(picture.count) pictures and \(label.count) labels were given. Give a --label for each --picture.")
    }
    guard count >= 1 else { throw ValidationError("--count must be at least 1, not \(count).") }
    if let examples, examples < 1 { throw ValidationError("--examples must be at least 1, not \(examples).") }
    if let chunkSize, chunkSize < 1 { throw ValidationError("--chunk-size must be at least 1, not \(chunkSize).") }
    for (option, file) in [("--csv", csv), ("--html", html)] { try checkName(file, option) }
  }

  func run() throws {
    Runtime.keepFreedMemory()
    // Neighbours that could not be kept should not cost the wait for them.
    for file in [csv, html].compactMap({ $0 }) { try checkWritable(URL(fileURLWithPath: file)) }
    let path = runPath ?? checkpoint ?? ""
    let run = try RunDirectory.open(at: path)
    let weights = try (at.isEmpty ? [.selection(.last)] : at).map { try $0.weights(of: run) }
    let first = weights[0]
    let trained = try TrainedModel(
      run: path, first.selection, step: first.selection == .last ? first.step : nil, dataDirectory: dataDir,
      threads: threads, device: device)
    let asked = try queries(trained, run)
    let settings = NeighbourSettings(limit: count, order: by, layer: layer, keepsValues: weights.count > 1)
    let begun = ContinuousClock.now
    var report = NeighbourReport(run: path, order: by, layer: layer)
    for (place, weights) in weights.enumerated() {
      if place > 0 { try trained.take(weights) }
      let found = try asked.map {
        try trained.neighbours(of: $0.sample, settings, examples: examples, chunkSize: chunkSize)
      }
      try report.add(found, asked, of: trained)
    }
    report.seconds = (ContinuousClock.now - begun) / .seconds(1)
    try csv.map { try writeAtomically(Data(report.csv.utf8), to: URL(fileURLWithPath: $0)) }
    try html.map {
      let page = try NeighbourPage(report, asked: asked, candidates: trained.dataset)
      for note in page.notes { Console.note(note) }
      try writeAtomically(Data(page.html.utf8), to: URL(fileURLWithPath: $0))
    }
    if json { return try Console.json(report) }
    Console.print(report.text(byLayer: byLayer))
  }

  /// Examples of one data set that are asked about.
  struct Queries {
    let sample: ProbeSample
    /// train, test or picture.
    let kind: String
    /// Pictures by their paths as they were named; nil for examples of the data set.
    let names: [String]?

    /// The file of an example; nil where it has none.
    func file(at index: Int) -> String? { names.map { $0[index] } ?? sample.dataset.file(at: index) }
  }

  private func queries(_ trained: TrainedModel, _ run: RunDirectory) throws -> [Queries] {
    var found: [Queries] = []
    if !example.isEmpty {
      let model =
        split == .train
        ? trained
        : try TrainedModel(
          run: run.url.path, trained.selection, step: trained.selection == .last ? trained.step : nil, split: split,
          dataDirectory: dataDir, threads: threads, device: device)
      found.append(Queries(sample: try model.sample(at: example), kind: split.rawValue, names: nil))
    }
    if !picture.isEmpty { found.append(try pictures(run, classNames: trained.dataset.classNames)) }
    return found
  }

  private func pictures(_ run: RunDirectory, classNames: [String]) throws -> Queries {
    let labels = try label.map { try Self.place(of: $0, in: classNames) }
    do {
      let (_, dataset, names) = try TrainedModel.pictures(picture, of: run)
      guard names == picture else {
        throw ValidationError("--picture names one picture, not a folder or a list. Name each with its --label.")
      }
      return Queries(
        sample: try ProbeSample(
          of: dataset, labels: labels, candidates: Array(labels.indices), split: "picture", count: labels.count, seed: 0
        ),
        kind: "picture", names: names)
    } catch let error as DatasetError {
      throw DatasetError(error.message, remedy: "Name pictures that can be read with --picture.")
    }
  }

  /// A class by its name, or by its number where none has it for a name.
  private static func place(of word: String, in names: [String]) throws -> Int {
    if let place = names.firstIndex(of: word) { return place }
    if let place = Int(word), names.indices.contains(place) { return place }
    let known =
      names.count <= 20 ? names.joined(separator: ", ") : "\(names.prefix(20).joined(separator: ", ")) and others"
    throw ValidationError("There is no class \"\(word)\". Choose among \(known).")
  }
}
