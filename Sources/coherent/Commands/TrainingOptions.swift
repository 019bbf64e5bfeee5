// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Datasets
import NeuralNetworks
import RunStore
import Runs
import Training

/// The options that make up a training configuration, in the groups of the help. Each is nil unless given, so that a
/// file can supply it.
struct TrainingOptions: ParsableArguments {
  @OptionGroup(title: MainOptions.title) var main: MainOptions
  @OptionGroup(title: DataOptions.title) var data: DataOptions
  @OptionGroup(title: LabelOptions.title) var labelling: LabelOptions
  @OptionGroup(title: ModelOptions.title) var network: ModelOptions
  @OptionGroup(title: OptimizationOptions.title) var optimization: OptimizationOptions
  @OptionGroup(title: MeasuringOptions.title) var measuring: MeasuringOptions
  @OptionGroup(title: RecordOptions.title) var records: RecordOptions
  @OptionGroup(title: MachineOptions.title) var machine: MachineOptions

  private var settings: [Setting] {
    let groups: [any TrainingOptionGroup] = [
      main, data, labelling, network, optimization, measuring, records, machine,
    ]
    return groups.flatMap(\.settings)
  }

  /// Writes what was given over a configuration.
  func apply(to configuration: inout TrainingConfiguration) {
    for setting in settings where setting.isGiven { setting.apply(&configuration) }
  }

  /// Whether any option was given beside the length of the run.
  var isMoreThanLengthSet: Bool { settings.count(where: \.isGiven) > (length == nil ? 0 : 1) }

  /// How long the run is to be; nil unless given.
  var length: RunLength? { main.steps.map(RunLength.steps) ?? main.epochs.map(RunLength.epochs) }
}

/// Options that the help shows under one title.
protocol TrainingOptionGroup: ParsableArguments {
  /// The title in the help.
  static var title: String { get }
  /// What each option sets.
  var settings: [Setting] { get }
}

/// What one option sets in a configuration.
struct Setting {
  let isGiven: Bool
  let apply: (inout TrainingConfiguration) -> Void

  init(isGiven: Bool, _ apply: @escaping (inout TrainingConfiguration) -> Void) {
    self.isGiven = isGiven
    self.apply = apply
  }

  init<Value>(_ key: WritableKeyPath<TrainingConfiguration, Value>, _ value: Value?) {
    self.init(isGiven: value != nil) { if let value { $0[keyPath: key] = value } }
  }

  init<Value>(_ key: WritableKeyPath<TrainingConfiguration, Value?>, _ value: Value?) {
    self.init(isGiven: value != nil) { $0[keyPath: key] = value }
  }
}

/// What matters first; the run directory, which no configuration holds, is in the same group of the help.
struct MainOptions: TrainingOptionGroup {
  static let title = "Main options"

  @Option(
    help:
      "The data set: digits (built in), mnist, fashion-mnist, cifar10, cifar100, or folder (your own pictures, in train/CLASS and val/CLASS, or in CLASS alone). (default: mnist)"
  )
  var dataset: String?
  @Option(help: "The folder with the data set's files.")
  var dataDir: String?
  @Option(
    help:
      "The model: mlp:WIDTH[,WIDTH...], linear, or a name that coherent model list shows, such as resnet32. (default: mlp:2048)"
  )
  var model: String?
  @Option(parsing: .unconditional, help: "The share of labels chosen for noise, 0 to 1. (default: 0)")
  var noise: Double?
  @Option(
    help:
      "How gradients become a step: sgd, winsorized:c=2 (percentile) or :s=4 (count), trimmed:s=2, m3, m3:successive, rm3, ra3, mom:k=5, geomed:k=5, sign-sum, sum-sign; adam or adamw, alone or after one of these: m3+adamw. (default: sgd)"
  )
  var optimizer: String?
  @Option(parsing: .unconditional, help: "The learning rate. (default: 0.1)")
  var lr: Double?
  @Option(parsing: .unconditional, help: "Examples in a mini-batch. (default: 100)")
  var batchSize: Int?
  @Option(parsing: .unconditional, help: "Updates to make. (default: 10 epochs)")
  var steps: Int?
  @Option(parsing: .unconditional, help: "Passes over the training examples to make, in place of --steps.")
  var epochs: Double?
  @Option(parsing: .unconditional, help: "The seed of every random choice. (default: 1)")
  var seed: UInt64?

