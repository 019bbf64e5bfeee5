// SPDX-License-Identifier: Apache-2.0

import Aggregation
import ArgumentParser
import GradientMatrix
import NeuralNetworks
import Tensors
import Runs
import Training

/// A network on a fixed synthetic batch: what one step, or one look at its examples, takes.
struct NetworkWork {
  let model: any Module
  let store: ParameterStore
  let inputs: Tensor
  let labels: Tensor
  let batch: Int
  /// As in the training loop.
  let policy = LinearPolicy.suited(toVendor: Processor.current.vendor)

  /// On images.
  init(model word: String, batch: Int, image: Int, norm: String) throws {
    model = try ModelSpecification(word).build(
      exampleShape: [3, image, image], classes: image > 64 ? 1000 : 10, norm: NormalizationChoice(norm),
      generator: Generator(seed: 1))
    inputs = try Tensor.normal([batch, 3, image, image], generator: Generator(seed: 2))
    labels = try Tensor((0..<batch).map { $0 % 10 })
    (store, self.batch) = (try ParameterStore(model), batch)
  }

  /// On sequences of bytes, every token predicted.
  init(model word: String, batch: Int, tokens: Int) throws {
    let vocabulary = 256
    model = try ModelSpecification(word).build(
      exampleShape: [tokens], classes: vocabulary, vocabulary: vocabulary, predictsAll: true,
      generator: Generator(seed: 1))
    // As the twin's: every second token is the one before, so that tokens occur more than once.
    let places = 0..<batch * tokens
    inputs = try Tensor(places.map { Float($0 / 2 * 7919 % vocabulary) }).reshape([batch, tokens])
    labels = try Tensor((0..<batch).map { $0 * 31 % vocabulary })
    (store, self.batch) = (try ParameterStore(model), batch)
  }

  /// An update as the training loop makes it, without the gathering of the batch.
  func step(optimizer word: String) throws -> () throws -> Void {
    let aggregator = try AggregatorSpecification(word).make()
    try aggregator.prepare(
      for: AggregatedRun(exampleCount: 100 * batch, batchSize: batch, plannedSteps: 1000, seed: 1))
    let step = try TrainingStep(
      model, store: store, aggregator: aggregator, linearPolicy: policy, generator: Generator(seed: 3))
    let optimizer = try SGD()
    return { [self] in
      let result = try step.aggregate(inputs) { try $0.crossEntropy(targets: self.labels) }
      _ = try step.didStep(isFinite: optimizer.step(store, result.aggregate, learningRate: 1e-3))
    }
  }

  /// Forward and backward with the usual weight gradients and frozen batch norm, over `examples` in batches.
  func plainPass(examples: Int) throws {
    let context = ForwardContext(isTraining: false, usesGradientViews: true, linearPolicy: policy)
    for _ in 0..<max(1, examples / batch) {
      let losses = try model.forward(inputs, in: context).crossEntropy(targets: labels)
      try store.backward(context.completed(losses), weights: Tensor.ones([batch]))
    }
  }

  /// Row norms and the sum of the gradients over as many examples: all that coherence is made of.
  func coherence(examples: Int, plan: GradientPlan, sum: Tensor) throws {
    for _ in 0..<max(1, examples / batch) {
      let matrix = try GradientMatrix(plan, input: inputs) { try $0.crossEntropy(targets: labels) }
      _ = try matrix.rowSquaredNorms(addingColumnSumTo: sum, accumulating: true)
    }
  }
}

extension Benchmarks {
  /// conv-WORK-MODEL or tokens-WORK-MODEL with WORK an optimizer, `alpha` or `pass`, and MODEL a word such as resnet32 or
  /// transformer:layers=2,width=128,heads=4.
  func network() throws {
    let (kind, work, word) = try kindWorkAndModel()
    let side = image ?? (["resnet18", "resnet50", "resnet34"].contains(word) ? 224 : 32)
    let network =
      try kind == "tokens"
      ? NetworkWork(model: word, batch: batch, tokens: tokens)
      : NetworkWork(model: word, batch: batch, image: side, norm: norm)
    let times: [Double]
    switch work {
    case "pass": times = try timeSamples(samples) { try network.plainPass(examples: examples) }
    case "alpha":
      let plan = try GradientPlan(network.model, store: network.store, linearPolicy: network.policy)
      let sum = try Tensor.zeros([network.store.count])
      times = try timeSamples(samples) { try network.coherence(examples: examples, plan: plan, sum: sum) }
    default: times = try timeSamples(samples, try network.step(optimizer: work))
    }
    try Measurement(name: name, milliseconds: times).print()
  }

  /// KIND-WORK-MODEL taken apart: words of work and of models have hyphens of their own, and the longest end that is a model
  /// is meant.
  func kindWorkAndModel() throws -> (kind: String, work: String, model: String) {
    let parts = name.split(separator: "-").map(String.init)
    for cut in parts.indices.dropFirst(2) {
      let word = parts[cut...].joined(separator: "-")
      if (try? ModelSpecification(word)) != nil { return (parts[0], parts[1..<cut].joined(separator: "-"), word) }
    }
    throw ValidationError("There is no benchmark \(name): write KIND-WORK-MODEL, such as conv-sgd-resnet32.")
  }
}
