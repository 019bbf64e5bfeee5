// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import NeuralNetworks
import RunStore
import Tensors

/// A training that lives in a run directory: it writes the logs and checkpoints, and can be resumed to the same bits.
public final class TrainingRun {
  /// The run directory.
  public let directory: RunDirectory
  /// The loop.
  public let trainer: Trainer
  /// Facts worth telling the user, such as a resume on another kind of processor.
  public private(set) var warnings: [String] = []
  /// Facts worth telling that are no reason to worry.
  public private(set) var notes: [String] = []

  private var manifest: RunManifest
  /// The right to write the directory, from the start to the end of `train`.
  private var lock: DirectoryLock?
  private let started = Date()
  private var lastCheckpoint = Date()
  private lazy var checkpointSchedule = CheckpointSchedule(
    distance: trainer.checkpointDistance, isGiven: trainer.configuration.checkpointEvery != nil)
  private let secondsBefore: Double
  private let keepPolicy: KeepPolicy
  /// What is to be said of the run's new length, once it trains.
  private var extensionNote: String?
  /// How long the logs were at the newest checkpoint; nil without one.
  private var logs: RunLogOffsets?

  /// Starts a run in a new directory.
  ///
  /// The manifest is written last: from then on the directory is a run.
  ///
  /// - Parameters:
  ///   - existing: what to do when the directory holds an earlier run.
  ///   - commandLine: recorded in the manifest.
  ///   - checksMemory: whether a run that would not fit in memory is refused.
  /// - Throws: `TrainingError`, `DatasetError`, `ModelError`, `TensorError`, or `RunStoreError` for the directory.
  public init(
    _ configuration: TrainingConfiguration, at path: String, existing: ExistingRunPolicy = .refuse,
    commandLine: [String] = CommandLine.arguments, tool: RunManifest.Tool, checksMemory: Bool = true
  ) throws {
    // A folder that will be refused should not cost the wait for the data.
    let held = try RunDirectory.lockOfExisting(at: path)
    if existing == .refuse, (try? RunDirectory.open(at: path)) != nil {
      _ = try RunDirectory.create(at: path, existing: .refuse)
    }
    keepPolicy = try KeepPolicy(configuration.keep)
    trainer = try Trainer(configuration, memoryLimit: checksMemory ? MemoryLimit.current() : nil)
    warnings = trainer.data.notes
    (directory, lock) = try RunDirectory.createLocked(at: path, existing: existing, held: held)
    manifest = try Self.manifest(of: trainer, commandLine: commandLine, tool: tool)
    try directory.write(config: trainer.configuration.yaml())
    try directory.write(labels: Self.labelRecords(of: trainer))
    try directory.write(classes: trainer.data.train.classNames)
    let skipped = trainer.data.skipped
    if !skipped.isEmpty {
      try directory.write(skipped: skipped.map { SkippedRecord(path: $0.path, reason: $0.reason) })
    }
    try directory.write(manifest: manifest)
    secondsBefore = 0
    if directory.holdsReplacedRun {
      notes.append(
        "the earlier run is kept in \(directory.url.path)/.replaced until the first checkpoint of this one is written")
    }
  }

  /// Continues the run in a directory from its newest checkpoint, or from the start when it recorded nothing yet.
  ///
  /// - Parameter length: how long the run is to be from now on; nil for as long as it was to be.
  /// - Throws: as `init(_:at:)`, and `TrainingError` of kind checkpoint when the checkpoint is damaged, belongs to
  ///   another configuration, or is gone though the run had progressed.
  public convenience init(
    resuming path: String, to length: RunLength? = nil, commandLine: [String] = CommandLine.arguments,
    tool: RunManifest.Tool, checksMemory: Bool = true
  ) throws {
    let folder = URL(fileURLWithPath: path)
    let (config, manifest) = (
      folder.appendingPathComponent("config.yaml").path, folder.appendingPathComponent("manifest.json").path
    )
    if FileManager.default.fileExists(atPath: config), !FileManager.default.fileExists(atPath: manifest) {
      // Stopped while the directory was being set up: nothing is there but what follows from the configuration.
      var configuration = try TrainingConfiguration(file: config)
      length?.apply(to: &configuration)
      try self.init(
        configuration, at: path, existing: .keep, commandLine: commandLine, tool: tool, checksMemory: checksMemory)
    } else {
      try self.init(continuing: RunDirectory.open(at: path), to: length, checksMemory: checksMemory)
    }
  }

