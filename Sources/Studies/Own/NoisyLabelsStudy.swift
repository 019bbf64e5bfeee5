// SPDX-License-Identifier: Apache-2.0

import Charts
import Datasets
import Foundation
import RunStore
import Runs
import Training

/// Ways to train on noisy labels side by side: averages that suppress weak directions, losses made for noise, and rules to
/// stop by.
extension StudyCatalog {
  static let noisyLabels = Study(
    id: "beyond/noisy-labels", title: "Training on noisy labels",
    question:
      "Which averages, losses and rules to stop by keep a network from learning wrong labels, and what does each cost?",
    paper: Paper.thisProject, section: "noisy labels", claims: ["NL-1", "NL-2", "NL-3"],
    scales: [
      .smoke: "500 built-in digits, 1×32, 6 epochs, 2 kinds of noise, 4 recipes",
      .small:
        "10 000 images of MNIST, 3×256, 30 epochs, groups of 32, 20, 50 and 80 % symmetric and 40 % asymmetric noise, 12 recipes, 3 seeds",
      .paper:
        "CIFAR-10, ResNet-18 with group norm, 120 epochs, groups of 64, 20, 50 and 80 % symmetric and 40 % asymmetric noise, 12 recipes, 3 seeds",
    ], fixed: ["batch-size", "loss", "ema", "drop-last", "validation", "subset", "stop", "eval-every"],
    rules: [NL1(), NL2(), NL3()], figures: NoisyLabelsFigures.all
  ) { request in
    let base = request.by(
      smoke: Setting.digits(steps: 1).with { ($0.steps, $0.epochs, $0.validation) = (nil, 6, 100) },
      small: Setting.mnist(model: "mlp:256,256,256", epochs: 30, examples: 10_000).with { $0.validation = 1000 },
      paper: Setting.cifar(model: "resnet18-32", examples: 50_000, epochs: 120).with {
        ($0.norm, $0.testSubset, $0.schedule, $0.validation) = ("group:8", nil, "constant", 5000)
      })
    let (group, m) = (request.by(smoke: 20, small: 32, paper: 64), request.by(smoke: 100, small: 500, paper: 1000))
    let examples = request.by(smoke: 400, small: 9000, paper: 45_000)
    let recipes = request.profile == .smoke ? NoisyRecipe.all.filter(\.isInSmoke) : NoisyRecipe.all
    return NoisyRecipe.noises(request.profile).flatMap { noise in
      recipes.flatMap { recipe in
        bySeed(request, "\(noise.name)-\(recipe.key)", title: "\(noise.name), \(recipe.title)", base) {
          ($0.noise, $0.noiseKind) = (noise.rate, noise.kind)
          // Groups of one size: M3 takes three of them.
          ($0.batchSize, $0.dropLast) = (recipe.optimizer == "m3" ? 3 * group : group, true)
          ($0.optimizer, $0.loss, $0.ema) = (recipe.optimizer, recipe.loss, recipe.average)
          let epoch = examples / $0.batchSize
          // All that a rule could stop by is measured in every run: r some times a pass, the rest after it.
          $0.evalEvery = epoch
          $0.probe = [
            "changes@every:\(epoch)", "weights@every:\(epoch)",
            "coherence:m=\(m)@every:\(max(1, epoch / CoherenceTurn.perPass))",
          ]
        }
      }
    }
  }
}

/// A way to train: an average of gradients, a loss and perhaps a running mean of the weights.
struct NoisyRecipe {
  /// What cells are called, and what people write.
  let key, title: String
  /// The words of the options.
  var optimizer = "sgd"
  var loss = "ce"
  var average: Double?
  var isInSmoke = false

