// SPDX-License-Identifier: Apache-2.0

import Tensors

/// Features, a grid of means, a classifier: the shape that VGG, AlexNet and EfficientNet have in common.
final class FeatureNetwork: Module {
  private let features: Sequential
  private let avgpool: AdaptiveAveragePool2d
  private let classifier: Sequential

  init(features: Sequential, grid: Int, classifier: Sequential) {
    self.features = features
    avgpool = AdaptiveAveragePool2d(height: grid, width: grid)
    self.classifier = classifier
  }

  var members: [ModuleMember] {
    [.module("features", features), .module("avgpool", avgpool), .module("classifier", classifier)]
  }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    let pooled = try avgpool(features(input.channelsLast(), in: context), in: context)
    return try classifier(pooled.reshape([pooled.size(0), pooled.count / max(1, pooled.size(0))]), in: context)
  }
}

extension FeatureNetwork {
  /// VGG (Simonyan and Zisserman, 2015, Table 1), of five stages, with normalisation after the convolutions or without.
  static func vgg(_ plan: ImagePlan, convolutions: [Int], normalizes: Bool) throws -> FeatureNetwork {
    var steps: [any Module] = []
    var inputs = plan.channels
    for (count, width) in zip(convolutions, [64, 128, 256, 512, 512]) {
      for _ in 0..<count {
        let layers = plan.layers.at("features")
        steps.append(try layers.convolution(inputs, width, ConvolutionGeometry(square: 3), hasBias: true))
        if normalizes { steps.append(try layers.normalization(String(steps.count), channels: width)) }
        steps.append(Activation(.relu))
        inputs = width
      }
      steps.append(try MaxPool2d(kernel: 2))
    }
    let classifier = Sequential(
      try plan.layers.linear(inputs * 7 * 7, 4096), Activation(.relu), try plan.layers.dropout(0.5),
      try plan.layers.linear(4096, 4096), Activation(.relu), try plan.layers.dropout(0.5),
      try plan.layers.linear(4096, plan.classes))
    return FeatureNetwork(features: Sequential(numbered: steps), grid: 7, classifier: classifier)
  }

  /// AlexNet in its one-column form (Krizhevsky, "One weird trick for parallelizing convolutional neural networks",
  /// 2014).
  static func alexNet(_ plan: ImagePlan) throws -> FeatureNetwork {
    func convolution(_ inputs: Int, _ outputs: Int, _ geometry: ConvolutionGeometry) throws -> Conv2d {
      try plan.layers.convolution(inputs, outputs, geometry, hasBias: true)
    }
    let pool = try PoolingGeometry(kernel: 3, stride: 2)
    let features = Sequential(
      try convolution(plan.channels, 64, ConvolutionGeometry(square: 11, stride: 4, padding: 2)), Activation(.relu),
      MaxPool2d(geometry: pool), try convolution(64, 192, ConvolutionGeometry(square: 5)), Activation(.relu),
      MaxPool2d(geometry: pool),
      try convolution(192, 384, ConvolutionGeometry(square: 3)), Activation(.relu),
      try convolution(384, 256, ConvolutionGeometry(square: 3)), Activation(.relu),
      try convolution(256, 256, ConvolutionGeometry(square: 3)), Activation(.relu), MaxPool2d(geometry: pool))
    let classifier = Sequential(
      try plan.layers.dropout(0.5), try plan.layers.linear(256 * 6 * 6, 4096), Activation(.relu),
      try plan.layers.dropout(0.5), try plan.layers.linear(4096, 4096), Activation(.relu),
      try plan.layers.linear(4096, plan.classes))
    return FeatureNetwork(features: features, grid: 6, classifier: classifier)
  }
}

extension Sequential {
  /// Steps named "0", "1", ... as in PyTorch.
  convenience init(numbered modules: [any Module]) {
    self.init(modules.enumerated().map { (String($0.offset), $0.element) })
  }
}
