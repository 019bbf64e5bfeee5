// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Datasets
import NeuralNetworks
import Training

/// The options that make up a training configuration. Each is nil unless given, so that a file can supply it.
struct TrainingOptions: ParsableArguments {
  @Option(
    help:
      "The data set: digits (built in), mnist, fashion-mnist, cifar10, cifar100, or folder (your own pictures, in train/CLASS and val/CLASS, or in CLASS alone). (default: mnist)"
  )
  var dataset: String?
  @Option(help: "The folder with the data set's files.")
  var dataDir: String?
  @Flag(
    inversion: .prefixedNo,
    help: "Let probes see test examples with labels as noisy as the training ones; accuracies never do.")
  var noisyTestProbes: Bool?
  @Flag(inversion: .prefixedNo, help: "Go on when some files of the data set are missing.")
  var allowMissing: Bool?
  @Option(help: "How pixels are normalised: auto (as is usual for the data set) or none (bytes / 255). (default: auto)")
  var normalize: PixelNormalization?
  @Option(
    parsing: .unconditional,
    help:
      "Height and width of the images. (default: of a folder what the model was made for, such as 32 for resnet20, 224 for resnet18 and 299 for inception_v3; as they are for other data sets)"
  )
  var imageSize: Int?
  @Option(
    parsing: .unconditional,
    help: "The shorter side of a folder's pictures before their centre is cut out. (default: image-size·256/224)")
  var resize: Int?
  @Option(
    help:
      "Change training images at random: none, flip, crop, flip+crop, random-resized-crop or random-resized-crop+flip. (default: none)"
  )
  var augment: String?
  @Flag(inversion: .prefixedNo, help: "Leave out images of a folder that cannot be decoded.")
  var skipBad: Bool?
  @Option(parsing: .unconditional, help: "Threads that decode images. (default: the machine's cores)")
  var workers: Int?
  @Option(parsing: .unconditional, help: "Batches of images decoded ahead. (default: 2)")
  var prefetch: Int?
  @Option(
    parsing: .unconditional,
    help:
      "The share of every class that is held out to test on, drawn by the seed, in a folder without val or test. (default: 0.2)"
  )
  var testFraction: Double?
  @Option(parsing: .unconditional, help: "Train on the first N examples only.")
  var subset: Int?
  @Option(parsing: .unconditional, help: "Test on the first N test examples only.")
  var testSubset: Int?
  @Option(help: "A file (.npy, .csv, .u8) with labels that replace the training set's.")
  var labels: String?
  @Option(
    help:
      "A CSV file with the columns index,split,group: which training examples to train on, which to test on (the data set's test examples when none), and their groups."
  )
  var split: String?
  @Option(parsing: .unconditional, help: "Training examples held out for validation. (default: 0)")
  var validation: Int?
  @Option(parsing: .unconditional, help: "The share of labels chosen for noise, 0 to 1. (default: 0)")
  var noise: Double?
  @Option(help: "permute the chosen labels among themselves, or draw them uniform. (default: permute)")
  var noiseKind: NoiseKind?
  @Option(
    help:
      "The model: mlp:WIDTH[,WIDTH...], linear, or a name that coherent model list shows, such as resnet32. (default: mlp:2048)"
  )
  var model: String?
  @Option(
    help:
      "Which normalisation follows convolutions: batch, frozen (at the statistics of --weights) or group:N. (default: batch)"
  )
  var norm: String?
  @Option(help: "A safetensors file with weights to start from, by torchvision's names.")
  var weights: String?
  @Option(
    help: "Whether the last layer comes from --weights too: require, or replace for other classes. (default: require)")
  var weightsHead: HeadPolicy?
  @Option(
    help: ArgumentHelp(
      "Never update the parameters of this name or in this module; * stands for any characters, as in 'layer1' or '*.bias'. Their batch-norm statistics still follow the batches unless --norm is frozen, and probes still measure their gradients. May be repeated.",
      valueName: "pattern"))
  var freeze: [String] = []
  @Option(
    help:
      "How weights are drawn: xavier, xavier-uniform, xavier-scaled, kaiming, pytorch. (default: xavier-scaled for mlp and linear, the architecture's own for others)"
  )
  var initializer: Initializer?
  @Option(
    help:
      "How gradients become a step: sgd, winsorized:c=2 (percentile) or :s=4 (count), trimmed:s=2, m3, m3:successive, rm3, ra3, mom:k=5, geomed:k=5, sign-sum, sum-sign. (default: sgd)"
  )
  var optimizer: String?
  @Option(parsing: .unconditional, help: "The learning rate. (default: 0.1)")
  var lr: Double?
  @Option(parsing: .unconditional, help: "Momentum. (default: 0)")
  var momentum: Double?
  @Flag(inversion: .prefixedNo, help: "Let momentum look ahead.")
  var nesterov: Bool?
  @Flag(inversion: .prefixedNo, help: "Use momentum with m3, rm3 and their kin too.")
  var allowMomentum: Bool?
  @Option(parsing: .unconditional, help: "Weight decay. (default: 0)")
  var weightDecay: Double?
  @Option(help: "The learning rate's course: constant, cosine, step:STEP[,STEP...][:FACTOR]. (default: constant)")
  var schedule: String?
  @Option(
    parsing: .unconditional,
    help: "Updates over which the learning rate rises in equal steps to what the schedule says. (default: 0)")
  var warmup: Int?
  @Option(parsing: .unconditional, help: "Examples in a mini-batch. (default: 100)")
  var batchSize: Int?
  @Option(parsing: .unconditional, help: "Updates to make. (default: 10 epochs)")
  var steps: Int?
  @Option(parsing: .unconditional, help: "Passes over the training examples to make, in place of --steps.")
  var epochs: Double?
  @Option(
    parsing: .unconditional,
    help: "Be complete at the first evaluation with this accuracy on the training examples, above 0 to 1.")
  var stopAccuracy: Double?
  @Option(parsing: .unconditional, help: "The seed of every random choice. (default: 1)")
  var seed: UInt64?
  @Option(parsing: .unconditional, help: "Threads for the computation. (default: the machine's cores)")
  var threads: Int?
  @Option(parsing: .unconditional, help: "Steps between evaluations. (default: dense at first, then every epoch)")
  var evalEvery: Int?
  @Option(
    parsing: .unconditional, help: "Steps between checkpoints. (default: an epoch, longer if writing takes seconds)")
  var checkpointEvery: Int?
  @Option(
    help:
      "Measure along the way: KIND[:m=N]@WHEN with KIND one of coherence, contributions, examples (every example's gradient against the mean), measures (stiffness, confusion, noise scale and others), median (what the median of three group means keeps of mini-batches' mean gradients) or stability (a bound that is qualitative: only its order between runs of one length says something), N examples, and WHEN such as log, every:100, epoch or dense:0-50,log; or economy, business, full. May be repeated."
  )
  var probe: [String] = []
  @Option(help: "Where to compute: cpu or cuda[:INDEX]. (default: cpu)")
  var device: String?
  @Option(help: "Who computes linear layers: auto, native or onednn. (default: auto)")
  var linear: String?