  var settings: [Setting] {
    [
      Setting(\.dataset, dataset),
      Setting(\.dataDir, dataDir),
      Setting(\.model, model),
      Setting(\.noise, noise),
      Setting(\.optimizer, optimizer),
      Setting(\.lr, lr),
      Setting(\.batchSize, batchSize),
      // One of the two on the command line wins over either in the file; both on the command line is an error later.
      Setting(isGiven: steps != nil || epochs != nil) {
        $0.steps = steps
        $0.epochs = epochs
      },
      Setting(\.seed, seed),
    ]
  }
}

/// Which examples, and how they are prepared.
struct DataOptions: TrainingOptionGroup {
  static let title = "Data"

  @Flag(inversion: .prefixedNo, help: "Continue when some files of the data set are missing.")
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
  @Option(
    help:
      "A CSV file with the columns index,split,group: which training examples to train on, which to test on (the data set's test examples when none), and their groups."
  )
  var split: String?
  @Option(parsing: .unconditional, help: "Training examples held out for validation. (default: 0)")
  var validation: Int?

  var settings: [Setting] {
    [
      Setting(\.allowMissing, allowMissing),
      Setting(\.normalize, normalize),
      Setting(\.imageSize, imageSize),
      Setting(\.resize, resize),
      Setting(\.augment, augment),
      Setting(\.skipBad, skipBad),
      Setting(\.testFraction, testFraction),
      Setting(\.subset, subset),
      Setting(\.testSubset, testSubset),
      Setting(\.split, split),
      Setting(\.validation, validation),
    ]
  }
}

/// Labels other than the data set's own.
struct LabelOptions: TrainingOptionGroup {
  static let title = "Labels and noise"

  @Option(help: "A file (.npy, .csv, .u8) with labels that replace the training set's.")
  var labels: String?
  @Option(
    help: "What happens to the chosen labels: permute them among themselves, or draw them uniform. (default: permute)")
  var noiseKind: NoiseKind?

  var settings: [Setting] {
    [
      Setting(\.labels, labels),
      Setting(\.noiseKind, noiseKind),
    ]
  }
}

/// What the network is made of and starts from.
struct ModelOptions: TrainingOptionGroup {
  static let title = "Model"

  @Option(
    help:
      "Which normalisation follows convolutions: batch, frozen (at the statistics of --weights) or group:N. (default: batch)"
  )
  var norm: String?
  @Option(help: "Weights to start from: a safetensors file with torchvision's names, or a run directory.")
  var weights: String?
  @Option(help: "Which weights of the run that --weights names: last, best or selected. (default: last)")
  var select: WeightSelection?
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

  var settings: [Setting] {
    [
      Setting(\.norm, norm),
      Setting(\.weights, weights),
      Setting(\.select, select),
      Setting(\.weightsHead, weightsHead),
      Setting(\.freeze, freeze.isEmpty ? nil : freeze),
      Setting(\.initializer, initializer),
    ]
  }
}

/// How gradients become steps, and when the run is complete.
struct OptimizationOptions: TrainingOptionGroup {
  static let title = "Optimization"

  @Option(parsing: .unconditional, help: "Momentum. (default: 0)")
  var momentum: Double?
  @Flag(inversion: .prefixedNo, help: "Use Nesterov momentum.")
  var nesterov: Bool?
  @Flag(inversion: .prefixedNo, help: "Use momentum with m3, rm3 and related averages too.")
  var allowMomentum: Bool?
  @Option(parsing: .unconditional, help: "Weight decay. (default: 0)")
  var weightDecay: Double?
  @Option(
    help:
      "How the learning rate changes over the run: constant, cosine, step:STEP[,STEP...][:FACTOR]. (default: constant)")
  var schedule: String?
  @Option(
    parsing: .unconditional,
    help: "Updates over which the learning rate rises in equal steps to what the schedule says. (default: 0)")
  var warmup: Int?
  @Flag(
    inversion: .prefixedNo,
    help:
      "Leave out the short mini-batch at the end of an epoch: at the full rate, a few examples move the weights far.")
  var dropLast: Bool?
  @Option(
    parsing: .unconditional,
    help: "Stop once training accuracy reaches this value, above 0 to 1.")
  var stopAccuracy: Double?

