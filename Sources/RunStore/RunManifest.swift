// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Everything needed to know where a run came from and how it ended: `manifest.json`.
public struct RunManifest: Codable, Sendable, Equatable {
  /// The program that began the run.
  public struct Tool: Codable, Sendable, Equatable {
    /// The program's name.
    public var name: String
    /// Its version.
    public var version: String
    /// The git commit it was built from; `-dirty` behind it means that tracked files had changes.
    public var commit: String?

    /// A tool from its fields.
    public init(name: String = "coherent", version: String, commit: String? = nil) {
      (self.name, self.version, self.commit) = (name, version, commit)
    }

    /// Name, version and commit on a line.
    public var title: String { "\(name) \(version)" + (commit.map { " (\($0))" } ?? "") }
  }

  /// The libtorch versions of a run.
  public struct Libtorch: Codable, Sendable, Equatable {
    /// The version of the headers compiled against.
    public var compiled: String
    /// The version of the library loaded.
    public var loaded: String

    /// Versions from their text.
    public init(compiled: String, loaded: String) {
      self.compiled = compiled
      self.loaded = loaded
    }
  }

  /// The machine that ran it, as far as it can change results or times.
  public struct Machine: Codable, Sendable, Equatable {
    /// The processor's model name.
    public var cpuModel: String?
    /// The device computed on, such as `cpu`.
    public var device: String?
    /// How many threads computed.
    public var threads: Int?
    /// The operating system and its version.
    public var operatingSystem: String?

    /// A machine from its fields.
    public init(cpuModel: String? = nil, device: String? = nil, threads: Int? = nil, operatingSystem: String? = nil) {
      (self.cpuModel, self.device, self.threads, self.operatingSystem) = (cpuModel, device, threads, operatingSystem)
    }

    private enum CodingKeys: String, CodingKey {
      case device, threads
      case cpuModel = "cpu_model"
      case operatingSystem = "operating_system"
    }
  }

  /// The data set of a run.
  public struct Dataset: Codable, Sendable, Equatable {
    /// The name given with `--dataset`.
    public var name: String
    /// The folder it was read from; `nil` for a built-in data set.
    public var folder: String?
    /// SHA-256 of each file read, in lower-case hexadecimal, by file name; of an image folder, for each split, over the
    /// paths and sizes of its files; of a split file, under `split`.
    public var files: [String: String]
    /// How many examples were trained on.
    public var trainExamples: Int?
    /// How many examples were tested on.
    public var testExamples: Int?
    /// How many classes there are.
    public var classes: Int?
    /// The share of every class that was held out to test on, in a folder without test pictures of its own.
    public var testFraction: Double?
    /// How many files of both splits could not be used and were left out; `skipped.csv` lists them.
    public var skippedExamples: Int?

    /// A data set from its fields.
    public init(
      name: String, folder: String? = nil, files: [String: String] = [:], trainExamples: Int? = nil,
      testExamples: Int? = nil, classes: Int? = nil, testFraction: Double? = nil, skippedExamples: Int? = nil
    ) {
      (self.name, self.folder, self.files, self.trainExamples) = (name, folder, files, trainExamples)
      (self.testExamples, self.classes, self.testFraction) = (testExamples, classes, testFraction)
      self.skippedExamples = skippedExamples
    }

    private enum CodingKeys: String, CodingKey {
      case name, folder, files, classes
      case trainExamples = "train_examples"
      case testExamples = "test_examples"
      case testFraction = "test_fraction"
      case skippedExamples = "skipped_examples"
    }
  }

  /// The label noise of a run.
  public struct Noise: Codable, Sendable, Equatable {
    /// How labels were changed: `permute`, `uniform`, `asymmetric` or `instance`; `none` without noise.
    public var kind: String
    /// The noise level ε: the share of examples chosen, of `instance` noise the mean of their probabilities, from 0 to 1.
    public var rate: Double
    /// The share of training labels that really changed, from 0 to 1.
    public var realisedRate: Double?
    /// The seed of the noise.
    public var seed: UInt64?
    /// The map of classes that `asymmetric` noise follows, by name, such as `cifar10`; nil for other kinds.
    public var classMap: String?

    /// The kind of labels that came from a file: known of them is how many differ, and `rate` is that share.
    public static let external = "labels"

    /// The kinds that move a label to another class instead of drawing it anew from all of them.
    static let directed: Set<String> = ["asymmetric", "instance"]

