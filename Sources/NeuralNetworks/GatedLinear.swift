// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import Tensors

/// A gated linear unit: y = (x·Vᵀ + b) ⊙ f(x·Wᵀ + c), with f the sigmoid, SiLU or GELU (Dauphin et al., Language Modeling
/// with Gated Convolutional Networks, 2017; Shazeer, GLU Variants Improve Transformer, 2020).
///
/// Both products are recorded under their names, so that the per-example rule of each is that of a linear layer.
public final class GatedLinear: FactoredModule {
  /// V, [outputs, inputs].
  public let weight: Parameter
  /// b, [outputs].
  public let bias: Parameter
  /// W, [outputs, inputs].
  public let gateWeight: Parameter
  /// c, [outputs].
  public let gateBias: Parameter
  /// f.
  public let activation: Activation

  /// - Parameters:
  ///   - inputs: the size of the last dimension of the input.
  ///   - outputs: the size of the last dimension of the output.
  ///   - function: f.
  ///   - initializer: how V and W are drawn.
  ///   - generator: the source of the draws.
  /// - Throws: `TensorError` when a size is negative or memory runs out.
  public init(
    inputs: Int, outputs: Int, function: Activation.Function = .silu, initializer: Initializer = .xavierScaled,
    generator: Generator
  ) throws {
    func parameters() throws -> (Parameter, Parameter) {
      let shape = [outputs, inputs]
      return (
        try Parameter(initializer.weight(shape, fanIn: inputs, fanOut: outputs, generator: generator)),
        try Parameter(initializer.bias(outputs, fanIn: inputs, generator: generator))
      )
    }
    (weight, bias) = try parameters()
    (gateWeight, gateBias) = try parameters()
    activation = Activation(function)
  }

  /// V, b, W and c.
  public var members: [ModuleMember] {
    [
      .parameter("weight", weight), .parameter("bias", bias), .parameter("gate_weight", gateWeight),
      .parameter("gate_bias", gateBias),
    ]
  }

  /// [..., inputs] to [..., outputs].
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    func product(_ name: String, _ weight: Parameter, _ bias: Parameter) throws -> Tensor {
      if try context.isReduced(input) {
        return try context.reduced(self, named: name, input, weight) { try $0.matmul($1.transpose()) }
          + context.value(of: bias)
      }
      let output = try input.matmul(context.value(of: weight).transpose()) + context.value(of: bias)
      return try context.record(self, named: name, input: input, output: output)
    }
    return try product("value", weight, bias) * activation.forward(product("gate", gateWeight, gateBias), in: context)
  }

  /// The rows of both products, one after the other.
  public func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    try SummedBlock(concatenating: ["value", "gate"].map { try records.named($0).linearBlock(hasBias: true) })
  }
}
