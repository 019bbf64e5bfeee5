// SPDX-License-Identifier: Apache-2.0

/// A sentence of a paper that runs or measurements can support or contradict.
public struct Claim: Sendable, Hashable, Codable {
  /// A short name, such as `CG-6`.
  public let id: String
  /// The claim.
  public let sentence: String
  /// The paper that makes it.
  public let paper: String
  /// Where in the paper.
  public let section: String
  /// What the paper trained.
  public let setting: String
}

/// The papers by title.
enum Paper {
  static let coherentGradients = "Coherent Gradients (Chatterjee, ICLR 2020)"
  static let weakAndStrong = "Weak and Strong Gradient Directions (Zielinski, Krishnan and Chatterjee, 2020)"
  static let makingCoherence = "Making Coherence Out of Nothing At All (Chatterjee and Zielinski, 2020)"
  static let generalizationMystery = "On the Generalization Mystery in Deep Learning (Chatterjee and Zielinski, 2022)"

  /// What no paper has.
  static let thisProject = "This project"
  static let thisSetting = "no paper's"

  static let noiseSetting = "MNIST, one hidden layer of 2048, SGD with lr 0.1 and batch 100, 100 000 steps"
  static let winsorizedSetting = "MNIST, three hidden layers of 256, lr 0.1 and batch 100, 60 000 steps"
  static let imageNetSetting = "ImageNet, ResNet-18, batch 256, 90 epochs"
  static let coherenceSetting = "ImageNet, ResNet and EfficientNet, m = 40 356 training examples"
  static let architecturesSetting = "ImageNet, ResNet-18, VGG-13 and Inception-V3, momentum 0.9, batch 256, 90 epochs"
  static let countSetting = "CIFAR-10, ResNet-32, batch 32, lr 0.1 and lower from 40 000 steps on, 100 000 steps"
  static let hardnessSetting = "ImageNet, ResNet-18, 500 000 training and 100 000 test examples of each kind"
  static let mysterySetting = "ImageNet, ResNet-50, m = 50 000 training and test examples"
  static let theorySetting = "an argument, no training"
  static let suggestedSetting = "an explanation, without an experiment of its own"
}