  static let plain = NoisyRecipe(key: "sgd", title: "SGD", isInSmoke: true)
  static let medians = [
    NoisyRecipe(key: "rm3", title: "RM3", optimizer: "rm3"),
    NoisyRecipe(key: "m3", title: "M3", optimizer: "m3", isInSmoke: true),
  ]
  static let losses = [
    NoisyRecipe(key: "smooth", title: "label smoothing", loss: "smooth:0.1"),
    NoisyRecipe(key: "gce", title: "GCE", loss: "gce:0.7", isInSmoke: true),
    NoisyRecipe(key: "sce", title: "SCE", loss: "sce:0.1,1"),
    NoisyRecipe(key: "elr", title: "ELR", loss: "elr:3,0.7"),
  ]
  static let others = [
    NoisyRecipe(key: "winsorized", title: "winsorizing", optimizer: "winsorized:c=2"),
    NoisyRecipe(key: "and-mask", title: "AND-mask", optimizer: "and-mask:t=0.2"),
    NoisyRecipe(key: "agra", title: "AGRA", optimizer: "agra"),
    NoisyRecipe(key: "ema", title: "mean of weights", average: 0.999),
    NoisyRecipe(key: "m3-gce", title: "M3 and GCE", optimizer: "m3", loss: "gce:0.7", isInSmoke: true),
  ]
  static let all = [plain] + medians + losses + others

  /// A kind and an amount of noise.
  struct Noise {
    let kind: NoiseKind
    let rate: Double

    var name: String { "\(kind == .uniform ? "symmetric" : "asymmetric")-\(Wording.whole(100 * rate))" }
    var title: String { name.replacing("-", with: " ") + " %" }

    /// The runs with it.
    func runs(in runs: [RunHistory]) -> [RunHistory] {
      runs.filter { $0.manifest.noise.kind == kind.rawValue && Level.isEqual($0.manifest.noise.rate, rate) }
    }
  }

  static let symmetric = [0.2, 0.5, 0.8].map { Noise(kind: .uniform, rate: $0) }
  static let asymmetric = Noise(kind: .asymmetric, rate: 0.4)
  static func noises(_ profile: StudyProfile) -> [Noise] {
    (profile == .smoke ? [symmetric[1]] : symmetric) + [asymmetric]
  }

  /// The runs trained that way.
  func runs(in runs: [RunHistory]) -> [RunHistory] {
    runs.filter { run in
      let name = optimizer.split(separator: ":").first.map(String.init) ?? ""
      let own = run.manifest.extra
      return run.optimizer.name == name && Double(own["ema"] ?? "") == average
        && (own["loss"] ?? "ce").split(separator: ":").first == loss.split(separator: ":").first
    }
  }
}

/// When rules without clean labels would have stopped a run, from what it has logged.
struct StoppingMoments {
  /// What a rule looks at.
  enum Basis: CaseIterable {
    case last, labelWave, coherence, weights, validation, best

    var title: String {
      switch self {
      case .last: "last"
      case .labelWave: "label wave"
      case .coherence: "coherence"
      case .weights: "weight norm"
      case .validation: "validation"
      case .best: "best"
      }
    }
  }

  /// k of both rules that wait for a turn.
  static let window = StoppingRule.usualWindow

  private let run: RunHistory
  private let test: Curve

  init(_ run: RunHistory) { (self.run, test) = (run, run.accuracy("test")) }

  /// Test accuracy where the basis stops the run: at its end where it never does.
  func accuracy(_ basis: Basis) -> Double? {
    switch basis {
    case .last: test.last?.value
    case .best: test.peak?.value
    // Of equals the earliest counts, as for the weights that a run keeps.
    case .validation:
      run.accuracy("validation").peak.flatMap { peak in
        run.accuracy("validation").firstStep(reaching: peak.value).flatMap { test[$0] }
      }
    case .weights: weightPeak.flatMap { test[$0] }
    case .labelWave: accuracy(atTurnOf: labelWave)
    case .coherence: accuracy(atTurnOf: coherence)
    }
  }

  private func accuracy(atTurnOf passes: [(step: Int, value: Double)]) -> Double? {
    guard !passes.isEmpty else { return nil }
    for count in passes.indices {
      let turn = TurningPoint(window: Self.window, values: passes[...count].map(\.value))
      if turn.hasTurned { return test[passes[count].step] }
    }
    return test.last?.value
  }