  private init(continuing directory: RunDirectory, to length: RunLength?, checksMemory: Bool) throws {
    self.directory = directory
    lock = try directory.lock()
    manifest = try directory.manifest()
    var configuration = try TrainingConfiguration(of: directory)
    keepPolicy = try KeepPolicy(configuration.keep)
    let checkpoint = try Checkpoint.latest(in: directory.checkpoints)
    if checkpoint == nil { try Self.refuseToStartOver(directory, manifest) }
    let before = configuration
    length?.apply(to: &configuration)
    trainer = try Trainer(
      configuration, linearPolicy: Self.policy(in: manifest), loadsWeights: checkpoint == nil,
      memoryLimit: checksMemory ? MemoryLimit.current() : nil)
    warnings = trainer.data.notes
    try Self.checkData(trainer, against: manifest)
    try Self.checkLabels(trainer, in: directory)
    let capability = try Runtime.cpuCapability()
    if let before = manifest.numerics["cpu_capability"], before != capability {
      warnings.append(
        "the run started with \(before) instructions and continues with \(capability): its last bits may differ")
    }
    secondsBefore = checkpoint?.seconds ?? 0
    if let checkpoint {
      if length != nil { try Self.check(trainer.steps, isEnoughAfter: checkpoint.step) }
      try trainer.restore(checkpoint, in: directory.checkpoints)
      logs = checkpoint.logs
    }
    if length != nil { try noteLength(before: before) }
  }

  /// A run that has come further than its start is worth more than a fresh one.
  private static func refuseToStartOver(_ directory: RunDirectory, _ manifest: RunManifest) throws {
    guard let step = try directory.recordedStep() else { return }
    let path = directory.url.path
    throw TrainingError(
      .checkpoint,
      "\(path)/checkpoints holds no checkpoint, but the run has recorded \(step) steps (it is \(manifest.status.rawValue)); "
        + "nothing was changed. Put its checkpoints back to continue it, or train it again from the start in another "
        + "folder: coherent train --config \(path)/config.yaml --out OTHER")
  }

  private static func check(_ steps: Int, isEnoughAfter done: Int) throws {
    guard steps >= done else {
      throw TrainingError(
        .configuration, "the run has made \(done) steps already, so it cannot end after \(steps); give more --steps")
    }
  }

  /// Checks the new length against what is done, and says what it means for the learning rate.
  private func noteLength(before: TrainingConfiguration) throws {
    let (done, steps) = (trainer.step, trainer.steps)
    let planned = manifest.plannedSteps ?? before.steps ?? steps
    guard steps != planned else { return }
    guard steps == done || !trainer.isFinished else {
      throw TrainingError(
        .configuration,
        "the run ended because its training accuracy reached stop-accuracy \(before.stopAccuracy ?? 1); remove that line "
          + "from \(directory.url.path)/config.yaml to continue")
    }
    extensionNote =
      "the run now ends after \(steps) steps instead of \(planned). "
      + trainer.scheduleNote(from: done, planned: planned)
    notes += [extensionNote].compactMap { $0 }
    manifest.plannedSteps = steps
  }

  /// Whether the last step has been made, or the accuracy reached that ends the run.
  public var isComplete: Bool { trainer.isFinished && manifest.status == .completed }

  /// Trains to the end, or until `shouldStop`. The logs are first cut back to the checkpoint that the run goes on from;
  /// a run that is only opened stays as it is.
  ///
  /// - Parameter observe: called for every event after it has been logged.
  /// - Throws: `TrainingError` of kind divergence after recording it; `RunStoreError` when the disk is full: the last
  ///   checkpoint is still there.
  public func train(
    shouldStop: () -> Bool = { false }, observe: (TrainingEvent) throws -> Void = { _ in }
  ) throws -> TrainingOutcome {
    if lock == nil { lock = try directory.lock() }
    defer { lock = nil }
    manifest.status = .running
    // The configuration first: a run that is stopped in between is then already as long as its manifest will say.
    if extensionNote != nil { try directory.write(config: trainer.configuration.yaml()) }
    manifest.evaluation = trainer.evaluationPlan
    try directory.write(manifest: manifest)
    let log = try logs.map { try directory.logWriter(resumingAt: $0) } ?? directory.logWriter()
    try log.append(RunEvent(kind: logs == nil ? "started" : "resumed", step: trainer.step, message: extensionNote))
    extensionNote = nil
    let scalarDistance = max(1, trainer.steps / 2000)
    do {
      let outcome = try trainer.run(shouldStop: shouldStop) { event in
        switch event {
        case .stepped(let record):
          if record.step % scalarDistance == 0 {
            try log.scalar("batch/loss", record.loss, step: record.step)
            try log.scalar("batch/learning_rate", record.learningRate, step: record.step)
          }
        case .evaluated(let records):
          try log.append(records)
          try trainer.keep(keepPolicy, in: directory.checkpoints)
        case .measured(let results): try append(results, to: log)
        case .completedStep(let step):
          if isCheckpointDue(step) { try checkpoint(log) }
        }
        try observe(event)
      }
      if outcome == .interrupted { try checkpoint(log) }
      try finish(outcome == .completed ? .completed : .interrupted, log)
      return outcome
    } catch let error as TrainingError where error.kind == .divergence {
      try log.append(RunEvent(kind: "diverged", step: trainer.step, message: error.description))
      try finish(.diverged, log)
      let last = try Checkpoint.latest(in: directory.checkpoints)
      throw TrainingError(
        .divergence,
        error.description + (last.map { ". The last good checkpoint is from step \($0.step)" } ?? ""))
    }
  }

