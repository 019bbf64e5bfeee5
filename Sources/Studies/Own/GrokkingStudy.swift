// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore
import Runs
import Training

/// Networks that memorise sums first and learn to add much later: what coherence does in between, and whether robust
/// averages shorten the wait.
extension StudyCatalog {
  static let grokking = Study(
    id: "beyond/grokking", title: "Coherence and grokking",
    question:
      "What does coherence do between memorising and generalising, and do robust averages bring generalisation forward?",
    paper: Paper.thisProject, section: "grokking", claims: ["GK-1", "GK-2", "GK-3", "GK-4"],
    scales: [
      .smoke: "sums modulo 11, 65 % held out, transformer of one layer of width 16, batch 30, 60 steps, 5 optimizers",
      .small:
        "sums modulo 59, 65 % held out, transformer of one layer of width 64, batch 255, 10 000 steps, 5 optimizers, 5 seeds",
      .paper:
        "sums modulo 113, 70 % held out, transformer of one layer of width 128, batch 510, 40 000 steps, 5 optimizers, 5 seeds",
    ], rules: [GK1(), GK2(), GK3(), GK4()], figures: GrokkingFigures.all
  ) { request in
    let base = request.by(
      smoke: sums(modulo: 11, model: "transformer:layers=1,width=16,heads=2", batch: 30, steps: 60, every: 10).with {
        $0.probe = ["coherence:m=40@log,every:5"]
      },
      small: sums(modulo: 59, model: "transformer:layers=1,width=64,heads=4", batch: 255, steps: 10_000, every: 50),
      paper: sums(modulo: 113, model: "transformer:layers=1,width=128,heads=4", batch: 510, steps: 40_000, every: 100)
        .with { ($0.testFraction, $0.weightDecay) = (0.7, 1) })
    let seeds = request.seeds(5)
    return seeds.flatMap { seed in
      GrokkingOptimizer.all.map { optimizer in
        Cell.training(
          CellName.make(optimizer.key, seed: seed, of: seeds),
          optimizer.title + (seeds.count > 1 ? ", seed \(seed)" : ""),
          base.with { ($0.optimizer, $0.seed) = (optimizer.word, seed) })
      }
    }
  }

  /// Sums with the rates of the papers on grokking. The weight decay is one at which the wait is long, but ends.
  private static func sums(
    modulo: Int, model: String, batch: Int, steps: Int, every distance: Int
  ) -> TrainingConfiguration {
    TrainingConfiguration().with {
      ($0.dataset, $0.testFraction, $0.model) = ("modular:\(modulo)", 0.65, model)
      ($0.batchSize, $0.steps, $0.dropLast) = (batch, steps, true)
      ($0.lr, $0.weightDecay, $0.evalEvery) = (0.001, 0.5, distance)
      $0.probe = ["coherence:m=400@log,every:\(distance)"]
    }
  }
}

/// An optimizer of the study: an average of the examples' gradients before AdamW.
struct GrokkingOptimizer {
  /// The average by its name in words, and as people write it.
  let aggregator, title: String
  /// The average with its settings; nil for the plain mean.
  let average: String?

  /// AdamW after the plain mean.
  static let plain = GrokkingOptimizer(aggregator: "sgd", title: "AdamW", average: nil)
  static let m3 = GrokkingOptimizer(aggregator: "m3", title: "M3", average: "m3")
  static let others = [
    GrokkingOptimizer(aggregator: "winsorized", title: "winsorizing", average: "winsorized:c=2"),
    GrokkingOptimizer(aggregator: "rm3", title: "RM3", average: "rm3"),
    GrokkingOptimizer(aggregator: "and-mask", title: "AND-mask", average: "and-mask:t=0.2"),
  ]
  static let all = [plain, m3] + others

  /// The word that configurations take; β₂ is that of the papers on grokking.
  var word: String { (average.map { $0 + "+" } ?? "") + "adamw:beta2=0.98" }
  /// What cells are called.
  var key: String { average == nil ? "adamw" : aggregator }

  /// The runs with it.
  func runs(in runs: [RunHistory]) -> [RunHistory] { runs.filter { $0.optimizer.name == "\(aggregator)+adamw" } }
}

/// The moments of a run that memorises before it generalises, and coherence at them.
struct GrokkingCourse {
  /// Accuracies on held-out pairs: of those that count as known, and half-way.
  static let (known, half) = (0.95, 0.5)
  /// Probes around a moment, of which the median counts: between two of them r can change fourfold, as AdamW's steps
  /// overshoot now and then.
  static let probes = 5