    /// Noise from its fields.
    public init(
      kind: String = "none", rate: Double = 0, realisedRate: Double? = nil, seed: UInt64? = nil, classMap: String? = nil
    ) {
      (self.kind, self.rate, self.realisedRate, self.seed, self.classMap) = (kind, rate, realisedRate, seed, classMap)
    }

    private enum CodingKeys: String, CodingKey {
      case kind, rate, seed
      case realisedRate = "realised_rate"
      case classMap = "class_map"
    }
  }

  /// How a run is evaluated along the way.
  public struct Evaluation: Codable, Sendable, Equatable {
    /// How many examples of each split an evaluation sees.
    public struct Part: Codable, Sendable, Equatable {
      /// Training examples.
      public var train: Int
      /// Test examples.
      public var test: Int
      /// Validation examples; nil for a run without any.
      public var validation: Int?

      /// A part from its counts.
      public init(train: Int, test: Int, validation: Int? = nil) {
        (self.train, self.test, self.validation) = (train, test, validation)
      }
    }

    /// The policy, such as `auto` or `every 100 steps`.
    public var schedule: String
    /// How many evaluations there are over the whole run.
    public var evaluations: Int
    /// What the evaluations see that come before the first regular one.
    public var early: Part
    /// What the regular ones see.
    public var regular: Part
    /// Steps between regular evaluations; nil without any.
    public var regularDistance: Int?
    /// What the last one sees.
    public var last: Part

    /// A plan from its fields.
    public init(schedule: String, evaluations: Int, early: Part, regular: Part, regularDistance: Int?, last: Part) {
      (self.schedule, self.evaluations, self.early, self.regular) = (schedule, evaluations, early, regular)
      (self.regularDistance, self.last) = (regularDistance, last)
    }

    private enum CodingKeys: String, CodingKey {
      case schedule, evaluations, early, regular, last
      case regularDistance = "regular_distance"
    }
  }

  /// How far a run has come.
  public enum Status: String, Codable, Sendable {
    /// Still training, or killed without notice.
    case running
    /// Trained to the last step.
    case completed
    /// Stopped by the user, with a checkpoint.
    case interrupted
    /// Stopped because the loss was no longer a finite number.
    case diverged
  }

  /// The program.
  public var tool: Tool
  /// The libtorch versions.
  public var libtorch: Libtorch?
  /// The machine.
  public var machine: Machine
  /// When the run was started.
  public var created: Date
  /// The command and its arguments.
  public var commandLine: [String]
  /// The seed that every other random choice follows from.
  public var seed: UInt64
  /// The data set.
  public var dataset: Dataset
  /// The model as given with `--model`.
  public var model: String
  /// How many numbers are trained.
  public var parameterCount: Int?
  /// The optimizer as given with `--optimizer`.
  public var optimizer: String?
  /// The same taken apart; nil for runs from before it was written.
  public var optimization: OptimizerDescription?
  /// The learning rate at the start.
  public var learningRate: Double?
  /// The momentum μ.
  public var momentum: Double?
  /// The weight decay λ.
  public var weightDecay: Double?
  /// The learning rate's course as given with `--schedule`.
  public var schedule: String?
  /// Steps over which the learning rate rises to the schedule's; `nil` for none.
  public var warmup: Int?
  /// Examples per step.
  public var batchSize: Int?
  /// Optimizer steps planned.
  public var plannedSteps: Int?
  /// The label noise.
  public var noise: Noise
  /// Which implementation was chosen where several could differ in the last bits; repeated on resume.
  public var numerics: [String: String]
  /// How the run is evaluated; nil for runs from before there was a choice.
  public var evaluation: Evaluation?
  /// What a private training promises; nil for a training of another kind.
  public var privacy: Privacy?
  /// How far the run has come.
  public var status: Status
  /// The results so far.
  public var summary: RunSummary?
  /// Anything else worth keeping: the run's tags, `split` and `weights`, the names of those files, `norm` and
  /// `augment` where they are not the usual, `drop_last` where the rest of an epoch is left out, `clip_norm` where gradients are
  /// clipped, and `freeze`, the patterns of parameters that were never updated, with `frozen_parameters`, their number.
  public var extra: [String: String]

