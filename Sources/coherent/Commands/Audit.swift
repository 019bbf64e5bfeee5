// SPDX-License-Identifier: Apache-2.0

import Aggregation
import ArgumentParser
import Audit
import Datasets
import Foundation
import RunStore
import Runs
import Tensors
import Training

struct AuditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit",
    abstract: "Find the labels of a training set that are probably wrong.",
    discussion: """
      Trains from scratch and watches every example on the way, or takes a run that was watched (coherent train --probe \
      dynamics). The folder receives suspects.csv, audit.json, pred_probs.npy with labels.npy, and audit.html with \
      pictures; docs/audit.md explains scores and columns. Options of the training that are left out are chosen by the \
      kind of the data (training.yaml in the folder has them), whatever default is named below; it takes minutes for \
      some thousand pictures on a laptop.

      Examples: coherent audit --dataset folder --data-dir photos --out audit
                coherent audit --run runs/watched --out audit --truth labels-checked.csv
      """)

  @OptionGroup var options: TrainingOptions
  @OptionGroup(title: TrainingOptions.Main.title) private var place: Place
  @OptionGroup(title: TrainingOptions.Labels.title) private var opinions: Opinions
  @Flag(help: "Print the results as JSON.") var json = false
  @Flag(name: .shortAndLong, help: "Show no progress.") var quiet = false

  struct Place: ParsableArguments {
    @Option(help: "The folder to write.") var out: String
    @Option(help: "Take this run, which kept its training dynamics, in place of training one.") var run: String?
    @Flag(help: "Replace an earlier audit in the folder, and its training.") var force = false
  }

  struct Opinions: ParsableArguments {
    @Option(
      help: "A file with the right labels, to judge every score: .npy, .u8, or .csv with a column label or original.")
    var truth: String?
    @Option(help: "Train so many more models, each without a part of the examples, for an opinion from outside.")
    var folds: Int?
    @Flag(help: "Train once more without the labels that are probably wrong, and compare.") var retrain = false
  }

  func validate() throws {
    guard place.run == nil || !options.isAnySet else {
      throw ValidationError("--run takes a finished run as it is; leave out all training options.")
    }
    guard (opinions.folds ?? 2) >= 2 else { throw ValidationError("--folds must be at least 2.") }
    guard !place.out.isEmpty else { throw ValidationError("The folder has an empty name; give --out a path.") }
  }

  func run() throws {
    Runtime.keepFreedMemory()
    signal(SIGPIPE, SIG_IGN)
    let directory = AuditDirectory(at: place.out)
    try checkRoom(directory)
    let run = try place.run.map { try RunDirectory.open(at: $0) } ?? watchedRun(in: directory)
    let configuration = try TrainingConfiguration(of: run)
    let outOfSample = try opinions.folds.map { try foldedOpinions(configuration, $0, run, directory) }
    let audit = try AuditRun(of: run, outOfSample: outOfSample)
    let judgements = try judgements(of: audit)
    let unreadable = try audit.write(to: directory, judgements: judgements)
    for picture in unreadable.prefix(3) {
      Console.note("Warning: no picture of \(picture.file ?? "example \(picture.index)"): \(picture.reason).")
    }
    let retrained = opinions.retrain ? try trainAgain(audit, configuration, directory) : nil
    let result = AuditResult(audit, directory, judgements, try run.manifest().summary?.last?.testAccuracy, retrained)
    if json { try Console.json(result) } else { Console.print(result.text) }
  }

  /// An earlier audit is worth keeping until somebody says otherwise; decisions always stay.
  private func checkRoom(_ directory: AuditDirectory) throws {
    guard !place.force, (try? AuditDirectory.open(at: directory.url.path)) != nil else { return }
    throw ValidationError(
      "\(place.out) holds an audit already; choose another folder with --out, or replace it with --force.")
  }

  // MARK: - Training

  private func watchedRun(in directory: AuditDirectory) throws -> RunDirectory {
    let path = directory.url.appendingPathComponent("run", isDirectory: true).path
    let settings = try settings()
    if !place.force, let earlier = try? RunDirectory.open(at: path) {
      // An audit that was stopped while it trained goes on.
      try checkSame(settings, in: directory)
      try finish(TrainingRun(resuming: earlier.url.path, tool: Coherent.tool))
      return earlier
    }
    let run = try TrainingRun(settings, at: path, existing: .replace, tool: Coherent.tool)
    try writeAtomically(Data(settings.yaml().utf8), to: directory.training)
    try finish(run)
    return run.directory
  }

  /// A training that began with other options is not taken for the one that is asked for.
  private func checkSame(_ settings: TrainingConfiguration, in directory: AuditDirectory) throws {
    // A version without this record began it, or it was stopped before the first step.
    guard FileManager.default.fileExists(atPath: directory.training.path) else {
      throw ValidationError(
        "\(place.out) holds a training without a record of the options that it began with; choose another folder with "
          + "--out, or replace it with --force.")
    }
    let before = try TrainingConfiguration(file: directory.training.path)
    let keys = try settings.differences(from: before)
    guard keys.isEmpty else {
      throw ValidationError(
        "The training that was begun in \(place.out) has other options (\(keys.joined(separator: ", "))); give the same "
          + "again (\(directory.training.path) has them), choose another folder with --out, or replace it with --force."
      )
    }
  }

  /// What was asked for over what suits the data.
  private func settings() throws -> TrainingConfiguration {
    var asked = TrainingConfiguration()
    options.apply(to: &asked)
    let entry = try DatasetCatalog.entry(named: asked.dataset)
    guard !entry.isOfTokens else {
      throw ValidationError(
        "An audit shows pictures, but the examples of \(asked.dataset) are tokens; train with --probe dynamics or --probe "
          + "examples for scores of every example.")
    }
    guard try !(OptimizerSpecification(asked.optimizer).aggregator.make().isPrivate) else {
      throw ValidationError(
        "\(asked.optimizer) draws examples by chance, so that an audit may see some of them never, and what an audit shows "
          + "of single examples is not private; leave --optimizer out, or take another.")
    }
    if entry.format == .folder, asked.split == nil, !opinions.retrain { asked.testFraction = asked.testFraction ?? 0 }
    let dataset = try DatasetLoader.load(
      name: asked.dataset, split: .train, directory: asked.dataDir, count: asked.subset, options: asked.datasetOptions
    )
    guard dataset.classCount > 1 else {
      throw ValidationError(
        "\(asked.dataDir ?? asked.dataset) has one class, \(dataset.classNames.joined()); an audit needs two or more to choose "
          + "between: give each class a folder of its own.")
    }
    // A mistake in it is better found before hours of training.
    _ = try truth(of: dataset, asked)
    var configuration = AuditDefaults.configuration(
      exampleShape: entry.format == .folder ? nil : entry.exampleShape, count: dataset.count,
      optimizer: options.gives("optimizer") ? asked.optimizer : nil)
    // Every label is to be looked at; only a comparison needs pictures apart.
    if entry.format == .folder, !opinions.retrain, asked.split == nil { configuration.testFraction = 0 }
    options.apply(to: &configuration)
    if !configuration.probe.contains(where: { $0.hasPrefix("dynamics") }) { configuration.probe.append("dynamics") }
    return configuration
  }

  private func finish(_ run: TrainingRun) throws {
    run.warnings.forEach { Console.note("Warning: \($0).") }
    guard try !train(run) else { return }
    Console.note("Interrupted at step \(run.trainer.step). The same command goes on.")
    throw ExitCode(130)
  }

  /// - Returns: whether it came to its end.
  private func train(_ run: TrainingRun) throws -> Bool {
    if run.isComplete { return true }
    Interruption.listen()
    let progress = TrainingProgress(of: run.trainer, isQuiet: quiet)
    defer { progress.finish() }
    return try run.train(shouldStop: { Interruption.isRequested }, observe: progress.observe) == .completed
  }

  private func foldedOpinions(
    _ configuration: TrainingConfiguration, _ folds: Int, _ run: RunDirectory, _ directory: AuditDirectory
  ) throws -> [Int: [Float]] {
    let dynamics = try TrainingDynamics(contentsOf: run.dynamics).visited
    let training = try FoldedTraining(
      folds: folds, configuration: configuration,
      folder: directory.url.appendingPathComponent("folds", isDirectory: true))
    guard let found = try training.probabilities(of: dynamics.indices, tool: Coherent.tool, train: train) else {
      Console.note("Interrupted. The same command goes on.")
      throw ExitCode(130)
    }
    return found
  }

  // MARK: - Judging

  /// By the right labels that were given, or those from before the noise.
  private func judgements(of audit: AuditRun) throws -> [ScoreJudgement] {
    let dataset = audit.model.dataset
    let truth: [Int]
    if let known = try self.truth(of: dataset, audit.model.configuration) {
      truth = known
    } else if audit.model.configuration.noise > 0 {
      truth = dataset.labels
    } else {
      return []
    }
    let dynamics = audit.analysis.evidence.dynamics
    return try audit.analysis.judged(isError: zip(dynamics.indices, dynamics.labels).map { truth[$0] != $1 })
  }

  /// The right labels that were given, for the examples or for the whole set that they are a part of; nil without a file.
  private func truth(of dataset: Dataset, _ settings: TrainingConfiguration) throws -> [Int]? {
    try opinions.truth.map {
      let whole = try settings.subset.map { _ in
        try DatasetLoader.load(
          name: settings.dataset, split: .train, directory: settings.dataDir, options: settings.datasetOptions
        ).count
      }
      return try ExternalLabels.load(from: $0, for: dataset, wholeCount: whole, columns: ["label", "original"])
    }
  }

  // MARK: - Once more

  private func trainAgain(
    _ audit: AuditRun, _ configuration: TrainingConfiguration, _ directory: AuditDirectory
  ) throws -> AuditResult.Retrained {
    let corrections = try audit.writeCorrections(to: directory)
    var configuration = configuration
    configuration.probe = []
    configuration.corrections = corrections.file.path
    let path = directory.url.appendingPathComponent("retrained", isDirectory: true).path
    let run =
      try !place.force && (try? RunDirectory.open(at: path)) != nil
      ? TrainingRun(resuming: path, tool: Coherent.tool)
      : TrainingRun(configuration, at: path, existing: .replace, tool: Coherent.tool)
    try finish(run)
    return .init(
      dropped: corrections.dropped, relabelled: corrections.relabelled, isByHand: corrections.isByHand,
      testAccuracy: try run.directory.manifest().summary?.last?.testAccuracy)
  }
}
