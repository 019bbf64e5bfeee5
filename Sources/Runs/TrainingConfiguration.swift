// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Datasets
import NeuralNetworks
import RunStore
import Tensors
import Training

/// Everything that decides a run. Two runs of one configuration on one machine end in the same bits.
///
/// `options` has a row for each: its key in YAML, its name on the command line and its help.
public struct TrainingConfiguration: Sendable, Equatable {
  /// The data set's name.
  public var dataset = "mnist"
  /// The folder with the data set's files.
  public var dataDir: String?
  /// Whether a data set of several files may be used when some are missing.
  public var allowMissing = false
  /// Whether pixels are normalised: "auto", as is usual for the data set, or "none", bytes / 255.
  public var normalize = PixelNormalization.auto
  /// The share of every class held out to test on where a folder has no test pictures, or of all pairs of modular:P; a
  /// fifth by default.
  public var testFraction: Double?
  /// What an example of a text is; a token by default.
  public var example: ExampleMeaning?
  /// Height and width of the images; see `resolvedImageSize`.
  public var imageSize: Int?
  /// The shorter side of a folder's pictures before they are cropped; image-size·256/224 by default.
  public var resize: Int?
  /// How training images are changed at random, as a word; see `Augmentation`.
  public var augment = "none"
  /// Whether images of a folder that cannot be decoded are left out.
  public var skipBad = false
  /// Threads that decode images; the machine's cores by default. Changes no result.
  public var workers: Int?
  /// Batches decoded ahead. Changes no result.
  public var prefetch = 2
  /// Train on the first so many examples only.
  public var subset: Int?
  /// Test on the first so many examples only.
  public var testSubset: Int?
  /// A file with labels that replace the data set's.
  public var labels: String?
  /// A CSV file with decisions about single labels: new ones, and examples to leave out; see `Corrections`.
  public var corrections: String?
  /// A CSV file that says which training examples are trained on, which are tested on, and their groups; see
  /// `ExampleSplit`.
  public var split: String?
  /// Training examples held out for validation, drawn by the seed.
  public var validation = 0
  /// The share ε of labels that are chosen for noise.
  public var noise = 0.0
  /// Whether probes see test examples with labels as noisy as the training ones; accuracies never do.
  public var noisyTestProbes = false
  /// How noise changes the chosen labels.
  public var noiseKind = NoiseKind.permute
  /// The model as a word.
  public var model = "mlp:2048"
  /// Which normalisation follows convolutions, as a word: "batch", "frozen" or "group:8".
  public var norm = "batch"
  /// A safetensors file with weights to start from, or a run directory.
  public var weights: String?
  /// Which of a run's weights to start from, where `weights` names a run.
  public var select: WeightSelection?
  /// Whether the last layer comes from `weights` too.
  public var weightsHead = HeadPolicy.require
  /// Parameters that are never updated, as patterns of names; see `ParameterStore.freeze`.
  public var freeze: [String] = []
  /// How weights are drawn; by default `xavierScaled` for perceptrons, and as the architecture's authors do for others.
  public var initializer: Initializer?
  /// How the examples' gradients become a step, as a word; see `OptimizerSpecification`.
  public var optimizer = "sgd"
  /// What is minimised, as a word: "ce", "smooth:0.1", "gce:0.7", "sce:0.1,1" or "elr:3,0.7".
  public var loss = "ce"
  /// The learning rate η at the start.
  public var lr = 0.1
  /// The momentum μ.
  public var momentum = 0.0
  /// Whether momentum looks ahead.
  public var nesterov = false
  /// Whether momentum may be used with a median of means.
  public var allowMomentum = false
  /// The weight decay λ.
  public var weightDecay = 0.0
  /// The length that the aggregate of a step may have; nil for any.
  public var clipNorm: Double?
  /// The groups of a mini-batch that batch normalisation takes its statistics over; nil for the whole mini-batch.
  public var bnGroups: Int?
  /// D of the running mean of the weights that is evaluated and kept; nil for the weights themselves.
  public var ema: Double?
  /// How the learning rate changes, as a word.
  public var schedule = "constant"
  /// Updates over which the learning rate rises to the schedule's; see `Schedule.factor`.
  public var warmup = 0
  /// Examples in a mini-batch.
  public var batchSize = 100
  /// Whether the examples that are left at the end of an epoch, too few for a mini-batch, are not trained on then.
  public var dropLast = false
  /// Updates to make; or give `epochs`.
  public var steps: Int?
  /// Passes over the training examples to make; or give `steps`.
  public var epochs: Double?
  /// The accuracy on all training examples at which the run is complete, from the first evaluation on that reaches it.
  public var stopAccuracy: Double?
  /// When the run is complete before its last step, without held-out labels: label-wave[:K] or coherence[:m=N,k=K].
  public var stop: String?
  /// The seed of every random choice.
  public var seed: UInt64 = 1
  /// Threads for the computation; the machine's cores by default.
  public var threads: Int?
  /// Steps between evaluations of everything; by default `evalSchedule` says when and on how much.
  public var evalEvery: Int?
  /// How evaluations are spread over the run without `evalEvery`.
  public var evalSchedule = EvaluationPolicy.auto
  /// What is measured along the way, as words such as "coherence@log".
  public var probe: [String] = []
  /// Steps between checkpoints; by default an epoch, or a twentieth of the run if that is more, and longer where
  /// writing one takes seconds.
  public var checkpointEvery: Int?
  /// Which weights are kept when the run is complete, as a word; see `KeepPolicy`.
  public var keep = "best,selected,last"
  /// Where to compute.
  public var device = "cpu"
  /// Who computes the products of linear layers in float32: "auto", "native" or "onednn".
  public var linear = "auto"
  /// The numbers that products of matrices and convolutions are computed with.
  public var precision = ProductPrecision.float32

