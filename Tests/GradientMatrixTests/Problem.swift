// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import GradientMatrix
import NeuralNetworks
import Tensors
import Testing

/// A named model with a batch and a loss, on which every operation of the gradient matrix is compared with autograd on
/// batches of one.
struct Problem: Sendable, CustomTestStringConvertible {
  /// What a problem consists of once it is made.
  struct Parts {
    var model: any Module
    var input: Tensor
    /// The loss of each example; quadratic in the output unless said otherwise.
    var losses: ((Tensor) throws -> Tensor)?
    var batchNormPolicy = BatchNormPolicy.running
    var linearPolicy = LinearPolicy.native
    var unknownLayers = UnknownLayers.refuse
    var allowsUnusedParameters = false
    /// What happens between the gradient matrix and its oracle.
    var beforeOracle: () throws -> Void = {}

    /// The model's parameters in a store.
    func store(dtype: DType? = nil) throws -> ParameterStore {
      let store = try ParameterStore(model, dtype: dtype)
      store.allowsUnusedParameters = allowsUnusedParameters
      return store
    }
  }

  let name: String
  let make: @Sendable (Source) throws -> Parts

  init(_ name: String, _ make: @escaping @Sendable (Source) throws -> Parts) {
    self.name = name
    self.make = make
  }

  var testDescription: String { name }

  static let all: [Problem] =
    linear + convolution + normalization + gated + sharing + special + transformers
}

/// The seeded numbers of a problem.
struct Source {
  let generator: Generator
  let dtype: DType

  init(seed: UInt64 = 1, dtype: DType) throws {
    generator = try Generator(seed: seed)
    self.dtype = dtype
  }

  /// Standard normal draws.
  func normal(_ shape: [Int]) throws -> Tensor { try .normal(shape, dtype: dtype, generator: generator) }

  func linear(_ inputs: Int, _ outputs: Int, bias: Bool = true) throws -> Linear {
    try Linear(
      inputs: inputs, outputs: outputs, hasBias: bias, initializer: bias ? .pytorch : .xavier, generator: generator)
  }

  func convolution(
    _ inputs: Int, _ outputs: Int, _ kernel: [Int], stride: [Int] = [1, 1], padding: [Int] = [0, 0],
    dilation: [Int] = [1, 1], groups: Int = 1, bias: Bool = true
  ) throws -> Conv2d {
    try Conv2d(
      inputs: inputs, outputs: outputs,
      geometry: ConvolutionGeometry(
        kernel: kernel, stride: stride, padding: padding, dilation: dilation, groups: groups),
      hasBias: bias, initializer: bias ? .pytorch : .kaiming, generator: generator)
  }

  /// Overwrites parameters and running statistics of normalisation layers with draws, so that nothing is 0 or 1.
  func unsettle(_ layer: any AffineNormalization) throws {
    for parameter in [layer.weight, layer.bias].compactMap({ $0 }) {
      try parameter.value.detach().copy(from: .normal(parameter.shape, mean: 0.3, generator: generator))
    }
    if let norm = layer as? BatchNorm2d {
      try norm.runningMean.value.copy(from: .normal(norm.runningMean.value.shape, generator: generator))
      try norm.runningVariance.value.copy(
        from: .uniform(norm.runningVariance.value.shape, 0.5, 2, generator: generator))
    }
  }
}

/// A model of one's own: parts and a function.
final class Custom: Module {
  let parts: [(String, any Module)]
  let function: (Tensor, ForwardContext) throws -> Tensor

  init(
    _ parts: [(String, any Module)], _ function: @escaping (Tensor, ForwardContext) throws -> Tensor
  ) {
    self.parts = parts
    self.function = function
  }

  var members: [ModuleMember] { parts.map { .module($0.0, $0.1) } }
  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor { try function(input, context) }
}

/// A layer without a rule: each feature times a number of its own.
class Scale: Module {
  let scale: Parameter
  init(_ source: Source, size: Int) throws { scale = try Parameter(source.normal([size])) }
  init(_ scale: Parameter) throws { self.scale = scale }
  var members: [ModuleMember] { [.parameter("scale", scale)] }
  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try input * context.value(of: scale)
  }
}

/// The same layer with a rule of its own.
final class FactoredScale: Scale, FactoredModule {
  override func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try context.record(self, input: input, output: super.forward(input, in: context))
  }

  func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    try records.block { RowsBlock(try $0 * $1) }
  }
}

/// y = tanh(x·Dᵀ)·Uᵀ: two parameters whose gradients follow from two places of one layer.
final class Bottleneck: FactoredModule {
  let down: Parameter
  let up: Parameter

  init(_ source: Source, size: Int, rank: Int) throws {
    down = try Parameter(source.normal([rank, size]))
    up = try Parameter(source.normal([size, rank]))
  }

  var members: [ModuleMember] { [.parameter("down", down), .parameter("up", up)] }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    let low = try context.record(
      self, named: "down", input: input, output: input.matmul(context.value(of: down).transpose()))
    let hidden = try low.tanh()
    return try context.record(
      self, named: "up", input: hidden, output: hidden.matmul(context.value(of: up).transpose()))
  }

  func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    try SummedBlock(
      concatenating: ["down", "up"].map { try LinearBlock(records.named($0).factors, hasBias: false) })
  }
}
