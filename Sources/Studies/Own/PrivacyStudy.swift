// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore
import Runs
import Training

/// Robust averages beside differentially private SGD, which the papers ask to be compared with: what each reveals of who was
/// trained on.
extension StudyCatalog {
  static let privacy = Study(
    id: "beyond/privacy", title: "Robust averages and private SGD",
    question:
      "At equal accuracy, do winsorized SGD and medians reveal more of who was trained on than differentially private SGD?",
    paper: Paper.thisProject, section: "membership inference", claims: ["PV-1", "PV-2", "PV-3"],
    scales: [
      .smoke: "300 of 600 built-in digits, 1×32, batch 30, 5, 20 and 60 steps, 5 optimizers",
      .small:
        "9000 of 18 000 images of MNIST, 3×256, batch 450, 10, 40, 150, 600 and 2000 steps, 5 optimizers, 3 seeds",
      .paper:
        "30 000 of 60 000 images of MNIST, 3×256, batch 600, 10, 40, 150, 600, 2000 and 10 000 steps, 5 optimizers, 3 seeds",
    ], fixed: ["steps"], rules: [PV1(), PV2(), PV3()], figures: PrivacyFigures.membership
  ) { request in
    let base = request.by(
      smoke: Setting.digits(examples: 600, batch: 30).with { $0.validation = 300 },
      small: Setting.mnist(model: "mlp:256,256,256", batch: 450, examples: 18_000).with { $0.validation = 9000 },
      paper: Setting.mnist(model: "mlp:256,256,256", batch: 600).with { $0.validation = 30_000 })
    let lengths = request.by(
      smoke: [5, 20, 60], small: [10, 40, 150, 600, 2000], paper: [10, 40, 150, 600, 2000, 10_000])
    let seeds = request.seeds(3)
    return seeds.flatMap { seed -> [Cell] in
      let runs = optimizers.flatMap { key, word in
        lengths.map { steps in
          Cell.training(
            CellName.make(key, "\(steps)", seed: seed, of: seeds), "\(key), \(steps) steps",
            base.with {
              ($0.optimizer, $0.steps, $0.epochs, $0.seed, $0.keep) = (word, steps, nil, seed, "last")
              // Short steps are made up for, as is usual for private SGD.
              $0.lr = key == "private" ? 0.5 : 0.1
            }
          ).about("PV-1", "PV-2", "PV-3")
        }
      }
      let names = runs.map(\.name)
      return runs + [
        .computing(
          "membership" + (seeds.count > 1 ? "-seed\(seed)" : ""), "membership inference", needs: names,
          .membership(runs: names))
      ]
    }
  }

  /// The optimizers by their names in quantities.
  private static let optimizers = [
    ("sgd", "sgd"), ("winsorized", "winsorized:c=2"), ("m3", "m3"), ("rm3", "rm3"),
    ("private", "dp-sgd:clip=1,epsilon=8,delta=1e-5"),
  ]
}

/// What one seed's runs reveal, by optimizer and number of steps.
struct MembershipCurves {
  /// A run's end.
  struct Point {
    let steps: Int
    let train, held, auroc, error: Double
  }

  /// By optimizer, by steps.
  let points: [String: [Point]]

  static let names = [
    "sgd": "SGD", "winsorized": "winsorized SGD", "m3": "M3", "rm3": "RM3", "private": "private SGD",
  ]

  init(_ measurement: Measurement) {
    var points: [String: [Point]] = [:]
    for key in Self.names.keys {
      func series(_ quantity: String) -> [Int: Double] {
        Dictionary(measurement.series("\(quantity)_\(key)_").map { ($0.at, $0.value) }, uniquingKeysWith: { a, _ in a })
      }
      let (train, held, auroc, error) = (series("train"), series("held"), series("auroc"), series("error"))
      points[key] = held.keys.sorted().compactMap { steps in
        guard let a = train[steps], let b = held[steps], let c = auroc[steps], let d = error[steps] else { return nil }
        return Point(steps: steps, train: a, held: b, auroc: c, error: d)
      }
    }
    self.points = points
  }

