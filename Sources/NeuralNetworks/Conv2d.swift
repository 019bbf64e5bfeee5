// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import Tensors

/// A two-dimensional convolution: [B, C, H, W] to [B, O, H', W'].
public final class Conv2d: FactoredModule {
  /// [O, C/groups, kh, kw].
  public let weight: Parameter
  /// [O].
  public let bias: Parameter?
  /// Window, stride, padding, dilation and groups.
  public let geometry: ConvolutionGeometry

  /// A convolution with a square window.
  ///
  /// - Parameters:
  ///   - inputs: channels C in.
  ///   - outputs: channels O out.
  ///   - kernel: the side of the window.
  ///   - stride: its step.
  ///   - padding: zeros on each side of the input.
  ///   - hasBias: whether there is a bias.
  ///   - initializer: how weights are drawn, from fans C·k² and O·k².
  ///   - generator: the source of the draws.
  /// - Throws: `TensorError` when a number is out of range.
  public convenience init(
    inputs: Int, outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, hasBias: Bool = true,
    initializer: Initializer = .kaiming, generator: Generator
  ) throws {
    try self.init(
      inputs: inputs, outputs: outputs,
      geometry: ConvolutionGeometry(kernel: kernel, stride: stride, padding: padding), hasBias: hasBias,
      initializer: initializer, generator: generator)
  }

  /// - Parameters:
  ///   - inputs: channels C in.
  ///   - outputs: channels O out.
  ///   - geometry: window, stride, padding, dilation and groups.
  ///   - hasBias: whether there is a bias.
  ///   - initializer: how weights are drawn, from fans C/groups·kh·kw and O/groups·kh·kw.
  ///   - generator: the source of the draws.
  /// - Throws: `TensorError` when the channels do not divide by the groups.
  public init(
    inputs: Int, outputs: Int, geometry: ConvolutionGeometry, hasBias: Bool = true,
    initializer: Initializer = .kaiming, generator: Generator
  ) throws {
    guard inputs >= 1, outputs >= 1, inputs % geometry.groups == 0, outputs % geometry.groups == 0 else {
      throw TensorError(
        kind: .invalid, operation: "Conv2d",
        reason: "\(inputs) and \(outputs) channels do not divide into \(geometry.groups) groups")
    }
    self.geometry = geometry
    let window = geometry.kernel[0] * geometry.kernel[1]
    let fanIn = inputs / geometry.groups * window
    weight = try Parameter(
      initializer.weight(
        [outputs, inputs / geometry.groups] + geometry.kernel, fanIn: fanIn,
        fanOut: outputs / geometry.groups * window, generator: generator))
    bias = hasBias ? try Parameter(initializer.bias(outputs, fanIn: fanIn, generator: generator)) : nil
  }

  /// Its weight and bias.
  public var members: [ModuleMember] { [.parameter("weight", weight)] + (bias.map { [.parameter("bias", $0)] } ?? []) }

  /// The convolution of a batch.
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    if try context.isReduced(input) {
      let output = try context.reduced(self, input, weight) { try $0.convolution(weight: $1, bias: nil, geometry) }
      return try bias.map { try output + context.value(of: $0).reshape([1, $0.value.count, 1, 1]) } ?? output
    }
    if context.recorder == nil, context.usesGradientViews, input.suitsChannelsLastKernels,
      let gradientView = weight.gradientView, bias == nil || bias?.gradientView != nil
    {
      return try input.convolution(
        weight: weight.value, bias: bias?.value, geometry, weightView: gradientView, biasView: bias?.gradientView)
    }
    let output = try input.convolution(
      weight: context.value(of: weight), bias: bias.map { try context.value(of: $0) }, geometry)
    return try context.record(self, input: input, output: output)
  }

  /// rowᵢ = Σₜ δᵢₜ ⊗ patchᵢₜ over positions t, and Σₜ δᵢₜ for the bias.
  public func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    try records.block { try ConvolutionBlock(input: $0, outputGradient: $1, geometry: geometry, hasBias: bias != nil) }
  }

  /// Inputs and output gradients of convolutions are most of a network's memory.
  public var isUsedDuringBackward: Bool { true }
}
