// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import Tensors

/// A vision transformer (Dosovitskiy et al., An Image is Worth 16×16 Words, 2021): the image cut into square patches, a
/// vector for each and one for the class, learned positions, layers, a normalisation, and logits from the vector of the
/// class. By torchvision's names.
///
/// Its own per-example rule: row i of the class's vector is the gradient at its copy for example i.
final class VisionTransformer: FactoredModule {
  /// [1, 1, D].
  private let classToken: Parameter
  private let patches: Conv2d
  private let encoder: Encoder
  private let heads: Sequential
  private let patch: Int

  /// - Parameters:
  ///   - plan: channels, classes and layers.
  ///   - shape: how large it is.
  ///   - patch: height and width of a patch, in pixels.
  /// - Throws: `ModelError` when the image does not divide into patches.
  init(_ plan: ImagePlan, _ shape: EncoderShape, patch: Int, name: String) throws {
    guard plan.height.isMultiple(of: patch), plan.width.isMultiple(of: patch) else {
      throw ModelError(
        "\(name) cuts images into patches of \(patch)×\(patch), which \(plan.height)×\(plan.width) does not divide into; "
          + "choose an image-size (--image-size) that is a multiple of \(patch)")
    }
    let layers = plan.layers
    classToken = try Parameter(.zeros([1, 1, shape.width]))
    patches = try layers.at("conv_proj").convolution(
      plan.channels, shape.width,
      ConvolutionGeometry(kernel: [patch, patch], stride: [patch, patch], padding: [0, 0]), hasBias: true)
    encoder = try Encoder(
      shape, positionCount: 1 + plan.height / patch * (plan.width / patch), epsilon: 1e-6, factory: layers)
    let head = try layers.linear(shape.width, plan.classes)
    // torchvision starts it at 0, where no layer below has a gradient.
    if layers.initializer == nil {
      try head.weight.value.copy(from: .normal(head.weight.shape, standardDeviation: 0.01, generator: layers.generator))
    }
    heads = Sequential([("head", head)])
    self.patch = patch
  }

  var members: [ModuleMember] {
    [
      .parameter("class_token", classToken), .module("conv_proj", patches), .module("encoder", encoder),
      .module("heads", heads),
    ]
  }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    let grid = try patches(input.channelsLast(), in: context)
    let (batch, width) = (grid.size(0), grid.size(1))
    let vectors = try grid.reshape([batch, width, grid.size(2) * grid.size(3)]).transpose(1, 2)
    let copies = try context.value(of: classToken).expand([batch, 1, width])
    let tokens = try Tensor.concatenate(
      [context.record(self, input: vectors, output: copies), vectors], dimension: 1)
    return try heads(encoder(tokens, in: context).select(1, 0), in: context)
  }

  func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    try records.block { RowsBlock(try $1.reshape([$1.size(0), -1]).contiguous()) }
  }
}
