// SPDX-License-Identifier: Apache-2.0

import Runs
import Training

/// Coherent Gradients (ICLR 2020), on MNIST.
extension StudyCatalog {
  static let coherentGradients = [labelNoise, contributions, winsorized, fullBatch]

  private static let labelNoise = Study(
    id: "cg/label-noise", title: "Label noise on MNIST",
    question:
      "Is real data learned faster than data with random labels, and what is learned first where half is random?",
    paper: Paper.coherentGradients, section: "§2.2 and §2.3, figure 1",
    claims: ["CG-1", "CG-2", "CG-3", "CG-4", "CG-5", "CG-11"],
    scales: [
      .smoke: "500 built-in digits, 1×32, 120 steps, 5 noise levels",
      .small:
        "10 000 images of MNIST, 1×512, 20 000 steps, 5 noise levels, 3 seeds; 12 steps with 10 seeds, and with lr 0.01",
      .paper: "MNIST, 1×2048, 100 000 steps, 5 noise levels, 3 seeds; 12 steps with 10 seeds, and with lr 0.01",
    ], overridable: ["probe", "lr", "epochs"]
  ) { request in
    let base = request.by(
      smoke: Setting.digits(),
      // Half of the labels are right between two evaluations of the usual ones at several noise levels.
      small: Setting.mnist(model: "mlp:512", steps: 20_000, examples: 10_000).with { $0.evalSchedule = .dense },
      paper: Setting.mnist(model: "mlp:2048", steps: 100_000))
    let m = request.by(smoke: 250, small: 1000, paper: 5000)
    let whole = levelsBySeed(request, seeds: 3, base) { $0.probe = ["coherence:m=\(m)@dense:0-10,log"] }
    // ‖g‖² over all examples: of the first steps at the paper's rate, and at a small one, where its slope shows whether
    // equation 1 holds, which is of first order.
    let first = base.with {
      $0.steps = 12
      $0.probe = ["coherence:m=\(request.by(smoke: 500, small: 10_000, paper: 60_000))@dense:0-10"]
    }
    let early = levelsBySeed(
      request, seeds: 10, from: 21, first, prefix: "first", title: "the first steps"
    ) { _ in }
    let slow = levelsBySeed(request, seeds: 3, first, prefix: "early", title: "the first steps, lr 0.01") {
      $0.lr = 0.01
    }
    return whole + (early + slow).map { $0.about("CG-5") }
  }

  private static let contributions = Study(
    id: "cg/contributions", title: "Who drives the loss down",
    question: "Do pristine examples contribute more to the first steps than corrupt ones, beyond chance?",
    paper: Paper.coherentGradients, section: "§2.4, figures 2 and 3", claims: ["CG-6", "CG-7"],
    scales: [
      .smoke: "500 built-in digits, 1×32, 120 steps, 50 % noise",
      .small: "MNIST, 1×512, 12 000 steps, 25, 50, 75 % noise, m = 20 000, 999 permutations, 3 seeds",
      .paper: "MNIST, 1×2048, 100 000 steps, 25, 50, 75 % noise, all examples, 999 permutations, 3 seeds",
    ]
  ) { request in
    let base = request.by(
      smoke: Setting.digits(), small: Setting.mnist(model: "mlp:512", steps: 12_000),
      paper: Setting.mnist(model: "mlp:2048", steps: 100_000))
    let probe = request.by(
      smoke: "contributions:m=100@dense:0-50,log", small: "contributions:m=20000,nulls=999@dense:0-10,log",
      paper: "contributions:m=60000,nulls=999@dense:0-10,log")
    return levelsBySeed(
      request, levels: request.profile == .smoke ? [0.5] : [0.25, 0.5, 0.75], seeds: 3, base
    ) { $0.probe = [probe] }
  }

