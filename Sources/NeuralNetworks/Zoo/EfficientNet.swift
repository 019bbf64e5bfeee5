// SPDX-License-Identifier: Apache-2.0

import Tensors

/// How a member of the EfficientNet family is scaled from B0 (Tan and Le, 2019), with torchvision's rounding.
struct EfficientNetScale: Sendable {
  let width, depth, dropout: Double
  var epsilon = 1e-5
  var momentum = 0.1

  /// B0 to B7.
  static let family: [EfficientNetScale] = [
    EfficientNetScale(width: 1.0, depth: 1.0, dropout: 0.2),
    EfficientNetScale(width: 1.0, depth: 1.1, dropout: 0.2),
    EfficientNetScale(width: 1.1, depth: 1.2, dropout: 0.3),
    EfficientNetScale(width: 1.2, depth: 1.4, dropout: 0.3),
    EfficientNetScale(width: 1.4, depth: 1.8, dropout: 0.4),
    EfficientNetScale(width: 1.6, depth: 2.2, dropout: 0.4, epsilon: 1e-3, momentum: 0.01),
    EfficientNetScale(width: 1.8, depth: 2.6, dropout: 0.5, epsilon: 1e-3, momentum: 0.01),
    EfficientNetScale(width: 2.0, depth: 3.1, dropout: 0.5, epsilon: 1e-3, momentum: 0.01),
  ]
  /// The sides of the images that the members were made for.
  static let imageSides = [224, 240, 288, 300, 380, 456, 528, 600]

  /// The nearest multiple of 8 to the scaled channels, at least 8 and at most a tenth below.
  func channels(_ base: Int) -> Int {
    let scaled = Double(base) * width
    // In range: the widths of the published networks.
    let rounded = max(8, Int(scaled + 4) / 8 * 8)
    return Double(rounded) < 0.9 * scaled ? rounded + 8 : rounded
  }

  /// The scaled number of blocks, rounded up.
  // In range: the depths of the published networks.
  func blocks(_ base: Int) -> Int { Int((Double(base) * depth).rounded(.up)) }

  func unit(
    _ layers: LayerFactory, _ inputs: Int, _ outputs: Int, _ geometry: ConvolutionGeometry, activates: Bool = true
  ) throws -> ConvolutionUnit {
    try ConvolutionUnit(
      layers, inputs, outputs, geometry, following: activates ? .silu : .nothing, epsilon: epsilon, momentum: momentum)
  }
}

/// Channels scaled by σ(W₂·silu(W₁·mean)), the mean being over the image (Hu et al., "Squeeze-and-Excitation
/// Networks", 2018).
final class SqueezeExcitation: Module {
  private let avgpool = AdaptiveAveragePool2d()
  private let fc1: Conv2d
  private let fc2: Conv2d

  init(_ layers: LayerFactory, channels: Int, squeezed: Int) throws {
    fc1 = try layers.convolution(channels, squeezed, ConvolutionGeometry(square: 1), hasBias: true)
    fc2 = try layers.convolution(squeezed, channels, ConvolutionGeometry(square: 1), hasBias: true)
  }

  var members: [ModuleMember] { [.module("avgpool", avgpool), .module("fc1", fc1), .module("fc2", fc2)] }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    let squeezed = try fc1(avgpool(input, in: context), in: context).silu()
    return try input * fc2(squeezed, in: context).sigmoid()
  }
}

/// In training each example's value becomes 0 with probability p, else x/(1 − p) (Huang et al., "Deep Networks with
/// Stochastic Depth", 2016).
public final class StochasticDepth: Module {
  /// The probability p of dropping an example.
  public let probability: Double
  /// No parts.
  public var members: [ModuleMember] { [] }

  /// - Throws: `TensorError` unless 0 ≤ probability < 1.
  public init(probability: Double) throws {
    self.probability = try checkedProbability(probability, layer: "StochasticDepth")
  }

  /// The examples that stay, rescaled.
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try context.dropping(
      input, mask: input.shape.prefix(1) + Array(repeating: 1, count: max(0, input.rank - 1)),
      probability: probability, layer: "StochasticDepth")
  }
}

