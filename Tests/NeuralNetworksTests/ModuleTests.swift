// SPDX-License-Identifier: Apache-2.0

import Tensors
import TestSupport
import Testing

@testable import NeuralNetworks

/// Two layers that share their weight, and a buffer.
private final class Tied: Module {
  let first: Linear
  let weight: Parameter
  let own: Parameter
  let statistics: Buffer

  init(width: Int) throws {
    first = try Linear(inputs: width, outputs: width, hasBias: false, generator: Generator(seed: 1))
    weight = first.weight
    own = try Parameter(Tensor.ones([width]))
    statistics = Buffer(try Tensor.zeros([width]))
  }

  var members: [ModuleMember] {
    [
      .module("first", first), .parameter("weight", weight), .parameter("own", own), .parameter("again", own),
      .buffer("statistics", statistics), .module("inner", Sequential(Flatten(), first)),
    ]
  }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    let hidden = try first.forward(input, relu: true, in: context)
    return try hidden.matmul(context.value(of: weight).transpose()) * context.value(of: own)
  }
}

private func model(_ text: String, inputs: Int, classes: Int, seed: UInt64 = 1) throws -> any Module {
  try ModelSpecification(text).build(
    exampleShape: [inputs], classes: classes, initializer: .xavier, generator: Generator(seed: seed))
}

@Suite struct ModuleTests {
  @Test func namesAreDotted() throws {
    let model = try model("mlp:4,3", inputs: 6, classes: 2)
    #expect(
      model.namedParameters.map(\.name)
        == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias"])
    #expect(model.namedParameters.map(\.parameter.shape) == [[4, 6], [4], [3, 4], [3], [2, 3], [2]])
    #expect(model.namedModules.map(\.name) == ["", "flatten", "fc1", "relu1", "fc2", "relu2", "fc3"])
    #expect(model.parameterCount == 28 + 15 + 8)
    #expect(model.namedBuffers.isEmpty)
    let nested = Sequential(Sequential(Flatten(), Activation(.relu)), model)
    #expect(nested.namedParameters.first?.name == "1.fc1.weight")
    #expect(nested.namedModules.map(\.name).prefix(4) == ["", "0", "0.0", "0.1"])
  }

  @Test func sharedParametersCountOnce() throws {
    let tied = try Tied(width: 3)
    #expect(tied.namedParameters.map(\.name) == ["first.weight", "own"])
    #expect(tied.parameterCount == 12)
    #expect(tied.namedBuffers.map(\.name) == ["statistics"])
    #expect(try ParameterStore(tied).count == 12)
  }

  @Test func parametersAreLeaves() throws {
    let source = try leaf(Tensor([1.0, 2]))
    let parameter = try Parameter(source * 2)
    #expect(parameter.value.requiresGradient && parameter.shape == [2] && parameter.count == 2)
    let gradient = try parameter.value.sum().gradients(withRespectTo: [parameter.value])[0]
    try expectClose(#require(gradient), [1, 1], shape: [2])
    #expect(throws: TensorError.self) { try Parameter(Tensor([1, 2])) }
  }
}

@Suite struct ParameterStoreTests {
  @Test func valuesAreViewsOfTheFlatBuffer() throws {
    try withLeakCheck {
      let model = try model("mlp:4", inputs: 3, classes: 2)
      let before = try model.namedParameters.flatMap { try $0.parameter.value.values(as: Float.self) }
      let store = try ParameterStore(model)
      #expect(try store.values.values() == before)
      #expect(store.entries.map(\.range) == [0..<12, 12..<16, 16..<24, 24..<26])
      #expect(store.count == 26)
      try store.values.fill(7)
      for entry in store.entries {
        #expect(try entry.parameter.value.values(as: Float.self).allSatisfy { $0 == 7 })
        #expect(entry.parameter.value.requiresGradient)
        try entry.parameter.value.fill(Double(entry.range.lowerBound))
      }
      #expect(try store.values.values(as: Float.self).last == 24)
      #expect(!store.values.requiresGradient)
    }
  }