  /// The share of predictions that changed in every pass.
  private var labelWave: [(step: Int, value: Double)] {
    let records = (try? run.directory.log(PredictionChangesRecord.self)) ?? []
    return records.compactMap { record in
      record.changed.map { (record.step, Double($0) / Double(max(1, record.m))) }
    }
  }

  /// Where the weights are longest after the first pass.
  private var weightPeak: Int? {
    run.measure("weight_norm").points.filter { $0.step > 0 }.max { ($0.value, $1.step) < ($1.value, $0.step) }?.step
  }

  /// ln r of every pass: the median of what was measured in it.
  private var coherence: [(step: Int, value: Double)] {
    let ends = run.accuracy("test").points.map(\.step).filter { $0 > 0 }
    let points = run.mCoherence("train").points
    return zip([0] + ends, ends).compactMap { before, end in
      let own = points.filter { $0.step > before && $0.step <= end }
      return TurningPoint.median(own.map { CoherenceTurn.logarithm($0.value) }).map { (end, $0) }
    }
  }
}

/// A rule of the study.
protocol NoisyLabelsRule: PooledRule {}

extension NoisyLabelsRule {
  var file: String { "Own/NoisyLabelsStudy.swift" }
  func reads(_ run: RunHistory) -> Bool {
    run.noise > 0 && run.accuracy("validation").last != nil
      && NoisyRecipe.all.contains { !$0.runs(in: [run]).isEmpty }
  }

  /// The last test accuracy of a recipe under a noise.
  func last(
    _ recipe: NoisyRecipe, _ noise: NoisyRecipe.Noise, _ runs: [RunHistory], _ assessment: inout Assessment
  ) -> SeedMean? {
    let name = "\(recipe.title), \(noise.title)"
    return assessment.seedMean("last test accuracy, \(name)", of: recipe.runs(in: noise.runs(in: runs)), missing: name)
    {
      $0.accuracy("test").last?.value
    }
  }
}

/// With symmetric noise a median of gradients does as much as a loss made for noise.
struct NL1: NoisyLabelsRule {
  let claim = Claim(
    id: "NL-1",
    sentence:
      "With 20 and with 50 % symmetric noise M3 and RM3 with the cross entropy end with a higher test accuracy than SGD does with "
      + "label smoothing, GCE, SCE or ELR.",
    paper: Paper.thisProject, section: "noisy labels", setting: Paper.thisSetting)

  func judge(_ runs: [RunHistory]) -> Judgement {
    .joining(
      NoisyRecipe.medians.map { median in
        (
          sentence: "\(median.title) ends higher than SGD with any of the losses.",
          judgement: .assessing(held: "It does") { assessment in
            for noise in NoisyRecipe.symmetric.prefix(2) {
              guard let own = last(median, noise, runs, &assessment) else { continue }
              for loss in NoisyRecipe.losses {
                guard let other = last(loss, noise, runs, &assessment) else { continue }
                assessment.expect(
                  own.isAbove(other), else: "\(loss.title) ends higher at \(noise.title)",
                  open: "it is within two standard errors of \(loss.title) at \(noise.title)")
              }
            }
          }
        )
      })
  }
}

/// What gradients have in common says when to stop.
struct NL2: NoisyLabelsRule {
  /// The share of what stopping at the best test accuracy would gain.
  static let kept = 0.75
  /// With less to gain there is nothing to stop for.
  static let gain = 0.05

  let claim = Claim(
    id: "NL-2",
    sentence:
      "Stopping SGD once m-coherence has turned, without any held-out label, keeps at least three quarters of what stopping at the "
      + "best test accuracy would gain over the last, with 20, 50 and 80 % symmetric noise.",
    paper: Paper.thisProject, section: "noisy labels", setting: Paper.thisSetting)

