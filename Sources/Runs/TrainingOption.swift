// SPDX-License-Identifier: Apache-2.0

import Training
import Yams

/// An option of a training: a row of the one table that YAML files, the command line and its help are made from.
public struct TrainingOption: Sendable {
  /// The title that the help shows an option under.
  public enum Section: String, Sendable, CaseIterable {
    /// What matters first.
    case main = "Main options"
    /// Which examples, and how they are prepared.
    case data = "Data"
    /// Labels other than the data set's own.
    case labels = "Labels and noise"
    /// What the network is made of and starts from.
    case model = "Model"
    /// How gradients become steps, and when the run is complete.
    case optimization = "Optimization"
    /// What is measured along the way.
    case measuring = "Measuring"
    /// What the run directory keeps.
    case records = "Records and checkpoints"
    /// What the run computes with.
    case machine = "Machine"
  }

  /// Its key in YAML.
  public let key: String
  /// Its name on the command line; the key but where that may be repeated for a list.
  public let name: String
  /// Where the help shows it.
  public let section: Section
  /// What the help says.
  public let help: String
  /// What stands for its value in the help; nil for its name.
  public let valueName: String?
  /// The type of its value.
  public let type: any Sendable.Type
  /// What its value must be, for messages.
  let expectation: String
  /// Sets it to a value of its type; of a map, the entries that the value has. Values of other types are passed over.
  public let set: @Sendable (_ value: Any, _ configuration: inout TrainingConfiguration) -> Void
  /// Its value in a configuration; nil where there is none.
  private let get: @Sendable (TrainingConfiguration) -> (any Encodable)?
  private let decode: @Sendable (Node, inout TrainingConfiguration) throws -> Void

  /// An option with a default.
  init<Value: Codable & Sendable>(
    _ key: String, _ section: Section, _ path: any WritableKeyPath<TrainingConfiguration, Value> & Sendable,
    option: String? = nil, valueName: String? = nil, expects: String? = nil, _ help: String
  ) {
    (self.key, name, self.section, self.help, self.valueName) = (key, option ?? key, section, help, valueName)
    type = Value.self
    expectation = expects ?? Self.expectation(of: Value.self)
    set = { value, configuration in
      let before = configuration[keyPath: path] as? [String: String]
      let merged = (value as? [String: String]).flatMap { before?.merging($0) { _, new in new } }
      if let value = (merged ?? value) as? Value { configuration[keyPath: path] = value }
    }
    get = { $0[keyPath: path] }
    decode = { node, configuration in configuration[keyPath: path] = try node.value() }
  }

  /// An option without one.
  init<Value: Codable & Sendable>(
    _ key: String, _ section: Section, _ path: any WritableKeyPath<TrainingConfiguration, Value?> & Sendable,
    valueName: String? = nil, _ help: String
  ) {
    (self.key, name, self.section, self.help, self.valueName) = (key, key, section, help, valueName)
    type = Value.self
    expectation = Self.expectation(of: Value.self)
    set = { value, configuration in if let value = value as? Value { configuration[keyPath: path] = value } }
    get = { $0[keyPath: path] }
    decode = { node, configuration in configuration[keyPath: path] = try node.value(as: Value.self) }
  }

  private static func expectation(of type: any Any.Type) -> String {
    if let choice = type as? any CaseIterable.Type { return "one of " + words(of: choice).joined(separator: ", ") }
    return switch type {
    case is Double.Type: "a number"
    case is Bool.Type: "true or false"
    case is UInt64.Type: "a whole number of at least 0"
    case is Int.Type: "a whole number"
    default: "a word"
    }
  }

  private static func words<Choice: CaseIterable>(of _: Choice.Type) -> [String] {
    Choice.allCases.compactMap { ($0 as? any RawRepresentable)?.rawValue as? String }
  }