  private func append(_ results: ProbeResults, to log: RunLogWriter) throws {
    try log.append(results.coherence)
    try log.append(results.intervals)
    try log.append(results.contributions)
    try log.append(results.measures)
    try log.append(results.pushes)
    if let examples = results.examples {
      let step = trainer.step
      try directory.write(exampleGradients: examples.safetensors(step: step), step: step)
    }
  }

  private var seconds: Double { secondsBefore + Date().timeIntervalSince(started) }

  private func isCheckpointDue(_ step: Int) -> Bool {
    trainer.isFinished || checkpointSchedule.isDue(step, after: Date().timeIntervalSince(lastCheckpoint))
  }

  private func checkpoint(_ log: RunLogWriter) throws {
    let begin = Date()
    let lengths = try log.flush()
    try trainer.save(in: directory.checkpoints, logs: lengths, seconds: seconds)
    logs = lengths
    try directory.discardReplaced()
    lastCheckpoint = Date()
    checkpointSchedule.cost = lastCheckpoint.timeIntervalSince(begin)
  }

  /// Writes what is known at the end; on divergence the examples stay as of the last checkpoint.
  private func finish(_ status: RunManifest.Status, _ log: RunLogWriter) throws {
    if status != .diverged { try directory.write(examples: exampleRecords()) }
    if status != .diverged { try log.append(RunEvent(kind: status.rawValue, step: trainer.step)) }
    let milestones = trainer.milestones
    manifest.status = status
    manifest.summary = RunSummary(
      last: milestones.last, best: milestones.best, validationSelected: milestones.selected, steps: trainer.step,
      wallSeconds: seconds, peakRSSBytes: Runtime.peakResidentBytes)
    try log.close()
    try directory.write(manifest: manifest)
    // The one before was there to go on from, and a grid of large models would fill a disk with them.
    if status == .completed {
      Checkpoint.prune(in: directory.checkpoints, keeping: keepPolicy.selections.contains(.last) ? 1 : 0)
    }
  }

  private func exampleRecords() throws -> [ExampleRecord] {
    let data = trainer.data
    let learning = trainer.learning
    // A run killed between its last checkpoint and this file comes back without an evaluation of its own.
    let final = try trainer.lastTrainEvaluation ?? trainer.evaluateTraining(trainer.finalExtent)
    let rows = Dictionary(uniqueKeysWithValues: final.indices.enumerated().map { ($1, $0) })
    func step(_ value: Int) -> Int? { value < 0 ? nil : value }
    return data.trainIndices.map { index in
      let row = rows[index]
      return ExampleRecord(
        index: index, label: data.labels.assigned[index], isCorrupt: data.labels.isCorrupt(index),
        firstLearned: step(learning.firstLearned[index]), lastLearned: step(learning.lastLearned[index]),
        forgettingEvents: learning.forgettingEvents[index], finalLoss: row.map { final.evaluation.losses[$0] },
        finalCorrect: row.map { final.evaluation.ranks[$0] == 0 }, file: data.train.file(at: index))
    }
  }
}

// MARK: - The manifest

extension TrainingRun {
  private static func labelRecords(of trainer: Trainer) -> [LabelRecord] {
    let (labels, examples) = (trainer.data.labels, trainer.data.train)
    return labels.original.indices.map {
      LabelRecord(
        index: $0, original: labels.original[$0], assigned: labels.assigned[$0], file: examples.file(at: $0))
    }
  }