  func judge(_ runs: [RunHistory]) -> Judgement {
    .joining(
      NoisyRecipe.symmetric.map { noise in
        (
          sentence: "At \(noise.title) it keeps three quarters.",
          judgement: .assessing(held: "It does") { judge(noise, runs, &$0) }
        )
      })
  }

  private func judge(_ noise: NoisyRecipe.Noise, _ runs: [RunHistory], _ assessment: inout Assessment) {
    let own = NoisyRecipe.plain.runs(in: noise.runs(in: runs))
    for basis in StoppingMoments.Basis.allCases {
      let values = own.onePerSeed.compactMap { StoppingMoments($0).accuracy(basis) }
      if !values.isEmpty {
        assessment.note(NamedValue("test accuracy of SGD, \(basis.title), \(noise.title)", values: values))
      }
    }
    func mean(_ name: String, _ value: @escaping (StoppingMoments) -> Double?) -> SeedMean? {
      assessment.seedMean("\(name), \(noise.title)", of: own, missing: "SGD, \(noise.title)") {
        value(StoppingMoments($0))
      }
    }
    func gain(_ basis: StoppingMoments.Basis, _ moments: StoppingMoments) -> Double? {
      guard let last = moments.accuracy(.last), let then = moments.accuracy(basis) else { return nil }
      return then - last
    }
    guard let most = mean("gain of stopping at the best", { gain(.best, $0) }),
      let margin = mean(
        "gain of stopping by coherence, beyond three quarters of it",
        { moments in
          guard let stopped = gain(.coherence, moments), let best = gain(.best, moments) else { return nil }
          return stopped - Self.kept * best
        })
    else { return }
    guard most.mean >= Self.gain else {
      return assessment.notTested("there is little to stop for at \(noise.title); it takes longer training")
    }
    assessment.expect(
      margin.isAbove(0), else: "less is kept at \(noise.title)",
      open: "it keeps three quarters at \(noise.title) within two standard errors")
  }
}

/// Wrong labels that agree with each other are a strong direction, which no average suppresses.
struct NL3: NoisyLabelsRule {
  /// More than this is a help.
  static let help = 0.02

  let claim = Claim(
    id: "NL-3",
    sentence:
      "With 40 % asymmetric noise, where wrong labels of a class agree with each other, M3 and RM3 end with a test accuracy of at "
      + "most 0.02 above SGD's.",
    paper: Paper.thisProject, section: "noisy labels", setting: Paper.thisSetting)

  func judge(_ runs: [RunHistory]) -> Judgement {
    .joining(
      NoisyRecipe.medians.map { median in
        (
          sentence: "\(median.title) does not help.",
          judgement: .assessing(held: "It does not") { assessment in
            let own = NoisyRecipe.asymmetric.runs(in: runs)
            guard last(NoisyRecipe.plain, NoisyRecipe.asymmetric, runs, &assessment) != nil,
              last(median, NoisyRecipe.asymmetric, runs, &assessment) != nil
            else { return }
            func end(_ run: RunHistory) -> Double? { run.accuracy("test").last?.value }
            let help = assessment.seedMean(
              "\(median.title) above SGD", of: median.runs(in: own),
              beside: NoisyRecipe.plain.runs(in: own).valuesBySeed(end), missing: "both with the same seed", end)
            guard let help else { return }
            assessment.expect(
              help.isAbove(Self.help).map(!), else: "\(median.title) ends higher by more than 0.02",
              open: "\(median.title) is 0.02 above within two standard errors")
          }
        )
      })
  }
}

/// The figures of the study.
enum NoisyLabelsFigures {
  private static let section = "Noisy labels"

  @Sendable static func all(_ source: FigureSource) -> [Figure?] {
    [board(source, at: .last), board(source, at: .validation), stops(source), costs(source)]
  }

  private static var noises: [NoisyRecipe.Noise] { NoisyRecipe.symmetric + [NoisyRecipe.asymmetric] }

