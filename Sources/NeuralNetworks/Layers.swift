// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import Tensors

/// y = x·Wᵀ + b, over the last dimension.
public final class Linear: FactoredModule {
  /// W, [outputs, inputs].
  public let weight: Parameter
  /// b, [outputs].
  public let bias: Parameter?

  /// - Parameters:
  ///   - inputs: the size of the last dimension of the input.
  ///   - outputs: the size of the last dimension of the output.
  ///   - hasBias: whether b is there; it starts as 0 unless the initializer says otherwise.
  ///   - initializer: how W is drawn.
  ///   - generator: the source of the draws.
  /// - Throws: `TensorError` when a size is negative or memory runs out.
  public init(
    inputs: Int, outputs: Int, hasBias: Bool = true, initializer: Initializer = .xavierScaled, generator: Generator
  ) throws {
    weight = try Parameter(initializer.weight([outputs, inputs], fanIn: inputs, fanOut: outputs, generator: generator))
    bias = hasBias ? try Parameter(initializer.bias(outputs, fanIn: inputs, generator: generator)) : nil
  }

  /// A layer on parameters that exist already, which it then shares with whoever else holds them.
  ///
  /// - Throws: `TensorError` unless the weight is [outputs, inputs] and the bias [outputs].
  public init(weight: Parameter, bias: Parameter? = nil) throws {
    guard weight.shape.count == 2, bias.map({ $0.shape == [weight.shape[0]] }) ?? true else {
      throw TensorError(
        kind: .invalid, operation: "Linear", operands: [weight.value.summary] + (bias.map { [$0.value.summary] } ?? []),
        reason: "the weight must have the shape [outputs, inputs] and the bias [outputs]")
    }
    self.weight = weight
    self.bias = bias
  }

  /// Its weight and bias.
  public var members: [ModuleMember] { [.parameter("weight", weight)] + (bias.map { [.parameter("bias", $0)] } ?? []) }

  /// [..., inputs] to [..., outputs].
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try forward(input, relu: false, in: context)
  }

  /// As `forward`, followed by max(·, 0) in the same pass when `relu`.
  public func forward(_ input: Tensor, relu: Bool, in context: ForwardContext) throws -> Tensor {
    try context.linear(input, weight: weight, bias: bias, relu: relu, of: self)
  }

  /// rowᵢ = Σₜ δᵢₜ ⊗ xᵢₜ over positions t, and Σₜ δᵢₜ for the bias; positions make several applications one.
  public func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    try records.linearBlock(hasBias: bias != nil)
  }
}

extension ForwardContext {
  /// x·Wᵀ + b over the last dimension, followed by max(·, 0) when `relu`, recorded as an application of `layer`, whose
  /// block then has the rule of a linear layer.
  func linear(
    _ input: Tensor, weight: Parameter, bias: Parameter?, relu: Bool = false, of layer: any Module
  ) throws -> Tensor {
    if try isReduced(input) {
      let output = try reduced(layer, input, weight) { try $0.matmul($1.transpose()) }
      let shifted = try bias.map { try output + value(of: $0) } ?? output
      return relu ? try shifted.relu() : shifted
    }
    let matrix = weight.value
    let (outputs, inputs) = (matrix.size(0), matrix.size(1))
    let plan = linearPolicy.plan(
      batch: inputs > 0 ? input.count / inputs : 0, inputs: inputs, outputs: outputs)
    return try input.linear(
      weight: matrix, bias: bias?.value, relu: relu, plan: plan,
      weightView: usesGradientViews ? weight.gradientView : nil,
      biasView: usesGradientViews ? bias?.gradientView : nil,
      capture: recorder?.capture(for: layer))
  }
}

/// A function without parameters applied to every element.
public final class Activation: Module {
  /// The functions on offer.
  public enum Function: Sendable, Equatable {
    /// max(x, 0)
    case relu
    /// x where positive, else slope·x
    case leakyReLU(slope: Double)
    /// x·Φ(x)
    case gelu
    /// x·σ(x)
    case silu
    /// tanh x
    case tanh
    /// 1/(1 + e⁻ˣ)
    case sigmoid
  }

