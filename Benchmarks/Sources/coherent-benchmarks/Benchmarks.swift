// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Datasets
import Foundation
import GradientMatrix
import NeuralNetworks
import Tensors
import Runs
import Training

/// Our side of `make bench`: what a user's run does, timed. The PyTorch side lies in Benchmarks/pytorch.
@main
struct Benchmarks: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "coherent-benchmarks")

  @Argument(
    help:
      "sgd-SIZES, robust-OPTIMIZER-SIZES, alpha-SIZES, pass-SIZES, evaluate-SIZES, decode or train-mnist, with SIZES such as 784-2048-10; or conv-WORK-MODEL with WORK an optimizer, alpha or pass, such as conv-sgd-resnet32; or tokens-WORK-MODEL with a transformer; or ranks-OPTIMIZER-MODEL, in as many processes as threads."
  ) var name: String
  @Flag(help: "No effect here: the output is JSON lines in any case.") var json = false
  @Option(help: "Threads for the mathematics.") var threads = 2
  @Option(help: "Timed samples, of which the median is reported.") var samples = 40
  @Option(help: "linear layers: auto, native or onednn.") var linear = "auto"
  @Option(help: "The folder with MNIST, for train-mnist, or with train/CLASS/..., for decode.") var dataDir: String?
  @Option(help: "Label noise, for train-mnist.") var noise = 0.0
  @Option(help: "Kind of noise, for train-mnist.") var noiseKind = "permute"
  @Option(help: "Steps, for train-mnist.") var steps = 2000
  @Option(help: "Examples m, for alpha and pass.") var examples = 50_000
  @Option(help: "Examples in a mini-batch, for robust and conv.") var batch = 100
  @Option(help: "Height and width of an image, for conv; 224 for ResNets made for it, else 32.") var image: Int?
  @Option(help: "Tokens of a sequence, for tokens.") var tokens = 64
  @Option(help: "Normalisation, for conv: batch or group:N.") var norm = "batch"
  @Option(help: "Steps between evaluations, for train-mnist.") var evalEvery = 500

  func run() throws {
    Runtime.keepFreedMemory()
    try Runtime.setThreadCount(threads)
    let parts = name.split(separator: "-").map(String.init)
    switch parts.first {
    case "conv", "tokens": try network()
    case "ranks": try ranked()
    case "robust": try robustStep()
    case "sgd": try sgdStep(sizes: parts.dropFirst())
    case "alpha": try alpha(sizes: parts.dropFirst())
    case "pass": try plainPass(sizes: parts.dropFirst())
    case "phases": try printPhases(of: Trainer.make(settings(sizes: parts.dropFirst())))
    case "evaluate": try evaluate(sizes: parts.dropFirst())
    case "decode": try decode()
    case "train" where name == "train-mnist": try trainMNIST()
    default: throw ValidationError("There is no benchmark \(name).")
    }
  }

  private func settings(sizes: ArraySlice<String>) throws -> TrainingConfiguration {
    guard sizes.first == "784", sizes.last == "10", sizes.count > 2 else {
      throw ValidationError("There is no benchmark \(name): sizes are 784-...-10.")
    }
    var settings = TrainingConfiguration()
    settings.dataset = "digits"
    settings.model = "mlp:" + sizes.dropFirst().dropLast().joined(separator: ",")
    settings.threads = threads
    settings.linear = linear
    settings.steps = 1_000_000
    return settings
  }

  /// Images from a folder, decoded by as many workers as there are threads.
  private func decode() throws {
    guard let dataDir else { throw ValidationError("Give the folder of pictures with --data-dir.") }
    let times = try decodeTimes(
      folder: dataDir, workers: threads, batch: 100, repeats: 40, samples: max(3, samples / 8))
    try Measurement(name: name, milliseconds: times, variant: "workers-\(threads)").print()
  }

  /// The training loop's own step, with its record of what was learned when.
  private func sgdStep(sizes: ArraySlice<String>) throws {
    let trainer = try Trainer.make(settings(sizes: sizes))
    let times = try timeSamples(samples) { _ = try trainer.update() }
    try Measurement(name: name, milliseconds: times, variant: linear).print()
  }

  /// robust-OPTIMIZER-SIZES: the training loop's own step with one of the optimizers.
  private func robustStep() throws {
    guard let cut = name.range(of: "-784-"), name.hasPrefix("robust-") else {
      throw ValidationError("There is no benchmark \(name): write robust-OPTIMIZER-784-...-10.")
    }
    let sizes = name[name.index(after: cut.lowerBound)...].split(separator: "-").map(String.init)
    var settings = try settings(sizes: sizes[...])
    settings.optimizer = String(name[..<cut.lowerBound].dropFirst("robust-".count))
    settings.batchSize = batch
    let trainer = try Trainer.make(settings)
    let times = try timeSamples(samples) { _ = try trainer.update() }
    try Measurement(name: name, milliseconds: times, variant: linear).print()
  }

  /// Loss and rank of every one of the 60 000 training examples.
  private func evaluate(sizes: ArraySlice<String>) throws {
    let trainer = try Trainer.make(settings(sizes: sizes))
    let evaluator = Evaluator(linearPolicy: trainer.linearPolicy, device: .cpu)
    let times = try timeSamples(max(5, samples / 4)) {
      _ = try evaluator.evaluate(
        trainer.model, on: trainer.data.train, indices: trainer.data.trainIndices,
        labels: trainer.data.labels.assigned)
    }
    try Measurement(name: name, milliseconds: times).print()
  }

  /// Coherence of m examples with all layers and intervals: milliseconds for the whole sample.
  private func alpha(sizes: ArraySlice<String>) throws {
    let trainer = try Trainer.make(settings(sizes: sizes))
    let plan = try GradientPlan(trainer.model, store: trainer.store, linearPolicy: trainer.linearPolicy)
    let data = trainer.data
    let probe = try ProbeSample(
      of: data.train, labels: data.labels.assigned, candidates: data.trainIndices, split: "train", count: examples,
      seed: 1)
    let times = try timeSamples(max(5, samples / 8)) { _ = try probe.coherence(plan) }
    try Measurement(name: name, milliseconds: times).print()
  }

  /// A plain forward and backward pass over the same examples in batches of 100.
  private func plainPass(sizes: ArraySlice<String>) throws {
    let trainer = try Trainer.make(settings(sizes: sizes))
    let context = ForwardContext(isTraining: true, usesGradientViews: true, linearPolicy: trainer.linearPolicy)
    let data = trainer.data
    let times = try timeSamples(max(5, samples / 8)) {
      for range in BatchSampler.sequential(count: examples, batchSize: 100) {
        let indices = Array(range)
        let targets = try Tensor(indices.map { data.labels.assigned[$0] })
        let losses = try trainer.model.forward(data.train.imageTensor(at: indices), in: context)
          .crossEntropy(targets: targets)
        try trainer.store.backward(losses, weights: Tensor.ones([indices.count]))
      }
    }
    try Measurement(name: name, milliseconds: times).print()
  }

  /// The label-noise run: milliseconds per step between evaluations, and the peak memory of the whole.
  private func trainMNIST() throws {
    var settings = TrainingConfiguration()
    settings.dataset = "mnist"
    settings.dataDir = dataDir
    settings.threads = threads
    settings.noise = noise
    settings.noiseKind = NoiseKind(rawValue: noiseKind) ?? .permute
    settings.steps = steps
    settings.linear = linear
    let trainer = try Trainer.make(settings)
    var times: [Double] = []
    while trainer.step < steps {
      let begun = DispatchTime.now().uptimeNanoseconds
      let stretch = min(evalEvery, steps - trainer.step)
      for _ in 0..<stretch { _ = try trainer.update() }
      times.append(Double(DispatchTime.now().uptimeNanoseconds - begun) / 1e6 / Double(stretch))
      _ = try trainer.evaluate()
    }
    try Measurement(name: name, milliseconds: times).print()
  }
}