  @Test func gradientsAgreeWithAutograd() throws {
    for policy in LinearPolicy.Rule.allCases.map({ LinearPolicy(rule: $0, threshold: 100) }) {
      let model = try model("mlp:17,9", inputs: 11, classes: 4)
      let store = try ParameterStore(model)
      let x = try randomTensor([5, 11], seed: 2)
      let targets = try randomTargets(5, classes: 4, seed: 3)
      let plain = ForwardContext(isTraining: true, linearPolicy: policy)
      let expected = try crossEntropy(model.forward(x, in: plain), targets)
        .gradients(withRespectTo: store.entries.map(\.parameter.value))
      let gradientViews = ForwardContext(isTraining: true, usesGradientViews: true, linearPolicy: policy)
      try withLeakCheck {
        for _ in 0..<2 {
          try store.gradient.fill(.nan)
          try store.backward(crossEntropy(model.forward(x, in: gradientViews), targets))
          for (entry, gradient) in zip(store.entries, expected) {
            let found = try store.gradient.narrow(0, from: entry.range.lowerBound, length: entry.range.count)
            try expectClose(found.reshape(entry.parameter.shape), #require(gradient), rtol: 1e-5, atol: 1e-6)
          }
        }
      }
    }
  }

  @Test func gradientsAgreeWithDifferences() throws {
    let model = try model("mlp:5,4", inputs: 3, classes: 3)
    for (_, parameter) in model.namedParameters { parameter.value = try leaf(parameter.value) }
    let store = try ParameterStore(model)
    #expect(try store.values.dtype == .float64)
    let x = try randomTensor([4, 3], seed: 5, dtype: .float64)
    let targets = try randomTargets(4, classes: 3, seed: 6)
    let context = ForwardContext(isTraining: true, usesGradientViews: true)
    try store.backward(crossEntropy(model.forward(x, in: context), targets, reduction: .sum))
    let start = try store.values.clone()
    let numeric = try numericGradient(at: start) { point in
      try store.values.copy(from: point)
      return try crossEntropy(model.forward(x, in: .evaluation()), targets, reduction: .sum).item()
    }
    try expectClose(store.gradient, numeric, rtol: 1e-6, atol: 1e-8)
  }

  @Test func sharedParametersAddUp() throws {
    let tied = try Tied(width: 3)
    let store = try ParameterStore(tied)
    let x = try randomTensor([2, 3], seed: 4)
    let values = store.entries.map(\.parameter.value)
    let expected = try tied.forward(x, in: .evaluation()).squared().sum().gradients(withRespectTo: values)
    for rule in LinearPolicy.Rule.allCases {
      let context = ForwardContext(isTraining: true, usesGradientViews: true, linearPolicy: LinearPolicy(rule: rule))
      try store.backward(tied.forward(x, in: context).squared().sum())
      let flat = try Tensor.concatenate(expected.map { try #require($0).reshape([-1]) })
      try expectClose(store.gradient, flat, rtol: 1e-5, atol: 1e-6)
    }
  }

  @Test func whatTheLossDoesNotNeedGetsZero() throws {
    let used = try Linear(inputs: 2, outputs: 2, generator: Generator(seed: 1))
    let unused = try Linear(inputs: 2, outputs: 2, generator: Generator(seed: 2))
    let store = try ParameterStore(Sequential(used, unused))
    store.allowsUnusedParameters = true
    try store.gradient.fill(.nan)
    let context = ForwardContext(isTraining: true, usesGradientViews: true)
    try store.backward(used.forward(Tensor.ones([3, 2]), in: context).sum())
    try expectClose(store.gradient, [3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0, 0], shape: [12])
    let losses = try used.forward(Tensor.ones([2, 2]), in: context).sum([1])
    try store.backward(losses, weights: Tensor([Float(0.25), 0.5]))
    try expectClose(store.gradient.narrow(0, from: 4, length: 4), [0.75, 0.75, 0, 0], shape: [4])
  }

  @Test func forgottenSinksAreAnError() throws {
    let layer = try Linear(inputs: 2, outputs: 1, generator: Generator(seed: 1))
    let store = try ParameterStore(layer)
    let loss = try layer.forward(Tensor.ones([1, 2]), in: ForwardContext(isTraining: true)).sum()
    #expect(throws: TensorError.self) { try store.backward(loss) }
    let unrecorded = try withoutGradients {
      try layer.forward(Tensor.ones([1, 2]), in: ForwardContext(isTraining: true, usesGradientViews: true)).sum()
    }
    #expect(throws: TensorError.self) { try store.backward(unrecorded) }
  }

  @Test func mixedTypesAreRefusedUntouched() throws {
    let first = try Linear(inputs: 2, outputs: 1, hasBias: false, generator: Generator(seed: 1))
    let second = try Linear(inputs: 2, outputs: 1, hasBias: false, generator: Generator(seed: 1))
    second.weight.value = try leaf(second.weight.value)
    expectTensorError(.type, "ParameterStore", operands: ["float64 [1, 2]"], containing: "1.weight") {
      try ParameterStore(Sequential(first, second))
    }
    #expect(first.weight.gradientView == nil)
    #expect(try ParameterStore(Flatten()).count == 0)
  }

  @Test func buffersKeepTheirValues() throws {
    let tied = try Tied(width: 3)
    try tied.statistics.value.fill(2)
    _ = try ParameterStore(tied)
    try expectClose(tied.statistics.value, [2, 2, 2], shape: [3])
  }
}