  private static let winsorized = Study(
    id: "cg/winsorized", title: "Winsorized descent on MNIST",
    question: "Does clipping the extremes of per-example gradients keep a network from memorising?",
    paper: Paper.coherentGradients, section: "§3.3, figure 4", claims: ["CG-8", "CG-9", "CG-10"],
    scales: [
      .smoke: "500 built-in digits, 2×16, 120 steps, c = 0, 2, 3 noise levels",
      .small: "MNIST, 3×256, 12 000 steps, c = 0, 1, 2, 4, 8, 5 noise levels, 3 seeds",
      .paper: "MNIST, 3×256, 60 000 steps, c = 0, 1, 2, 4, 8, 5 noise levels, 3 seeds",
    ]
  ) { request in
    let base = request.by(
      smoke: Setting.digits(model: "mlp:16,16"), small: Setting.mnist(model: "mlp:256,256,256", steps: 12_000),
      paper: Setting.mnist(model: "mlp:256,256,256", steps: 60_000))
    let clips = request.by(smoke: [0, 2], small: [0, 1, 2, 4, 8], paper: [0, 1, 2, 4, 8])
    let levels = request.profile == .smoke ? [0, 0.5, 1] : Setting.levels
    let seeds = request.seeds(3)
    return seeds.flatMap { seed in
      levels.flatMap { level in
        clips.map { c in
          Cell.training(
            CellName.make(CellName.level(level), "c\(c)", seed: seed, of: seeds),
            "\(Level.text(level)), c = \(c)",
            base.with {
              ($0.noise, $0.seed, $0.optimizer) = (level, seed, c == 0 ? "sgd" : "winsorized:c=\(c)")
              if request.profile != .smoke { $0.evalEvery = (base.steps ?? 1) / 30 }
            })
        }
      }
    }
  }

  private static let fullBatch = Study(
    id: "cg/full-batch", title: "Without stochastic batches",
    question: "Is it the noise of mini-batches that makes real data generalise, or does the full batch do as well?",
    paper: Paper.coherentGradients, section: "§4", claims: ["CG-12"],
    scales: [
      .smoke: "300 built-in digits, 1×32, full batch and batch 50",
      .small: "2000 images of MNIST, 1×512, full batch for 3000 steps, and batch 100; 3 seeds",
      .paper:
        "5000 images of MNIST, 1×2048, full batch for 4000 steps, and batch 100; 3 seeds (the paper: 60 000, steps and rate unknown)",
    ], fixed: ["subset"]
  ) { request in
    let examples = request.by(smoke: 300, small: 2000, paper: 5000)
    let whole = request.by(
      smoke: Setting.digits(examples: examples, batch: examples, steps: 200),
      small: Setting.mnist(model: "mlp:512", batch: examples, steps: 3000, examples: examples),
      paper: Setting.mnist(model: "mlp:2048", batch: examples, steps: 4000, examples: examples)
    ).with { $0.lr = 0.5 }
    let batches = whole.with {
      ($0.batchSize, $0.lr) = (request.profile == .smoke ? 50 : 100, 0.1)
      $0.steps = request.by(smoke: 200, small: 4000, paper: 10_000)
    }
    let seeds = request.seeds(3)
    return seeds.flatMap { seed in
      [0, 1].flatMap { (level: Double) in
        [("full", "full batch", whole), ("mini", "mini-batches", batches)].map { word, title, base in
          Cell.training(
            CellName.make(word, CellName.level(level), seed: seed, of: seeds), "\(title), \(Level.text(level))",
            base.with { ($0.noise, $0.seed) = (level, seed) })
        }
      }
    }
  }

  /// Runs at noise levels, by seed.
  static func levelsBySeed(
    _ request: GridRequest, levels: [Double]? = nil, seeds count: Int, from first: UInt64 = 11,
    _ base: TrainingConfiguration, prefix: String = "", title: String = "",
    change: (inout TrainingConfiguration) -> Void = { _ in }
  ) -> [Cell] {
    let seeds = request.seeds(count, from: first)
    let levels = levels ?? Setting.levels
    return seeds.flatMap { seed in
      levels.map { level in
        Cell.training(
          CellName.make(prefix, CellName.level(level), seed: seed, of: seeds),
          (title.isEmpty ? "" : title + ", ") + Level.text(level) + (seeds.count > 1 ? ", seed \(seed)" : ""),
          base.with {
            ($0.noise, $0.seed) = (level, seed)
            change(&$0)
          })
      }
    }
  }

  /// Runs that differ in their seeds alone.
  static func bySeed(
    _ request: GridRequest, _ name: String, title: String, _ base: TrainingConfiguration,
    change: (inout TrainingConfiguration) -> Void
  ) -> [Cell] {
    let (seeds, changed) = (request.seeds(3), base.with(change))
    return seeds.map { seed in
      .training(CellName.make(name, seed: seed, of: seeds), title, changed.with { $0.seed = seed })
    }
  }
}
