// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Collectives
import Datasets
import Foundation
import NeuralNetworks
import Reports
import RunStore
import Tensors
import Runs
import Training

extension NoiseKind: ExpressibleByArgument {}
extension ExampleMeaning: ExpressibleByArgument {}
extension PixelNormalization: ExpressibleByArgument {}
extension Initializer: ExpressibleByArgument {}
extension HeadPolicy: ExpressibleByArgument {}
extension EvaluationPolicy: ExpressibleByArgument {}
extension WeightSelection: ExpressibleByArgument {}
extension ProductPrecision: ExpressibleByArgument {}

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a model, on noisy labels if you like, and record how each group of examples is learned.",
    discussion: """
      The run directory receives config.yaml, manifest.json, metrics.csv, labels.csv, classes.csv, examples.csv, \
      TensorBoard events, checkpoints and report.html; docs/files.md explains every column. Ctrl-C writes a checkpoint; \
      --resume continues to bit-identical results, and with --steps or --epochs it extends a run, even a complete one.

      Bundles of probes: economy is coherence:m=500@log; business is coherence:m=2000@dense:0-50,log and measures@log; \
      full is coherence:m=5000@dense:0-50,log, contributions:m=5000@dense:0-50,log, examples@epoch, measures@log and \
      stability@log.

      Example: coherent train --dataset mnist --data-dir data/mnist --model mlp:2048 --noise 0.5 --steps 6000 --out run
      """)

  @OptionGroup var options: TrainingOptions

  @Option(help: "A YAML file with any of the options; options on the command line win.") var config: String?

  @OptionGroup(title: TrainingOptions.Main.title) private var place: Place
  @OptionGroup(title: TrainingOptions.Records.title) private var keeping: Keeping
  @OptionGroup(title: TrainingOptions.Machine.title) private var limits: Limits

  @Flag(help: "Only estimate time and memory, and what several processes would send each other; train nothing.")
  var plan = false

  @Flag(help: "Print the results as JSON.") var json = false

  @Flag(name: .shortAndLong, help: "Show no progress.") var quiet = false

  func validate() throws {
    if plan {
      guard place.out == nil, keeping.resume == nil else {
        throw ValidationError("--plan writes nothing: leave out --out and --resume.")
      }
      return
    }
    guard (place.out == nil) != (keeping.resume == nil) else {
      throw ValidationError("Give either --out RUN for a new run or --resume RUN to continue one.")
    }
    guard (place.out ?? keeping.resume) != "" else {
      throw ValidationError("The run directory has an empty name; give --out or --resume a path.")
    }
    if keeping.resume != nil, config != nil || keeping.force || options.isMoreThanLengthSet {
      throw ValidationError(
        "--resume continues with the run's own config.yaml; leave out all training options, --threads and --device among them, "
          + "except --steps or --epochs.")
    }
  }

  func run() throws {
    Runtime.keepFreedMemory()
    if plan {
      // Every rank would say the same.
      guard try Launch().rank == 0 else { return }
      let plan = try TrainingPlan(
        agreed(nil), memoryLimit: limits.ignoreMemoryEstimate ? nil : MemoryLimit.current())
      plan.trainer.notes.forEach { Console.note("Warning: \($0).") }
      let result = PlanResult(plan)
      return try json ? Console.json(result) : Console.print(result.text)
    }
    // Nobody may be left to read what is said here: that ends no training.
    signal(SIGPIPE, SIG_IGN)
    let parent = ParentProcessMonitor()
    let ranks = try Ranks(
      Launch(), tool: Coherent.tool, timeout: .seconds(limits.rankTimeout), device: device)
    // Who goes is missed at once rather than after the timeout.
    defer { ranks?.group.leave() }
    try ranks?.group.requireSame(keeping.resume == nil ? "--out" : "--resume", "what they begin with")
    let settings = try keeping.resume == nil ? agreed(ranks) : nil
    if let ranks, !ranks.isFirst { return try follow(ranks, settings, parent) }
    let run = try settings.map { try start($0, ranks) } ?? resume(ranks)
    try ranks?.announce(run)
    run.warnings.forEach { Console.note("Warning: \($0).") }
    run.notes.forEach { Console.note("Note: \($0).") }
    if run.isComplete {
      Console.note("The run in \(run.directory.url.path) is already complete.")
    } else if try train(run, parent) == .interrupted {
      if keeping.report { writeReport(of: run.directory) }
      Console.note(
        "Interrupted at step \(run.trainer.step). Continue with: coherent train --resume \(run.directory.url.path)")
      throw ExitCode(130)
    }
    if keeping.report { writeReport(of: run.directory) }
    let manifest = try run.directory.manifest()
    if let reason = run.trainer.endReason { Console.note("Note: the run is complete: \(reason).") }
    if json {
      try Console.json(TrainResult(run: run.directory.url.path, manifest: manifest))
    } else {
      Console.print(summary(manifest, directory: run.directory))
    }
  }

  /// The device of the settings, or of the run that goes on; nil where either cannot be read, of which is said later.
  private var device: String? {
    let settings =
      keeping.resume.map { try? TrainingConfiguration(of: RunDirectory.open(at: $0)) } ?? (try? agreed(nil))
    return settings?.device
  }

  /// What the command line and its file say, to all ranks the same.
  private func agreed(_ ranks: Ranks?) throws -> TrainingConfiguration {
    var settings = try config.map { try TrainingConfiguration(file: $0) } ?? TrainingConfiguration()
    options.apply(to: &settings)
    try ranks?.agree(on: &settings)
    return settings
  }

  private func start(_ settings: TrainingConfiguration, _ ranks: Ranks?) throws -> TrainingRun {
    try TrainingRun(
      settings, at: place.out ?? "", existing: keeping.force ? .replace : .refuse, tool: Coherent.tool,
      checksMemory: !limits.ignoreMemoryEstimate, group: ranks?.group)
  }

  private func resume(_ ranks: Ranks?) throws -> TrainingRun {
    try TrainingRun(
      resuming: keeping.resume ?? "", to: options.length, tool: Coherent.tool,
      checksMemory: !limits.ignoreMemoryEstimate, group: ranks?.group)
  }

  /// Computes for rank 0, which has the run directory and speaks.
  private func follow(_ ranks: Ranks, _ own: TrainingConfiguration?, _ parent: ParentProcessMonitor?) throws {
    guard let (settings, policy) = try ranks.announced(own: own) else { return }
    let limit = limits.ignoreMemoryEstimate ? nil : MemoryLimit.current()
    // Weights come from rank 0.
    let training = try ConfiguredTraining(
      settings, linearPolicy: policy, loadsWeights: false, memoryLimit: limit, group: ranks.group)
    Interruption.listen()
    let outcome = try training.trainer.run { Interruption.isRequested || parent?.isGone ?? false }
    if outcome == .interrupted { throw ExitCode(130) }
  }

  private func train(_ run: TrainingRun, _ parent: ParentProcessMonitor?) throws -> TrainingOutcome {
    Interruption.listen()
    let progress = TrainingProgress(of: run.trainer, isQuiet: quiet)
    defer { progress.finish() }
    return try run.train(shouldStop: { Interruption.isRequested || parent?.isGone ?? false }, observe: progress.observe)
  }

  /// A run is no failure when its report cannot be drawn.
  private func writeReport(of directory: RunDirectory) {
    do {
      try Report(runs: [directory]).write(to: directory.report)
    } catch {
      Console.note("No report was written: \(error)")
    }
  }

  private func summary(_ manifest: RunManifest, directory: RunDirectory) -> String {
    var rows = [["", "step", "train", "test", "validation"]]
    let moments = [
      ("last", manifest.summary?.last), ("best test", manifest.summary?.best),
      ("selected by validation", manifest.summary?.validationSelected),
    ]
    for (name, moment) in moments {
      guard let moment else { continue }
      rows.append([
        name, String(moment.step), Console.percent(moment.trainAccuracy), Console.percent(moment.testAccuracy),
        Console.percent(moment.validationAccuracy),
      ])
    }
    var lines = [Console.table(rows), ""]
    let seconds = manifest.summary?.wallSeconds ?? 0
    let memory = manifest.summary?.peakRSSBytes ?? 0
    lines.append(
      "\(manifest.summary?.steps ?? 0) steps in \(Console.duration(seconds)), peak memory \(Console.bytes(memory))")
    if let privacy = manifest.privacy { lines.append(Self.promise(privacy)) }
    if let note = Self.sampleNote(manifest) { lines.append(note) }
    lines.append("Run: \(directory.url.path)")
    if FileManager.default.fileExists(atPath: directory.report.path) {
      lines.append("Report: \(directory.report.path)")
    }
    return lines.joined(separator: "\n")
  }
}

