// SPDX-License-Identifier: Apache-2.0

import Foundation
import NeuralNetworks
import Tensors
import TestSupport
import Testing

@Suite struct PretrainedWeightsTests {
  private static let specification = Result { try ModelSpecification("resnet20") }

  private func resnet(classes: Int = 10, norm: NormalizationChoice = .batch, seed: UInt64 = 1) throws -> any Module {
    try Self.specification.get().build(
      exampleShape: [3, 8, 8], classes: classes, norm: norm, generator: Generator(seed: seed))
  }

  private func state(_ model: any Module) -> [(name: String, tensor: Tensor)] {
    model.namedParameters.map { ($0.name, $0.parameter.value) } + model.namedBuffers.map { ($0.name, $0.buffer.value) }
  }

  private func tensors(_ model: any Module) -> [String: Tensor] {
    Dictionary(state(model).map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
  }

  private func load(_ tensors: [String: Tensor], into model: any Module, head: HeadPolicy = .require) throws {
    try PretrainedWeights(tensors: tensors, source: "w").load(into: model, Self.specification.get(), head: head)
  }

  private func expectRefusal(_ words: [String], _ body: () throws -> Void) {
    #expect {
      try body()
    } throws: { error in
      guard let text = (error as? ModelError)?.description else { return false }
      return words.allSatisfy { text.contains($0) }
    }
  }

  /// Through a file, with torchvision's counters in it, which are passed over.
  @Test func roundTrip() throws {
    let (source, target) = (try resnet(), try resnet(seed: 2))
    let counters = try source.namedBuffers.filter { $0.name.hasSuffix("running_mean") }.map {
      (String($0.name.dropLast("running_mean".count)) + "num_batches_tracked", try Tensor([7]).reshape([]))
    }
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("weights-\(UUID()).safetensors")
    defer { try? FileManager.default.removeItem(at: file) }
    try Safetensors.encode(state(source) + counters).write(to: file)
    try PretrainedWeights(file: file.path).load(into: target, Self.specification.get())
    for (one, other) in zip(state(source), state(target)) { try expectIdentical(one.tensor, other.tensor) }

    let whole = try Data(contentsOf: file)
    try whole.dropLast(100).write(to: file)
    expectRefusal([file.path, "cut off"]) { _ = try PretrainedWeights(file: file.path) }
    try Data("PK\u{3}\u{4} not safetensors at all".utf8).write(to: file)
    expectRefusal([file.path, "pickle", "safetensors.torch"]) { _ = try PretrainedWeights(file: file.path) }
    try Data().write(to: file)
    expectRefusal([file.path, "not a complete safetensors"]) { _ = try PretrainedWeights(file: file.path) }
    expectRefusal(["no weights file", "nowhere"]) { _ = try PretrainedWeights(file: "/nowhere/weights") }
    expectRefusal(["cannot be read"]) { _ = try PretrainedWeights(file: "/") }
  }

  @Test(arguments: [DType.float16, .bfloat16, .float64]) func otherTypesAreConverted(_ dtype: DType) throws {
    let (source, target) = (try resnet(), try resnet(seed: 2))
    try load(tensors(source).mapValues { try $0.detach().to(dtype) }, into: target)
    for (one, other) in zip(state(source), state(target)) {
      #expect(try other.tensor.dtype == .float32)
      try expectIdentical(one.tensor.detach().to(dtype).to(.float32), other.tensor.detach())
    }
  }

  @Test func whatDoesNotFitIsListed() throws {
    let model = try resnet()
    let before = try bytes(of: model.namedParameters[0].parameter.value)
    var given = try tensors(resnet(seed: 2))
    given["conv1.weight"] = nil
    given["conv9.weight"] = try Tensor.zeros([1])
    given["layer1.0.conv1.weight"] = try Tensor.zeros([16, 16, 5, 5])
    given["layer1.0.conv2.weight"] = try Tensor.zeros([16, 16, 3, 3], dtype: .int64)
    expectRefusal([
      "lacks 1 tensors", "conv1.weight", "1 of its tensors belong", "conv9.weight", "2 differ", "[16, 16, 5, 5]",
      "int64", "resnet20",
    ]) { try load(given, into: model) }
    #expect(try bytes(of: model.namedParameters[0].parameter.value) == before)

    let other = try ModelSpecification("resnet18-32").build(
      exampleShape: [3, 8, 8], classes: 10, generator: Generator(seed: 1))
    expectRefusal(["and", "more)", "the file looks like the weights of resnet18-32: use model resnet18-32"]) {
      try load(tensors(other), into: model)
    }
    var unlike = tensors(other)
    unlike["layer9.weight"] = try Tensor.zeros([1])
    expectRefusal(["and", "more)", "check that the file belongs to resnet20"]) { try load(unlike, into: model) }
    expectRefusal(["running_mean", "see norm"]) { try load(tensors(resnet(norm: .group(4))), into: model) }
    expectRefusal(["running_mean", "see norm"]) { try load(tensors(model), into: resnet(norm: .group(4))) }
  }

  /// A deeper network has every layer of the other, and more: its normalisation is no other one.
  @Test func deeperWeightsAreNamed() throws {
    func build(_ name: String, classes: Int) throws -> any Module {
      try ModelSpecification(name).build(
        exampleShape: [3, 32, 32], classes: classes, initializer: .pytorch, generator: Generator(seed: 1))
    }
    let deep = try build("resnet34", classes: 3)
    let given = try PretrainedWeights(tensors: tensors(deep), source: "w")
    #expect {
      try given.load(into: build("resnet18", classes: 3), ModelSpecification("resnet18"))
    } throws: { error in
      let text = (error as? ModelError)?.description ?? ""
      return text.contains("belong to no layer (layer1.2.") && text.contains("looks like the weights of resnet34")
        && !text.contains("norm is") && !text.contains("normalisation")
    }
    #expect {
      try PretrainedWeights(tensors: tensors(build("resnet18", classes: 5)), source: "w")
        .load(into: deep, ModelSpecification("resnet34"))
    } throws: { ($0 as? ModelError)?.description.contains("looks like the weights of resnet18:") == true }
  }

  @Test func theHeadCanStay() throws {
    let (source, target) = (try resnet(classes: 5), try resnet(seed: 2))
    let head = try #require(try tensors(target)["fc.weight"]?.clone())
    expectRefusal(["fc.weight: [5, 64] in the file, [10, 64] in the model", "--weights-head replace"]) {
      try load(tensors(source), into: target)
    }
    try load(tensors(source), into: target, head: .replace)
    try expectIdentical(#require(tensors(target)["fc.weight"]).detach(), head.detach())
    try expectIdentical(
      #require(tensors(target)["conv1.weight"]).detach(), #require(tensors(source)["conv1.weight"]).detach())
    let headless = tensors(source).filter { !$0.key.hasPrefix("fc.") }
    expectRefusal(["lacks 2 tensors", "--weights-head replace"]) { try load(headless, into: target) }
    try load(headless, into: target, head: .replace)
  }
}