  /// Reads a value; a null leaves the default.
  ///
  /// - Parameters:
  ///   - source: the file's name, for messages.
  ///   - hasLines: whether the lines of nodes are those of the file.
  /// - Throws: `TrainingError` that names file, line and key.
  func read(
    _ node: Node, into configuration: inout TrainingConfiguration, source: String, hasLines: Bool = true
  ) throws {
    guard node.null == nil else { return }
    do {
      try decode(node, &configuration)
    } catch {
      func place(_ node: Node) -> String { hasLines ? node.mark.map { ", line \($0.line)" } ?? "" : "" }
      let line = place(node)
      if let entries = node.mapping, type == [String: String].self,
        let tag = entries.first(where: { $0.value.scalar == nil })
      {
        throw TrainingError(
          .configuration, "\(source)\(place(tag.value)): tag \"\(tag.key.string ?? "")\" must be a word")
      }
      let value = node.string.map { "\"\($0.prefix(200))\"" } ?? "a list"
      throw TrainingError(.configuration, "\(source)\(line): \(key) must be \(expectation), not \(value)")
    }
  }

  /// Takes over its value from another configuration that has one.
  func copy(from other: TrainingConfiguration, to configuration: inout TrainingConfiguration) {
    if let value = get(other) { set(value, &configuration) }
  }

  /// Its value as YAML; nil where there is none.
  ///
  /// - Throws: an encoding error, which no configuration produces.
  func node(of configuration: TrainingConfiguration) throws -> Node? {
    guard let value = get(configuration) else { return nil }
    // The encoder keeps 15 digits of some numbers; a run that is resumed needs them all.
    if let number = value as? Double { return Node("\(number)", Tag(.float)) }
    return try Yams.compose(yaml: YAMLEncoder().encode(AnyEncodable(value)))
  }

  private struct AnyEncodable: Encodable {
    let value: any Encodable
    init(_ value: any Encodable) { self.value = value }
    func encode(to encoder: any Encoder) throws { try value.encode(to: encoder) }
  }
}

