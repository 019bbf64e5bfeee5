// SPDX-License-Identifier: Apache-2.0

import Aggregation
import ArgumentParser
import GradientMatrix
import NeuralNetworks
import Tensors
import Runs
import Training

/// A convolutional network on a fixed synthetic batch: what one step, or one look at its examples, takes.
struct ConvolutionalWork {
  let model: any Module
  let store: ParameterStore
  let images: Tensor
  let labels: Tensor
  let batch: Int
  /// As in the training loop.
  let policy = LinearPolicy.suited(toVendor: Processor.current.vendor)

  init(model word: String, batch: Int, image: Int, norm: String) throws {
    let specification = try ModelSpecification(word)
    model = try specification.build(
      exampleShape: [3, image, image], classes: image > 64 ? 1000 : 10, norm: NormalizationChoice(norm),
      generator: Generator(seed: 1))
    store = try ParameterStore(model)
    images = try Tensor.normal([batch, 3, image, image], generator: Generator(seed: 2))
    labels = try Tensor((0..<batch).map { $0 % 10 })
    self.batch = batch
  }

  /// An update as the training loop makes it, without the gathering of the batch.
  func step(optimizer word: String) throws -> () throws -> Void {
    let step = try TrainingStep(
      model, store: store, aggregator: AggregatorSpecification(word).make(), linearPolicy: policy,
      generator: Generator(seed: 3))
    let optimizer = try SGD()
    return { [self] in
      let result = try step.aggregate(images) { try $0.crossEntropy(targets: self.labels) }
      _ = try step.didStep(isFinite: optimizer.step(store, result.aggregate, learningRate: 1e-3))
    }
  }

  /// Forward and backward with the usual weight gradients and frozen batch norm, over `examples` in batches.
  func plainPass(examples: Int) throws {
    let context = ForwardContext(isTraining: false, usesGradientViews: true, linearPolicy: policy)
    for _ in 0..<max(1, examples / batch) {
      let losses = try model.forward(images, in: context).crossEntropy(targets: labels)
      try store.backward(losses, weights: Tensor.ones([batch]))
    }
  }

  /// Row norms and the sum of the gradients over as many examples: all that coherence is made of.
  func coherence(examples: Int, plan: GradientPlan, sum: Tensor) throws {
    for _ in 0..<max(1, examples / batch) {
      let matrix = try GradientMatrix(plan, input: images) { try $0.crossEntropy(targets: labels) }
      _ = try matrix.rowSquaredNorms(addingColumnSumTo: sum, accumulating: true)
    }
  }
}

extension Benchmarks {
  /// conv-WORK-MODEL with WORK an optimizer, `alpha` or `pass`, and MODEL a word such as resnet32.
  func convolutional() throws {
    let parts = name.split(separator: "-", maxSplits: 2).map(String.init)
    guard parts.count == 3 else {
      throw ValidationError("There is no benchmark \(name): write conv-WORK-MODEL, such as conv-sgd-resnet32.")
    }
    let side = image ?? (["resnet18", "resnet50", "resnet34"].contains(parts[2]) ? 224 : 32)
    let work = try ConvolutionalWork(model: parts[2], batch: batch, image: side, norm: norm)
    let times: [Double]
    switch parts[1] {
    case "pass": times = try timeSamples(samples) { try work.plainPass(examples: examples) }
    case "alpha":
      let plan = try GradientPlan(work.model, store: work.store, linearPolicy: work.policy)
      let sum = try Tensor.zeros([work.store.count])
      times = try timeSamples(samples) { try work.coherence(examples: examples, plan: plan, sum: sum) }
    default: times = try timeSamples(samples, try work.step(optimizer: parts[1]))
    }
    try Measurement(name: name, milliseconds: times).print()
  }
}
