// SPDX-License-Identifier: Apache-2.0

import Runs
import Training

/// Weak and Strong Gradient Directions (2020): label noise, robust means and winsorizing on networks for images.
extension StudyCatalog {
  static let weakAndStrong = [imageNoise, robustMeans, batchSize, winsorizedCIFAR] + [easyHard, difficulty, cost]

  private static let imageNoise = Study(
    id: "ws/label-noise", title: "Label noise on networks for images",
    question: "Are pristine examples learned first on ResNet-18, VGG-13 and Inception-V3 too?",
    paper: Paper.weakAndStrong, section: "§2 and appendix A, figures 1, 6, 7", claims: ["WS-1"],
    scales: [
      .smoke: "96 built-in digits, ResNet-18 for small images, 4 steps, 5 noise levels",
      .small:
        "10 000 images of CIFAR-10, ResNet-18 with a stem for them, 10 epochs, momentum 0.9, 5 noise levels, 3 seeds",
      .paper: "ImageNet, 90 epochs, batch 256, momentum 0.9, 5 noise levels",
    ]
  ) { request in
    let models = request.by(
      smoke: ["resnet18-32"], small: ["resnet18-32"], paper: ["resnet18", "vgg13_bn", "inception_v3"])
    return models.flatMap { model in
      let base = request.by(
        smoke: Setting.digits(examples: 96, model: model, batch: 24, steps: 4),
        small: Setting.cifar(model: model, examples: 10_000, batch: 100, epochs: 10, lr: 0.02).with {
          $0.momentum = 0.9
          // What is learned first shows early: evaluations are closer together.
          $0.evalEvery = 25
        },
        paper: Setting.imageNet(model: model).with { $0.momentum = 0.9 })
      return levelsBySeed(request, seeds: request.profile == .paper ? 1 : 3, base, prefix: model, title: model)
    }
  }

  private static let robustMeans = Study(
    id: "ws/robust-means", title: "Medians in place of means",
    question: "Does suppressing weak directions with RM3 and M3 shrink the generalisation gap, where RA3 does not?",
    paper: Paper.weakAndStrong, section: "§3, figures 2 and 3", claims: ["WS-2", "WS-3", "WS-4", "WS-5"],
    scales: [
      .smoke: "500 built-in digits, 1×32, 120 steps",
      .small: "MNIST, 3×256, 40 epochs, batch 32 (M3: 96), noise 0, 50, 100 %, 3 seeds",
      .paper: "ImageNet, ResNet-18, 90 epochs, batch 256 (M3: 264), noise 0, 50, 100 %, 3 seeds",
    ], overridable: ["batch-size"]
  ) { request in
    // RM3 takes the median of mini-batches, M3 of the thirds of one: groups of equal size are in mini-batches three
    // times as large. Both sizes divide MNIST's 60 000, so that no short mini-batch is left at the end of an epoch.
    let base = request.by(
      smoke: Setting.digits(batch: 51), small: Setting.mnist(model: "mlp:256,256,256", batch: 32, epochs: 40),
      paper: Setting.imageNet(model: "resnet18")
    ).with { $0.noiseKind = .uniform }
    let m = request.by(smoke: 102, small: 960, paper: 2640)
    // In the paper eight processors share M3's mini-batch in three groups: footnote 2.
    let largerBatch = request.by(smoke: 51, small: 96, paper: 264)
    let cells = ["sgd", "ra3", "rm3", "m3"].flatMap { word in
      levelsBySeed(
        request, levels: [0, 0.5, 1], seeds: 3, base.with { if word == "m3" { $0.batchSize = largerBatch } },
        prefix: word, title: word.uppercased()
      ) {
        $0.optimizer = word
        // The amplification of strong directions is a property of the weights that M3 comes to.
        if word == "m3", $0.noise == 0 { $0.probe = ["median:m=\(m)@log"] }
      }
    }
    return cells + [
      .computing(
        "median-expectation", "the example of §3.2",
        .medianExpectation(m: request.by(smoke: 30, small: 300, paper: 300)))
    ]
  }

