// SPDX-License-Identifier: Apache-2.0

import Audit
import Charts
import Datasets
import RunStore
import Runs
import Training

/// Which score finds wrong labels, by kind and amount of noise: the study behind `coherent audit`.
extension StudyCatalog {
  /// A kind and an amount of noise.
  struct NoiseSetting {
    let name: String
    let kind: NoiseKind
    let rate: Double
  }

  static func noiseSettings(_ profile: StudyProfile) -> [NoiseSetting] {
    let symmetric = (profile == .smoke ? [0.4] : [0.01, 0.05, 0.2, 0.4, 0.6]).map {
      // Of ten classes a tenth of the drawn labels are the old ones.
      NoiseSetting(name: "symmetric-\(Wording.whole(100 * $0))", kind: .uniform, rate: $0 / 0.9)
    }
    return symmetric + [
      NoiseSetting(name: "asymmetric-40", kind: .asymmetric, rate: 0.4),
      NoiseSetting(name: "instance-40", kind: .instance, rate: 0.4),
    ]
  }

  static let auditScores = Study(
    id: "audit/scores", title: "Which scores find wrong labels",
    question:
      "Which score finds wrong labels, by kind and amount of noise, and is their combination as good as the best?",
    paper: Paper.thisProject, section: "audits of labels", claims: ["AU-1", "AU-2"],
    scales: [
      .smoke: "500 built-in digits, perceptron, 3 kinds of noise, 12 epochs",
      .small:
        "20 000 images of MNIST (perceptron), 5 levels of symmetric noise from 1 to 60 %, asymmetric and instance-dependent noise of 40 %, and 4000 of CIFAR-10 (ResNet-20, 30 epochs), 20 % symmetric and the other two, 3 seeds, trained as coherent audit does",
      .paper: "all of MNIST and CIFAR-10, every kind and level for both",
    ], rules: [AU1(), AU2()], figures: AuditFigures.scores
  ) { request in
    let bases: [(name: String, base: TrainingConfiguration)] = request.by(
      smoke: [
        (
          "digits",
          Setting.digits(examples: 500).with { ($0.optimizer, $0.batchSize, $0.steps, $0.epochs) = ("m3", 48, nil, 12) }
        )
      ],
      small: auditBases(mnist: 20_000, cifar: 4000).map { name, base in
        // The 100 epochs of an audit of so many would take three quarters of an hour each.
        (name, name == "mnist" ? base : base.with { $0.epochs = 30 })
      }, paper: auditBases(mnist: 60_000, cifar: 50_000))
    return bases.flatMap { name, base in
      noiseSettings(request.profile).filter { noise in
        // A run on CIFAR-10 takes a quarter of an hour: the small profile has the three kinds at one level each.
        request.profile != .small || name == "mnist" || noise.kind != .uniform || noise.name == "symmetric-20"
      }.flatMap { noise in
        bySeed(request, "\(name)-\(noise.name)", title: "\(name), \(noise.name)", base) {
          ($0.noise, $0.noiseKind, $0.probe) = (noise.rate, noise.kind, ["dynamics"])
        }
      }
    }
  }

  private static func auditBases(mnist: Int, cifar: Int) -> [(name: String, base: TrainingConfiguration)] {
    [("mnist", [1, 28, 28], mnist), ("cifar10", [3, 32, 32], cifar)].map { name, shape, count in
      let base = AuditDefaults.configuration(exampleShape: shape, count: count).with {
        ($0.dataset, $0.subset, $0.testSubset) = (name, count, 2000)
        $0.allowMissing = name == "cifar10"
      }
      return (name, base)
    }
  }
}

/// What an audit finds of a run with known noise.
struct AuditedRun {
  /// AUROC by name of the score; the combination is `suspicion`.
  let auroc: [String: Double]

  /// Nil where the run kept no dynamics or has no errors.
  init?(_ run: RunHistory) {
    guard let dynamics = try? TrainingDynamics(contentsOf: run.directory.dynamics).visited,
      let labels = try? run.directory.labels(), let evidence = try? AuditEvidence(dynamics)
    else { return nil }
    let corrupt = Set(labels.filter { $0.original != $0.assigned }.map(\.index))
    let isError = dynamics.indices.map(corrupt.contains)
    let errors = isError.count { $0 }
    guard errors > 0, errors < isError.count else { return nil }
    let (columns, suspicion) = AuditAnalysis.ranked(evidence)
    var found = ["suspicion": ScoreJudgement.auroc(of: suspicion, isError: isError)]
    for column in columns {
      found[column.score.name] = ScoreJudgement.auroc(of: column.values, isError: isError)
    }
    auroc = found
  }
}

/// The combination is as good as the best single score, in every setting.
struct AU1: PooledRule {
  /// What the combination may lack.
  static let margin = 0.01

  let file = "Own/AuditStudy.swift"
  let claim = Claim(
    id: "AU-1",
    sentence:
      "In every kind and amount of noise the combined ranking of an audit has an AUROC of at most 0.01 below that of the "
      + "single score that is best there.",
    paper: Paper.thisProject, section: "audits of labels", setting: Paper.thisSetting)

  func reads(_ run: RunHistory) -> Bool { AuditSetting.isAudited(run) }