/// The inverted bottleneck of MobileNetV2 with squeeze-and-excitation: 1×1 to more channels, one k×k filter for each
/// channel, squeeze-and-excitation, 1×1 back, and the input added where shapes allow.
final class InvertedBottleneck: Module {
  private let block: Sequential
  private let stochasticDepth: StochasticDepth?

  /// - Parameters:
  ///   - expansion: how many times more channels there are inside.
  ///   - dropping: the probability that stochastic depth leaves out the block.
  init(
    _ layers: LayerFactory, _ scale: EfficientNetScale, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int,
    expansion: Int, dropping: Double
  ) throws {
    let inside = inputs * expansion
    var steps: [any Module] = []
    var next: LayerFactory { layers.at("block").at(String(steps.count)) }
    if inside != inputs { steps.append(try scale.unit(next, inputs, inside, ConvolutionGeometry(square: 1))) }
    let filter = try ConvolutionGeometry(square: kernel, stride: stride, groups: inside)
    steps.append(try scale.unit(next, inside, inside, filter))
    steps.append(try SqueezeExcitation(next, channels: inside, squeezed: max(1, inputs / 4)))
    steps.append(try scale.unit(next, inside, outputs, ConvolutionGeometry(square: 1), activates: false))
    block = Sequential(numbered: steps)
    stochasticDepth =
      stride == 1 && inputs == outputs ? try StochasticDepth(probability: layers.drops ? dropping : 0) : nil
  }

  var members: [ModuleMember] {
    [.module("block", block)] + (stochasticDepth.map { [.module("stochastic_depth", $0)] } ?? [])
  }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    let output = try block(input, in: context)
    guard let stochasticDepth else { return output }
    return try input + stochasticDepth(output, in: context)
  }
}

extension FeatureNetwork {
  /// One stage of B0 (Table 1).
  private struct Stage { let expansion, kernel, stride, outputs, blocks: Int }

  private static let stages = [
    Stage(expansion: 1, kernel: 3, stride: 1, outputs: 16, blocks: 1),
    Stage(expansion: 6, kernel: 3, stride: 2, outputs: 24, blocks: 2),
    Stage(expansion: 6, kernel: 5, stride: 2, outputs: 40, blocks: 2),
    Stage(expansion: 6, kernel: 3, stride: 2, outputs: 80, blocks: 3),
    Stage(expansion: 6, kernel: 5, stride: 1, outputs: 112, blocks: 3),
    Stage(expansion: 6, kernel: 5, stride: 2, outputs: 192, blocks: 4),
    Stage(expansion: 6, kernel: 3, stride: 1, outputs: 320, blocks: 1),
  ]

  /// EfficientNet (Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019).
  /// Stochastic depth grows along the blocks, up to 0.2.
  static func efficientNet(_ plan: ImagePlan, _ scale: EfficientNetScale) throws -> FeatureNetwork {
    let layers = plan.layers.at("features")
    var inputs = scale.channels(32)
    var steps: [any Module] = [
      try scale.unit(layers.at("0"), plan.channels, inputs, ConvolutionGeometry(square: 3, stride: 2))
    ]
    let total = stages.reduce(0) { $0 + scale.blocks($1.blocks) }
    var made = 0
    for stage in stages {
      let outputs = scale.channels(stage.outputs)
      let stageLayers = layers.at(String(steps.count))
      let blocks = try (0..<scale.blocks(stage.blocks)).map { index in
        defer { (inputs, made) = (outputs, made + 1) }
        return try InvertedBottleneck(
          stageLayers.at(String(index)), scale, inputs, outputs, kernel: stage.kernel,
          stride: index == 0 ? stage.stride : 1, expansion: stage.expansion,
          dropping: 0.2 * Double(made) / Double(total))
      }
      steps.append(Sequential(numbered: blocks))
    }
    let last = 4 * inputs
    steps.append(try scale.unit(layers.at(String(steps.count)), inputs, last, ConvolutionGeometry(square: 1)))
    let classifier = Sequential(try plan.layers.dropout(scale.dropout), try plan.layers.linear(last, plan.classes))
    return FeatureNetwork(features: Sequential(numbered: steps), grid: 1, classifier: classifier)
  }
}