  private static let batchSize = Study(
    id: "ws/batch-size", title: "RM3 and the size of mini-batches",
    question: "Does RM3 behave like SGD when its mini-batches are large?",
    paper: Paper.weakAndStrong, section: "§3.3", claims: ["WS-6"],
    scales: [
      .smoke: "500 built-in digits, batch 20 and 100",
      .small: "10 000 images of MNIST, 3×256, 12 000 steps, batch 25 to 1000, 50 % noise, SGD, RA3, RM3, 3 seeds",
      .paper: "ImageNet, ResNet-18, 450 450 steps, batch 64 to 1024, 50 % noise, 3 seeds",
    ], fixed: ["batch-size", "subset"]
  ) { request in
    let sizes = request.by(smoke: [20, 100], small: [25, 100, 400, 1000], paper: [64, 256, 1024])
    return ["sgd", "ra3", "rm3"].flatMap { word in
      sizes.flatMap { size in
        let base = request.by(
          smoke: Setting.digits(batch: size, steps: 60),
          small: Setting.mnist(model: "mlp:256,256,256", batch: size, steps: 12_000, examples: 10_000),
          paper: Setting.imageNet(model: "resnet18", batch: size).with {
            // As many updates at every size as 90 epochs have at the paper's 256, and the same schedule.
            ($0.epochs, $0.steps, $0.schedule) = (nil, 450_450, "step:150150,300300")
          })
        return bySeed(request, "\(word)-batch-\(size)", title: "\(word.uppercased()), batch \(size)", base) {
          ($0.optimizer, $0.noise, $0.noiseKind) = (word, 0.5, .uniform)
        }
      }
    }
  }

  private static let winsorizedCIFAR = Study(
    id: "ws/winsorized-cifar", title: "Winsorized descent on CIFAR-10",
    question: "Does winsorizing keep a residual network from memorising random labels?",
    paper: Paper.weakAndStrong, section: "§3.1 and appendix B, figure 8", claims: ["WS-8"],
    scales: [
      .smoke: "96 built-in digits, ResNet-20, 4 steps",
      .small: "5000 images of CIFAR-10, ResNet-8, 80 epochs, s = 0, 2, 4, noise 0 and 100 %, 3 seeds",
      .paper: "CIFAR-10, ResNet-32, batch 32, 100 000 steps, s = 0, 2, 4, noise 0 and 100 %, 3 seeds",
    ]
  ) { request in
    let base = request.by(
      smoke: Setting.digits(examples: 96, model: "resnet20", batch: 32, steps: 4),
      // As many passes as it takes SGD to memorise, and the paper's schedule in shares of them.
      small: Setting.cifar(model: "resnet8", examples: 5000, epochs: 80).with { $0.schedule = "step:5000,7500,10000" },
      paper: Setting.cifar(model: "resnet32", examples: 50_000, epochs: 64).with {
        ($0.subset, $0.testSubset, $0.allowMissing) = (nil, nil, false)
        ($0.epochs, $0.steps, $0.schedule, $0.evalEvery) = (nil, 100_000, "step:40000,60000,80000", 5000)
      }
    ).with { $0.noiseKind = .uniform }
    return [0, 2, 4].flatMap { s in
      levelsBySeed(request, levels: [0, 1], seeds: 3, base, prefix: "s\(s)", title: "s = \(s)") {
        $0.optimizer = s == 0 ? "sgd" : "winsorized:s=\(s)"
      }
    }
  }

  private static let easyHard = Study(
    id: "ws/easy-hard", title: "Easy and hard examples",
    question: "Do the examples that are learned first generalise better among themselves than the others do?",
    paper: Paper.weakAndStrong, section: "§4.2 and §4.4, figure 4", claims: ["WS-9", "WS-11"],
    scales: [
      .smoke: "600 built-in digits, 1×32",
      .small: "20 000 images of CIFAR-10, ResNet-8 to 50 % accuracy, then easy and hard alone for 20 epochs, 3 seeds",
      .paper: "ImageNet, ResNet-18 to 50 % accuracy, then 500 000 easy and hard alone for 90 epochs, 3 seeds",
    ], overridable: lengths
  ) { request in
    let seeds = request.seeds(3)
    return seeds.flatMap { seed -> [Cell] in
      let sort = CellName.make("sort", seed: seed, of: seeds)
      let (first, second) = sortingSettings(request, images: 20_000, epochs: 20, atMost: 500_000)
      let folder = "seed-\(seed)"
      let cells = ["easy", "hard"].map { word in
        Cell.training(
          CellName.make(word, seed: seed, of: seeds), "the \(word) examples alone", needs: [sort],
          inputs: [
            .easyAndHard(from: sort, folder: folder, seed: seed, maximum: request.profile == .paper ? 500_000 : nil)
          ],
          second.with {
            // From scratch: not from the weights whose first steps did the sorting.
            $0.seed = 100 &+ seed
            $0.split = request.folder.prepared("\(folder)/\(word).csv").path
          })
      }
      return [.training(sort, "all examples, to half accuracy", first.with { $0.seed = seed })] + cells
    }
  }