  /// The first step with 99 % of the training pairs right.
  let memorised: Int?
  /// The first steps with half and with 95 % of the held-out pairs right.
  let halfKnown, generalised: Int?
  /// r of the training sample.
  private let coherence: [CurvePoint]

  init(_ run: RunHistory) {
    let test = run.accuracy("test")
    (memorised, coherence) = (run.fittedStep, run.positiveMCoherence("train").points)
    (halfKnown, generalised) = (test.firstStep(reaching: Self.half), test.firstStep(reaching: Self.known))
  }

  /// How many times as many steps generalising takes as memorising.
  var delay: Double? {
    guard let memorised, let generalised, memorised > 0 else { return nil }
    return Double(generalised) / Double(memorised)
  }

  /// r when the training pairs have just been memorised: the median of the first probes from then on.
  var coherenceAfterMemorising: Double? {
    memorised.flatMap { from in Self.median(coherence.filter { $0.step >= from }.prefix(Self.probes)) }
  }

  /// r at a later moment: the median of the last probes up to it, none of which counts for memorising too.
  func coherence(before moment: Int?) -> Double? {
    guard let moment, let memorised else { return nil }
    let later = coherence.filter { $0.step >= memorised && $0.step <= moment }.dropFirst(Self.probes)
    return Self.median(later.suffix(Self.probes))
  }

  /// How many times r doubles from memorising to a later moment.
  func doublings(before moment: Int?) -> Double? {
    guard let first = coherenceAfterMemorising, let then = coherence(before: moment) else { return nil }
    return log2(then / first)
  }

  private static func median(_ points: some Collection<CurvePoint>) -> Double? {
    points.count == probes ? points.map(\.value).sorted()[probes / 2] : nil
  }
}

/// A rule of the study: it reads sums learned with AdamW, and compares optimizers and seeds.
protocol GrokkingRule: Rule {}

extension GrokkingRule {
  var file: String { "Own/GrokkingStudy.swift" }
  var varying: Set<Factor> { [.seed, .optimizer] }
  func reads(_ run: RunHistory) -> Bool {
    run.manifest.dataset.name.hasPrefix("modular:") && run.optimizer.update == "adamw"
  }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { !GrokkingOptimizer.plain.runs(in: runs).isEmpty }
}

/// Test accuracy follows training accuracy late.
struct GK1: GrokkingRule {
  /// The wait that counts as grokking.
  static let delay = 5.0

  let claim = Claim(
    id: "GK-1",
    sentence:
      "With AdamW a transformer memorises sums modulo a prime long before it can add: 95 % of the held-out pairs are right only "
      + "after at least five times as many steps as 99 % of the training pairs take.",
    paper: Paper.thisProject, section: "grokking", setting: Paper.thisSetting)

  func judge(_ runs: [RunHistory]) -> Judgement {
    .assessing(held: "It does") { assessment in
      let own = GrokkingOptimizer.plain.runs(in: runs)
      guard let delay = Self.delay(of: own, &assessment) else { return }
      assessment.expect(
        delay.isAbove(Self.delay), else: "generalising takes less than five times as long as memorising",
        open: "the delay is within two standard errors of 5")
    }
  }

  /// The delay of plain AdamW, with both moments noted; nil where too few runs have both, which is then said.
  static func delay(of runs: [RunHistory], _ assessment: inout Assessment) -> SeedMean? {
    let missing = "AdamW alone that memorise and generalise (train longer)"
    let courses = Dictionary(runs.map { ($0.name, GrokkingCourse($0)) }, uniquingKeysWith: { first, _ in first })
    for (name, moment) in [
      ("steps to 99 % of the training pairs", \GrokkingCourse.memorised),
      ("steps to 95 % of the held-out pairs", \GrokkingCourse.generalised),
    ] {
      let values = runs.onePerSeed.compactMap { courses[$0.name]?[keyPath: moment] }.map(Double.init)
      if !values.isEmpty { assessment.note(NamedValue(name, values: values)) }
    }
    return assessment.seedMean("delay of AdamW alone", of: runs, missing: missing) { courses[$0.name]?.delay }
  }
}

/// Coherence rises between the two moments, and before test accuracy does.
struct GK2: GrokkingRule {
  let claim = Claim(
    id: "GK-2",
    sentence:
      "With AdamW generalisation shows in coherence first: the m-coherence of the training pairs is at least twice what it was "
      + "after memorising, when half of the held-out pairs are right and still when 95 % are.",
    paper: Paper.thisProject, section: "grokking", setting: Paper.thisSetting)