  /// The highest accuracy on held-out examples that all optimizers reach; nil when one has no runs.
  var commonAccuracy: Double? {
    let tops = Self.names.keys.compactMap { points[$0]?.map(\.held).max() }
    return tops.count == Self.names.count ? tops.min() : nil
  }

  /// Where an optimizer first has an accuracy, on straight lines between its lengths; nil when its shortest run is beyond
  /// it already.
  func at(_ accuracy: Double, _ key: String) -> Point? {
    guard let own = points[key], let next = own.firstIndex(where: { $0.held >= accuracy }), next > 0 else { return nil }
    let (a, b) = (own[next - 1], own[next])
    let share = (accuracy - a.held) / (b.held - a.held)
    func between(_ value: (Point) -> Double) -> Double { value(a) + share * (value(b) - value(a)) }
    return Point(
      steps: b.steps, train: between(\.train), held: accuracy, auroc: between(\.auroc), error: max(a.error, b.error))
  }

  /// Both at the common accuracy, noted; what is not there is named.
  func pair(_ key: String, _ assessment: inout Assessment) -> (Point, Point)? {
    guard let accuracy = assessment.need(commonAccuracy, "runs of every optimizer") else { return nil }
    assessment.note("held-out accuracy that all reach", accuracy)
    let found = [key, "private"].map { key -> Point? in
      let name = Self.names[key] ?? key
      guard let point = assessment.need(at(accuracy, key), "shorter runs of \(name)") else { return nil }
      assessment.note("AUROC of \(name) there", point.auroc)
      assessment.note("generalisation gap of \(name) there", point.train - point.held)
      return point
    }
    guard let own = found[0], let reference = found[1] else { return nil }
    return (own, reference)
  }

  /// Half the 95 % interval of a difference of two areas. Both are of the same examples, so that it is rather too wide.
  static func error(_ a: Point, _ b: Point) -> Double { 1.96 * (a.error * a.error + b.error * b.error).squareRoot() }
}

/// Private SGD hides members to the end, where plain SGD does not.
struct PV1: MeasuredRule {
  static let (hidden, revealed) = (0.52, 0.55)

  let file = "Own/PrivacyStudy.swift"
  let kind = "membership"
  let basis = "weights of runs"
  let claim = Claim(
    id: "PV-1",
    sentence:
      "Trained to the end, private SGD (ε = 8, δ = 10⁻⁵) hides from a threshold on the loss who was trained on, where plain SGD "
      + "does not: the area under the ROC curve is at most 0.52, where SGD's is at least 0.55.",
    paper: Paper.thisProject, section: "membership inference", setting: Paper.thisSetting)

  func judge(_ measurement: Measurement) -> Judgement {
    let curves = MembershipCurves(measurement)
    var assessment = Assessment()
    let sgd = assessment.need(curves.points["sgd"]?.last, "runs of SGD")
    let own = assessment.need(curves.points["private"]?.last, "runs of private SGD")
    assessment.note("AUROC of SGD at the end", sgd?.auroc)
    assessment.note("AUROC of private SGD at the end", own?.auroc)
    if let sgd, sgd.auroc < Self.revealed {
      assessment.notTested("SGD's own area is below 0.55, so that there is little to hide; it takes more memorising")
    }
    if let own {
      let error = 1.96 * own.error
      assessment.expect(
        own.auroc + error <= Self.hidden ? true : own.auroc - error > Self.hidden ? false : nil,
        else: "private SGD's area is above 0.52", open: "the interval of private SGD's area contains 0.52")
    }
    return assessment.judgement(held: "It does")
  }
}

/// At equal accuracy robust averages reveal no more than private SGD.
struct PV2: MeasuredRule {
  static let margin = 0.02

  let file = "Own/PrivacyStudy.swift"
  let kind = "membership"
  let basis = "weights of runs"
  let claim = Claim(
    id: "PV-2",
    sentence:
      "At the highest held-out accuracy that all reach, winsorized SGD (c = 2), M3 and RM3 reveal no more than private SGD of who "
      + "was trained on: the area under the ROC curve of a threshold on the loss is at most 0.02 above.",
    paper: Paper.thisProject, section: "membership inference", setting: Paper.thisSetting)

