// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Datasets
import Foundation
import NeuralNetworks
import RunStore
import Tensors
import Training

/// What a run's manifest says beyond what its trainer knows: names, and where things came from.
public struct RunDescription: Sendable {
  /// The data set's name.
  public var dataset: String
  /// The folder it was read from; nil where there is none.
  public var dataFolder: String?
  /// The model's name, such as "resnet32": a run continues with a model of the same name and size.
  public var model: String
  /// Aggregator and optimizer as a word, such as "m3+adamw".
  public var optimizer: String
  /// The momentum μ.
  public var momentum: Double
  /// The weight decay λ.
  public var weightDecay: Double
  /// The learning rate's course, as a word.
  public var schedule: String
  /// The label noise.
  public var noise: RunManifest.Noise
  /// Where it is computed.
  public var device: String
  /// Tags, and what else is worth keeping.
  public var extra: [String: String]

  /// What a trainer's own parts say of themselves.
  ///
  /// - Parameters:
  ///   - trainer: the trainer.
  ///   - model: the model's name; that of its type by default.
  ///   - tags: what the run is for, by key, such as "study".
  public init(of trainer: Trainer, model: String? = nil, tags: [String: String] = [:]) {
    let labels = trainer.data.labels
    dataset = trainer.data.train.name
    self.model = model ?? String(describing: type(of: trainer.model))
    let (aggregator, update) = ("\(trainer.aggregator)", "\(trainer.optimizer)")
    optimizer = update == "sgd" ? aggregator : aggregator == "sgd" ? update : aggregator + "+" + update
    momentum = (trainer.optimizer as? SGD)?.momentum ?? 0
    weightDecay = (trainer.optimizer as? SGD)?.weightDecay ?? (trainer.optimizer as? Adam)?.weightDecay ?? 0
    schedule = trainer.learningRate.schedule.description
    let isClean = labels.kind == nil && labels.realisedRate == 0
    noise = .init(
      kind: labels.kind?.rawValue ?? (isClean ? "none" : RunManifest.Noise.external),
      rate: labels.rate ?? labels.realisedRate, realisedRate: labels.realisedRate,
      seed: labels.seed ?? trainer.settings.seed,
      classMap: labels.kind == .asymmetric ? ClassMap(classNames: trainer.data.train.classNames).name : nil)
    device = trainer.store.values.device.description
    extra = tags
    extra["split"] = trainer.data.split?.name
    extra["augment"] = trainer.settings.augmentation == .none ? nil : trainer.settings.augmentation.description
    extra["clip_norm"] = trainer.settings.clipNorm.map { "\($0)" }
    extra["loss"] = trainer.settings.loss == .crossEntropy ? nil : "\(trainer.settings.loss)"
    extra["ema"] = trainer.settings.averagingDecay.map { "\($0)" }
    extra["bn_groups"] = trainer.settings.batchNormGroups.map { "\($0)" }
    extra["ranks"] = trainer.group.map { "\($0.count)" }
    let data = trainer.data.train
    extra["example"] =
      data.vocabulary == nil ? nil : (data.predictsAll ? ExampleMeaning.sequence : .token).rawValue
    extra["drop_last"] = trainer.settings.dropsLast ? "true" : nil
    if trainer.store.frozenCount > 0 { extra["frozen_parameters"] = String(trainer.store.frozenCount) }
  }

  /// What a configuration says, in its own words.
  init(_ training: ConfiguredTraining) {
    let configuration = training.configuration
    self.init(of: training.trainer, model: configuration.model, tags: configuration.tags)
    dataset = configuration.dataset
    dataFolder = configuration.dataDir
    optimizer = configuration.optimizer
    (momentum, weightDecay) = (configuration.momentum, configuration.weightDecay)
    (schedule, device) = (configuration.schedule, configuration.device)
    let isExternal = configuration.labels != nil
    noise.kind =
      isExternal ? RunManifest.Noise.external : configuration.noise > 0 ? configuration.noiseKind.rawValue : "none"
    noise.rate = isExternal ? training.trainer.data.labels.realisedRate : configuration.noise
    noise.seed = configuration.seed
    extra["memory_estimate_bytes"] = training.memoryEstimate.map { String($0.total) }
    extra["weights"] = configuration.weights.map(Self.weightsName)
    let usual = TrainingConfiguration()
    extra["norm"] = configuration.norm == usual.norm ? nil : configuration.norm
    extra["augment"] = configuration.augment == usual.augment ? nil : configuration.augment
    if !configuration.freeze.isEmpty { extra["freeze"] = configuration.freeze.joined(separator: " ") }
  }

