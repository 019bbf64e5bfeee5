// SPDX-License-Identifier: Apache-2.0

import Tensors

/// A convolution without bias, its normalisation, and an activation or none.
final class ConvolutionUnit: Module {
  /// What follows the normalisation.
  enum Following { case nothing, relu, silu }

  /// What the two parts are called.
  struct Names {
    let convolution, normalization: String
    /// As steps of a sequence.
    static let numbered = Names(convolution: "0", normalization: "1")
    /// As in Inception.
    static let short = Names(convolution: "conv", normalization: "bn")
  }

  let convolution: Conv2d
  let normalization: any AffineNormalization
  let following: Following
  private let names: Names

  init(
    _ layers: LayerFactory, _ inputs: Int, _ outputs: Int, _ geometry: ConvolutionGeometry,
    following: Following = .relu, names: Names = .numbered, epsilon: Double = 1e-5, momentum: Double = 0.1
  ) throws {
    convolution = try layers.convolution(inputs, outputs, geometry)
    normalization = try layers.normalization(
      names.normalization, channels: outputs, epsilon: epsilon, momentum: momentum)
    self.following = following
    self.names = names
  }

  var members: [ModuleMember] {
    [.module(names.convolution, convolution), .module(names.normalization, normalization)]
  }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    let output = try normalization(convolution(input, in: context), relu: following == .relu, in: context)
    return following == .silu ? try output.silu() : output
  }
}
