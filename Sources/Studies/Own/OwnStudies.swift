// SPDX-License-Identifier: Apache-2.0

import Runs
import Training

/// Studies that no paper has: where robust averages suppress memorising, and what of coherence is about labels.
extension StudyCatalog {
  static let own = [groupSize, normalisation, andMask, noisyLabels, privacy, grokking, visionTransformer, auditScores]

  /// A setting of the grid over group sizes: SGD and RM3 in mini-batches of `group`, M3 in three times as large ones.
  private struct GroupSetting {
    let name: String
    let group: Int
    let base: TrainingConfiguration
  }

  private static let groupSize = Study(
    id: "ws/group-size", title: "Group size and memorising",
    question: "Where does a robust average suppress memorising, and does the ledger of pushes tell beforehand?",
    paper: Paper.thisProject, section: "group size, the ledger of pushes", claims: ["GS-1", "GS-2"],
    scales: [
      .smoke: "500 built-in digits, 1×32, 60 steps, groups of 5 and 17",
      .small:
        "MNIST, glyphs:10 and glyphs:100 (3×256), CIFAR-10 (2×512 and ResNet-8), 2500 to 20 000 images, groups of 8 to 128, 50 % noise, 3 seeds",
      .paper: "all of MNIST and CIFAR-10 and 60 000 glyphs, groups of 8 to 512, 50 % noise, 3 seeds",
    ], fixed: ["batch-size", "subset"], rules: [GS1(), GS2()], figures: OwnFigures.groupSize
  ) { request in
    settings(request.profile).flatMap { setting in
      ["sgd", "rm3", "m3"].flatMap { word in
        bySeed(
          request, "\(setting.name)-\(word)", title: "\(word.uppercased()), groups of \(setting.group)", setting.base
        ) {
          ($0.noise, $0.noiseKind, $0.optimizer) = (0.5, .uniform, word)
          // The rest of an epoch is a group of another size.
          ($0.batchSize, $0.dropLast) = (word == "m3" ? 3 * setting.group : setting.group, true)
          // The prediction is taken from SGD alone, and from passes 1 to 10 (PushPoint.passes).
          if word == "sgd" { $0.probe = [request.profile == .smoke ? "push:m=20@every:20" : "push:m=120@epoch:1-10"] }
        }
      }
    }
  }

  private static func settings(_ profile: StudyProfile) -> [GroupSetting] {
    func mnist(_ examples: Int?, _ group: Int, dataset: String = "mnist", epochs: Double = 30) -> GroupSetting {
      var base = Setting.mnist(model: "mlp:256,256,256", epochs: epochs, examples: examples)
      base.dataset = dataset
      let name = "\(dataset.replacing(":", with: ""))-\(examples ?? 60_000)-group-\(group)"
      return GroupSetting(name: name, group: group, base: base)
    }
    func cifar(_ model: String, _ examples: Int, epochs: Double, lr: Double = 0.05) -> GroupSetting {
      let word = model.hasPrefix("mlp") ? "perceptron" : model
      let base = Setting.cifar(model: model, examples: examples, epochs: epochs, lr: lr).with {
        $0.schedule = "constant"
      }
      return GroupSetting(name: "cifar-\(word)-\(examples)-group-32", group: 32, base: base)
    }
    switch profile {
    case .smoke:
      return [5, 17].map { GroupSetting(name: "digits-group-\($0)", group: $0, base: Setting.digits(steps: 60)) }
    case .small:
      return [8, 32, 128].map { mnist(20_000, $0) } + [mnist(5000, 32, epochs: 60)]
        + [10, 100].map { mnist(20_000, 32, dataset: "glyphs:\($0)") }
        + [cifar("mlp:512,512", 5000, epochs: 50), cifar("resnet8", 2500, epochs: 60, lr: 0.1)]
    case .paper:
      return [8, 32, 128, 512].map { mnist(nil, $0, epochs: 40) } + [mnist(10_000, 32, epochs: 60)]
        + [10, 100, 1000].map { mnist(nil, 32, dataset: "glyphs:\($0)", epochs: 40) }
        + [cifar("mlp:512,512", 50_000, epochs: 60), cifar("resnet20", 50_000, epochs: 100)]
    }
  }

  private static let normalisation = Study(
    id: "mc/normalisation", title: "Coherence and normalisation",
    question: "What of m-coherence on random labels is about labels, and what about the statistics of batches?",
    paper: Paper.thisProject, section: "coherence and batch normalisation", claims: ["MN-1"],
    scales: [
      .smoke: "96 built-in digits, ResNet-20 with batch and with group norm, 6 steps",
      .small:
        "2500 images of CIFAR-10, ResNet-8 with batch and with group norm, batch 125, 120 epochs, momentum 0.9, m = 1000, random labels, 3 seeds",
      .paper: "ImageNet, ResNet-50 with batch and with group norm, batch 4096, m = 40 356, noise 0 and 100 %",
    ], rules: [MN1()], figures: OwnFigures.normalisation
  ) { request in
    let m = request.by(smoke: 30, small: 1000, paper: Setting.imageNetSample)
    return [("batch", "batch"), ("group", "group:8")].flatMap { word, norm in
      let base = request.by(
        smoke: Setting.digits(examples: 96, model: "resnet20", batch: 24, steps: 6),
        small: Setting.groupNorm(model: "resnet8", examples: 2500, batch: 125, epochs: 120),
        paper: Setting.imageNet(model: "resnet50", batch: 4096))
      return levelsBySeed(
        request, levels: request.by(smoke: [0, 1], small: [1], paper: [0, 1]), seeds: request.profile == .paper ? 1 : 3,
        base, prefix: word, title: "\(word) norm"
      ) {
        $0.norm = norm
        let probe = "coherence:m=\(m)"
        $0.probe =
          norm == "batch"
          ? ["\(probe)@dense:0-10,log", "\(probe),bn=batch@dense:0-10,log"] : ["\(probe)@dense:0-10,log"]
      }
    }
  }
}
