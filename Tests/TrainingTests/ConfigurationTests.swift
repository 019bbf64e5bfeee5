// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import NeuralNetworks
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

@Suite struct ConfigurationTests {
  typealias Change = @Sendable (inout TrainingConfiguration) -> Void

  /// Processes of a host take its GPUs in turn, where the word names none.
  @Test func gpusByPlace() {
    func gpu(_ word: String, _ index: Int = 0, rank: Int, of count: Int) -> Device? {
      TrainingConfiguration.gpu(word, index, localRank: rank, count: count)
    }
    #expect((0..<5).map { gpu("cuda", rank: $0, of: 2) } == [0, 1, 0, 1, 0].map { Device.cuda($0) })
    #expect(gpu("cuda", rank: 0, of: 0) == nil)
    #expect(gpu("cuda:0", 0, rank: 3, of: 2) == .cuda(0) && gpu("cuda:1", 1, rank: 0, of: 2) == .cuda(1))
    #expect(gpu("cuda:2", 2, rank: 0, of: 2) == nil)
  }

  @Test func theDefaultsAreValid() throws {
    try TrainingConfiguration().validate()
    try smallConfiguration().validate()
  }

  static let impossible: [(String, Change)] = [
    ("lr", { $0.lr = 0 }), ("lr", { $0.lr = -1 }), ("lr", { $0.lr = .nan }), ("lr", { $0.lr = .infinity }),
    ("momentum", { $0.momentum = -0.1 }), ("momentum", { $0.momentum = 1 }), ("momentum", { $0.momentum = .nan }),
    ("nesterov", { $0.nesterov = true }),
    ("weight-decay", { $0.weightDecay = -1 }), ("weight-decay", { $0.weightDecay = .infinity }),
    ("weight-decay", { $0.weightDecay = .nan }),
    ("noise", { $0.noise = -0.1 }), ("noise", { $0.noise = 1.1 }), ("noise", { $0.noise = .nan }),
    ("batch-size", { $0.batchSize = 0 }), ("batch-size", { $0.batchSize = -5 }),
    ("batch-size", { $0.batchSize = .min }),
    (
      "steps or epochs",
      {
        $0.steps = 1
        $0.epochs = 1
      }
    ),
    ("steps", { $0.steps = 0 }), ("steps", { $0.steps = -1 }), ("steps", { $0.steps = .max }),
    ("steps", { $0.steps = .min }),
    ("epochs", { $0.epochs = 0 }), ("epochs", { $0.epochs = -1 }), ("epochs", { $0.epochs = .nan }),
    ("epochs", { $0.epochs = .infinity }), ("epochs", { $0.epochs = 1e7 }),
    ("subset", { $0.subset = 0 }), ("subset", { $0.subset = -3 }),
    ("validation", { $0.validation = -1 }),
    ("threads", { $0.threads = 0 }), ("threads", { $0.threads = -2 }), ("threads", { $0.threads = .max }),
    ("eval-every", { $0.evalEvery = 0 }), ("eval-every", { $0.evalEvery = -1 }),
    ("checkpoint-every", { $0.checkpointEvery = 0 }), ("checkpoint-every", { $0.checkpointEvery = -1 }),
    (
      "labels or noise",
      {
        $0.labels = "labels.npy"
        $0.noise = 0.5
      }
    ),
    ("device", { $0.device = "gpu" }), ("device", { $0.device = "" }), ("device", { $0.device = "cuda:-1" }),
    ("linear", { $0.linear = "mkl" }),
    ("optimizer", { $0.optimizer = "adagrad" }),
    ("schedule", { $0.schedule = "warm" }),
    ("warmup", { $0.warmup = -1 }), ("warmup", { ($0.steps, $0.warmup) = (10, 11) }),
    ("freeze has an empty pattern", { $0.freeze = ["layer1", ""] }),
    ("test-fraction is for image folders", { $0.testFraction = 0.2 }),
    ("test-fraction must be at least 0", { ($0.dataset, $0.testFraction) = ("folder", 1) }),
    ("test-fraction must be at least 0", { ($0.dataset, $0.testFraction) = ("folder", .nan) }),
    ("augment changes pictures", { ($0.dataset, $0.augment) = ("modular:7", "flip") }),
    ("image-size is for pictures", { ($0.dataset, $0.imageSize) = ("modular:7", 32) }),
    (
      "noise-kind instance depends on pictures",
      { ($0.dataset, $0.noise, $0.noiseKind) = ("modular:7", 0.5, .instance) }
    ),
    ("test-fraction must be at least 0", { ($0.dataset, $0.testFraction) = ("modular:7", 1) }),
    ("modulus", { $0.dataset = "modular:1" }), ("heads", { $0.model = "transformer:width=10,heads=4" }),
    ("no normalisation to choose", { ($0.model, $0.norm) = ("transformer", "group:4") }),
    ("split or test-fraction", { ($0.dataset, $0.testFraction, $0.split) = ("folder", 0.5, "s.csv") }),
    ("model", { $0.model = "resnet" }), ("width", { $0.model = "mlp" }), ("width", { $0.model = "mlp:0" }),
    ("width", { $0.model = "mlp:-1" }), ("width", { $0.model = "mlp:99999999999999999999" }),
    ("width", { $0.model = "mlp:8,,8" }),
    ("data set", { $0.dataset = "mnits" }), ("dataset has an empty name", { $0.dataset = "" }),
  ]

