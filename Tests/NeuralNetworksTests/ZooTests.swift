// SPDX-License-Identifier: Apache-2.0

import Tensors
import TestSupport
import Testing

@testable import NeuralNetworks

@Suite struct ZooTests {
  @Test(arguments: [
    ("inception_v3", [3, 64, 80], ["inception_v3 needs images of at least 75×75", "64×80"]),
    ("vgg11", [1, 28, 28], ["at least 32×32", "digits has 28×28"]), ("resnet20", [784], ["needs images", "784"]),
  ]) func smallImagesAreRefused(_ word: String, _ shape: [Int], _ words: [String]) throws {
    #expect {
      try ModelSpecification(word).check(exampleShape: shape, of: "digits")
    } throws: { error in
      words.allSatisfy { "\(error)".contains($0) }
    }
    #expect(throws: ModelError.self) {
      try ModelSpecification(word).build(exampleShape: shape, classes: 10, generator: Generator(seed: 1))
    }
  }

  @Test func unknownWords() {
    #expect {
      try ModelSpecification("resnet23")
    } throws: { error in
      ["did you mean \"resnet20\"", "mlp:WIDTH", "alexnet"].allSatisfy { "\(error)".contains($0) }
    }
    #expect(ModelCatalog.all.count == 30)
    for word in ["group", "group:0", "group:-1", "group:8 ", "group:x", "none", "", "Batch", "group:08"] {
      #expect(throws: ModelError.self) { try NormalizationChoice(word) }
    }
  }

  @Test func normalisationIsChosen() throws {
    let word = try ModelSpecification("resnet20")
    let model = try word.build(
      exampleShape: [1, 9, 7], classes: 3, norm: NormalizationChoice("group:8"), generator: Generator(seed: 1))
    #expect(model.namedBuffers.isEmpty && model.namedParameters[0].parameter.shape == [16, 1, 3, 3])
    #expect(try model.forward(Tensor.zeros([2, 1, 9, 7]), in: .evaluation()).shape == [2, 3])
    func expectRefusal(_ word: String, _ norm: String, _ words: String...) {
      #expect {
        try ModelSpecification(word).build(
          exampleShape: [3, 64, 64], classes: 3, norm: NormalizationChoice(norm), generator: Generator(seed: 1))
      } throws: { error in
        words.allSatisfy { "\(error)".contains($0) }
      }
    }
    expectRefusal("resnet20", "group:5", "bn1", "16 channels", "group:4")
    expectRefusal("efficientnet_b0", "group:32", "features.1.0.block.", "group:16")
    expectRefusal("vgg11", "group:8", "vgg11_bn")
    expectRefusal("mlp:3", "group:8", "no normalisation")
  }

  /// Frozen batch norm: training goes by the running statistics, which couple no examples, and leaves them alone.
  @Test(arguments: [false, true]) func frozenNormalisation(_ isChannelsLast: Bool) throws {
    let model = try ModelSpecification("resnet20").build(
      exampleShape: [3, 9, 7], classes: 3, norm: NormalizationChoice("frozen"), generator: Generator(seed: 1))
    let store = try ParameterStore(model)
    let generator = try Generator(seed: 2)
    for (name, buffer) in model.namedBuffers {
      let drawn = try Tensor.uniform(buffer.value.shape, 0.5, 1.5, generator: generator)
      buffer.value = try name.hasSuffix("running_var") ? drawn : drawn + -1
    }
    let before: [[Float]] = try model.namedBuffers.map { try $0.buffer.value.values() }
    let plain = try Tensor.normal([3, 3, 9, 7], generator: generator)
    let input = try isChannelsLast ? plain.channelsLast() : plain
    let targets = try Tensor([0, 2, 1])
    let training = ForwardContext(isTraining: true, usesGradientViews: true)
    try store.backward(crossEntropy(model.forward(input, in: training), targets))
    let together: [Float] = try store.gradient.values()
    var apart = [Float](repeating: 0, count: together.count)
    for (index, target) in [0, 2, 1].enumerated() {
      let one = try input.narrow(0, from: index, length: 1)
      try store.backward(crossEntropy(model.forward(one, in: training), Tensor([target])))
      for (place, value) in try store.gradient.values(as: Float.self).enumerated() { apart[place] += value / 3 }
    }
    let largest = together.map(abs).max() ?? 0
    #expect(largest > 0 && zip(together, apart).allSatisfy { abs($0 - $1) < 1e-4 * largest })
    let after: [[Float]] = try model.namedBuffers.map { try $0.buffer.value.values() }
    #expect(after == before)
    try expectClose(model.forward(input, in: training), model.forward(input, in: .evaluation()))
  }

  /// Pooling by hand, and memory order.
  @Test func pooling() throws {
    let x = try Tensor((0..<32).map { Float($0) }, shape: [1, 2, 4, 4])
    try expectClose(
      MaxPool2d(kernel: 3, stride: 2).forward(x, in: .evaluation()), [10, 26], shape: [1, 2, 1, 1])
    try expectClose(
      x.maxPool(PoolingGeometry(kernel: 3, stride: 2, roundsUp: true)), [10, 11, 14, 15, 26, 27, 30, 31],
      shape: [1, 2, 2, 2])
    let corner = try PoolingGeometry(kernel: 3, stride: 3, padding: 1)
    try expectClose(
      x.averagePool(corner).narrow(1, from: 0, length: 1),
      [(0 + 1 + 4 + 5) / 9.0, (2 + 3 + 6 + 7) / 9.0, (8 + 9 + 12 + 13) / 9.0, (10 + 11 + 14 + 15) / 9.0],
      shape: [1, 1, 2, 2], rtol: 1e-6)
    try expectClose(
      x.averagePool(corner, countsPadding: false).narrow(2, from: 0, length: 1).narrow(1, from: 0, length: 1),
      [2.5, 4.5], shape: [1, 1, 1, 2], rtol: 1e-6)
    try expectClose(AdaptiveAveragePool2d().forward(x, in: .evaluation()), [7.5, 23.5], shape: [1, 2, 1, 1])
    try expectClose(
      x.paddedShortcut(stride: 2, channels: 3), [0, 2, 8, 10, 16, 18, 24, 26, 0, 0, 0, 0], shape: [1, 3, 2, 2])
    try expectClose(
      Concatenation([("a", Identity()), ("b", Residual(Identity()))]).forward(x, in: .evaluation()).sum([0, 2, 3]),
      [120, 376, 240, 752], shape: [4])
    for padding in [-1, 2] {
      expectTensorError(.invalid, "PoolingGeometry") { try PoolingGeometry(kernel: 3, padding: padding) }
    }
    expectTensorError(.invalid, "PoolingGeometry") { try PoolingGeometry(kernel: 0) }
    expectTensorError(.invalid, "ConvolutionGeometry") { try ConvolutionGeometry(kernel: 0) }
    #expect(try PoolingGeometry(kernel: [2, 3]) == PoolingGeometry(kernel: [2, 3], stride: [2, 3]))
    #expect(
      try ConvolutionGeometry(kernel: 3, stride: 2, padding: 1)
        == ConvolutionGeometry(kernel: [3, 3], stride: [2, 2], padding: [1, 1]))
    #expect(try AveragePool2d(kernel: 2, stride: 1).geometry == PoolingGeometry(kernel: 2, stride: 1))
    let convolution = try Conv2d(inputs: 2, outputs: 3, kernel: 3, stride: 2, padding: 1, generator: Generator(seed: 1))
    #expect(convolution.weight.shape == [3, 2, 3, 3])
    #expect(try convolution.forward(x, in: .evaluation()).shape == [1, 3, 2, 2])
    expectTensorError(.invalid, "maxPool") { try x.maxPool(PoolingGeometry(kernel: 5)) }
    expectTensorError(.invalid, "paddedShortcut") { try x.paddedShortcut(stride: 0, channels: 2) }
    expectTensorError(.invalid, "paddedShortcut") { try x.paddedShortcut(stride: 1, channels: 1) }
  }

  private final class Identity: Module {
    var members: [ModuleMember] { [] }
    func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor { input }
  }

  @Test func stochasticDepthDropsWholeExamples() throws {
    let x = try Tensor.ones([2000, 3, 1, 2])
    let layer = try StochasticDepth(probability: 0.25)
    func draw(_ seed: UInt64) throws -> Tensor {
      try layer.forward(x, in: ForwardContext(isTraining: true, generator: Generator(seed: seed)))
    }
    let rows: [Float] = try draw(1).reshape([2000, 6]).mean([1]).values()
    #expect(rows.allSatisfy { $0 == 0 || abs($0 - 4.0 / 3) < 1e-6 })
    let kept = Double(rows.filter { $0 != 0 }.count)
    #expect(abs(kept - 1500) < 5 * (2000 * 0.25 * 0.75).squareRoot())
    try expectIdentical(draw(1), draw(1))
    try expectIdentical(layer.forward(x, in: .evaluation()), x)
    expectTensorError(.invalid, "StochasticDepth") { try layer.forward(x, in: ForwardContext(isTraining: true)) }
    expectTensorError(.invalid, "StochasticDepth") { try StochasticDepth(probability: 1) }
  }

  /// 2·MACs by hand for the first and last layer; parameters as published.
  @Test func summaries() throws {
    let model = try ModelSpecification("resnet20").build(
      exampleShape: [3, 32, 32], classes: 10, generator: Generator(seed: 1))
    let summary = try ModelSummary(of: model, exampleShape: [3, 32, 32])
    #expect(summary.parameters == model.parameterCount && summary.parameters == 269_722)
    let first = try #require(summary.layers.first)
    #expect(first.name == "conv1" && first.kind == "Conv2d" && first.outputShape == [16, 32, 32])
    #expect(first.flops == 2 * 16 * 27 * 32 * 32 && first.parameters == 432)
    #expect(summary.layers.last?.name == "fc" && summary.layers.last?.flops == 2 * 64 * 10)
    // 40.6 million multiplications and additions, as often reported.
    #expect(abs(Double(summary.flops) / 2e6 - 40.55) < 0.1)
    #expect(summary.layers.reduce(0) { $0 + $1.parameters } == summary.parameters)
  }

  @Test func activationMemory() throws {
    let model = try ModelSpecification("resnet20").build(
      exampleShape: [3, 32, 32], classes: 10, generator: Generator(seed: 1))
    let store = try ParameterStore(model)
    let statistics = try bytes(of: model.namedBuffers[0].buffer.value)
    let memory = try ActivationMemory(of: model, store: store, exampleShape: [3, 32, 32])
    #expect(try bytes(of: model.namedBuffers[0].buffer.value) == statistics)
    // Every convolution's input and every normalisation's input and output at least once, of 4 bytes.
    let least = 4 * (14 * 16 * 32 * 32 + 12 * 32 * 16 * 16 + 12 * 64 * 8 * 8)
    #expect(memory.keptPerExample > least / 2 && memory.keptPerExample < 2 * least)
    #expect(memory.trainingBytes(10) >= 10 * memory.keptPerExample)
    #expect(memory.evaluationBytes(100) < memory.trainingBytes(100) / 2)
    #expect(memory.evaluationBytes(100) >= 100 * 2 * 4 * 16 * 32 * 32)
    let chunk = memory.evaluationChunk(maximum: 1000, budget: 10 << 20)
    #expect(memory.evaluationBytes(chunk) <= 10 << 20 && memory.evaluationBytes(chunk + 1) > 10 << 20)
    #expect(memory.evaluationChunk(maximum: 5) == 5 && memory.trainingChunk(maximum: 100, budget: 1) == 1)
  }

  /// At 32×32 the last stage of ResNet-18 is a single pixel, which alone has no batch statistics.
  @Test func theSmallestImagesCanBeMeasured() throws {
    let model = try ModelSpecification("resnet18").build(
      exampleShape: [3, 32, 32], classes: 10, generator: Generator(seed: 1))
    let memory = try ActivationMemory(of: model, store: ParameterStore(model), exampleShape: [3, 32, 32])
    #expect(memory.trainingBytes(64) > memory.trainingBytes(32))
  }
}
