// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore
import Runs
import Training

/// The AND-mask, taken over single examples: its authors' experiment with random labels, its rule and its figure.
extension StudyCatalog {
  static let andMask = Study(
    id: "beyond/and-mask", title: "A mask of agreement",
    question:
      "Does stepping only where the examples’ signs agree keep a network from memorising, and what does it cost on real labels?",
    paper: Paper.thisProject, section: "the AND-mask per example", claims: ["AM-1"],
    scales: [
      .smoke: "200 built-in digits, 1×32, 60 steps, t = 0.2",
      .small: "2000 images of MNIST, 3×256, batch 128, 150 epochs, t = 0.1, 0.2 and 0.4, noise 0 and 100 %, 3 seeds",
      .paper:
        "CIFAR-10, ResNet-18 with group norm, batch 128, 200 epochs, t = 0.1, 0.2 and 0.4, noise 0 and 100 %, 3 seeds",
    ], rules: [AM1()], figures: AM1.figures
  ) { request in
    let base = request.by(
      smoke: Setting.digits(examples: 200, steps: 60),
      small: Setting.mnist(model: "mlp:256,256,256", batch: 128, epochs: 150, examples: 2000),
      paper: Setting.cifar(model: "resnet18-32", examples: 50_000, batch: 128, epochs: 200).with {
        ($0.norm, $0.testSubset) = ("group:8", nil)
      })
    let words =
      ["sgd"] + request.by(smoke: [0.2], small: [0.1, 0.2, 0.4], paper: [0.1, 0.2, 0.4]).map { "and-mask:t=\($0)" }
    return words.flatMap { word in
      levelsBySeed(request, levels: [0, 1], seeds: 3, base, prefix: word.replacing(":t=", with: "-"), title: word) {
        // The rest of an epoch would ask for another number of agreeing examples.
        ($0.optimizer, $0.noiseKind, $0.dropLast) = (word, .uniform, true)
      }
    }
  }
}

/// With random labels a mask keeps a network from memorising; with real ones it learns. No paper's claim in this form: its
/// authors mask by environment, and report random labels on CIFAR-10.
struct AM1: Rule {
  static let threshold = "0.2"
  /// SGD has to fit random labels, or there is nothing to prevent.
  static let memorised = 0.9
  /// Not fitted: little above the tenth that is chance.
  static let notMemorised = 0.15
  /// The share of SGD's test accuracy that the mask has to keep with real labels.
  static let kept = 0.9

  let file = "Own/AndMaskStudy.swift"
  let claim = Claim(
    id: "AM-1",
    sentence:
      "Stepping only where at least 20 % of the examples of a mini-batch agree, net, in sign, a network fits at most 15 % of "
      + "random labels where SGD fits 90 %, and keeps nine tenths of SGD's test accuracy on real labels.",
    paper: Paper.thisProject, section: "the AND-mask per example", setting: Paper.thisSetting)

  var varying: Set<Factor> { [.noise, .seed, .optimizer] }
  func reads(_ run: RunHistory) -> Bool {
    (run.optimizer.isSGD || run.optimizer.name == "and-mask") && [0, 1].contains { Level.isEqual(run.noise, $0) }
  }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { runs.contains { $0.optimizer.name == "and-mask" } }

  func judge(_ runs: [RunHistory]) -> Judgement {
    let masked = runs.filter {
      $0.optimizer.settings["t"] == Self.threshold && $0.optimizer.settings["rescaled"] == nil
    }
    let control = runs.filter(\.optimizer.isSGD)
    func at(_ level: Double, _ runs: [RunHistory]) -> [RunHistory] { runs.filter { Level.isEqual($0.noise, level) } }
    var (random, real) = (Assessment(), Assessment())
    let fitted = random.seedMean("random labels fitted by SGD", of: at(1, control), missing: "SGD on random labels") {
      $0.accuracy("train").last?.value
    }
    let fittedByMask = random.seedMean(
      "random labels fitted with the mask", of: at(1, masked), missing: "the mask on random labels"
    ) { $0.accuracy("train").last?.value }
    if let fitted, fitted.mean < Self.memorised {
      random.notTested(
        "SGD fits \(Wording.whole(100 * fitted.mean)) % of the random labels; it takes longer training")
    }
    if let fittedByMask, fittedByMask.mean > Self.notMemorised { random.fail("the mask fits more than 15 %") }
    let test = real.seedMean("test accuracy of SGD", of: at(0, control), missing: "SGD on real labels") {
      $0.accuracy("test").last?.value
    }
    let testOfMask = real.seedMean("test accuracy with the mask", of: at(0, masked), missing: "the mask on real labels")
    { $0.accuracy("test").last?.value }
    if let test, let testOfMask, testOfMask.mean < Self.kept * test.mean {
      real.fail("the mask keeps less than nine tenths of SGD's test accuracy")
    }
    return .joining([
      ("Random labels: at most 15 % are fitted, where SGD fits 90 %.", random.judgement(held: "They are")),
      ("Real labels: nine tenths of SGD's test accuracy are kept.", real.judgement(held: "They are")),
    ])
  }

  private static func word(_ run: RunHistory) -> String { run.optimizer.isSGD ? "SGD" : run.manifest.optimizer ?? "" }

  /// Training and test accuracy with real and with random labels, by threshold.
  static func figures(_ source: FigureSource) -> [Figure?] {
    let words = Set(source.runs.map(word)).sorted()
    let panels = source.levels.flatMap { level in
      ["train", "test"].map { split in
        FigurePanel(
          row: FigureWording.noise(level), column: split == "train" ? "Training accuracy" : "Test accuracy",
          x: HorizontalAxis.epochs.axis, y: .accuracy(),
          lines: words.map { word in
            FigureLine(
              word, of: source.at(level).filter { Self.word($0) == word }, along: .epochs
            ) { $0.accuracy(split) }
          })
      }
    }
    return [
      FigureGrid(
        id: "and-mask", title: "A mask of agreement on real and on random labels",
        caption: source.caption(
          "Accuracy of SGD and of the mean gradient masked where fewer than a share t of a mini-batch’s examples agree, net, "
            + "in sign; the labels of the training set real or redrawn at random, those of the test set real."),
        section: "Agreement", panels: panels
      ).figure()
    ]
  }
}
