// SPDX-License-Identifier: Apache-2.0

import Tensors

/// How the weights of a layer are drawn at the start.
public enum Initializer: String, Sendable, Codable, CaseIterable {
  /// Normal, σ = √(2/(fan in + fan out)) (Glorot and Bengio).
  case xavier
  /// Uniform on ±√(6/(fan in + fan out)).
  case xavierUniform = "xavier-uniform"
  /// Normal, σ = 2/(√(fan in + fan out)): √2 × Xavier, as in the code behind "Coherent Gradients".
  case xavierScaled = "xavier-scaled"
  /// Normal, σ = √(2/fan in) (He et al.).
  case kaiming
  /// PyTorch's default for linear and convolution layers: weights and biases uniform on ±1/√(fan in).
  case pytorch

  /// Draws a weight, float32.
  ///
  /// - Parameters:
  ///   - shape: the extents of the weight.
  ///   - fanIn: how many inputs each output sums.
  ///   - fanOut: how many outputs each input feeds.
  ///   - generator: the source of the draws.
  /// - Throws: `TensorError` when a size is negative or memory runs out.
  public func weight(_ shape: [Int], fanIn: Int, fanOut: Int, generator: Generator) throws -> Tensor {
    let fans = Double(fanIn) + Double(fanOut)
    switch self {
    case .xavier: return try .normal(shape, standardDeviation: (2 / fans).squareRoot(), generator: generator)
    case .xavierUniform:
      let bound = (6 / fans).squareRoot()
      return try .uniform(shape, -bound, bound, generator: generator)
    case .xavierScaled:
      return try .normal(shape, standardDeviation: 2 / fans.squareRoot(), generator: generator)
    case .kaiming:
      return try .normal(shape, standardDeviation: (2 / Double(fanIn)).squareRoot(), generator: generator)
    case .pytorch:
      let bound = 1 / Double(fanIn).squareRoot()
      return try .uniform(shape, -bound, bound, generator: generator)
    }
  }

  /// Draws a bias: 0 but for PyTorch's default.
  public func bias(_ count: Int, fanIn: Int, generator: Generator) throws -> Tensor {
    guard self == .pytorch else { return try .zeros([count]) }
    let bound = 1 / Double(fanIn).squareRoot()
    return try .uniform([count], -bound, bound, generator: generator)
  }
}
