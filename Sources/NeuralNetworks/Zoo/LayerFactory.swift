// SPDX-License-Identifier: Apache-2.0

import Tensors

/// How an architecture's weights start.
struct InitialWeights: Sendable {
  /// A distribution.
  enum Draw: Sendable {
    /// Normal, σ = √(2/(outputs · window)) (He et al., by fan out).
    case normalByFanOut
    /// Normal, σ = 1/√(fan in).
    case normalByFanIn
    /// Uniform on ±√(6/(fan in + fan out)) (Glorot and Bengio).
    case xavierUniform
    /// Normal with a fixed σ.
    case normal(Double)
    /// Uniform on ±1/√(fan in), PyTorch's default.
    case uniformByFanIn
    /// Uniform on ±1/√outputs.
    case uniformByOutputs
  }

  /// Of convolutions, whose biases start at 0 unless drawn by fan in.
  var convolution: Draw
  /// Of linear layers.
  var linear: Draw
  /// Whether biases of linear layers are drawn by fan in; else they start at 0.
  var drawsLinearBias = true
  /// Of what attention makes its output by; as linear layers when nil.
  var attentionOutput: Draw?
  /// Whether what each layer of a transformer adds starts smaller the more layers there are.
  var shrinksResiduals = false
}

/// Makes the layers of an architecture: what all of one model's layers have in common, and where the layer stands.
struct LayerFactory {
  let norm: NormalizationChoice
  let weights: InitialWeights
  /// Chosen by the user in place of the architecture's own.
  let initializer: Initializer?
  let generator: Generator
  /// Whether dropout and stochastic depth drop anything.
  var drops = true
  /// The dotted name of the module whose parts are being made.
  private(set) var path = ""

  /// The factory for the parts of a part.
  func at(_ name: String) -> LayerFactory {
    var inner = self
    inner.path = path.isEmpty ? name : path + "." + name
    return inner
  }

  func convolution(
    _ inputs: Int, _ outputs: Int, _ geometry: ConvolutionGeometry, hasBias: Bool = false
  ) throws -> Conv2d {
    let layer = try Conv2d(
      inputs: inputs, outputs: outputs, geometry: geometry, hasBias: hasBias, initializer: initializer ?? .pytorch,
      generator: generator)
    if initializer == nil {
      try redraw(layer.weight, weights.convolution, outputs: outputs, window: geometry.kernel[0] * geometry.kernel[1])
      if case .uniformByFanIn = weights.convolution { return layer }
      try layer.bias?.value.fill(0)
    }
    return layer
  }

  func linear(_ inputs: Int, _ outputs: Int) throws -> Linear {
    let layer = try Linear(inputs: inputs, outputs: outputs, initializer: initializer ?? .pytorch, generator: generator)
    if initializer == nil {
      try redraw(layer.weight, weights.linear, outputs: outputs, window: 1)
      if !weights.drawsLinearBias { try layer.bias?.value.fill(0) }
    }
    return layer
  }

  /// Self-attention with biases of 0.
  func attention(_ shape: EncoderShape) throws -> MultiheadAttention {
    let layer = try MultiheadAttention(
      width: shape.width, heads: shape.heads, isCausal: shape.isCausal, initializer: initializer ?? .pytorch,
      generator: generator)
    if initializer == nil {
      try redraw(layer.projection, weights.linear, outputs: 3 * shape.width, window: 1)
      try redraw(layer.output.weight, weights.attentionOutput ?? weights.linear, outputs: shape.width, window: 1)
    }
    return layer
  }

  /// Whether what each layer of a transformer adds starts smaller the more layers there are.
  var shrinksResiduals: Bool { weights.shrinksResiduals && initializer == nil }

  /// The normalisation that the name of a part stands for.
  ///
  /// - Throws: `ModelError` that names the layer when its channels do not divide into the groups asked for.
  func normalization(
    _ name: String, channels: Int, epsilon: Double = 1e-5, momentum: Double = 0.1
  ) throws -> any AffineNormalization {
    switch norm {
    case .batch, .frozen:
      return try BatchNorm2d(channels: channels, momentum: momentum, epsilon: epsilon, isFrozen: norm == .frozen)
    case .group(let count):
      guard channels % count == 0 else {
        let fitting = (1...count).reversed().first { channels % $0 == 0 } ?? 1
        throw ModelError(
          "norm \(norm): the \(channels) channels of \(at(name).path) do not divide into \(count) groups; group:\(fitting)"
            + " would fit this layer")
      }
      return try GroupNorm(groups: count, channels: channels, epsilon: epsilon)
    }
  }

  func dropout(_ probability: Double) throws -> Dropout { try Dropout(probability: drops ? probability : 0) }

  private func redraw(_ parameter: Parameter, _ draw: InitialWeights.Draw, outputs: Int, window: Int) throws {
    let shape = parameter.shape
    let drawn: Tensor
    switch draw {
    case .uniformByFanIn: return
    case .normalByFanOut:
      let deviation = (2 / (Double(outputs) * Double(window))).squareRoot()
      drawn = try .normal(shape, standardDeviation: deviation, generator: generator)
    case .normalByFanIn:
      let inputs = Double(shape.dropFirst().reduce(1, *))
      drawn = try .normal(shape, standardDeviation: 1 / inputs.squareRoot(), generator: generator)
    case .xavierUniform:
      let (inputs, fed) = (Double(shape.dropFirst().reduce(1, *)), Double(outputs) * Double(window))
      let bound = (6 / (inputs + fed)).squareRoot()
      drawn = try .uniform(shape, -bound, bound, generator: generator)
    case .normal(let deviation): drawn = try .normal(shape, standardDeviation: deviation, generator: generator)
    case .uniformByOutputs:
      let bound = 1 / Double(outputs).squareRoot()
      drawn = try .uniform(shape, -bound, bound, generator: generator)
    }
    try parameter.value.copy(from: drawn)
  }
}

extension ConvolutionGeometry {
  /// A square window, padded by half its side unless said otherwise.
  init(square side: Int, stride: Int = 1, padding: Int? = nil, groups: Int = 1) throws {
    let padding = padding ?? side / 2
    try self.init(kernel: [side, side], stride: [stride, stride], padding: [padding, padding], groups: groups)
  }
}