  @Test(arguments: impossible.indices)
  func impossibleValuesAreNamed(_ index: Int) {
    let (name, change) = Self.impossible[index]
    var configuration = TrainingConfiguration()
    change(&configuration)
    let text = message { try configuration.validate() }
    #expect(text.contains(name), "\(index): \(text)")
  }

  /// Sizes that only the data can refute.
  @Test func sizesThatDoNotFitTheData() {
    expectError(.configuration, "batch-size 61 is larger than the 60 training examples") {
      _ = try Trainer.make(smallConfiguration { $0.batchSize = 61 })
    }
    expectError(.configuration, "batch-size") { _ = try Trainer.make(smallConfiguration { $0.batchSize = .max }) }
    expectError(.configuration, "batch-size 10", "9 training examples") {
      _ = try Trainer.make(smallConfiguration { $0.validation = 51 })
    }
    #expect(
      message { _ = try Trainer.make(smallConfiguration { $0.validation = 60 }) }.contains("60 examples cannot be held")
    )
    #expect(
      message { _ = try Trainer.make(smallConfiguration { $0.validation = 1 << 39 }) }.contains("cannot be held out"))
    #expect(message { _ = try Trainer.make(smallConfiguration { $0.subset = 601 }) }.contains("has 600"))
    #expect(message { _ = try Trainer.make(smallConfiguration { $0.dataDir = nil }) }.contains("--data-dir"))
  }

  @Test func epochsBecomeSteps() {
    var configuration = TrainingConfiguration()
    #expect(configuration.totalSteps(for: 60_000) == 6000)
    configuration.epochs = 1.5
    #expect(configuration.totalSteps(for: 60_000) == 900)
    #expect(configuration.totalSteps(for: 101) == 3)
    // Three mini-batches to a step go on across the end of a pass.
    var successive = configuration
    (successive.optimizer, successive.batchSize, successive.epochs) = ("m3:successive", 100, 10)
    #expect(successive.totalSteps(for: 1000) == 33 && successive.totalSteps(for: 400) == 13)
    successive.dropLast = true
    #expect(successive.totalSteps(for: 1050) == 33)
    configuration.epochs = 1e-9
    #expect(configuration.totalSteps(for: 60_000) == 1)
    configuration.batchSize = .max
    #expect(configuration.totalSteps(for: 60_000) == 1)
    configuration.steps = 7
    #expect(configuration.totalSteps(for: 60_000) == 7)
  }

  /// A million epochs of many batches are more steps than a run may have.
  @Test func tooManyEpochs() {
    let text = message {
      _ = try Trainer.make(
        smallConfiguration {
          $0.dataset = "digits"
          $0.subset = 2000
          $0.batchSize = 1
          $0.steps = nil
          $0.epochs = 1e6
        })
    }
    #expect(text.contains("steps must be from 1 to 1000000000, not 2000000000"))
  }

  @Test func theTrainerRecordsWhatWasResolved() throws {
    let training = try ConfiguredTraining(
      smallConfiguration {
        $0.steps = nil
        $0.epochs = 2
      })
    #expect(training.configuration.steps == 12)
    #expect(training.configuration.epochs == nil)
    #expect(training.configuration.threads == 1)
  }

  @Test func pathsBecomeAbsolute() throws {
    let folder = FileManager.default.currentDirectoryPath
    let relative = "relative-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder + "/" + relative) }
    try FileManager.default.createSymbolicLink(atPath: relative, withDestinationPath: SmallData.folder)
    let training = try ConfiguredTraining(smallConfiguration { $0.dataDir = relative })
    #expect(training.configuration.dataDir == folder + "/" + relative)
  }
}

