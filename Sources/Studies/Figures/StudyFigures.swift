// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import Reports
import RunStore

/// The figures of the studies, laid out like those of the papers.
public enum StudyFigures {
  /// The studies that have figures, in the order of the papers.
  public static let studies: [String] = builders.map(\.id)

  /// The figures of a study, as far as there is data for them: means over seeds, with bands from the least to the
  /// greatest value where there are several.
  ///
  /// - Parameters:
  ///   - id: The study, such as `cg/winsorized`.
  ///   - runs: Its run directories; a run that is still going on counts as far as it came.
  ///   - measurements: What computations without training gave: values by quantity; a name may end in `-seedN`.
  /// - Returns: The figures, none instead of an empty one.
  /// - Throws: `StudyError` for an unknown study, `RunStoreError` when a run cannot be read.
  public static func figures(
    for id: String, runs: [RunDirectory], measurements: [(name: String, values: [String: Double])] = []
  ) throws -> [Figure] {
    guard let builder = builders.first(where: { $0.id == id }) else {
      throw StudyError(
        "There is no study \"\(id)\" with figures.", remedy: "Choose one of \(studies.joined(separator: ", ")).")
    }
    let read = try runs.map { try RunHistory($0) }.filter { !$0.isEmpty }
    return try builder.make(FigureSource(runs: read, measurements: measurements)).compactMap { $0 }
  }

  /// The figures that show what a claim is about, by id, in the order given.
  ///
  /// - Parameters:
  ///   - claim: Such as `CG-8`.
  ///   - figures: The figures of a study.
  public static func figures(about claim: String, among figures: [Figure]) -> [String] {
    guard let wanted = ClaimFigures.ids[claim] else {
      return StudyCatalog.own.contains { $0.claims.contains(claim) } ? figures.map(\.id) : []
    }
    return figures.map(\.id).filter { id in wanted.contains { $0.hasSuffix("-") ? id.hasPrefix($0) : id == $0 } }
  }

  private typealias Builder = (id: String, make: @Sendable (FigureSource) throws -> [Figure?])

  private static let builders: [Builder] =
    [
      ("cg/label-noise", { NoiseFigures.coherentGradients($0) + [GradientNormFigure.figure($0)] }),
      ("cg/contributions", ContributionFigures.grid),
      ("cg/winsorized", WinsorizedFigures.mnist),
      ("cg/full-batch", NoiseFigures.fullBatch),
      ("ws/label-noise", NoiseFigures.byModel),
      ("ws/robust-means", RobustFigures.robustMeans),
      ("ws/batch-size", RobustFigures.batchSize),
      ("ws/winsorized-cifar", WinsorizedFigures.cifar),
      ("ws/easy-hard", DifficultyFigures.easyHard),
      ("ws/difficulty", DifficultyFigures.difficulty),
      ("ws/cost", MeasuredFigures.stepCost),
      ("mc/evolution", { try CoherenceFigures.trajectory($0) + $0.reportFigures("coherence-by-layer") }),
      ("mc/measures", { CoherenceFigures.measures($0) + MeasuredFigures.growth($0) }),
      ("gm/coherence", CoherenceFigures.byEpochAndLoss),
      ("gm/m3", RobustFigures.m3),
      ("gm/stability-bound", CoherenceFigures.stabilityBound),
      ("gm/learning-order", MeasuredFigures.learningOrder),
      ("gm/adversarial-init", InitialisationFigures.adversarial),
      ("gm/width-depth", InitialisationFigures.widthAndDepth), ("gm/linear-example", MeasuredFigures.linearExample),
      ("gm/early-stopping", NoiseFigures.earlyStopping),
    ] + StudyCatalog.own.compactMap { study in study.figures.map { (study.id, $0) } }
}

/// What figures are made from.
struct FigureSource {
  let runs: [RunHistory]
  var measurements: [(name: String, values: [String: Double])] = []

  /// The noise levels, from none on.
  var levels: [Double] { runs.levels }

  /// The legend's order of noise levels.
  var noiseNames: [String] { levels.map(FigureWording.noise) }

  func at(_ level: Double) -> [RunHistory] { runs.filter { Level.isEqual($0.noise, level) } }

  /// One line for each noise level.
  func lines(
    measure: String? = nil, along axis: HorizontalAxis = .steps, _ curve: (RunHistory) -> Curve
  ) -> [FigureLine] {
    levels.map { FigureLine(FigureWording.noise($0), measure: measure, of: at($0), along: axis, curve) }
  }

  /// The same with some of the runs.
  func only(_ isWanted: (RunHistory) -> Bool) -> FigureSource {
    FigureSource(runs: runs.filter(isWanted), measurements: measurements)
  }

  /// Runs by a name, in the order of the names' appearance.
  func grouped(by name: (RunHistory) -> String) -> [(name: String, runs: [RunHistory])] {
    unique(runs.map(name)).map { key in (key, runs.filter { name($0) == key }) }
  }

  /// The measurements of a kind: those of that name, whatever their seed.
  func measurements(_ kind: String) -> [[String: Double]] {
    measurements.filter { FigureWording.withoutSeed($0.name) == kind }.map(\.values)
  }

  /// Figures as the report of the runs has them, one seed of each setting, those whose ids begin so.
  func reportFigures(_ prefix: String) throws -> [Figure] {
    let seed = runs.seeds.first
    let chosen = runs.filter { $0.seed == seed }
    guard !chosen.isEmpty else { return [] }
    return try Report(runs: chosen.map(\.directory)).figures().filter { $0.id.hasPrefix(prefix) }
  }

  /// A caption: how to read the figure, the number of seeds, what was trained, and what has not ended.
  func caption(_ text: String) -> String {
    guard !runs.isEmpty else { return text }
    let seeds = runs.seeds.count
    let basis =
      seeds == 1 ? "One seed." : "Means over up to \(seeds) seeds; bands and ranges: the least to the greatest value."
    let open = runs.count { !$0.hasEnded && !$0.isDiverged }
    let unfinished = open == 0 ? "" : " \(open) of \(runs.count) runs have not ended."
    return "\(text) \(basis) Trained: \(Matching.description(of: runs)).\(unfinished)"
  }
}

/// Names in legends and captions.
enum FigureWording {
  static func noise(_ level: Double) -> String { Level.text(level) }

  /// A measurement's name without `-seedN`.
  static func withoutSeed(_ name: String) -> String { Measurement(name: name, values: [:]).kind }

  /// A whole number after the last underscore or letter, such as 1000 in `seconds_m_1000`, and what stands before it.
  static func numbered(_ name: String) -> (stem: String, number: Double)? {
    let digits = name.reversed().prefix { $0.isASCII && $0.isNumber }
    guard !digits.isEmpty, digits.count < name.count, let number = Double(String(digits.reversed())) else { return nil }
    return (String(name.dropLast(digits.count)), number)
  }

  /// An optimizer as the papers write it.
  static func optimizer(_ run: RunHistory) -> String {
    let word = run.optimizer
    return ["sgd", "m3", "rm3", "ra3"].contains(word.name)
      ? word.name.uppercased() : run.manifest.optimizer ?? word.name
  }
}