  func judge(_ runs: [RunHistory]) -> Judgement {
    let own = GrokkingOptimizer.plain.runs(in: runs)
    func part(_ share: String, _ moment: @escaping (GrokkingCourse) -> Int?) -> Judgement {
      .assessing(held: "It is") { assessment in
        let missing = "AdamW alone with ten probes between memorising and \(share) of the held-out pairs"
        for (name, value) in [
          ("r after memorising", { $0.coherenceAfterMemorising }),
          ("r when \(share) are right", { $0.coherence(before: moment($0)) }),
        ] as [(String, (GrokkingCourse) -> Double?)] {
          let values = own.onePerSeed.compactMap { value(GrokkingCourse($0)) }
          if !values.isEmpty { assessment.note(NamedValue(name, values: values)) }
        }
        let doublings = assessment.seedMean("doublings of r until \(share) are right", of: own, missing: missing) {
          let course = GrokkingCourse($0)
          return course.doublings(before: moment(course))
        }
        guard let doublings else { return }
        assessment.expect(
          doublings.isAbove(1), else: "r does not double", open: "its rise is within two standard errors of a doubling")
      }
    }
    return .joining([
      "r is at least twice that after memorising when half of the held-out pairs are right.": part("50 %", \.halfKnown),
      "r is at least twice that after memorising when 95 % are right.": part("95 %", \.generalised),
    ])
  }
}

/// A median of three means brings generalisation forward.
struct GK3: GrokkingRule {
  /// Below this delay there is nothing to bring forward.
  static let minimumDelay = 2.0

  let claim = Claim(
    id: "GK-3",
    sentence:
      "M3 before AdamW brings generalisation forward: 95 % of the held-out pairs are right after fewer steps than with AdamW "
      + "alone.",
    paper: Paper.thisProject, section: "grokking", setting: Paper.thisSetting)

  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    !GrokkingOptimizer.plain.runs(in: runs).isEmpty && !GrokkingOptimizer.m3.runs(in: runs).isEmpty
  }

  func judge(_ runs: [RunHistory]) -> Judgement { Self.compare(.m3, runs) }

  /// Steps to generalisation as a share of those of AdamW alone with the same seed, whose pairs and first weights are the
  /// same. A run that never generalises counts with all of its steps, which is less than it would need.
  static func compare(_ optimizer: GrokkingOptimizer, _ runs: [RunHistory]) -> Judgement {
    .assessing(held: "It does") { assessment in
      let (control, own) = (GrokkingOptimizer.plain.runs(in: runs), optimizer.runs(in: runs))
      guard let delay = GK1.delay(of: control, &assessment) else { return }
      if delay.mean < minimumDelay {
        assessment.notTested("AdamW alone generalises nearly as soon as it memorises; it takes fewer training pairs")
      }
      let never = own.onePerSeed.count { GrokkingCourse($0).generalised == nil }
      assessment.note("seeds with which \(optimizer.title) never generalises", Double(never))
      let share = assessment.seedMean(
        "steps to generalisation with \(optimizer.title), as a share", of: own,
        beside: control.valuesBySeed { GrokkingCourse($0).generalised.map(Double.init) },
        missing: "\(optimizer.title) beside AdamW alone",
        { (GrokkingCourse($0).generalised ?? $0.steps).map(Double.init) }, /)
      guard let share else { return }
      assessment.expect(
        share.isAbove(1).map(!),
        else: "\(optimizer.title) takes \(never > 0 ? "longer, or never gets there" : "longer")",
        open: "\(optimizer.title) is within two standard errors of AdamW alone")
    }
  }
}

/// So do other robust averages.
struct GK4: GrokkingRule {
  let claim = Claim(
    id: "GK-4",
    sentence:
      "Winsorizing (c = 2), RM3 and the AND-mask (t = 0.2) before AdamW bring generalisation forward as well: 95 % of the held-out "
      + "pairs are right after fewer steps than with AdamW alone.",
    paper: Paper.thisProject, section: "grokking", setting: Paper.thisSetting)

  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    !GrokkingOptimizer.plain.runs(in: runs).isEmpty
      && GrokkingOptimizer.others.contains { !$0.runs(in: runs).isEmpty }
  }

  func judge(_ runs: [RunHistory]) -> Judgement {
    .joining(
      GrokkingOptimizer.others.map { optimizer in
        let name = optimizer.title.prefix(1).uppercased() + optimizer.title.dropFirst()
        return (sentence: "\(name) brings generalisation forward.", judgement: GK3.compare(optimizer, runs))
      })
  }
}