  func judge(_ runs: [RunHistory]) -> Judgement {
    var assessment = Assessment()
    if runs.isEmpty { assessment.miss(AuditSetting.missing) }
    for setting in AuditSetting.all(of: runs) {
      guard setting.count >= SeedMean.minimumSeeds, let combined = setting.mean["suspicion"],
        let best = setting.best
      else {
        assessment.miss("\(SeedMean.minimumSeeds) seeds of \(setting.name)")
        continue
      }
      assessment.note("AUROC of the combination, \(setting.name)", combined)
      assessment.note("AUROC of \(best.title), the best there, \(setting.name)", best.value)
      if combined < best.value - Self.margin {
        assessment.fail("the score “\(best.title)” is better in \(setting.name)")
      }
    }
    return assessment.judgement(held: "It does")
  }
}

/// The agreement of an example with its class, early in training, finds wrong labels by itself.
struct AU2: PooledRule {
  static let threshold = 0.9

  let file = "Own/AuditStudy.swift"
  let claim = Claim(
    id: "AU-2",
    sentence:
      "One look at gradients after the second epoch finds wrong labels: against the mean of the others of its label, the cosine "
      + "of an example's gradient has an AUROC of at least 0.9 for symmetric noise of up to 20 %.",
    paper: Paper.thisProject, section: "audits of labels", setting: Paper.thisSetting)

  func reads(_ run: RunHistory) -> Bool {
    AuditSetting.isAudited(run) && run.manifest.noise.kind == NoiseKind.uniform.rawValue && run.noise < 0.23
  }

  func judge(_ runs: [RunHistory]) -> Judgement {
    var assessment = Assessment()
    if runs.isEmpty { assessment.miss(AuditSetting.missing) }
    for setting in AuditSetting.all(of: runs) {
      guard setting.count >= SeedMean.minimumSeeds, let value = setting.mean["class_cosine"] else {
        assessment.miss("\(SeedMean.minimumSeeds) seeds of \(setting.name)")
        continue
      }
      assessment.note("AUROC of the cosine within the class, \(setting.name)", value)
      if value < Self.threshold { assessment.fail("it has less in \(setting.name)") }
    }
    return assessment.judgement(held: "It has")
  }
}

/// Runs that differ in their seeds alone, audited.
struct AuditSetting {
  /// Data set, and kind and amount of noise.
  let name: String
  /// Runs that could be audited.
  let count: Int
  /// Means over seeds of the AUROC by score.
  let mean: [String: Double]

  /// The single score that is best; of equals the first.
  var best: (title: String, value: Double)? {
    ExampleScores.all.compactMap { score in
      mean[score.name].map { (score.title.prefix(1).lowercased() + score.title.dropFirst(), $0) }
    }.reduce(nil) { best, next in
      best.map { next.1 > $0.value ? next : $0 } ?? next
    }
  }

  static let missing = "runs with noise and the probe dynamics"

  static func isAudited(_ run: RunHistory) -> Bool {
    run.noise > 0 && run.directory.hasDynamics
  }

  /// Symmetric noise by the share of labels that are wrong, as a K-th of those drawn anew are the old ones.
  static func name(of run: RunHistory) -> String {
    let (data, noise) = (run.manifest.dataset.name, run.manifest.noise)
    guard noise.kind == NoiseKind.uniform.rawValue, let classes = run.manifest.dataset.classes, classes > 1 else {
      return "\(data), \(noise.kind) \(Wording.whole(100 * run.noise)) %"
    }
    return "\(data), symmetric \(Wording.whole(100 * run.noise * (1 - 1 / Double(classes)))) %"
  }

  /// The settings in the order of their runs.
  static func all(of runs: [RunHistory]) -> [AuditSetting] {
    unique(runs.map(name)).map { name in
      let audited = runs.filter { Self.name(of: $0) == name }.onePerSeed.compactMap(AuditedRun.init)
      let names = Set(audited.flatMap(\.auroc.keys))
      let means = names.map { score in
        (score, audited.reduce(0) { $0 + ($1.auroc[score] ?? 0) } / Double(max(1, audited.count)))
      }
      return AuditSetting(
        name: name, count: audited.count, mean: Dictionary(means, uniquingKeysWith: { first, _ in first }))
    }
  }
}

/// The figure of the study.
enum AuditFigures {
  /// AUROC by score and setting.
  static func scores(_ source: FigureSource) -> [Figure?] {
    let settings = AuditSetting.all(of: source.runs.filter(AuditSetting.isAudited))
    let scores =
      [(name: "suspicion", title: "Combination")] + ExampleScores.all.map { (name: $0.name, title: $0.title) }
    return [
      FigureMap(
        id: "audit-scores", title: "Which scores find wrong labels",
        caption: source.caption(
          "AUROC of every score against the labels that the noise changed: 1 where all wrong labels are more suspect than all "
            + "right ones, 0.5 for chance. Symmetric noise is named by the share of labels that are wrong, the other kinds by "
            + "their rate. In bold: the best of a column."),
        section: "Audits", rows: "", columns: "", value: FigureAxis("AUROC", including: [0.5, 1]),
        cells: scores.flatMap { score in
          settings.compactMap { setting in
            setting.mean[score.name].map { FigureMap.Cell(row: score.title, column: setting.name, value: $0) }
          }
        }, isDense: true
      ).figure()
    ]
  }
}