  @Option(help: ArgumentHelp("A word for the manifest, such as study=noise. May be repeated.", valueName: "key=value"))
  var tag: [Tag] = []

  /// Writes what was given over a configuration.
  func apply(to configuration: inout TrainingConfiguration) {
    func set<Value>(_ target: inout Value, _ value: Value?) {
      if let value { target = value }
    }
    func set<Value>(_ target: inout Value?, _ value: Value?) {
      if let value { target = value }
    }
    set(&configuration.dataset, dataset)
    set(&configuration.dataDir, dataDir)
    set(&configuration.allowMissing, allowMissing)
    set(&configuration.noisyTestProbes, noisyTestProbes)
    set(&configuration.normalize, normalize)
    set(&configuration.imageSize, imageSize)
    set(&configuration.resize, resize)
    set(&configuration.augment, augment)
    set(&configuration.skipBad, skipBad)
    set(&configuration.workers, workers)
    set(&configuration.prefetch, prefetch)
    set(&configuration.testFraction, testFraction)
    set(&configuration.subset, subset)
    set(&configuration.testSubset, testSubset)
    set(&configuration.labels, labels)
    set(&configuration.split, split)
    set(&configuration.validation, validation)
    set(&configuration.noise, noise)
    set(&configuration.noiseKind, noiseKind)
    set(&configuration.model, model)
    set(&configuration.norm, norm)
    set(&configuration.weights, weights)
    set(&configuration.weightsHead, weightsHead)
    if !freeze.isEmpty { configuration.freeze = freeze }
    set(&configuration.initializer, initializer)
    set(&configuration.optimizer, optimizer)
    set(&configuration.lr, lr)
    set(&configuration.momentum, momentum)
    set(&configuration.nesterov, nesterov)
    set(&configuration.allowMomentum, allowMomentum)
    set(&configuration.weightDecay, weightDecay)
    set(&configuration.schedule, schedule)
    set(&configuration.warmup, warmup)
    set(&configuration.batchSize, batchSize)
    set(&configuration.stopAccuracy, stopAccuracy)
    set(&configuration.seed, seed)
    set(&configuration.threads, threads)
    set(&configuration.evalEvery, evalEvery)
    set(&configuration.checkpointEvery, checkpointEvery)
    set(&configuration.device, device)
    set(&configuration.linear, linear)
    if !probe.isEmpty { configuration.probe = probe }
    for tag in tag { configuration.tags[tag.key] = tag.value }
    // One of the two on the command line wins over either in the file; both on the command line is an error later.
    if steps != nil || epochs != nil {
      configuration.steps = steps
      configuration.epochs = epochs
    }
  }

  /// Whether any option was given.
  var isAnySet: Bool {
    let words: [String?] = [
      dataset, dataDir, augment, labels, split, model, norm, weights, optimizer, schedule, device, linear,
    ]
    let integers: [Int?] = [
      imageSize, resize, workers, prefetch, subset, testSubset, validation, batchSize, steps, threads, evalEvery,
      checkpointEvery, warmup,
    ]
    let numbers: [Double?] = [noise, lr, momentum, weightDecay, epochs, stopAccuracy, testFraction]
    return words.contains { $0 != nil } || integers.contains { $0 != nil } || numbers.contains { $0 != nil }
      || !probe.isEmpty || !freeze.isEmpty || !tag.isEmpty || noiseKind != nil || weightsHead != nil
      || initializer != nil
      || nesterov != nil
      || allowMomentum != nil || seed != nil || allowMissing != nil || noisyTestProbes != nil || normalize != nil
      || skipBad != nil
  }
}

/// A key and its value, as KEY=VALUE.
struct Tag: ExpressibleByArgument {
  let key: String
  let value: String

  init?(argument: String) {
    let sides = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard sides.count == 2, !sides[0].isEmpty, !sides[1].isEmpty else { return nil }
    (key, value) = (sides[0], sides[1])
  }
}