@Suite struct ConfigurationFileTests {
  func read(_ yaml: String) throws -> TrainingConfiguration {
    try TrainingConfiguration(yaml: yaml, source: "run.yaml")
  }

  @Test func everyOptionSurvivesARoundTrip() throws {
    var full = TrainingConfiguration()
    full.dataset = "fashion-mnist"
    full.dataDir = "/data/a folder: with \"signs\" # and 'more'"
    full.subset = 1000
    full.labels = "1e3"
    full.validation = 10
    full.noise = 0.1 + 0.2
    full.noiseKind = .uniform
    full.model = "mlp:8,9"
    full.initializer = .xavierUniform
    full.norm = "batch"
    full.weights = "weights.safetensors"
    (full.weightsHead, full.select, full.keep, full.evalSchedule) = (.replace, .best, "last", .dense)
    full.stop = "coherence:m=500,k=2"
    full.bnGroups = 4
    full.ema = 0.99
    full.loss = "gce:0.7"
    (full.split, full.stopAccuracy, full.tags) = ("parts: a.csv", 0.1 + 0.2, ["study": "a: b", "cell": "1e3"])
    full.lr = 1.0 / 3
    full.momentum = 0.123_456_789_012_345_67
    full.nesterov = true
    full.weightDecay = .leastNonzeroMagnitude
    full.schedule = "step:1,2:0.5"
    full.batchSize = 3
    full.steps = nil
    full.epochs = 2.0 / 3
    full.seed = .max
    full.threads = 2
    full.evalEvery = 4
    full.checkpointEvery = 5
    full.device = "cuda:1"
    (full.linear, full.precision) = ("native", .bfloat16)
    full.testSubset = 17
    full.noisyTestProbes = true
    (full.testFraction, full.warmup, full.freeze) = (0.1 + 0.2, 7, ["layer1.*", "*.bias", "fc?"])
    full.example = .sequence
    (full.imageSize, full.resize, full.augment, full.skipBad) = (64, 80, "flip+crop", true)
    (full.clipNorm, full.corrections) = (1.5, "corrections.csv")
    (full.workers, full.prefetch, full.allowMissing, full.normalize) = (3, 0, true, .none)
    #expect(try read(full.yaml()) == full)
    let text = try full.yaml()
    // Every option is written, in order.
    let lines = text.split(separator: "\n").filter { !$0.hasPrefix(" ") && !$0.hasPrefix("-") }
    let keys = lines.compactMap { $0.split(separator: ":").first.map(String.init) }
    #expect(keys == keys.sorted())
    #expect(Set(keys) == Set(TrainingConfiguration.options.map(\.key)).subtracting(["steps"]))
    #expect(try read(TrainingConfiguration().yaml()) == TrainingConfiguration())
    #expect(try TrainingConfiguration().yaml().contains("lr: 0.1\n"))
  }

  @Test func whatIsLeftOutIsTheDefault() throws {
    #expect(try read("") == TrainingConfiguration())
    #expect(try read("# nothing but a comment\n") == TrainingConfiguration())
    #expect(try read("{}") == TrainingConfiguration())
    var expected = TrainingConfiguration()
    expected.lr = 0.5
    expected.nesterov = true
    #expect(try read("lr: 0.5\nnesterov: yes\nsubset: null\n") == expected)
  }