  /// A file's name; of a run's weights, with the run's.
  private static func weightsName(_ path: String) -> String {
    let url = URL(fileURLWithPath: path)
    let folder = url.deletingLastPathComponent()
    guard folder.lastPathComponent == "checkpoints" else { return url.lastPathComponent }
    return folder.deletingLastPathComponent().lastPathComponent + "/" + url.lastPathComponent
  }

  /// A trainer that a program made has to go on as the run began: nothing on disk could set it right.
  ///
  /// - Throws: `TrainingError` of kind checkpoint that names what differs.
  func check(_ trainer: Trainer, continues manifest: RunManifest) throws {
    func word(_ value: (some CustomStringConvertible)?) -> String { value.map { "\($0)" } ?? "none" }
    let (rate, settings) = (trainer.learningRate, trainer.settings)
    let compared = [
      ("optimizer", manifest.optimizer ?? "sgd", optimizer), ("schedule", word(manifest.schedule), schedule),
      ("learning rate", word(manifest.learningRate), word(rate.initial)),
      ("warm-up", word(manifest.warmup ?? 0), word(rate.warmup)), ("momentum", word(manifest.momentum), word(momentum)),
      ("weight decay", word(manifest.weightDecay), word(weightDecay)),
      ("clip norm", word(manifest.extra["clip_norm"]), word(settings.clipNorm)),
      ("seed", word(manifest.seed), word(settings.seed)),
      ("batch size", word(manifest.batchSize), word(settings.batchSize)),
      ("number of steps", word(manifest.plannedSteps), word(settings.steps)),
    ]
    guard let other = compared.first(where: { $0.1 != $0.2 }) else { return }
    throw TrainingError(
      .checkpoint,
      "the run began with the \(other.0) \(other.1), but the trainer has \(other.2); make the trainer as it was, or "
        + "choose another folder")
  }

  /// The manifest of a run that starts.
  ///
  /// - Throws: `DatasetError` when the images cannot be read for their checksum; `TensorError`.
  func manifest(of trainer: Trainer, commandLine: [String], tool: RunManifest.Tool) throws -> RunManifest {
    let (data, rate, processor) = (trainer.data, trainer.learningRate, Processor.current)
    var files = data.checksums
    if data.train.sourceChecksums.isEmpty { files["train"] = try data.train.contentChecksum() }
    return RunManifest(
      tool: tool, libtorch: try .current(), machine: .current(device: device, threads: Runtime.threadCount),
      commandLine: commandLine, seed: trainer.settings.seed,
      dataset: .init(
        name: dataset, folder: dataFolder, files: files, trainExamples: data.trainIndices.count,
        testExamples: data.test.count, classes: data.train.classCount, testFraction: data.train.testFraction,
        skippedExamples: data.skipped.isEmpty ? nil : data.skipped.count),
      model: model, parameterCount: trainer.store.count, optimizer: optimizer, learningRate: rate.initial,
      momentum: momentum, weightDecay: weightDecay, schedule: schedule,
      warmup: rate.warmup == 0 ? nil : rate.warmup, batchSize: trainer.settings.batchSize, plannedSteps: trainer.steps,
      noise: noise,
      numerics: [
        "linear_rule": trainer.linearPolicy.rule.rawValue,
        "linear_threshold": String(trainer.linearPolicy.threshold),
        "precision": trainer.linearPolicy.precision.rawValue,
        "cpu_vendor": processor.vendor,
        "cpu_capability": try Runtime.cpuCapability(),
      ],
      extra: extra)
  }
}