extension TrainingConfiguration {
  /// Every option.
  public static let options: [TrainingOption] = [
    // MARK: Main options
    .init(
      "dataset", .main, \.dataset,
      "The data set: digits (built in), mnist, fashion-mnist, cifar10, cifar100, folder (your own pictures, in train/CLASS and val/CLASS, or in CLASS alone), modular:P (a + b modulo P as tokens, built in), or text[:LENGTH] (your own text files as windows of bytes). (default: mnist)"
    ),
    .init("data-dir", .main, \.dataDir, "The folder with the data set's files; of text a folder or one file."),
    .init(
      "model", .main, \.model,
      "The model: mlp:WIDTH[,WIDTH...], linear, a name that coherent model list shows, such as resnet32, or for tokens transformer:layers=2,width=128,heads=4. (default: mlp:2048)"
    ),
    .init("noise", .main, \.noise, "The share of labels chosen for noise, 0 to 1. (default: 0)"),
    .init(
      "optimizer", .main, \.optimizer,
      "How gradients become a step: \(AggregatorSpecification.known.joined(separator: ", ")) (c: a percentile, s and k: counts, t: a share; dp-sgd: see docs/privacy.md); adam or adamw, alone or after one of these: m3+adamw. (default: sgd)"
    ),
    .init("lr", .main, \.lr, "The learning rate. (default: 0.1)"),
    .init("batch-size", .main, \.batchSize, "Examples in a mini-batch. (default: 100)"),
    .init("steps", .main, \.steps, "Updates to make. (default: 10 epochs)"),
    .init("epochs", .main, \.epochs, "Passes over the training examples to make, in place of --steps."),
    .init("seed", .main, \.seed, "The seed of every random choice. (default: 1)"),
    // MARK: Data
    .init("allow-missing", .data, \.allowMissing, "Continue when some files of the data set are missing."),
    .init(
      "normalize", .data, \.normalize,
      "How pixels are normalised: auto (as is usual for the data set) or none (bytes / 255). (default: auto)"),
    .init(
      "image-size", .data, \.imageSize,
      "Height and width of the images. (default: of a folder what the model was made for, such as 32 for resnet20, 224 for resnet18 and 299 for inception_v3; as they are for other data sets)"
    ),
    .init(
      "resize", .data, \.resize,
      "The shorter side of a folder's pictures before their centre is cut out. (default: image-size·256/224)"),
    .init(
      "augment", .data, \.augment,
      "Change training images at random: none, flip, crop, flip+crop, random-resized-crop or random-resized-crop+flip. (default: none)"
    ),
    .init("skip-bad", .data, \.skipBad, "Leave out images of a folder that cannot be decoded."),
    .init(
      "test-fraction", .data, \.testFraction,
      "The share of every class that is held out to test on, drawn by the seed, in a folder without val or test, or of the pairs of modular:P, or the end of every text file; 0 tests on the training examples. (default: 0.2)"
    ),
    .init(
      "example", .data, \.example,
      "What an example of text is, so what the gradient of one is: token (the byte that follows a window; one window for every byte) or sequence (a window, with the mean loss of all its next bytes). (default: token)"
    ),
    .init("subset", .data, \.subset, "Train on the first N examples only."),
    .init("test-subset", .data, \.testSubset, "Test on the first N test examples only."),
    .init(
      "split", .data, \.split,
      "A CSV file with the columns index,split,group: which training examples to train on, which to test on (the data set's test examples when none), and their groups."
    ),
    .init("validation", .data, \.validation, "Training examples held out for validation. (default: 0)"),
    // MARK: Labels and noise
    .init(
      "labels", .labels, \.labels,
      "A file (.npy, .csv, .u8) with labels that replace the training set's; or the corrections.csv of an audit."),
    .init(
      "corrections", .labels, \.corrections,
      "The corrections.csv of an audit: labels to change and examples to leave out, after --labels or --noise."),
    .init(
      "noise-kind", .labels, \.noiseKind,
      "What happens to the chosen labels: permute (among themselves), uniform (drawn anew), asymmetric (the class that theirs is usually confused with) or instance (a class that depends on the picture, at a rate of its own). (default: permute)"
    ),
    // MARK: Model
    .init(
      "norm", .model, \.norm,
      "Which normalisation follows convolutions: batch, frozen (at the statistics of --weights) or group:N. (default: batch)"
    ),
    .init(
      "weights", .model, \.weights,
      "Weights to start from: a safetensors file with torchvision's names, or a run directory."),
    .init(
      "select", .model, \.select,
      "Which weights of the run that --weights names: last, best or selected. (default: last)"),
    .init(
      "weights-head", .model, \.weightsHead,
      "Whether the last layer comes from --weights too: require, or replace for other classes. (default: require)"),
    .init(
      "freeze", .model, \.freeze, valueName: "pattern", expects: "a list of patterns such as [layer1, '*.bias']",
      "Never update the parameters of this name or in this module; * stands for any characters, as in 'layer1' or '*.bias'. Their batch-norm statistics still follow the batches unless --norm is frozen, and probes still measure their gradients. May be repeated."
    ),
    .init(
      "initializer", .model, \.initializer,
      "How weights are drawn: xavier, xavier-uniform, xavier-scaled, kaiming, pytorch. (default: xavier-scaled for mlp and linear, the architecture's own for others)"
    ),
    // MARK: Optimization
    .init("momentum", .optimization, \.momentum, "Momentum. (default: 0)"),
    .init("nesterov", .optimization, \.nesterov, "Use Nesterov momentum."),
    .init("allow-momentum", .optimization, \.allowMomentum, "Use momentum with m3, rm3 and related averages too."),
    .init(
      "loss", .optimization, \.loss,
      "What is minimised: ce (cross entropy), smooth:0.1, gce:0.7, sce:0.1,1 or elr:3,0.7. (default: ce)"),
    .init("weight-decay", .optimization, \.weightDecay, "Weight decay. (default: 0)"),
    .init("clip-norm", .optimization, \.clipNorm, "Shorten the gradient of a step to this length where it is longer."),
    .init(
      "ema", .optimization, \.ema, valueName: "decay",
      "Evaluate and keep a running mean of the weights with this decay, such as 0.999, in place of the last ones."),
    .init(
      "bn-groups", .optimization, \.bnGroups,
      "Take batch statistics over this many groups of the mini-batch; several ranks need it, one each or more."),
    .init(
      "schedule", .optimization, \.schedule,
      "How the learning rate changes over the run: constant, cosine, step:STEP[,STEP...][:FACTOR]. (default: constant)"),
    .init(
      "warmup", .optimization, \.warmup,
      "Updates over which the learning rate rises in equal steps to what the schedule says. (default: 0)"),
    .init(
      "drop-last", .optimization, \.dropLast,
      "Leave out the short mini-batch at the end of an epoch: at the full rate, a few examples move the weights far."),
    .init(
      "stop-accuracy", .optimization, \.stopAccuracy, "Stop once training accuracy reaches this value, above 0 to 1."),
    .init(
      "stop", .optimization, \.stop, valueName: "rule",
      "Stop without held-out labels once what falls from pass to pass begins to rise again, the mean over K passes having been above its least for as many: label-wave[:K] watches how many predictions for training examples change, coherence[:m=N,k=K] the m-coherence of N of them."
    ),
    // MARK: Measuring
    .init(
      "eval-every", .measuring, \.evalEvery,
      "Steps between evaluations of all examples. (default: as --eval-schedule says)"),
    .init(
      "eval-schedule", .measuring, \.evalSchedule,
      "How evaluations are spread over the run: auto (at most a tenth of its time, on samples at first) or dense (all examples, often at first, then every epoch). (default: auto)"
    ),
    .init(
      "probe", .measuring, \.probe, expects: "a list of words such as [coherence@log]",
      "Measure along the way: KIND[:m=N]@WHEN with KIND one of coherence (with bn=batch: under the statistics of mini-batches; with heads=yes: of every head of attention, too), contributions (nulls=N: so many permutations), examples (every example's gradient against the mean), measures (stiffness, confusion, noise scale and others), median (what the median of three group means keeps of mini-batches' mean gradients), changes (how many training examples are classified otherwise than before), weights (their length), push (by how much a pass lowers the loss of pristine and corrupt examples), dynamics (what coherent audit --run reads) or stability (a qualitative bound: only its order between runs of the same length is meaningful), N examples, and WHEN such as log, every:100, epoch or dense:0-50,log; or economy, business, full. May be repeated."
    ),
    .init(
      "noisy-test-probes", .measuring, \.noisyTestProbes,
      "Let probes see test examples with labels as noisy as the training ones; accuracies never do."),
    // MARK: Records and checkpoints
    .init(
      "checkpoint-every", .records, \.checkpointEvery,
      "Steps between checkpoints. (default: an epoch, longer if writing takes seconds)"),
    .init(
      "keep", .records, \.keep,
      "The weights that a complete run keeps: best (on the test set), selected (by validation), last. (default: best,selected,last)"
    ),
    .init(
      "tags", .records, \.tags, option: "tag", valueName: "key=value", expects: "a map of words such as {study: noise}",
      "A word for the manifest, such as study=noise. May be repeated."),
    // MARK: Machine
    .init("workers", .machine, \.workers, "Threads that decode images. (default: the machine's cores)"),
    .init("prefetch", .machine, \.prefetch, "Batches of images decoded ahead. (default: 2)"),
    .init("threads", .machine, \.threads, "Threads for the computation. (default: the machine's cores)"),
    .init("device", .machine, \.device, "Where to compute: cpu or cuda[:INDEX]. (default: cpu)"),
    .init("linear", .machine, \.linear, "What computes linear layers: auto, native or onednn. (default: auto)"),
    .init(
      "precision", .machine, \.precision,
      "The numbers that matrix products and convolutions are computed with; weights and all else are float32. (default: float32)"
    ),
  ]
}