  private static func manifest(of trainer: Trainer, commandLine: [String], tool: RunManifest.Tool) throws -> RunManifest
  {
    let configuration = trainer.configuration
    let labels = trainer.data.labels
    let processor = Processor.current
    let external = configuration.labels != nil
    var files = trainer.data.checksums
    if trainer.data.train.sourceChecksums.isEmpty { files["train"] = try trainer.data.train.contentChecksum() }
    return RunManifest(
      tool: tool,
      libtorch: try .current(), machine: .current(device: configuration.device, threads: configuration.threads),
      commandLine: commandLine, seed: configuration.seed,
      dataset: .init(
        name: configuration.dataset, folder: configuration.dataDir, files: files,
        trainExamples: trainer.data.trainIndices.count, testExamples: trainer.data.test.count,
        classes: trainer.data.train.classCount, testFraction: trainer.data.train.testFraction,
        skippedExamples: trainer.data.skipped.isEmpty ? nil : trainer.data.skipped.count),
      model: configuration.model, parameterCount: trainer.store.count, optimizer: configuration.optimizer,
      learningRate: configuration.lr, momentum: configuration.momentum, weightDecay: configuration.weightDecay,
      schedule: configuration.schedule, warmup: configuration.warmup == 0 ? nil : configuration.warmup,
      batchSize: configuration.batchSize, plannedSteps: trainer.steps,
      noise: .init(
        kind: external
          ? RunManifest.Noise.external : configuration.noise > 0 ? configuration.noiseKind.rawValue : "none",
        rate: external ? labels.realisedRate : configuration.noise, realisedRate: labels.realisedRate,
        seed: configuration.seed),
      numerics: [
        "linear_rule": trainer.linearPolicy.rule.rawValue,
        "linear_threshold": String(trainer.linearPolicy.threshold),
        "cpu_vendor": processor.vendor,
        "cpu_capability": try Runtime.cpuCapability(),
      ],
      extra: extra(of: trainer))
  }

  /// The tags, and what else is worth keeping; see `TrainingConfiguration.manifestEntries`.
  private static func extra(of trainer: Trainer) -> [String: String] {
    var extra = trainer.configuration.tags
    extra["memory_estimate_bytes"] = trainer.memoryEstimate.map { String($0.total) }
    extra["split"] = trainer.data.split?.name
    extra["weights"] = trainer.configuration.weights.map(weightsName)
    let (own, usual) = (trainer.configuration, TrainingConfiguration())
    extra["norm"] = own.norm == usual.norm ? nil : own.norm
    extra["augment"] = own.augment == usual.augment ? nil : own.augment
    extra["drop_last"] = own.dropLast ? "true" : nil
    if !own.freeze.isEmpty {
      extra["freeze"] = own.freeze.joined(separator: " ")
      extra["frozen_parameters"] = String(trainer.store.frozenCount)
    }
    return extra
  }

  /// A file's name; of a run's weights, with the run's.
  private static func weightsName(_ path: String) -> String {
    let url = URL(fileURLWithPath: path)
    let folder = url.deletingLastPathComponent()
    guard folder.lastPathComponent == "checkpoints" else { return url.lastPathComponent }
    return folder.deletingLastPathComponent().lastPathComponent + "/" + url.lastPathComponent
  }

  static func policy(in manifest: RunManifest) -> LinearPolicy? {
    guard let rule = manifest.numerics["linear_rule"].flatMap(LinearPolicy.Rule.init(rawValue:)),
      let threshold = manifest.numerics["linear_threshold"].flatMap({ Int($0) })
    else { return nil }
    return LinearPolicy(rule: rule, threshold: threshold)
  }

  /// The labels of a run never change under way: noise settings or a label file that now say otherwise are an error.
  private static func checkLabels(_ trainer: Trainer, in directory: RunDirectory) throws {
    let (before, now) = (try directory.labels(), labelRecords(of: trainer))
    if before.isEmpty { return try directory.write(labels: now) }
    // Runs of earlier versions do not name the files.
    func isSame(_ a: LabelRecord, _ b: LabelRecord) -> Bool {
      a.index == b.index && a.original == b.original && a.assigned == b.assigned && (a.file == nil || a.file == b.file)
    }
    guard before.count == now.count, zip(before, now).allSatisfy(isSame) else {
      throw TrainingError(
        .checkpoint,
        "config.yaml no longer gives the labels that the run started with (\(directory.url.path)/labels.csv); restore "
          + "its noise settings or label file, or start over with --force")
    }
  }

  /// A split decides what is trained on, so it cannot change, come or go under way.
  static func checkSplit(_ split: ExampleSplit?, against manifest: RunManifest) throws {
    guard split?.checksum != manifest.dataset.files[TrainingData.splitKey] else { return }
    throw TrainingError(
      .checkpoint,
      (split.map { "the split file \($0.path) is not the one the run started with" }
        ?? "config.yaml no longer names the split file that the run started with")
        + "; restore the original file or start over")
  }

  private static func checkData(_ trainer: Trainer, against manifest: RunManifest) throws {
    let data = trainer.data
    try checkSplit(data.split, against: manifest)
    for (name, sum) in data.checksums {
      if let before = manifest.dataset.files[name], before != sum {
        throw TrainingError(
          .checkpoint,
          "the data file \(name) is not the one the run started with; restore the original file or start over")
      }
    }
    guard manifest.dataset.trainExamples ?? data.trainIndices.count == data.trainIndices.count else {
      throw TrainingError(.checkpoint, "the number of training examples is not the one the run started with")
    }
  }
}