  /// What the run is for, by key, such as "study": words for the manifest. Changes no result.
  public var tags: [String: String] = [:]

  /// The defaults.
  public init() {}
}

// MARK: - Checking

extension TrainingConfiguration {
  /// Checks what can be checked without the data.
  ///
  /// - Throws: `TrainingError`, `ModelError` or `DatasetError` that names the setting.
  public func validate() throws {
    try validateNames()
    try validateImages()
    try ModelSpecification(model).check(norm: NormalizationChoice(norm))
    try require(
      norm != "frozen" || weights != nil,
      "norm frozen keeps the statistics that weights come with, and fresh weights have none; give weights too")
    try require(weightsHead == .require || weights != nil, "weights-head applies to a weights file; give weights too")
    try require(select == nil || weights != nil, "select says which weights of a run to start from; give weights too")
    _ = try KeepPolicy(keep)
    _ = try Schedule(schedule)
    try require(
      warmup == 0 || warmup > 0 && warmup <= steps ?? .max,
      "warmup must be at least 0 and at most the steps of the run, not \(warmup)")
    try require(!freeze.contains(""), "freeze has an empty pattern; give names of parameters such as layer1 or *.bias")
    try checkProbes(trainingExamples: nil)
    try validateTags()
    let optimization = try OptimizerSpecification(optimizer)
    let aggregator = try optimization.aggregator.make()
    try require(
      optimization.takesMomentum || momentum == 0 && !nesterov,
      "\(optimizer) has its momentum in beta1; leave momentum and nesterov out")
    try require(
      momentum == 0 || allowMomentum || aggregator.supportsMomentum,
      "\(optimizer) was studied without momentum, which mixes back in what the median left out; leave momentum at 0, or "
        + "set allow-momentum")
    try require(lr > 0 && lr.isFinite, "lr must be a number above 0, not \(lr)")
    _ = try ClassificationLoss(loss)
    try TrainingSettings.check(averagingDecay: ema)
    try TrainingSettings.check(clipNorm: clipNorm)
    if let stop { _ = try StoppingRule(stop) }
    try TrainingSettings.check(batchNormGroups: bnGroups)
    _ = try optimization.makeOptimizer(momentum: momentum, nesterov: nesterov, weightDecay: weightDecay)
    // Adam normalises what the decay adds to the gradient; everywhere else a step multiplies weights by 1 − ηλ.
    try require(
      optimization.normalisesDecay || lr * weightDecay < 2 * (1 + momentum),
      "weight-decay \(weightDecay) at lr \(lr) alone makes the weights grow without bound; choose a smaller weight-decay"
    )
    try require(noise >= 0 && noise <= 1, "noise must be from 0 to 1, not \(noise)")
    try requireCount(batchSize, "batch-size")
    try require(steps == nil || epochs == nil, "give steps or epochs, not both")
    try require(
      (steps ?? 1) >= 1 && (steps ?? 1) <= TrainingSettings.maximumSteps,
      "steps must be from 1 to \(TrainingSettings.maximumSteps), not \(steps ?? 0)")
    try require(
      (epochs ?? 1) > 0 && (epochs ?? 1) <= 1e6, "epochs must be above 0 and at most a million, not \(epochs ?? 0)")
    try require(
      stopAccuracy.map { $0 > 0 && $0 <= 1 } ?? true,
      "stop-accuracy must be above 0 and at most 1, not \(stopAccuracy ?? 0)")
    try requireCount(subset, "subset")
    try requireCount(testSubset, "test-subset")
    try requireCount(validation, "validation", from: 0)
    try require((threads ?? 1) >= 1 && (threads ?? 1) <= 1024, "threads must be from 1 to 1024, not \(threads ?? 0)")
    try requireCount(evalEvery, "eval-every")
    try requireCount(checkpointEvery, "checkpoint-every")
    try require(labels == nil || noise == 0, "give labels or noise, not both: a label file says what every label is")
    try require(Device(device) != nil, "device must be cpu or cuda[:INDEX], not \"\(device)\"")
    try require(
      ["auto", "native", "onednn"].contains(linear), "linear must be auto, native or onednn, not \"\(linear)\"")
    try require(
      precision == .float32 || linear == "auto",
      "precision \(precision.rawValue) leaves no choice of what computes linear layers; leave linear out")
  }