  var settings: [Setting] {
    [
      Setting(\.momentum, momentum),
      Setting(\.nesterov, nesterov),
      Setting(\.allowMomentum, allowMomentum),
      Setting(\.weightDecay, weightDecay),
      Setting(\.schedule, schedule),
      Setting(\.warmup, warmup),
      Setting(\.dropLast, dropLast),
      Setting(\.stopAccuracy, stopAccuracy),
    ]
  }
}

/// What is measured along the way.
struct MeasuringOptions: TrainingOptionGroup {
  static let title = "Measuring"

  @Option(
    parsing: .unconditional,
    help: "Steps between evaluations of all examples. (default: as --eval-schedule says)")
  var evalEvery: Int?
  @Option(
    help:
      "How evaluations are spread over the run: auto (at most a tenth of its time, on samples at first) or dense (all examples, often at first, then every epoch). (default: auto)"
  )
  var evalSchedule: EvaluationPolicy?
  @Option(
    help:
      "Measure along the way: KIND[:m=N]@WHEN with KIND one of coherence (with bn=batch: under the statistics of mini-batches), contributions (nulls=N: so many permutations), examples (every example's gradient against the mean), measures (stiffness, confusion, noise scale and others), median (what the median of three group means keeps of mini-batches' mean gradients) push (by how much a pass lowers the loss of pristine and corrupt examples) or stability (a qualitative bound: only its order between runs of the same length is meaningful), N examples, and WHEN such as log, every:100, epoch or dense:0-50,log; or economy, business, full. May be repeated."
  )
  var probe: [String] = []
  @Flag(
    inversion: .prefixedNo,
    help: "Let probes see test examples with labels as noisy as the training ones; accuracies never do.")
  var noisyTestProbes: Bool?

  var settings: [Setting] {
    [
      Setting(\.evalEvery, evalEvery),
      Setting(\.evalSchedule, evalSchedule),
      Setting(\.probe, probe.isEmpty ? nil : probe),
      Setting(\.noisyTestProbes, noisyTestProbes),
    ]
  }
}

/// What the run directory keeps.
struct RecordOptions: TrainingOptionGroup {
  static let title = "Records and checkpoints"

  @Option(
    parsing: .unconditional, help: "Steps between checkpoints. (default: an epoch, longer if writing takes seconds)")
  var checkpointEvery: Int?
  @Option(
    help:
      "The weights that a complete run keeps: best (on the test set), selected (by validation), last. (default: best,selected,last)"
  )
  var keep: String?
  @Option(help: ArgumentHelp("A word for the manifest, such as study=noise. May be repeated.", valueName: "key=value"))
  var tag: [Tag] = []

  var settings: [Setting] {
    [
      Setting(\.checkpointEvery, checkpointEvery),
      Setting(\.keep, keep),
      Setting(isGiven: !tag.isEmpty) { for tag in tag { $0.tags[tag.key] = tag.value } },
    ]
  }
}

/// What the run computes with.
struct MachineOptions: TrainingOptionGroup {
  static let title = "Machine"

  @Option(parsing: .unconditional, help: "Threads that decode images. (default: the machine's cores)")
  var workers: Int?
  @Option(parsing: .unconditional, help: "Batches of images decoded ahead. (default: 2)")
  var prefetch: Int?
  @Option(parsing: .unconditional, help: "Threads for the computation. (default: the machine's cores)")
  var threads: Int?
  @Option(help: "Where to compute: cpu or cuda[:INDEX]. (default: cpu)")
  var device: String?
  @Option(help: "What computes linear layers: auto, native or onednn. (default: auto)")
  var linear: String?

  var settings: [Setting] {
    [
      Setting(\.workers, workers),
      Setting(\.prefetch, prefetch),
      Setting(\.threads, threads),
      Setting(\.device, device),
      Setting(\.linear, linear),
    ]
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
