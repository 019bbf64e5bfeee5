// SPDX-License-Identifier: Apache-2.0

import Collectives
import Datasets
import Foundation
import NeuralNetworks
import RunStore
import Tensors
import Training

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

  /// The configuration with what it left open filled in; nil for a trainer that was made by a program.
  public let configuration: TrainingConfiguration?
  /// What the run will need of memory; nil on a device of its own memory, and where nothing was configured.
  public let memoryEstimate: MemoryEstimate?

  private var manifest: RunManifest
  /// The right to write the directory, from the start to the end of `train`.
  private var lock: DirectoryLock?
  private var lastCheckpoint = ContinuousClock.now
  private var checkpointSchedule: CheckpointSchedule
  private let clock: RunClock
  private let keepPolicy: KeepPolicy
  /// What is to be said of the run's new length, once it trains.
  private var extensionNote: String?
  /// How long the logs were at the newest checkpoint; nil without one.
  private var logs: RunLogOffsets?

  /// Starts a run in a new directory.
  ///
  /// - Parameters:
  ///   - configuration: what is to be trained and how.
  ///   - path: the run directory.
  ///   - existing: what to do when the directory holds an earlier run.
  ///   - commandLine: recorded in the manifest.
  ///   - tool: the program, recorded in the manifest.
  ///   - checksMemory: whether a run that would not fit in memory is refused.
  ///   - group: the ranks that train together, of which this is the first; nil for this process alone.
  /// - Throws: `TrainingError`, `DatasetError`, `ModelError`, `TensorError`, or `RunStoreError` for the directory.
  public convenience init(
    _ configuration: TrainingConfiguration, at path: String, existing: ExistingRunPolicy = .refuse,
    commandLine: [String] = CommandLine.arguments, tool: RunManifest.Tool, checksMemory: Bool = true,
    group: ProcessGroup? = nil
  ) throws {
    // A folder that will be refused should not cost the wait for the data.
    let held = try RunDirectory.lockOfExisting(at: path)
    if existing == .refuse, (try? RunDirectory.open(at: path)) != nil {
      _ = try RunDirectory.create(at: path, existing: .refuse)
    }
    let keep = try KeepPolicy(configuration.keep)
    let training = try ConfiguredTraining(
      configuration, memoryLimit: checksMemory ? MemoryLimit.current() : nil, group: group)
    try self.init(
      training.trainer, configured: training, RunDescription(training), at: path, existing: existing, held: held,
      keep: keep, checkpointEvery: training.configuration.checkpointEvery, commandLine: commandLine, tool: tool)
  }

  /// Has a trainer that a program made write a run directory: continues the run that the directory holds from its newest
  /// checkpoint, or starts one where there is none.
  ///
  /// - Parameters:
  ///   - trainer: a trainer that has made no step.
  ///   - path: the run directory.
  ///   - description: names for the manifest; what the trainer's parts say of themselves by default.
  ///   - keep: the weights that a complete run keeps.
  ///   - checkpointEvery: steps between checkpoints; by default an epoch, or a twentieth of the run if that is more, and
  ///     longer where writing one takes seconds.
  ///   - commandLine: recorded in the manifest.
  ///   - tool: the program, recorded in the manifest.
  /// - Throws: `RunStoreError` for the directory; `TrainingError` of kind checkpoint when the checkpoint is damaged, belongs
  ///   to other parts, or is gone though the run had progressed.
  public convenience init(
    _ trainer: Trainer, at path: String, description: RunDescription? = nil, keep: KeepPolicy = .all,
    checkpointEvery: Int? = nil, commandLine: [String] = CommandLine.arguments,
    tool: RunManifest.Tool = .init(name: "CoherentGradients", version: "library")
  ) throws {
    let description = description ?? RunDescription(of: trainer)
    guard (try? RunDirectory.open(at: path)) == nil else {
      let directory = try RunDirectory.open(at: path)
      try description.check(trainer, continues: directory.manifest())
      try self.init(
        continuing: directory, model: description.model, keep: keep, checkpointEvery: checkpointEvery
      ) { _, _ in (trainer, nil) }
      return
    }
    // What a start that was stopped left is replaced; a folder of somebody else's files is refused.
    try self.init(
      trainer, configured: nil, description, at: path, existing: .replace,
      held: RunDirectory.lockOfExisting(at: path), keep: keep, checkpointEvery: checkpointEvery,
      commandLine: commandLine, tool: tool)
  }

  /// The manifest is written last: from then on the directory is a run.
  private init(
    _ trainer: Trainer, configured: ConfiguredTraining?, _ description: RunDescription, at path: String,
    existing: ExistingRunPolicy, held: DirectoryLock?, keep: KeepPolicy, checkpointEvery: Int?, commandLine: [String],
    tool: RunManifest.Tool
  ) throws {
    self.trainer = trainer
    (configuration, memoryEstimate) = (configured?.configuration, configured?.memoryEstimate)
    keepPolicy = keep
    checkpointSchedule = CheckpointSchedule(trainer, every: checkpointEvery)
    warnings = trainer.notes
    (directory, lock) = try RunDirectory.createLocked(at: path, existing: existing, held: held)
    manifest = try description.manifest(of: trainer, commandLine: commandLine, tool: tool)
    if let configuration { try directory.write(config: configuration.yaml()) }
    try directory.write(labels: Self.labelRecords(of: trainer))
    try directory.write(classes: trainer.data.train.classNames)
    let skipped = trainer.data.skipped
    if !skipped.isEmpty {
      try directory.write(skipped: skipped.map { SkippedRecord(path: $0.path, reason: $0.reason) })
    }
    try directory.write(manifest: manifest)
    clock = RunClock()
    if directory.holdsReplacedRun {
      notes.append(
        "the earlier run is kept in \(directory.url.path)/.replaced until the first checkpoint of this one is written")
    }
  }

  /// Continues the run in a directory from its newest checkpoint, or from the start when it recorded nothing yet.
  ///
  /// - Parameters:
  ///   - path: the run directory.
  ///   - length: how long the run is to be from now on; nil for as long as it was to be.
  ///   - commandLine: recorded in the manifest.
  ///   - tool: the program, recorded in the manifest.
  ///   - checksMemory: whether a run that would not fit in memory is refused.
  ///   - group: the ranks that train together, of which this is the first; nil for this process alone.
  /// - Throws: as `init(_:at:)`, and `TrainingError` of kind checkpoint when the checkpoint is damaged, belongs to
  ///   another configuration, or is gone though the run had progressed.
  public convenience init(
    resuming path: String, to length: RunLength? = nil, commandLine: [String] = CommandLine.arguments,
    tool: RunManifest.Tool, checksMemory: Bool = true, group: ProcessGroup? = nil
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
        configuration, at: path, existing: .keep, commandLine: commandLine, tool: tool, checksMemory: checksMemory,
        group: group)
      return
    }
    let directory = try RunDirectory.open(at: path)
    let before = try TrainingConfiguration(of: directory)
    var configuration = before
    length?.apply(to: &configuration)
    try self.init(
      continuing: directory, model: configuration.model, keep: KeepPolicy(configuration.keep),
      checkpointEvery: configuration.checkpointEvery, changesLength: length != nil
    ) { policy, isFresh in
      let training = try ConfiguredTraining(
        configuration, linearPolicy: policy, loadsWeights: isFresh,
        memoryLimit: checksMemory ? MemoryLimit.current() : nil, group: group)
      return (training.trainer, training)
    }
    if length != nil { try noteLength(before: before) }
  }

  /// - Parameters:
  ///   - changesLength: whether the run may end after another number of steps than it was to.
  ///   - make: makes the trainer, from who computes the products of linear layers, and whether there is no checkpoint.
  private init(
    continuing directory: RunDirectory, model: String, keep: KeepPolicy, checkpointEvery: Int?,
    changesLength: Bool = false, _ make: (LinearPolicy?, _ isFresh: Bool) throws -> (Trainer, ConfiguredTraining?)
  ) throws {
    self.directory = directory
    lock = try directory.lock()
    manifest = try directory.manifest()
    keepPolicy = keep
    let checkpoint = try Checkpoint.latest(in: directory.checkpoints)
    if checkpoint == nil { try Self.refuseToStartOver(directory, manifest) }
    let policy = Self.policy(in: manifest)
    let (trainer, training) = try make(policy, checkpoint == nil)
    self.trainer = trainer
    (configuration, memoryEstimate) = (training?.configuration, training?.memoryEstimate)
    checkpointSchedule = CheckpointSchedule(trainer, every: checkpointEvery)
    warnings = trainer.notes
    try Self.check(trainer, policy)
    try Self.checkData(trainer, against: manifest)
    try Self.checkLabels(trainer, in: directory)
    let capability = try Runtime.cpuCapability()
    if let before = manifest.numerics["cpu_capability"], before != capability {
      warnings.append(
        "the run started with \(before) instructions and continues with \(capability): its last bits may differ")
    }
    let (ranksBefore, ranks) = (manifest.extra["ranks"] ?? "1", trainer.group.map { "\($0.count)" } ?? "1")
    if ranksBefore != ranks {
      warnings.append(
        "the run was trained by \(Self.rankCount(ranksBefore)) and continues with \(Self.rankCount(ranks)): its last bits "
          + "may differ")
    }
    clock = RunClock(after: checkpoint?.spent ?? .init())
    if let checkpoint {
      if changesLength { try Self.check(trainer.steps, isEnoughAfter: checkpoint.step) }
      try checkpoint.restore(trainer, model: model, in: directory.checkpoints)
      logs = checkpoint.logs
    }
  }

  private static func rankCount(_ count: String) -> String { count == "1" ? "one process" : "\(count) ranks" }

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
      let reason =
        trainer.isEndedByProbe
        ? "what stop \(before.stop ?? "") watches has turned"
        : "its training accuracy reached stop-accuracy \(before.stopAccuracy ?? 1)"
      throw TrainingError(
        .configuration,
        "the run ended because \(reason); remove that line from \(directory.url.path)/config.yaml to continue")
    }
    extensionNote =
      "the run now ends after \(steps) steps instead of \(planned). "
      + trainer.learningRate.note(from: done, steps: steps, planned: planned)
    notes += [extensionNote].compactMap { $0 }
    manifest.plannedSteps = steps
  }

  /// Whether the last step has been made, or the accuracy reached that ends the run.
  public var isComplete: Bool { trainer.isFinished && manifest.status == .completed }

  /// Trains to the end, or until `shouldStop`. The logs are first cut back to the checkpoint that the run goes on from;
  /// a run that is only opened stays as it is.
  ///
  /// - Parameters:
  ///   - shouldStop: asked after every step; true ends the run early with a checkpoint.
  ///   - observe: called for every event after it has been logged; on a GPU events of a step may come after the next has begun
  ///     (`Trainer.readsLater`).
  /// - Throws: `TrainingError` of kind divergence after recording it; `RunStoreError` when the disk is full: the last
  ///   checkpoint is still there.
  public func train(
    shouldStop: () -> Bool = { false }, observe: (TrainingEvent) throws -> Void = { _ in }
  ) throws -> TrainingOutcome {
    if lock == nil { lock = try directory.lock() }
    defer { lock = nil }
    manifest.status = .running
    // The configuration first: a run that is stopped in between is then already as long as its manifest will say.
    if extensionNote != nil, let configuration { try directory.write(config: configuration.yaml()) }
    manifest.evaluation = trainer.evaluationPlan
    manifest.extra["ranks"] = trainer.group.map { "\($0.count)" }
    manifest.privacy = .init(of: trainer)
    try directory.write(manifest: manifest)
    let log = try logs.map { try directory.logWriter(resumingAt: $0) } ?? directory.logWriter()
    try log.append(RunEvent(kind: logs == nil ? "started" : "resumed", step: trainer.step, message: extensionNote))
    extensionNote = nil
    let scalarDistance = max(1, trainer.steps / 2000)
    trainer.isStateWanted = { [unowned self] in isCheckpointDue($0) }
    let readsLater = trainer.readsLater
    trainer.readsLater = readsLater ?? (trainer.store.values.device != .cpu)
    defer { trainer.readsLater = readsLater }
    do {
      let outcome = try trainer.run(shouldStop: shouldStop) { event in
        switch event {
        case .stepped(let record):
          if record.step % scalarDistance == 0, !record.loss.isNaN {
            try log.scalar("batch/loss", record.loss, step: record.step)
            try log.scalar("batch/learning_rate", record.learningRate, step: record.step)
          }
        case .evaluated(let records):
          try log.append(records)
          try notePrivacy()
          if let epsilon = manifest.privacy?.epsilon {
            try log.scalar("privacy/epsilon", epsilon, step: trainer.step)
          }
          try trainer.keep(keepPolicy, in: directory.checkpoints)
        case .measured(let results): try append(results, to: log)
        case .completedStep(let step): if trainer.hasState, isCheckpointDue(step) { try checkpoint(log) }
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
        .divergence, error.description + (last.map { ". The last good checkpoint is from step \($0.step)" } ?? ""))
    }
  }

  private func append(_ results: ProbeResults, to log: RunLogWriter) throws {
    try results.write(to: log)
    if let examples = results.examples {
      let step = trainer.step
      try directory.write(exampleGradients: examples.safetensors(step: step), step: step)
    }
    if let dynamics = results.dynamics { try directory.write(dynamics: dynamics.safetensors(step: trainer.step)) }
  }

  private func isCheckpointDue(_ step: Int) -> Bool {
    trainer.isFinished || checkpointSchedule.isDue(step, after: lastCheckpoint.secondsAgo)
  }

  private func checkpoint(_ log: RunLogWriter) throws {
    let begin = ContinuousClock.now
    let lengths = try log.flush()
    try notePrivacy()
    try Checkpoint.save(trainer, model: manifest.model, in: directory.checkpoints, logs: lengths, spent: clock.spent)
    logs = lengths
    try directory.discardReplaced()
    lastCheckpoint = ContinuousClock.now
    checkpointSchedule.cost = begin.secondsAgo
  }

  /// Says what weights reveal before they are kept: a kill in between then leaves no promise that is broken.
  private func notePrivacy() throws {
    guard let privacy = RunManifest.Privacy(of: trainer) else { return }
    manifest.privacy = privacy
    try directory.write(manifest: manifest)
  }

  /// Writes what is known at the end; on divergence the examples stay as of the last checkpoint.
  private func finish(_ status: RunManifest.Status, _ log: RunLogWriter) throws {
    if status != .diverged { try directory.write(examples: exampleRecords()) }
    let reason = status == .completed ? trainer.endReason : nil
    if status != .diverged { try log.append(RunEvent(kind: status.rawValue, step: trainer.step, message: reason)) }
    let (milestones, spent) = (trainer.milestones, clock.spent)
    manifest.status = status
    manifest.privacy = .init(of: trainer)
    manifest.extra["exchange"] = trainer.group?.isDirect.map { $0 ? "nccl" : "host" }
    manifest.summary = RunSummary(
      last: milestones.last, best: milestones.best, validationSelected: milestones.selected, steps: trainer.step,
      wallSeconds: spent.wall, processorSeconds: spent.processor, peakRSSBytes: Runtime.peakResidentBytes)
    try log.close()
    // The one before was there to go on from, and a grid of large models would fill a disk with them. It goes before the
    // run is complete, as nothing is done to a complete one any more; the last has to be there until then.
    if status == .completed { Checkpoint.prune(in: directory.checkpoints, keeping: 1) }
    try directory.write(manifest: manifest)
    if status == .completed, !keepPolicy.selections.contains(.last) {
      Checkpoint.prune(in: directory.checkpoints, keeping: 0)
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

extension LearningRate {
  /// What another number of steps means for the learning rate of those that follow.
  fileprivate func note(from done: Int, steps: Int, planned: Int) -> String {
    guard case .cosine = schedule else {
      return "The learning rate does not depend on the length of the run, so the weights equal those of a run "
        + "planned with this length from the start"
    }
    func rate(_ steps: Int) -> String { String(format: "%.3g", initial * schedule.factor(at: done, of: steps)) }
    return "From here on the cosine has the new length: the learning rate continues at \(rate(steps)), not at "
      + "\(rate(planned)), and the run differs from one planned with this length from the start"
  }
}
