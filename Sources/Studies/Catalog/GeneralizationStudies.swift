// SPDX-License-Identifier: Apache-2.0

import Charts
import Runs
import Training

/// On the Generalization Mystery in Deep Learning (2022).
extension StudyCatalog {
  static let generalizationMystery =
    [coherence, medians, stabilityBound, learningOrder] + [adversarialInit, widthDepth, linearExample, earlyStopping]

  private static let coherence = Study(
    id: "gm/coherence", title: "Real and random labels",
    question: "Is coherence higher with real labels than with random ones, on training and on test examples?",
    paper: Paper.generalizationMystery, section: "figure 3", claims: ["GM-2"],
    scales: [
      .smoke: "500 built-in digits, 1×32, 120 steps",
      .small:
        "5000 images of CIFAR-10, ResNet-8 with group norm, batch 250, 180 epochs, momentum 0.9, m = 2000, noise 0 and 100 %, 3 seeds",
      .paper: "ImageNet, ResNet-50 with group norm, batch 4096, m = 50 000, noise 0 and 100 %",
    ]
  ) { request in
    let base = request.by(
      smoke: Setting.digits(), small: Setting.groupNorm(model: "resnet8"),
      paper: Setting.imageNet(model: "resnet50", batch: 4096).with { $0.norm = "group:8" })
    let m = request.by(smoke: 100, small: 2000, paper: 50_000)
    return levelsBySeed(request, levels: [0, 1], seeds: request.profile == .paper ? 1 : 3, base) {
      $0.probe = ["coherence:m=\(m)@dense:0-10,log"]
      // Test examples of the same kind as the training ones: random labels there too.
      $0.noisyTestProbes = true
    }
  }

  private static let medians = Study(
    id: "gm/m3", title: "M3 on corrupt labels",
    question: "Does a residual network trained with M3 on half corrupt labels learn the pristine ones only?",
    paper: Paper.generalizationMystery, section: "figure 4", claims: ["GM-3"],
    scales: [
      .smoke: "96 built-in digits, ResNet-20, 4 steps",
      .small: "10 000 images of CIFAR-10, ResNet-8, 100 epochs, batch 16 (M3: 48), 50 % noise, 3 seeds",
      .paper: "ImageNet, ResNet-50, batch 264, 90 epochs, 50 % noise, 3 seeds",
    ], overridable: ["batch-size", "schedule"]
  ) { request in
    let base = request.by(
      smoke: Setting.digits(examples: 96, model: "resnet20", batch: 24, steps: 4),
      // Until SGD memorises; the rest of an epoch is left out, as 48 does not divide the examples.
      small: Setting.cifar(model: "resnet8", examples: 10_000, batch: 16, epochs: 100, lr: 0.05).with {
        ($0.schedule, $0.dropLast) = ("step:31250,46875", true)
      },
      paper: Setting.imageNet(model: "resnet50", batch: 264)
    ).with { $0.noiseKind = .uniform }
    return ["sgd", "m3"].flatMap { word in
      // Groups as large as SGD's mini-batches, and as many passes.
      let own = base.with {
        guard word == "m3", request.profile == .small else { return }
        ($0.batchSize, $0.schedule) = (48, "step:10400,15600")
      }
      return levelsBySeed(request, levels: [0.5], seeds: 3, own, prefix: word, title: word.uppercased()) {
        $0.optimizer = word
      }
    }
  }

  private static let stabilityBound = Study(
    id: "gm/stability-bound", title: "The stability bound along a run",
    question: "Does the bound on the generalisation gap order real below random labels?",
    paper: Paper.generalizationMystery, section: "theorem 1", claims: ["GM-4"],
    scales: [
      .smoke: "500 built-in digits, 1×32, 120 steps",
      .small: "MNIST, 1×256, 3000 steps, noise 0 and 100 %, 3 seeds",
      .paper: "ImageNet, ResNet-50, batch 4096, noise 0 and 100 %",
    ]
  ) { request in
    let base = request.by(
      smoke: Setting.digits(), small: Setting.mnist(model: "mlp:256", steps: 3000),
      paper: Setting.imageNet(model: "resnet50", batch: 4096))
    let m = request.by(smoke: 100, small: 2000, paper: Setting.imageNetSample)
    return levelsBySeed(request, levels: [0, 1], seeds: request.profile == .paper ? 1 : 3, base) {
      $0.probe = ["stability:m=\(m)@log", "coherence:m=\(m)@log"]
    }
  }

  private static let learningOrder = Study(
    id: "gm/learning-order", title: "What is learned first",
    question: "Are the examples that are learned early those with most in common with the others?",
    paper: Paper.generalizationMystery, section: "summary, point 1", claims: ["GM-5"],
    scales: [
      .smoke: "500 built-in digits, 1×32, 120 steps",
      .small: "10 000 images of MNIST, 1×512, 3000 steps, 3 seeds",
      .paper: "ImageNet, ResNet-50, batch 4096, one seed",
    ]
  ) { request in
    let base = request.by(
      smoke: Setting.digits(), small: Setting.mnist(model: "mlp:512", steps: 3000, examples: 10_000),
      paper: Setting.imageNet(model: "resnet50", batch: 4096))
    let looks = [0, 1, 3, 10, 30, 100].map { "dense:\($0)-\($0)" }.joined(separator: ",")
    let seeds = request.seeds(request.profile == .paper ? 1 : 3)
    return seeds.flatMap { seed -> [Cell] in
      let run = CellName.make("run", seed: seed, of: seeds)
      return [
        .training(
          run, "real labels",
          base.with {
            $0.seed = seed
            $0.probe = ["examples@\(looks)"]
          }),
        .computing(
          "learning-order" + (seeds.count > 1 ? "-seed\(seed)" : ""), "rank correlations", needs: [run],
          .learningOrder(run: run)),
      ]
    }
  }

