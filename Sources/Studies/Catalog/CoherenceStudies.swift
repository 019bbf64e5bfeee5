// SPDX-License-Identifier: Apache-2.0

import Runs
import Training

/// Making Coherence Out of Nothing At All (2020): the course of m-coherence.
extension StudyCatalog {
  static let makingCoherence = [evolution, measures]

  private static let evolution = Study(
    id: "mc/evolution", title: "The trajectory of m-coherence",
    question:
      "How does the agreement of examples rise and fall along training, by noise, by layer and by architecture?",
    paper: Paper.makingCoherence, section: "§4, figures 1 to 4", claims: ["MC-2", "MC-3", "MC-4", "MC-5", "GM-2"],
    scales: [
      .smoke: "96 built-in digits, ResNet-20, 6 steps, noise 0 and 100 %",
      .small:
        "5000 images of CIFAR-10, ResNet-8 with group norm, batch 250, 180 epochs, momentum 0.9, m = 2000, noise 0 and 100 %, 3 seeds",
      .paper: "ImageNet, ResNet-50, EfficientNet-B0, Inception-V3, batch 4096, m = 40 356, 5 noise levels",
    ]
  ) { request in
    let models = request.by(
      smoke: ["resnet20"], small: ["resnet8"], paper: ["resnet50", "efficientnet_b0", "inception_v3"])
    return models.flatMap { model in
      let base = request.by(
        smoke: Setting.digits(examples: 96, model: model, batch: 24, steps: 6), small: Setting.groupNorm(model: model),
        paper: Setting.imageNet(model: model, batch: 4096).with { $0.norm = "group:8" })
      let m = request.by(smoke: 30, small: 2000, paper: Setting.imageNetSample)
      return levelsBySeed(
        request, levels: request.by(smoke: [0, 1], small: [0, 1], paper: Setting.levels),
        seeds: request.profile == .paper ? 1 : 3, base, prefix: model, title: model
      ) {
        $0.probe = ["coherence:m=\(m)@dense:0-50,log"]
        // Test examples of the same kind as the training ones: random labels there too.
        $0.noisyTestProbes = true
      }
    }
  }

  private static let measures = Study(
    id: "mc/measures", title: "m-coherence and related measures",
    question:
      "What do stiffness, gradient confusion, GSNR and gradient diversity show where m-coherence is measured, and what does each cost?",
    paper: Paper.makingCoherence, section: "§2 and §3", claims: ["MC-1"],
    scales: [
      .smoke: "500 built-in digits, 1×32, 120 steps",
      .small: "MNIST, 1×512, 6000 steps, noise 0 and 100 %; cost for m to 8000",
      .paper: "MNIST, 1×2048, 100 000 steps, noise 0 and 100 %; cost for m to 32 000",
    ]
  ) { request in
    let base = request.by(
      smoke: Setting.digits(), small: Setting.mnist(model: "mlp:512", steps: 6000),
      paper: Setting.mnist(model: "mlp:2048", steps: 100_000))
    let m = request.by(smoke: 60, small: 400, paper: 1000)
    let runs = levelsBySeed(request, levels: [0, 1], seeds: request.profile == .small ? 3 : 1, base) {
      $0.probe = ["coherence:m=\(m)@log", "measures:m=\(m)@log"]
    }
    let width = request.by(smoke: 32, small: 512, paper: 2048)
    return runs + [
      .computing(
        "m-coherence", "r where it is known, and its cost",
        .mCoherence(
          sizes: request.by(
            smoke: [100, 200, 400], small: [1000, 2000, 4000, 8000], paper: [2000, 8000, 32_000]), width: width)),
      .computing(
        "measures-cost", "coherence beside the measures over pairs",
        .measuresCost(
          sizes: request.by(smoke: [50, 100], small: [250, 500, 1000, 2000], paper: [500, 1000, 2000]), width: width)),
    ]
  }
}