  /// Test accuracy by recipe and noise, of the last weights or of those that noisy held-out labels select.
  private static func board(_ source: FigureSource, at basis: StoppingMoments.Basis) -> Figure? {
    let when = basis == .last ? "at the end of training" : "at the best accuracy on held-out examples with noisy labels"
    return FigureMap(
      id: basis == .last ? "noisy-labels" : "noisy-labels-selected",
      title: "Test accuracy after training on noisy labels" + (basis == .last ? "" : ", selected"),
      caption: source.caption(
        "Test accuracy by average, loss and noise, \(when). Everything but what is named is as with SGD; M3 takes mini-batches "
          + "three times as large, so that all groups have one size. In bold: the best of a column."),
      section: section, rows: "", columns: "", value: .accuracy(),
      cells: NoisyRecipe.all.flatMap { recipe in
        noises.compactMap { noise in
          let runs = recipe.runs(in: noise.runs(in: source.runs)).onePerSeed
          return SeedRange(runs.compactMap { StoppingMoments($0).accuracy(basis) }).map {
            FigureMap.Cell(row: recipe.title, column: noise.title, value: $0.mean, low: $0.low, high: $0.high)
          }
        }
      }, isDense: true
    ).figure()
  }

  /// What each rule to stop by would have given SGD.
  private static func stops(_ source: FigureSource) -> Figure? {
    FigureBars(
      id: "noisy-labels-stops", title: "Stopping without clean labels",
      caption: source.caption(
        "Test accuracy of SGD with the cross entropy where each rule stops it, all from the same runs: at the last step; once the "
          + "changes of predictions have turned (label wave) or m-coherence has, in means over \(StoppingMoments.window) passes; "
          + "where the weights are longest (weight norm), which without weight decay may be the last step; at the best accuracy on held-out examples with noisy labels "
          + "(validation); and at the best test accuracy, which nobody knows."),
      section: section, categories: "Stopped by", y: .accuracy(),
      panels: noises.map { noise in
        let runs = NoisyRecipe.plain.runs(in: noise.runs(in: source.runs)).onePerSeed
        return .init(
          noise.title,
          bars: StoppingMoments.Basis.allCases.compactMap { basis in
            SeedRange(runs.compactMap { StoppingMoments($0).accuracy(basis) }).map {
              FigureBar(basis.title, value: $0.mean, low: $0.low, high: $0.high)
            }
          })
      }
    ).figure()
  }

  /// Time and memory of a run, in those of SGD.
  private static func costs(_ source: FigureSource) -> Figure? {
    func panel(_ title: String, _ value: @escaping (RunSummary) -> Double?) -> FigureBars.Panel {
      // Every run in those of SGD with the same noise and seed.
      func key(_ run: RunHistory) -> String { "\(run.manifest.noise.kind) \(run.manifest.noise.rate) \(run.seed)" }
      let control = Dictionary(
        NoisyRecipe.plain.runs(in: source.runs).map { (key($0), $0.manifest.summary.flatMap(value)) },
        uniquingKeysWith: { first, _ in first })
      return .init(
        title,
        bars: NoisyRecipe.all.compactMap { recipe in
          let ratios = recipe.runs(in: source.runs).compactMap { run -> Double? in
            guard let own = run.manifest.summary.flatMap(value), let usual = control[key(run)] ?? nil, usual > 0 else {
              return nil
            }
            return own / usual
          }
          return SeedRange(ratios).map { FigureBar(recipe.title, value: $0.mean, low: $0.low, high: $0.high) }
        })
    }
    return FigureBars(
      id: "noisy-labels-cost", title: "What the recipes cost",
      caption: source.caption(
        "Processor time and peak memory of whole runs, evaluations and probes included, in those of SGD."),
      section: section, categories: "Recipe", y: FigureAxis("times SGD", including: [0, 1]),
      panels: [
        panel("processor time") { $0.processorSeconds }, panel("peak memory") { $0.peakRSSBytes.map(Double.init) },
      ]
    ).figure()
  }
}