  /// The function applied.
  public let function: Function
  /// No parts.
  public var members: [ModuleMember] { [] }

  /// A layer that applies `function`.
  public init(_ function: Function) { self.function = function }

  /// The function of every element.
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    switch function {
    case .relu: try input.relu()
    case .leakyReLU(let slope): try input.leakyReLU(slope: slope)
    case .gelu: try input.gelu()
    case .silu: try input.silu()
    case .tanh: try input.tanh()
    case .sigmoid: try input.sigmoid()
    }
  }
}

/// In training each element becomes 0 with probability p, else x/(1 − p); the identity otherwise.
public final class Dropout: Module {
  /// The probability p of dropping an element.
  public let probability: Double
  /// No parts.
  public var members: [ModuleMember] { [] }

  /// - Throws: `TensorError` unless 0 ≤ probability < 1.
  public init(probability: Double) throws { self.probability = try checkedProbability(probability, layer: "Dropout") }

  /// The masked and rescaled input.
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try context.dropping(input, mask: input.shape, probability: probability, layer: "Dropout")
  }
}

extension ForwardContext {
  /// In training the input times a random mask of a shape [B, ...] that broadcasts to it, whose entries are 0 with the
  /// given probability p, else 1/(1 − p).
  func dropping(_ input: Tensor, mask shape: [Int], probability: Double, layer: String) throws -> Tensor {
    guard isTraining, probability > 0 else { return input }
    guard let generator else {
      throw TensorError(kind: .invalid, operation: layer, reason: "the forward context has no generator")
    }
    var whole = shape
    if let part { whole[0] = part.batchCount }
    var mask = try Tensor.bernoulli(whole, probability: 1 - probability, dtype: input.dtype, generator: generator)
    if let part { mask = try mask.narrow(0, from: part.range.lowerBound, length: part.range.count) }
    return try input * (mask * (1 / (1 - probability)))
  }
}

/// - Throws: `TensorError` unless 0 ≤ probability < 1.
func checkedProbability(_ probability: Double, layer: String) throws -> Double {
  guard probability >= 0, probability < 1 else {
    throw TensorError(
      kind: .invalid, operation: layer, reason: "the probability must be at least 0 and below 1, not \(probability)")
  }
  return probability
}

/// All dimensions but the first joined into one.
public final class Flatten: Module {
  /// No parts.
  public var members: [ModuleMember] { [] }
  /// A flattening layer.
  public init() {}
  /// [B, ...] to [B, N].
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    guard input.rank > 0 else {
      throw TensorError(
        kind: .invalid, operation: "Flatten", operands: [input.summary], reason: "a scalar has no examples")
    }
    // Spelled out, as −1 has no meaning for an empty batch. What overflows fits no memory and fails in reshape.
    return input.rank == 2 ? input : try input.reshape([input.size(0), input.shape.dropFirst().reduce(1, &*)])
  }
}

/// Modules applied one after the other. A ReLU behind a linear layer or a normalisation is computed with it, in one
/// pass.
public final class Sequential: Module {
  /// The steps with their names.
  public let steps: [(name: String, module: any Module)]

  /// Steps with names of your own.
  public init(_ steps: [(name: String, module: any Module)]) { self.steps = steps }

  /// Steps named "0", "1", ... as in PyTorch.
  public convenience init(_ modules: any Module...) {
    self.init(modules.enumerated().map { (String($0.offset), $0.element) })
  }

  /// The steps.
  public var members: [ModuleMember] { steps.map { .module($0.name, $0.module) } }

  /// The output of the last step.
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    var value = input
    var index = 0
    while index < steps.count {
      let module = steps[index].module
      let relu = index + 1 < steps.count && (steps[index + 1].module as? Activation)?.function == .relu
      switch module {
      case let linear as Linear where relu:
        let output = try linear.forward(value, relu: true, in: context)
        context.observer?(linear, value, output)
        value = output
        index += 2
      case let normalization as any AffineNormalization where relu:
        value = try normalization(value, relu: true, in: context)
        index += 2
      default:
        value = try module(value, in: context)
        index += 1
      }
    }
    return value
  }
}
