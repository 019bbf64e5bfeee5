// SPDX-License-Identifier: Apache-2.0

import Tensors

/// What a residual block adds to its output.
enum Shortcut {
  /// Its input.
  case identity
  /// Every stride-th row and column of its input, and channels of zeros: no parameters.
  case padded(stride: Int, channels: Int)
  /// A convolution of its input by 1×1.
  case projection(ConvolutionUnit)

  fileprivate var members: [ModuleMember] {
    if case .projection(let unit) = self { [.module("downsample", unit)] } else { [] }
  }

  fileprivate func apply(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    switch self {
    case .identity: input
    case .padded(let stride, let channels): try input.paddedShortcut(stride: stride, channels: channels)
    case .projection(let unit): try unit(input, in: context)
    }
  }
}

/// y = relu(f(x) + shortcut(x)), with f a chain of convolutions and normalisations, ReLU between them.
final class ResidualBlock: Module {
  private let steps: [(convolution: Conv2d, normalization: any AffineNormalization)]
  private let shortcut: Shortcut

  private init(
    _ layers: LayerFactory, _ chain: [(inputs: Int, outputs: Int, geometry: ConvolutionGeometry)], _ shortcut: Shortcut
  ) throws {
    steps = try chain.enumerated().map { index, link in
      (
        try layers.convolution(link.inputs, link.outputs, link.geometry),
        try layers.normalization("bn\(index + 1)", channels: link.outputs)
      )
    }
    self.shortcut = shortcut
  }

  /// Two convolutions by 3×3, the first with the stride.
  static func basic(
    _ layers: LayerFactory, _ inputs: Int, _ outputs: Int, stride: Int, shortcut: Shortcut
  ) throws -> ResidualBlock {
    try ResidualBlock(
      layers,
      [
        (inputs, outputs, ConvolutionGeometry(square: 3, stride: stride)),
        (outputs, outputs, ConvolutionGeometry(square: 3)),
      ], shortcut)
  }

  /// 1×1 to `width` channels, 3×3 with the stride, 1×1 to four times the width.
  static func bottleneck(
    _ layers: LayerFactory, _ inputs: Int, _ width: Int, stride: Int, shortcut: Shortcut
  ) throws -> ResidualBlock {
    try ResidualBlock(
      layers,
      [
        (inputs, width, ConvolutionGeometry(square: 1)), (width, width, ConvolutionGeometry(square: 3, stride: stride)),
        (width, 4 * width, ConvolutionGeometry(square: 1)),
      ], shortcut)
  }

  var members: [ModuleMember] {
    steps.enumerated().flatMap { index, step in
      [
        ModuleMember.module("conv\(index + 1)", step.convolution),
        .module("bn\(index + 1)", step.normalization),
      ]
    } + shortcut.members
  }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    var value = input
    for (index, step) in steps.enumerated() {
      let convolved = try step.convolution(value, in: context)
      let isLast = index + 1 == steps.count
      let residual = isLast ? try shortcut.apply(input, in: context) : nil
      value = try step.normalization(convolved, adding: residual, relu: true, in: context)
    }
    return value
  }
}

/// A residual network (He et al., "Deep Residual Learning for Image Recognition", 2016): a stem, stages of residual
/// blocks, the mean over the image, a linear layer.
final class ResNet: Module {
  private let conv1: Conv2d
  private let bn1: any AffineNormalization
  private let maxpool: MaxPool2d?
  private let stages: [Sequential]
  private let avgpool = AdaptiveAveragePool2d()
  private let fc: Linear

  private init(
    _ plan: ImagePlan, stemWidth: Int, stem: ConvolutionGeometry, maxpool: MaxPool2d?, stages: [Sequential], width: Int
  ) throws {
    conv1 = try plan.layers.convolution(plan.channels, stemWidth, stem)
    bn1 = try plan.layers.normalization("bn1", channels: stemWidth)
    self.maxpool = maxpool
    self.stages = stages
    fc = try plan.layers.linear(width, plan.classes)
  }

  /// For images of about 32×32: 3×3 stem, three stages of n blocks with 16, 32 and 64 channels; 6n + 2 layers (§4.2).
  /// Where a stage narrows the image the shortcut is the paper's option A: every second pixel, and zeros appended for
  /// the new channels.
  static func small(_ plan: ImagePlan, blocks: Int) throws -> ResNet {
    var inputs = 16
    let stages = try [16, 32, 64].enumerated().map { stage, width in
      try Sequential(
        (0..<blocks).map { block in
          let stride = stage > 0 && block == 0 ? 2 : 1
          defer { inputs = width }
          let shortcut = stride == 1 && inputs == width ? Shortcut.identity : .padded(stride: stride, channels: width)
          let name = String(block)
          return (
            name,
            try ResidualBlock.basic(
              plan.layers.at("layer\(stage + 1)").at(name), inputs, width, stride: stride, shortcut: shortcut)
          )
        })
    }
    return try ResNet(
      plan, stemWidth: 16, stem: ConvolutionGeometry(square: 3), maxpool: nil, stages: stages, width: inputs)
  }

  /// The four-stage networks (Table 1), with the stride of a bottleneck in its 3×3 convolution as torchvision has it.
  ///
  /// - Parameters:
  ///   - blocks: blocks of each stage.
  ///   - isBottleneck: three-layer blocks rather than two-layer ones.
  ///   - smallStem: 3×3 with stride 1 and no pooling, for images of about 32×32; else 7×7 with stride 2 and pooling.
  static func large(_ plan: ImagePlan, blocks: [Int], isBottleneck: Bool, smallStem: Bool) throws -> ResNet {
    var inputs = 64
    let stages = try [64, 128, 256, 512].enumerated().map { stage, width in
      let outputs = isBottleneck ? 4 * width : width
      return try Sequential(
        (0..<blocks[stage]).map { block in
          let stride = stage > 0 && block == 0 ? 2 : 1
          defer { inputs = outputs }
          let name = String(block)
          let layers = plan.layers.at("layer\(stage + 1)").at(name)
          let make = isBottleneck ? ResidualBlock.bottleneck : ResidualBlock.basic
          let shortcut =
            stride == 1 && inputs == outputs
            ? Shortcut.identity
            : .projection(
              try ConvolutionUnit(
                layers.at("downsample"), inputs, outputs, ConvolutionGeometry(square: 1, stride: stride),
                following: .nothing))
          return (name, try make(layers, inputs, width, stride, shortcut))
        })
    }
    let stem = try smallStem ? ConvolutionGeometry(square: 3) : ConvolutionGeometry(square: 7, stride: 2)
    let maxpool = try smallStem ? nil : MaxPool2d(kernel: 3, stride: 2, padding: 1)
    return try ResNet(plan, stemWidth: 64, stem: stem, maxpool: maxpool, stages: stages, width: inputs)
  }

  var members: [ModuleMember] {
    [.module("conv1", conv1), .module("bn1", bn1)] + (maxpool.map { [.module("maxpool", $0)] } ?? [])
      + stages.enumerated().map { .module("layer\($0.offset + 1)", $0.element) }
      + [.module("avgpool", avgpool), .module("fc", fc)]
  }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    var value = try bn1(conv1(input.channelsLast(), in: context), relu: true, in: context)
    if let maxpool { value = try maxpool(value, in: context) }
    for stage in stages { value = try stage(value, in: context) }
    value = try avgpool(value, in: context)
    return try fc(value.reshape([value.size(0), value.size(1)]), in: context)
  }
}