/// The figures of the study.
enum GrokkingFigures {
  private static let section = "Grokking"
  private static let names = (train: "training pairs", test: "held-out pairs")
  private static let axis = FigureAxis("m-coherence r", scale: .logarithmic, including: [1])

  @Sendable static func all(_ source: FigureSource) throws -> [Figure?] {
    let own = source.only { !GrokkingOptimizer.plain.runs(in: [$0]).isEmpty }
    return [courses(own), optimizers(source), moments(source)] + (try own.reportFigures("coherence-by-layer"))
  }

  /// Accuracy and coherence of AdamW alone, side by side.
  private static func courses(_ own: FigureSource) -> Figure? {
    func lines(_ curve: @escaping (RunHistory, String) -> Curve) -> [FigureLine] {
      [(names.train, "train"), (names.test, "test")].map { name, split in
        FigureLine(name, of: own.runs, along: .steps) { curve($0, split) }
      }
    }
    return FigureGrid(
      id: "grokking", title: "Accuracy and coherence, from memorising to generalising",
      caption: own.caption(
        "AdamW alone: (a) accuracy on the pairs trained on and on those held out; (b) r of a fixed sample of each. "
          + "r = ‖Σgᵢ‖²/Σ‖gᵢ‖² is 1 (dotted) where gradients are orthogonal. \(FigureAxis.logarithmicStepsNote)"),
      section: section, layout: .lettered(columns: 2),
      colors: .named([names.train: Palette.split("train"), names.test: Palette.split("test")]),
      panels: [
        FigurePanel(column: "Accuracy", x: .steps, y: .accuracy(), lines: lines { $0.accuracy($1) }),
        FigurePanel(
          column: "Coherence", x: .steps, y: axis, lines: lines { $0.positiveMCoherence($1) }, references: [1.0]),
      ]
    ).figure()
  }

  /// The same by optimizer.
  private static func optimizers(_ source: FigureSource) -> Figure? {
    func lines(_ curve: @escaping (RunHistory) -> Curve) -> [FigureLine] {
      GrokkingOptimizer.all.map { FigureLine($0.title, of: $0.runs(in: source.runs), along: .steps, curve) }
    }
    return FigureGrid(
      id: "grokking-optimizers", title: "Robust averages before AdamW",
      caption: source.caption(
        "The plain mean of the examples’ gradients (AdamW) and robust averages of them, each followed by AdamW: accuracy on the "
          + "pairs trained on and on those held out, and r of a fixed sample of training pairs. "
          + FigureAxis.logarithmicStepsNote), section: section, layout: .lettered(columns: 3),
      panels: [
        FigurePanel(column: "Training pairs", x: .steps, y: .accuracy(), lines: lines { $0.accuracy("train") }),
        FigurePanel(column: "Held-out pairs", x: .steps, y: .accuracy(), lines: lines { $0.accuracy("test") }),
        FigurePanel(
          column: "Coherence", x: .steps, y: axis, lines: lines { $0.positiveMCoherence("train") }, references: [1.0]),
      ]
    ).figure()
  }

  /// Steps to both moments, by optimizer; runs that never get there are counted above the bar.
  private static func moments(_ source: FigureSource) -> Figure? {
    func bars(_ moment: (GrokkingCourse) -> Int?) -> [FigureBar] {
      GrokkingOptimizer.all.compactMap { optimizer in
        let runs = optimizer.runs(in: source.runs).filter(\.hasEnded).onePerSeed
        let steps = runs.compactMap { moment(GrokkingCourse($0)) }.map(Double.init)
        guard let range = SeedRange(steps) else { return nil }
        return FigureBar(
          optimizer.title, value: range.mean, low: range.low, high: range.high,
          note: steps.count < runs.count ? "\(steps.count) of \(runs.count)" : nil)
      }
    }
    return FigureBars(
      id: "grokking-moments", title: "Steps to memorising and to generalising",
      caption: source.caption(
        "Steps until 99 % of the training pairs (left) and 95 % of the held-out pairs (right) are right. Where not all seeds get "
          + "there, how many do stands above the bar, which is the mean of those; an optimizer without a bar never does."
      ),
      section: section, categories: "Average before AdamW", y: FigureAxis("Steps", including: [0]),
      panels: [
        .init("memorising", bars: bars { $0.memorised }), .init("generalising", bars: bars { $0.generalised }),
      ]
    ).figure()
  }
}
