// SPDX-License-Identifier: Apache-2.0

import Charts
import NeuralNetworks
import Runs
import Training

/// What the studies train on, before they vary it.
enum Setting {
  /// The built-in digits, for seconds.
  static func digits(examples: Int = 500, model: String = "mlp:32", batch: Int = 50, steps: Int = 120)
    -> TrainingConfiguration
  {
    TrainingConfiguration().with {
      ($0.dataset, $0.subset, $0.testSubset) = ("digits", examples, 500)
      ($0.model, $0.batchSize, $0.steps) = (model, batch, steps)
    }
  }

  /// MNIST with the rates of Coherent Gradients: lr 0.1, labels permuted among the chosen.
  static func mnist(
    model: String, batch: Int = 100, steps: Int? = nil, epochs: Double? = nil, examples: Int? = nil
  ) -> TrainingConfiguration {
    TrainingConfiguration().with {
      ($0.dataset, $0.subset) = ("mnist", examples)
      ($0.model, $0.batchSize, $0.steps, $0.epochs) = (model, batch, steps, epochs)
    }
  }

  /// The first examples of CIFAR-10, which may lack files, with a rate that falls as a cosine; 2000 of the test images,
  /// whose accuracies are right to about a hundredth.
  static func cifar(model: String, examples: Int, batch: Int = 32, epochs: Double, lr: Double = 0.1)
    -> TrainingConfiguration
  {
    let perEpoch = Double((examples + batch - 1) / batch)
    return TrainingConfiguration().with {
      ($0.dataset, $0.allowMissing, $0.subset, $0.testSubset) = ("cifar10", true, examples, 2000)
      ($0.model, $0.batchSize, $0.epochs) = (model, batch, epochs)
      ($0.lr, $0.schedule, $0.noiseKind) = (lr, "cosine", .uniform)
      // An evaluation costs as much as many steps.
      $0.evalEvery = max(1, Int(clamping: epochs * perEpoch / 16))
    }
  }

  /// CIFAR-10 without batch normalisation, which couples examples: with group normalisation, in mini-batches of a size
  /// that is nearer to the papers' 4096, until random labels are fitted. Momentum halves the passes that takes.
  static func groupNorm(model: String, examples: Int = 5000, batch: Int = 250, epochs: Double = 180)
    -> TrainingConfiguration
  {
    cifar(model: model, examples: examples, batch: batch, epochs: epochs, lr: 0.1).with {
      ($0.norm, $0.schedule, $0.momentum, $0.evalEvery) = ("group:8", "constant", 0.9, 100)
    }
  }

  /// ImageNet as in Weak and Strong §2 and §3: batch 256, 90 epochs, lr 0.1, no augmentation, no weight decay. Steps of
  /// the schedule are those of its 1 281 167 training images.
  static func imageNet(model: String, batch: Int = 256, epochs: Double = 90) -> TrainingConfiguration {
    let perEpoch = (imageNetExamples + batch - 1) / batch
    return TrainingConfiguration().with {
      ($0.dataset, $0.imageSize) = ("folder", model.hasPrefix("inception") ? 299 : 224)
      ($0.model, $0.batchSize, $0.epochs, $0.noiseKind) = (model, batch, epochs, .uniform)
      $0.schedule = model.hasPrefix("resnet") ? "step:\(30 * perEpoch),\(60 * perEpoch)" : "cosine"
    }
  }

  static let imageNetExamples = 1_281_167
  /// The sample of Making Coherence Out of Nothing At All.
  static let imageNetSample = 40_356
  static let levels = [0, 0.25, 0.5, 0.75, 1]
}

extension TrainingConfiguration {
  /// A changed copy.
  func with(_ change: (inout TrainingConfiguration) -> Void) -> TrainingConfiguration {
    var copy = self
    change(&copy)
    return copy
  }
}

/// The studies by name.
public enum StudyCatalog {
  /// All of them, in the order of the papers.
  public static let all: [Study] = coherentGradients + weakAndStrong + makingCoherence + generalizationMystery + own

  /// The papers whose experiments the studies repeat, in order, each with what the names of its studies begin with; and
  /// last this project, which has studies of its own.
  public static let papers: [(prefix: String, title: String, isOwn: Bool)] = all.reduce(into: []) { papers, study in
    guard !papers.contains(where: { $0.title == study.paper }) else { return }
    let prefix = study.id.split(separator: "/").first.map(String.init) ?? study.id
    papers.append((prefix, study.paper, study.paper == Paper.thisProject))
  }

  /// The study of a name.
  ///
  /// - Throws: `StudyError` with the nearest name when there is none.
  public static func study(_ id: String) throws -> Study {
    if let found = all.first(where: { $0.id == id.lowercased() }) { return found }
    let (names, word) = (all.map(\.id), id.lowercased())
    // Without its paper, or its end, a name is often enough.
    let parts = names.filter { $0.split(separator: "/").last.map(String.init) == word }
    let near = parts.isEmpty ? nearest(to: word, in: names).map { [$0] } ?? meant(by: word, among: names) : parts
    throw StudyError(
      "There is no study \"\(id)\".",
      remedy: (near.isEmpty ? "" : "Did you mean \(near.joined(separator: " or "))? ")
        + "`coherent study list` shows them all.")
  }

  /// The studies that a part of a name can mean: those that it begins, else those of the paper that it names.
  private static func meant(by word: String, among names: [String]) -> [String] {
    guard !word.isEmpty else { return [] }
    let begun = names.filter { $0.hasPrefix(word) || $0.split(separator: "/").last?.hasPrefix(word) == true }
    guard begun.isEmpty, let paper = word.split(separator: "/").first else { return begun }
    return names.filter { $0.hasPrefix(paper + "/") }
  }
}