  /// A manifest from its fields.
  public init(
    tool: Tool, libtorch: Libtorch? = nil, machine: Machine = Machine(), created: Date = Date(),
    commandLine: [String], seed: UInt64, dataset: Dataset, model: String, parameterCount: Int? = nil,
    optimizer: String? = nil, learningRate: Double? = nil, momentum: Double? = nil, weightDecay: Double? = nil,
    schedule: String? = nil, warmup: Int? = nil, batchSize: Int? = nil, plannedSteps: Int? = nil,
    noise: Noise = Noise(), numerics: [String: String] = [:], status: Status = .running, summary: RunSummary? = nil,
    extra: [String: String] = [:]
  ) {
    (self.tool, self.libtorch, self.machine, self.created) = (tool, libtorch, machine, created)
    (self.commandLine, self.seed, self.dataset, self.model) = (commandLine, seed, dataset, model)
    (self.parameterCount, self.optimizer) = (parameterCount, optimizer)
    optimization = optimizer.map(OptimizerDescription.init)
    (self.learningRate, self.momentum, self.weightDecay) = (learningRate, momentum, weightDecay)
    (self.schedule, self.warmup, self.batchSize, self.plannedSteps) = (schedule, warmup, batchSize, plannedSteps)
    (self.noise, self.numerics, self.status) = (noise, numerics, status)
    (self.summary, self.extra) = (summary, extra)
  }

  private enum CodingKeys: String, CodingKey {
    case tool, libtorch, machine, created, seed, dataset, model, optimizer, noise, numerics, status, summary, extra
    case evaluation, optimization, privacy
    case momentum, schedule, warmup
    case weightDecay = "weight_decay"
    case commandLine = "command_line"
    case parameterCount = "parameter_count"
    case learningRate = "learning_rate"
    case batchSize = "batch_size"
    case plannedSteps = "planned_steps"
  }
}

/// The results of a run: accuracy at the last step, at the best test step, and at the step that validation chose.
public struct RunSummary: Codable, Sendable, Equatable {
  /// The accuracies at one step, each from 0 to 1.
  public struct Moment: Codable, Sendable, Equatable {
    /// The optimizer step.
    public var step: Int
    /// Accuracy on the training set with the labels trained on.
    public var trainAccuracy: Double?
    /// Accuracy on the test set.
    public var testAccuracy: Double?
    /// Accuracy on the validation set.
    public var validationAccuracy: Double?

    /// A moment from its fields.
    public init(
      step: Int, trainAccuracy: Double? = nil, testAccuracy: Double? = nil, validationAccuracy: Double? = nil
    ) {
      (self.step, self.trainAccuracy, self.testAccuracy) = (step, trainAccuracy, testAccuracy)
      self.validationAccuracy = validationAccuracy
    }

    private enum CodingKeys: String, CodingKey {
      case step
      case trainAccuracy = "train_accuracy"
      case testAccuracy = "test_accuracy"
      case validationAccuracy = "validation_accuracy"
    }
  }

  /// The last evaluation.
  public var last: Moment?
  /// The evaluation with the best test accuracy: it uses test data, so it is not available in practice.
  public var best: Moment?
  /// The evaluation with the best validation accuracy: what early stopping would return.
  public var validationSelected: Moment?
  /// Optimizer steps done.
  public var steps: Int?
  /// Seconds spent, evaluations included, over all resumed parts.
  public var wallSeconds: Double?
  /// Seconds that the process had of processors meanwhile, in all its threads; of the first rank where there are several.
  public var processorSeconds: Double?
  /// The largest resident memory of the process, in bytes.
  public var peakRSSBytes: Int?

  /// A summary from its fields.
  public init(
    last: Moment? = nil, best: Moment? = nil, validationSelected: Moment? = nil, steps: Int? = nil,
    wallSeconds: Double? = nil, processorSeconds: Double? = nil, peakRSSBytes: Int? = nil
  ) {
    (self.last, self.best, self.validationSelected, self.steps) = (last, best, validationSelected, steps)
    (self.wallSeconds, self.processorSeconds, self.peakRSSBytes) = (wallSeconds, processorSeconds, peakRSSBytes)
  }

  private enum CodingKeys: String, CodingKey {
    case last, best, steps
    case validationSelected = "validation_selected"
    case wallSeconds = "wall_seconds"
    case processorSeconds = "processor_seconds"
    case peakRSSBytes = "peak_rss_bytes"
  }
}