  private static let difficulty = Study(
    id: "ws/difficulty", title: "Difficulty and the median",
    question: "Is it the difficult examples that RM3 does not learn?",
    paper: Paper.weakAndStrong, section: "§4.3, figure 5a", claims: ["WS-10"],
    scales: [
      .smoke: "600 built-in digits, 1×32, 8 initialisations",
      .small:
        "10 000 images of CIFAR-10, ResNet-8, 8 initialisations, then RM3 and SGD for 80 epochs, batch 16, 3 seeds",
      .paper: "ImageNet, ResNet-18, 8 initialisations, then RM3 and SGD for 90 epochs, 3 seeds",
    ], overridable: lengths
  ) { request in
    let (first, usual) = sortingSettings(request, images: 10_000, epochs: 80)
    let second = usual.with {
      guard request.profile == .small else { return }
      // Long enough for SGD, the control, to fit all of them, and small mini-batches: 625 examples for each in a group.
      ($0.batchSize, $0.schedule) = (16, "step:25000,37500")
    }
    let sorts = (11...18).map { seed in
      Cell.training("sort-\(seed)", "initialisation \(seed), to half accuracy", first.with { $0.seed = UInt64(seed) })
    }
    let seeds = request.seeds(3)
    return sorts
      + ["rm3", "sgd"].flatMap { word in
        seeds.map { seed in
          Cell.training(
            CellName.make(word, seed: seed, of: seeds), "\(word.uppercased()) on all examples",
            needs: sorts.map(\.name),
            inputs: [.difficulty(from: sorts.map(\.name), name: "difficulty")],
            second.with {
              // The seeds of the sorting runs would see the examples in an order already seen.
              ($0.seed, $0.optimizer) = (100 &+ seed, word)
              $0.split = request.folder.prepared("difficulty.csv").path
            })
        }
      }
  }

  /// Other data may take longer to be sorted; a sorting run ends at half accuracy whatever its length.
  private static let lengths: Set<String> = ["epochs", "eval-every"]

  /// How examples are sorted into easy and hard, and what is trained on them then.
  ///
  /// - Parameters:
  ///   - images: how many of CIFAR-10, with the small profile.
  ///   - epochs: passes over what is trained on then, with the small profile.
  ///   - count: at most so many of either kind are trained on, with the paper's profile.
  private static func sortingSettings(_ request: GridRequest, images: Int, epochs: Double, atMost count: Int? = nil)
    -> (
      TrainingConfiguration, TrainingConfiguration
    )
  {
    let first = request.by(
      smoke: Setting.digits(examples: 600, steps: 60).with { $0.evalEvery = 2 },
      small: Setting.cifar(model: "resnet8", examples: images, epochs: 12, lr: 0.05).with {
        ($0.schedule, $0.evalEvery) = ("constant", 100)
      }, paper: Setting.imageNet(model: "resnet18", epochs: 10).with { $0.evalEvery = 1000 }
    ).with { $0.stopAccuracy = 0.5 }
    let second = request.by(
      smoke: Setting.digits(examples: 600, batch: 20, steps: 100),
      small: Setting.cifar(model: "resnet8", examples: images, epochs: epochs, lr: 0.05),
      // The rate falls after 30 and 60 passes over what is trained on.
      paper: Setting.imageNet(model: "resnet18").with {
        if let count { $0.schedule = "step:\(30 * count / $0.batchSize),\(60 * count / $0.batchSize)" }
      })
    return (first, second)
  }

  private static let cost = Study(
    id: "ws/cost", title: "What robust averages cost",
    question: "How much longer is a step with RM3 or M3 than one of SGD?",
    paper: Paper.weakAndStrong, section: "§3.3", claims: ["WS-7"],
    scales: [
      .smoke: "built-in digits, ResNet-8 and 1×32, 21 rounds",
      .small: "2000 images of CIFAR-10, ResNet-32 and 1×2048, batch 33, 201 rounds of 5 steps",
      .paper: "images at 224×224, ResNet-18 and 1×64, batch 264, 201 rounds",
    ]
  ) { request in
    let setting = request.by(
      smoke: Setting.digits(examples: 96, model: "resnet8", batch: 24),
      small: Setting.cifar(model: "resnet32", examples: 2000, batch: 33, epochs: 1),
      paper: Setting.imageNet(model: "resnet18", batch: 264)
    )
    // A round moves by some 2.5 %: with 21 of them the interval of a median is wider than the percent in question.
    let (rounds, steps) = request.by(smoke: (21, 2), small: (201, 5), paper: (201, 1))
    let fullyConnected = setting.with { $0.model = request.by(smoke: "mlp:32", small: "mlp:2048", paper: "mlp:64") }
    return [
      .computing("step-cost", "steps in turns", .stepCost(setting, rounds: rounds, stepsPerRound: steps)),
      .computing(
        WS7.fullyConnected, "the same without convolutions",
        .stepCost(fullyConnected, rounds: rounds, stepsPerRound: steps)),
    ]
  }
}
