// SPDX-License-Identifier: Apache-2.0

import Tensors

/// What an architecture for images is built from.
struct ImagePlan {
  /// Channels of the images.
  let channels: Int
  /// Their extents.
  let height, width: Int
  /// The number of logits.
  let classes: Int
  let layers: LayerFactory
}

/// An architecture for images that is known by name.
public struct ModelEntry: Sendable {
  /// The word that asks for it.
  public let name: String
  /// A line about it.
  public let summary: String
  /// The side of the square images it was made for.
  public let usualSide: Int
  /// The side of the smallest images it takes.
  public let minimumSide: Int
  /// Whether its convolutions are followed by a normalisation, which can be chosen then.
  public let hasNormalization: Bool
  /// The dotted name of the last layer, which makes the logits.
  public let head: String
  /// Beginnings of names that weight files hold for parts that are left out here.
  var ignoredWeights: [String] = []
  let weights: InitialWeights
  let make: @Sendable (ImagePlan) throws -> any Module
}

/// The architectures for images that are known by name.
public enum ModelCatalog {
  /// All of them, family by family.
  public static let all: [ModelEntry] =
    smallResNets + resNets + vggs + [inception] + efficientNets + [alexNet]
    + visionTransformers

  /// The one of a name; nil when there is none.
  public static func entry(named name: String) -> ModelEntry? { byName[name] }

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  private static let residualWeights = InitialWeights(convolution: .normalByFanOut, linear: .uniformByFanIn)

  private static let smallResNets = [8, 14, 20, 32, 44, 56].map { layers in
    ModelEntry(
      name: "resnet\(layers)", summary: "residual network of \(layers) layers for small images (He et al., 2016)",
      usualSide: 32, minimumSide: 4, hasNormalization: true, head: "fc", weights: residualWeights
    ) { try ResNet.small($0, blocks: (layers - 2) / 6) }
  }

  private static let resNets = [
    (18, [2, 2, 2, 2], false), (34, [3, 4, 6, 3], false), (50, [3, 4, 6, 3], true),
  ].flatMap { layers, blocks, isBottleneck in
    [false, true].map { isSmall in
      ModelEntry(
        name: "resnet\(layers)" + (isSmall ? "-32" : ""),
        summary: "residual network of \(layers) layers" + (isSmall ? ", its stem for 32×32 images" : "")
          + " (He et al., 2016)",
        usualSide: isSmall ? 32 : 224, minimumSide: isSmall ? 8 : 32, hasNormalization: true, head: "fc",
        weights: residualWeights
      ) { try ResNet.large($0, blocks: blocks, isBottleneck: isBottleneck, smallStem: isSmall) }
    }
  }

  private static let vggs = [(11, [1, 1, 2, 2, 2]), (13, [2, 2, 2, 2, 2]), (16, [2, 2, 3, 3, 3])].flatMap {
    layers, convolutions in
    [false, true].map { normalizes in
      ModelEntry(
        name: "vgg\(layers)" + (normalizes ? "_bn" : ""),
        summary: "VGG of \(layers) layers" + (normalizes ? ", with normalisation" : "")
          + " (Simonyan and Zisserman, 2015)",
        usualSide: 224, minimumSide: 32, hasNormalization: normalizes, head: "classifier.6",
        weights: InitialWeights(convolution: .normalByFanOut, linear: .normal(0.01), drawsLinearBias: false)
      ) { try FeatureNetwork.vgg($0, convolutions: convolutions, normalizes: normalizes) }
    }
  }

  private static let inception = ModelEntry(
    name: "inception_v3", summary: "Inception-V3 without the auxiliary classifier (Szegedy et al., 2016)",
    usualSide: 299, minimumSide: 75, hasNormalization: true, head: "fc",
    ignoredWeights: ["AuxLogits."],
    // torchvision cuts this normal distribution at ±2, which is 20 σ away.
    weights: InitialWeights(convolution: .normal(0.1), linear: .normal(0.1))
  ) { try InceptionV3($0) }

  private static let efficientNets = EfficientNetScale.family.enumerated().map { index, scale in
    ModelEntry(
      name: "efficientnet_b\(index)",
      summary: "EfficientNet-B\(index): width ×\(scale.width), depth ×\(scale.depth) (Tan and Le, 2019)",
      usualSide: EfficientNetScale.imageSides[index], minimumSide: 32, hasNormalization: true, head: "classifier.1",
      weights: InitialWeights(convolution: .normalByFanOut, linear: .uniformByOutputs, drawsLinearBias: false)
    ) { try FeatureNetwork.efficientNet($0, scale) }
  }

  private static let alexNet = ModelEntry(
    name: "alexnet", summary: "AlexNet in one column (Krizhevsky, 2014)", usualSide: 224, minimumSide: 63,
    hasNormalization: false, head: "classifier.6",
    weights: InitialWeights(convolution: .uniformByFanIn, linear: .uniformByFanIn)
  ) { try FeatureNetwork.alexNet($0) }

  private static let visionTransformers = [
    (
      "vit_tiny", "vision transformer of 12 layers, width 192, patches of 4×4 for small images (Touvron et al., 2021)",
      32, 4, EncoderShape(layers: 12, width: 192, heads: 3, hidden: 768)
    ),
    (
      "vit_b_16", "vision transformer of 12 layers, width 768, patches of 16×16 (Dosovitskiy et al., 2021)", 224, 16,
      EncoderShape(layers: 12, width: 768, heads: 12, hidden: 3072)
    ),
  ].map { name, summary, side, patch, shape in
    ModelEntry(
      name: name, summary: summary, usualSide: side, minimumSide: patch, hasNormalization: false, head: "heads.head",
      weights: InitialWeights(
        convolution: .normalByFanIn, linear: .xavierUniform, drawsLinearBias: false, attentionOutput: .uniformByFanIn)
    ) { try VisionTransformer($0, shape, patch: patch, name: name) }
  }
}