  private static let adversarialInit = Study(
    id: "gm/adversarial-init", title: "Adversarial initialisation",
    question: "Does starting from weights that fit random labels lower coherence and generalisation?",
    paper: Paper.generalizationMystery, section: "summary, point 4", claims: ["GM-6"],
    scales: [
      .smoke: "500 built-in digits, 1×32, 120 steps",
      .small: "5000 images of MNIST, 1×512: random labels for 12 000 steps, then real ones for 3000; 3 seeds",
      .paper: "ImageNet, ResNet-50: random labels for 90 epochs, then real ones for 90; 3 seeds",
    ], overridable: ["probe"]
  ) { request in
    let base = request.by(
      smoke: Setting.digits(), small: Setting.mnist(model: "mlp:512", steps: 3000, examples: 5000),
      paper: Setting.imageNet(model: "resnet50"))
    let m = request.by(smoke: 100, small: 1000, paper: Setting.imageNetSample)
    let seeds = request.seeds(3)
    return seeds.flatMap { seed -> [Cell] in
      let pretrained = CellName.make("random", seed: seed, of: seeds)
      let weights = CellName.make("weights", seed: seed, of: seeds)
      let real = base.with { ($0.seed, $0.probe) = (seed, ["coherence:m=\(m)@dense:0-10,log"]) }
      return [
        .training(
          pretrained, "random labels first",
          base.with {
            ($0.seed, $0.noise, $0.noiseKind) = (seed, 1, .uniform)
            $0.steps = request.by(smoke: 240, small: 12_000, paper: nil)
          }),
        .training(CellName.make("fresh", seed: seed, of: seeds), "real labels, fresh weights", real),
        .training(
          CellName.make("adversarial", seed: seed, of: seeds), "real labels, from those weights",
          needs: [pretrained], inputs: [.weights(from: pretrained, name: weights)],
          real.with { $0.weights = request.folder.prepared("\(weights).safetensors").path }),
      ]
    }
  }

  private static let widthDepth = Study(
    id: "gm/width-depth", title: "Width and depth",
    question: "Does width help generalisation, and does depth amplify what examples have in common?",
    paper: Paper.generalizationMystery, section: "summary, point 5", claims: ["GM-7"],
    scales: [
      .smoke: "300 built-in digits, widths 8 and 32, depths 1 and 2",
      .small: "1000 images of MNIST, widths 16 to 1024, depths 1 to 5, 4000 steps, 3 seeds",
      .paper: "MNIST, widths 64 to 4096, depths 1 to 6, 20 000 steps, 3 seeds",
    ]
  ) { request in
    let widths = request.by(smoke: [8, 32], small: [16, 64, 256, 1024], paper: [64, 256, 1024, 4096])
    let depths = request.by(smoke: [1, 2], small: [1, 2, 3, 5], paper: [1, 2, 4, 6])
    let depthWidth = request.by(smoke: 32, small: 256, paper: 256)
    let words =
      widths.map { "mlp:\($0)" }
      + depths.map { "mlp:" + Array(repeating: "\(depthWidth)", count: $0).joined(separator: ",") }
    let m = request.by(smoke: 100, small: 1000, paper: 5000)
    return unique(words).flatMap { model in
      let base = request.by(
        smoke: Setting.digits(examples: 300, model: model),
        small: Setting.mnist(model: model, batch: 50, steps: 4000, examples: 1000),
        paper: Setting.mnist(model: model, steps: 20_000))
      return bySeed(request, model, title: model, base) { $0.probe = ["coherence:m=\(m)@log"] }
    }
  }

  private static let linearExample = Study(
    id: "gm/linear-example", title: "The linear example, and the laws of coherence",
    question: "What is coherence where it can be worked out by hand?",
    paper: Paper.generalizationMystery, section: "§2", claims: ["GM-1", "GM-8"],
    scales: [.smoke: "exact", .small: "exact", .paper: "exact"]
  ) { request in
    [
      .computing("linear-example", "four examples, real and random", .linearExample),
      .computing(
        "coherence-laws", "the laws on random gradients",
        .coherenceLaws(cases: request.by(smoke: 120, small: 2000, paper: 2000))),
    ]
  }

  private static let earlyStopping = Study(
    id: "gm/early-stopping", title: "Early stopping",
    question: "Does stopping early help the more, the more labels are wrong?",
    paper: Paper.generalizationMystery, section: "summary, point 3", claims: ["CG-11"],
    scales: [
      .smoke: "500 built-in digits, 1×32, 120 steps, 5 noise levels",
      .small: "10 000 images of MNIST, 3×256, 12 000 steps, 5 noise levels, 3 seeds",
      .paper: "ImageNet, ResNet-50, 90 epochs, 5 noise levels",
    ]
  ) { request in
    let base = request.by(
      smoke: Setting.digits(), small: Setting.mnist(model: "mlp:256,256,256", steps: 12_000, examples: 10_000),
      paper: Setting.imageNet(model: "resnet50"))
    return levelsBySeed(request, seeds: request.profile == .paper ? 1 : 3, base)
  }
}