extension Train {
  /// What the weights promise.
  fileprivate static func promise(_ privacy: RunManifest.Privacy) -> String {
    func digits(_ value: Double) -> String { String(format: "%.4g", value) }
    guard let epsilon = privacy.epsilon else { return "Without noise the weights promise no privacy." }
    return
      "Privacy: epsilon \(digits(epsilon)) at delta \(digits(privacy.delta)) after \(privacy.steps) steps with noise "
      + "\(digits(privacy.noiseMultiplier)), for the weights and nothing else in the run directory (docs/privacy.md)"
  }

  /// Says so where the last accuracies are those of samples.
  fileprivate static func sampleNote(_ manifest: RunManifest) -> String? {
    guard let last = manifest.evaluation?.last, manifest.summary?.last?.step == manifest.plannedSteps else {
      return nil
    }
    let (train, test) = (manifest.dataset.trainExamples ?? last.train, manifest.dataset.testExamples ?? last.test)
    guard last.train < train || last.test < test else { return nil }
    return
      "The last evaluation saw \(last.train) of \(train) training and \(last.test) of \(test) test examples: the run is "
      + "short. --eval-schedule dense evaluates all of them."
  }
}

/// Options beside those of a configuration file, shown in the help under the titles of the training options.
extension Train {
  struct Place: ParsableArguments { @Option(help: "The run directory to write.") var out: String? }

  struct Keeping: ParsableArguments {
    @Option(help: "Continue the run in this directory from its newest checkpoint.") var resume: String?

    @Flag(help: "Replace an earlier run in the run directory.") var force = false

    @Flag(inversion: .prefixedNo, help: "Write report.html at the end.") var report = true
  }

  struct Limits: ParsableArguments {
    @Flag(help: "Start even where the run is estimated not to fit in memory.") var ignoreMemoryEstimate = false

    @Option(help: "Seconds that ranks wait for each other before one counts as lost.") var rankTimeout = 300

    func validate() throws {
      guard (1...86_400).contains(rankTimeout) else {
        throw ValidationError("--rank-timeout must be from 1 to 86400 seconds, not \(rankTimeout).")
      }
    }
  }
}

struct TrainResult: Encodable {
  let run: String
  let manifest: RunManifest
}
