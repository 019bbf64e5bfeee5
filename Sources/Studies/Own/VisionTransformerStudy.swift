// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore
import Runs
import Training

/// Whether coherence has the same course in a network without convolutions.
extension StudyCatalog {
  static let visionTransformer = Study(
    id: "beyond/vit", title: "Coherence of a vision transformer",
    question:
      "Does m-coherence take the same course in a vision transformer as in a residual network on the same images?",
    paper: Paper.thisProject, section: "coherence of a vision transformer", claims: ["VT-1", "VT-2"],
    scales: [
      .smoke: "60 built-in digits, ResNet-20 and ViT-tiny, batch 30, 2 steps of AdamW, noise 0 and 100 %",
      .small:
        "1000 images of CIFAR-10, ResNet-20 with group norm and ViT-tiny, batch 100, 60 epochs of AdamW, m = 1000, noise 0 and "
        + "100 %, 3 seeds",
      .paper:
        "CIFAR-10, ResNet-20 with group norm and ViT-tiny, batch 500, 100 epochs of AdamW, m = 10 000, noise 0 and 100 %, "
        + "3 seeds",
    ], rules: [VT1(), VT2()], figures: VisionNetwork.figures
  ) { request in
    VisionNetwork.all.flatMap { network in
      let images = request.by(
        smoke: Setting.digits(examples: 60, model: network.model, batch: 30, steps: 2).with {
          // Patches of 4×4.
          ($0.testSubset, $0.imageSize) = (30, 28)
        },
        small: Setting.cifar(model: network.model, examples: 1000, batch: 100, epochs: 60),
        paper: Setting.cifar(model: network.model, examples: 50_000, batch: 500, epochs: 100))
      let base = images.with {
        ($0.optimizer, $0.lr, $0.schedule, $0.norm) = ("adamw", 0.001, "constant", network.norm ?? $0.norm)
      }
      let m = request.by(smoke: 12, small: 1000, paper: 10_000)
      return levelsBySeed(
        request, levels: [0, 1], seeds: 3, base, prefix: network.model, title: network.title
      ) { $0.probe = ["coherence:m=\(m)@dense:0-5,log"] }
    }
  }
}

/// A network of the study.
struct VisionNetwork {
  let model, title: String
  /// Its normalisation; nil for its own.
  let norm: String?

  static let transformer = VisionNetwork(model: "vit_tiny", title: "ViT-tiny", norm: nil)
  static let residual = VisionNetwork(model: "resnet20", title: "ResNet-20", norm: "group:8")
  static let all = [transformer, residual]

  /// The runs with it.
  func runs(in runs: [RunHistory]) -> [RunHistory] { runs.filter { $0.manifest.model == model } }

  /// The highest r with real labels after the initial fall.
  static func peak(_ run: RunHistory) -> Double? { CoherenceCourse(of: run)?.peak.value }

  @Sendable static func figures(_ source: FigureSource) throws -> [Figure?] {
    CoherenceFigures.evolution(source) + [accuracies(source)]
  }

  /// Training and test accuracy, a row for each network.
  private static func accuracies(_ source: FigureSource) -> Figure? {
    FigureGrid(
      id: "accuracy", title: "Accuracy with real and random labels",
      caption: source.caption("Accuracy on the training and on the test images. \(FigureAxis.logarithmicStepsNote)"),
      section: CoherenceFigures.section, colors: .ordered, order: source.noiseNames,
      panels: all.flatMap { network in
        ["train", "test"].map { split in
          FigurePanel(
            row: network.title, column: split == "train" ? "Training accuracy" : "Test accuracy", x: .steps,
            y: .accuracy(), lines: FigureSource(runs: network.runs(in: source.runs)).lines { $0.accuracy(split) })
        }
      }
    ).figure()
  }
}

/// A rule of the study: it reads runs of the two networks without batch statistics.
protocol VisionRule: Rule {}

extension VisionRule {
  var file: String { "Own/VisionTransformerStudy.swift" }
  var varying: Set<Factor> { [.noise, .seed, .model, .normalization] }
  func reads(_ run: RunHistory) -> Bool {
    VisionNetwork.all.contains { $0.model == run.manifest.model } && run.optimizer.name == "sgd+adamw"
      && !run.hasBatchNorm
      && Level.contains(run.noise, in: [0, 1])
  }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    VisionNetwork.transformer.runs(in: runs).contains { !$0.mCoherence("train").isEmpty }
  }
}

/// The shape of MC-2, in both networks.
struct VT1: VisionRule {
  let claim = Claim(
    id: "VT-1",
    sentence:
      "In a vision transformer as in a residual network, m-coherence with random labels rises and falls, and its peak with real "
      + "labels is at least twice that with random ones.",
    paper: Paper.thisProject, section: "coherence of a vision transformer", setting: Paper.thisSetting)

  func judge(_ runs: [RunHistory]) -> Judgement {
    .joining(
      VisionNetwork.all.map { network in
        let own = bySeed(network.runs(in: runs), held: "It does") { runs, assessment in
          MC2.compare(real: runs.at(0), random: runs.at(1), &assessment)
        }
        return (
          sentence: "\(network.title): r rises and falls with random labels, with a peak well below real labels’.",
          judgement: own
        )
      })
  }
}

/// How high coherence is.
struct VT2: VisionRule {
  /// "Of the same size": within a factor of two.
  static let alike = log(2.0)

  let claim = Claim(
    id: "VT-2",
    sentence:
      "With real labels the peak of m-coherence of a vision transformer is that of a residual network on the same images, "
      + "within a factor of two.",
    paper: Paper.thisProject, section: "coherence of a vision transformer", setting: Paper.thisSetting)

  func judge(_ runs: [RunHistory]) -> Judgement {
    .assessing(held: "It is") { assessment in
      let real = runs.filter { Level.isEqual($0.noise, 0) }
      let (own, other) = (VisionNetwork.transformer.runs(in: real), VisionNetwork.residual.runs(in: real))
      if Set(real.map { $0.probeSizes("train") }).count > 1 {
        assessment.leaveOpen("the probes differ in m, which r grows with")
      }
      for (network, runs) in [(VisionNetwork.transformer, own), (.residual, other)] {
        let values = runs.onePerSeed.compactMap(VisionNetwork.peak)
        if !values.isEmpty { assessment.note(NamedValue("peak r of \(network.title)", values: values)) }
      }
      let ratio = assessment.seedMean(
        "log of the ratio of the peaks", of: own, beside: other.valuesBySeed(VisionNetwork.peak),
        missing: "both networks with real labels", VisionNetwork.peak
      ) { log($0 / $1) }
      guard let ratio else { return }
      if abs(ratio.mean) - ratio.error > Self.alike {
        assessment.fail("the peaks differ by more than a factor of two")
      } else if abs(ratio.mean) + ratio.error > Self.alike {
        assessment.leaveOpen("the ratio of the peaks is within two standard errors of two")
      }
    }
  }
}