  func judge(_ measurement: Measurement) -> Judgement {
    let curves = MembershipCurves(measurement)
    return .joining(
      ["winsorized", "m3", "rm3"].map { key in
        let name = MembershipCurves.names[key] ?? key
        let judgement = Judgement.assessing(held: "It does not") { assessment in
          guard let (own, reference) = curves.pair(key, &assessment) else { return }
          let (difference, error) = (own.auroc - reference.auroc, MembershipCurves.error(own, reference))
          assessment.expect(
            difference + error <= Self.margin ? true : difference - error > Self.margin ? false : nil,
            else: "\(name) has more than 0.02 above private SGD",
            open: "the interval of the difference contains 0.02")
        }
        return (sentence: "\(name) reveals at most 0.02 more than private SGD.", judgement: judgement)
      })
  }
}

/// At equal accuracy plain SGD reveals more than private SGD.
struct PV3: MeasuredRule {
  static let gap = 0.01

  let file = "Own/PrivacyStudy.swift"
  let kind = "membership"
  let basis = "weights of runs"
  let claim = Claim(
    id: "PV-3",
    sentence:
      "At that accuracy plain SGD reveals more than private SGD: its area under the ROC curve is larger, and its "
      + "generalisation gap larger by at least 0.01.",
    paper: Paper.thisProject, section: "membership inference", setting: Paper.thisSetting)

  func judge(_ measurement: Measurement) -> Judgement {
    let curves = MembershipCurves(measurement)
    return .joining([
      "SGD's area is larger.": .assessing(held: "It is") { assessment in
        guard let (own, reference) = curves.pair("sgd", &assessment) else { return }
        let (difference, error) = (own.auroc - reference.auroc, MembershipCurves.error(own, reference))
        assessment.expect(
          difference > error ? true : difference < -error ? false : nil, else: "SGD's area is smaller",
          open: "the areas are within the interval of their difference")
      },
      "SGD's gap is larger by at least 0.01.": .assessing(held: "It is") { assessment in
        guard let (own, reference) = curves.pair("sgd", &assessment) else { return }
        if own.train - own.held < reference.train - reference.held + Self.gap {
          assessment.fail("SGD's gap is not larger by 0.01")
        }
      },
    ])
  }
}

/// The figure of the study.
enum PrivacyFigures {
  /// Area under the ROC curve, and gap, against accuracy: a point for every length.
  static func membership(_ source: FigureSource) -> [Figure?] {
    let seeds = source.measurements.filter { FigureWording.withoutSeed($0.name) == "membership" }.map {
      MembershipCurves(Measurement(name: $0.name, values: $0.values))
    }
    func lines(_ value: (MembershipCurves.Point) -> Double) -> [FigureLine] {
      MembershipCurves.names.sorted { $0.key < $1.key }.map { key, name in
        let all = seeds.flatMap { $0.points[key] ?? [] }
        let places = Dictionary(grouping: all, by: \.steps).sorted { $0.key < $1.key }.map { _, points in
          (points.reduce(0) { $0 + $1.held } / Double(points.count), points.map(value))
        }
        return FigureLine(name, values: places)
      }
    }
    let accuracy = FigureAxis("Accuracy on held-out examples")
    return [
      FigureGrid(
        id: "membership", title: "What runs reveal of who was trained on, by accuracy",
        caption: source.caption(
          "Left: area under the ROC curve of telling training from held-out examples by a threshold on their loss; 0.5 tells "
            + "nothing. Right: training minus held-out accuracy. A point for every length of training."),
        section: "Privacy", layout: .lettered(columns: 2),
        panels: [
          FigurePanel(
            column: "Membership inference", x: accuracy, y: FigureAxis("AUROC", including: [0.5]), lines: lines(\.auroc)
          ),
          FigurePanel(
            column: "Generalisation gap", x: accuracy, y: FigureAxis("Gap", including: [0]),
            lines: lines { $0.train - $0.held }),
        ]
      ).figure()
    ]
  }
}