  /// Checks that an installed device and thread count can be had, and takes them into use.
  ///
  /// - Parameter localRank: this process's place among those of its host, which share its GPUs where `device` names none.
  /// - Throws: `TrainingError` when the device is missing; `TensorError` when libtorch refuses the thread count.
  public func prepareRuntime(localRank: Int = 0) throws -> Device {
    if let threads { try Runtime.setThreadCount(threads) }
    guard let chosen = Device(device) else {
      throw TrainingError(.configuration, "device must be cpu or cuda[:INDEX], not \"\(device)\"")
    }
    if case .cuda(let index) = chosen {
      let count = try Runtime.cudaDeviceCount()
      guard let found = Self.gpu(device, index, localRank: localRank, count: count) else {
        let reason = try Runtime.cudaProblem() ?? "\(count) found"
        throw TrainingError(
          .configuration, "there is no CUDA device \(index): \(reason). Use --device cpu, or see docs/gpu.md")
      }
      return found
    }
    return chosen
  }

  /// The GPU that a word means: where it names none, that of the process's place among those of its host, and round again
  /// where there are more processes than GPUs; nil where there is none of the index.
  static func gpu(_ word: String, _ index: Int, localRank: Int, count: Int) -> Device? {
    if word == "cuda" { return count > 0 ? .cuda(localRank % count) : nil }
    return index < count ? .cuda(index) : nil
  }

  /// The number of updates, for `count` training examples.
  public func totalSteps(for count: Int) -> Int {
    if let steps { return steps }
    let batches = (try? OptimizerSpecification(optimizer).aggregator.make().batchesPerStep) ?? 1
    // Mini-batches go on across the end of a pass: several to a step need not end with it.
    let (whole, rest) = count.quotientAndRemainder(dividingBy: max(batchSize, 1))
    let perEpoch = Double(whole + (rest == 0 || dropLast ? 0 : 1)) / Double(max(batches, 1))
    return max(1, Int(exactly: ((epochs ?? 10) * perEpoch).rounded()) ?? .max)
  }

  /// How the data set is read.
  public var datasetOptions: DatasetOptions {
    var options = DatasetOptions()
    (options.allowsMissingFiles, options.skipsBadImages, options.normalize) = (allowMissing, skipBad, normalize)
    (options.imageSize, options.resize) = (resolvedImageSize, resize)
    (options.testFraction, options.testSeed, options.keepsFolderWhole) = (testFraction, seed, split != nil)
    (options.workers, options.prefetch) = (workers, prefetch)
    options.example = example ?? .token
    return options
  }