  @Test func unknownKeysAreNamedWithTheNearest() {
    expectError(.configuration, "run.yaml, line 2", "\"batch-sizes\"", "did you mean \"batch-size\"?") {
      _ = try read("lr: 0.1\nbatch-sizes: 5\n")
    }
    expectError(.configuration, "line 1", "\"learning_rate_of_the_run\"", "--help") {
      _ = try read("learning_rate_of_the_run: 5\n")
    }
    expectError(.configuration, "did you mean \"batch-size\"?") { _ = try read("batch_size: 5") }
    expectError(.configuration, "a key must be a word") { _ = try read("? [a, b]\n: 5") }
  }

  @Test(arguments: [
    ("lr: fast", "lr must be a number, not \"fast\""), ("steps: 1.5", "steps must be a whole number, not \"1.5\""),
    ("steps: 99999999999999999999", "steps must be a whole number"), ("steps: [1]", "steps must be a whole number"),
    ("seed: -1", "seed must be a whole number of at least 0, not \"-1\""),
    ("nesterov: maybe", "nesterov must be true or false, not \"maybe\""),
    ("noise-kind: shuffle", "noise-kind must be one of permute, uniform, asymmetric, instance, not \"shuffle\""),
    ("weights-head: keep", "weights-head must be one of require, replace, not \"keep\""),
    ("initializer: he", "initializer must be one of xavier, "), ("model: {a: b}", "model must be a word"),
    ("freeze: layer1", "freeze must be a list of patterns"), ("warmup: some", "warmup must be a whole number"),
    ("test-fraction: half", "test-fraction must be a number"),
  ])
  func wrongTypesAreNamed(_ line: String, _ expected: String) {
    expectError(.configuration, "run.yaml, line 2: ", expected) { _ = try read("batch-size: 5\n\(line)\n") }
  }

  @Test(arguments: ["- lr\n- 0.1\n", "just words", "[1, 2]", "42"])
  func notAMapping(_ text: String) {
    expectError(.configuration, "run.yaml must be a list of \"option: value\" lines") { _ = try read(text) }
  }

  @Test(arguments: ["lr: [", "lr: 0.1\n  steps: 5\n\tnoise: 0", "lr: 1\nlr: 2\n", "a: *b"])
  func invalidYAML(_ text: String) {
    expectError(.configuration, "run.yaml") { _ = try read(text) }
  }

  @Test func impossibleNumbersReachTheCheck() throws {
    #expect(throws: TrainingError.self) { try read("noise: .nan").validate() }
    #expect(throws: TrainingError.self) { try read("lr: .inf").validate() }
    #expect(throws: TrainingError.self) { try read("lr: 1e999").validate() }
  }

  @Test func filesThatCannotBeRead() throws {
    let scratch = try Scratch()
    expectError(.configuration, "there is no configuration file \(scratch.path("none.yaml"))") {
      _ = try TrainingConfiguration(file: scratch.path("none.yaml"))
    }
    expectError(.configuration, scratch.url.path, "cannot be read") {
      _ = try TrainingConfiguration(file: scratch.url.path)
    }
    try Data([0x6C, 0x72, 0x3A, 0x20, 0xFF, 0xFE]).write(to: URL(fileURLWithPath: scratch.path("latin.yaml")))
    expectError(.configuration, "latin.yaml is not UTF-8 text") {
      _ = try TrainingConfiguration(file: scratch.path("latin.yaml"))
    }
    let path = try scratch.write("lr: 0.25\n", "good.yaml")
    #expect(try TrainingConfiguration(file: path).lr == 0.25)
  }

  @Test func nearestWords() {
    #expect(nearest(to: "momentun", in: ["momentum", "model"]) == "momentum")
    #expect(nearest(to: "", in: ["lr"]) == "lr")
    #expect(nearest(to: "something else", in: ["lr", "model"]) == nil)
    #expect(nearest(to: "x", in: []) == nil)
    #expect(nearest(to: "x", in: [""]) == "")
  }
}