  /// Tags become entries of the manifest, which has some of its own.
  private func validateTags() throws {
    for (key, value) in tags.sorted(by: { $0.key < $1.key }) {
      func failure(_ what: String) -> TrainingError { TrainingError(.configuration, "tag \"\(key)\"\(what)") }
      guard !key.isEmpty, !key.contains(where: { $0.isWhitespace || $0 == "=" }) else {
        throw failure(": a key must be a word without spaces or equals signs, such as study")
      }
      guard !value.isEmpty, !value.contains(where: \.isNewline) else {
        throw failure(" must have a value of one line, not \"\(value)\"")
      }
      guard !Self.manifestEntries.contains(key) else {
        throw failure(" would replace the manifest's own entry of that name; choose another key")
      }
    }
  }

  /// What a run itself writes to the manifest's `extra`.
  static let manifestEntries = [
    "split", "weights", "norm", "augment", "loss", "ema", "bn_groups", "drop_last", "clip_norm", "freeze",
    "frozen_parameters",
    "memory_estimate_bytes", "ranks", "example",
  ]

  /// What adds up and is multiplied on the way: far above every data set, far below what an `Int` holds.
  private static let greatestCount = 1_000_000_000_000

  private func requireCount(_ value: Int?, _ name: String, from least: Int = 1) throws {
    guard let value else { return }
    try require(value >= least, "\(name) must be at least \(least), not \(value)")
    try require(value <= Self.greatestCount, "\(name) must be at most \(Self.greatestCount), not \(value)")
  }

  private func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    if !condition { throw TrainingError(.configuration, message()) }
  }

  private func validateNames() throws {
    try require(!dataset.isEmpty, "dataset has an empty name; coherent data list shows the names")
    try require(!model.isEmpty, "model has an empty name; coherent model list shows the names")
    try require(dataDir != "", "data-dir has an empty name; give the path of a folder")
    try require(labels != "", "labels has an empty name; give the path of a file")
    try require(weights != "", "weights has an empty name; give the path of a safetensors file")
    try require(corrections != "", "corrections has an empty name; give the path of a CSV file")
    try require(split != "", "split has an empty name; give the path of a CSV file")
  }

  private func validateImages() throws {
    let entry = try DatasetCatalog.entry(named: dataset)
    let isFolder = entry.format == .folder
    try require(
      isFolder || (resize == nil && !skipBad), "resize and skip-bad are for image folders, not for \(dataset)")
    if let size = resolvedImageSize { _ = try ImageTransform(size: size, resize: resize) }
    try require(
      entry.holdsOut || testFraction == nil,
      "test-fraction is for image folders without val and test; \(dataset) has test examples of its own")
    try require(
      testFraction.map { $0 >= 0 && $0 < 1 } ?? true,
      "test-fraction must be at least 0 and below 1, not \(testFraction ?? 0)")
    try require(
      split == nil || testFraction == nil,
      "give split or test-fraction, not both: a split file already says which examples to test on")
    let augmentation = try Augmentation(augment)
    try require(
      entry.format == .text || example == nil,
      "example says what an example of text is; leave it out for \(dataset)")
    try require(
      !entry.isOfTokens || augmentation == .none,
      "augment changes pictures, but the examples of \(dataset) are tokens; leave augment out")
    try require(
      !entry.isOfTokens || imageSize == nil, "image-size is for pictures, but the examples of \(dataset) are tokens")
    try require(
      !entry.isOfTokens || noise == 0 || noiseKind != .instance,
      "noise-kind instance depends on pictures, but the examples of \(dataset) are tokens; choose permute, uniform or "
        + "asymmetric")
    try require(
      isFolder || augmentation.crop != .resized,
      "augment: random-resized-crop needs the pictures of an image folder; use crop for \(dataset)")
    try require((workers ?? 1) >= 1 && (workers ?? 1) <= 256, "workers must be from 1 to 256, not \(workers ?? 0)")
    try require(prefetch >= 0 && prefetch <= 1000, "prefetch must be from 0 to 1000, not \(prefetch)")
  }
}
