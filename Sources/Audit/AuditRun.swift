// SPDX-License-Identifier: Apache-2.0

import Coherence
import Datasets
import Foundation
import Reports
import RunStore
import Runs
import Training

/// An audit of the labels of a training set: from a run that kept its training dynamics to a folder with the suspects.
public struct AuditRun {
  /// How much is drawn and looked through.
  public struct Settings: Sendable {
    /// Pictures of the most suspect examples, at most.
    public var pictures = 2000
    /// The width and height of a picture in pixels.
    public var side = 64
    /// Suspects whose neighbours by gradient are looked for, at most.
    public var neighbourhoods = 100
    /// Helpers, and opponents, of each.
    public var neighbours = 5

    /// The defaults.
    public init() {}
  }

  /// The trained model with the training set.
  public let model: TrainedModel
  /// What was found.
  public let analysis: AuditAnalysis
  /// How much is drawn and looked through.
  public let settings: Settings
  private let run: RunDirectory

  /// Analyses a run.
  ///
  /// - Parameters:
  ///   - run: the run directory.
  ///   - outOfSample: probabilities by models that were not trained on the example, by its index; see `FoldedTraining`.
  ///   - settings: how much is drawn and looked through.
  /// - Throws: `TrainingError` when the run kept no dynamics or does not belong to the data; `AuditError` when there is
  ///   nothing to rank.
  public init(
    of run: RunDirectory, outOfSample: [Int: [Float]]? = nil, settings: Settings = Settings()
  ) throws {
    let dynamics = try TrainingDynamics(contentsOf: run.dynamics).visited
    let model = try TrainedModel(run: run.url.path, split: .train)
    guard dynamics.classCount == model.dataset.classCount,
      zip(dynamics.indices, dynamics.labels).allSatisfy({ model.labels.indices.contains($0) && model.labels[$0] == $1 })
    else {
      throw AuditError(
        "\(run.dynamics.path) does not belong to the labels of this run; train again with --probe dynamics")
    }
    let opinions = outOfSample.map { opinions in dynamics.indices.flatMap { opinions[$0] ?? [] } }
    analysis = try AuditAnalysis(AuditEvidence(dynamics, outOfSample: opinions))
    (self.model, self.run, self.settings) = (model, run, settings)
  }

  /// The place in the data set of an example of the analysis.
  func index(of row: Int) -> Int { analysis.evidence.dynamics.indices[row] }

  // MARK: - Records

  /// Every example, the most suspect first; those that were not trained on, such as held-out ones, come last, without
  /// scores.
  public var suspects: [SuspectRecord] {
    let flagged = analysis.flagged
    let ranked = analysis.order.enumerated().map { place, row in
      SuspectRecord(
        rank: place + 1, index: index(of: row), file: model.dataset.file(at: index(of: row)),
        given: analysis.evidence.dynamics.labels[row], suggested: analysis.suggested[row],
        suspicion: analysis.suspicion[row], isFlagged: place < flagged,
        scores: analysis.columns.map { $0.values[row] })
    }
    let isRanked = Set(analysis.evidence.dynamics.indices)
    let rest = model.labels.indices.filter { !isRanked.contains($0) }
    return ranked
      + rest.enumerated().map { place, index in
        SuspectRecord(
          rank: ranked.count + place + 1, index: index, file: model.dataset.file(at: index), given: model.labels[index],
          suggested: model.labels[index], suspicion: 0, isFlagged: false, scores: analysis.columns.map { _ in nil })
      }
  }

  /// What was found, apart from the single examples.
  ///
  /// - Parameter directory: the folder of the audit.
  public func record(in directory: AuditDirectory) -> AuditRecord {
    let names = model.dataset.classNames
    // Every folder of pictures is called folder.
    let place = model.configuration.dataDir.map { URL(fileURLWithPath: $0).lastPathComponent }
    let name = model.dataset.file(at: 0) == nil ? model.dataset.name : place ?? model.dataset.name
    let prefix = directory.url.path + "/"
    let path = run.url.path
    return AuditRecord(
      dataset: name, count: model.dataset.count, classes: names,
      scores: analysis.columns.map {
        .init(name: $0.score.name, title: $0.score.title, formula: $0.score.formula, source: $0.score.source)
      },
      estimate: .init(
        errors: analysis.estimate.errors, low: analysis.estimate.low, high: analysis.estimate.high,
        method: analysis.estimate.method),
      flagged: analysis.flagged, precision: analysis.precision.map { .init(count: $0.count, precision: $0.precision) },
      confused: analysis.confused.map {
        .init(given: names[$0.given], suggested: names[$0.suggested], count: $0.count)
      },
      // A picture that has vanished since leaves its place empty, and no audit of the others fails for it.
      duplicates: (try? conflictingDuplicates()) ?? [],
      run: path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : path)
  }

  /// Examples whose pictures are the same byte for byte and whose labels are not.
  private func conflictingDuplicates() throws -> [AuditRecord.Duplicates] {
    let sums = try model.dataset.exampleChecksums()
    let names = model.dataset.classNames
    return Dictionary(grouping: analysis.evidence.dynamics.indices) { sums[$0] }.values
      .filter { group in Set(group.map { model.labels[$0] }).count > 1 }
      .map { group in .init(indices: group, labels: group.map { names[model.labels[$0]] }) }
      .sorted { $0.indices[0] < $1.indices[0] }
  }

  /// The neighbours by gradient of the most suspect examples at the run's last weights.
  ///
  /// - Throws: `GradientMatrixError` when a layer has no rule; `CoherenceError` when a gradient is not finite.
  public func neighbours() throws -> AuditNeighbours? {
    let count = min(settings.neighbourhoods, analysis.flagged)
    guard count > 0, settings.neighbours > 0 else { return nil }
    let queries = try model.sample(at: analysis.order.prefix(count).map(index))
    let found = try model.neighbours(
      of: queries, NeighbourSettings(limit: settings.neighbours, order: .cosine))
    let names = model.dataset.classNames
    func records(_ neighbours: [Neighbour]) -> [AuditNeighbours.Neighbour] {
      neighbours.map {
        .init(
          index: $0.index, label: names[model.labels[$0.index]], cosine: $0.similarity.cosine, dot: $0.similarity.dot)
      }
    }
    return AuditNeighbours(
      step: model.step,
      examples: Dictionary(
        found.queries.map { ($0.query, .init(helpers: records($0.helpers), opponents: records($0.opponents))) },
        uniquingKeysWith: { first, _ in first }))
  }

  // MARK: - Writing

  /// Writes the folder: tables, arrays, pictures, page.
  ///
  /// - Parameters:
  ///   - directory: where.
  ///   - judgements: how well scores find the errors, where they are known.
  /// - Returns: pictures that could not be read; with such there are no neighbours.
  /// - Throws: `RunStoreError` when the disk is full; `ChartError` when the page cannot be drawn.
  public func write(to directory: AuditDirectory, judgements: [ScoreJudgement] = []) throws -> [UnreadablePicture] {
    let neighbours: AuditNeighbours?
    do {
      neighbours = try self.neighbours()
    } catch is DatasetError {
      neighbours = nil
    }
    let (thumbnails, unreadable) = try writePictures(to: directory, neighbours)
    try writeArrays(to: directory)
    if !judgements.isEmpty {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      try writeAtomically(
        encoder.encode(judgements) + Data("\n".utf8), to: directory.url.appendingPathComponent("judgement.json"))
    }
    try directory.write(record(in: directory), suspects: suspects, thumbnails: thumbnails, neighbours: neighbours)
    _ = try AuditPage(directory).write()
    return unreadable
  }

  private func writePictures(
    to directory: AuditDirectory, _ neighbours: AuditNeighbours?
  ) throws -> (AuditThumbnails, [UnreadablePicture]) {
    let shown = min(settings.pictures, max(500, 2 * analysis.flagged))
    var seen: Set<Int> = []
    let others = (neighbours?.examples ?? [:]).sorted { $0.key < $1.key }
      .flatMap { ($0.value.helpers + $0.value.opponents).map(\.index) }
    let indices = (analysis.order.prefix(shown).map(index) + others).filter { seen.insert($0).inserted }
    let sheet = try PictureSheet(side: settings.side)
    let thumbnails = AuditThumbnails(side: sheet.side, columns: sheet.columns, rows: sheet.rows, indices: indices)
    var unreadable: [UnreadablePicture] = []
    for number in 0..<thumbnails.sheets {
      let part = indices[number * thumbnails.perSheet..<min(indices.count, (number + 1) * thumbnails.perSheet)]
      let drawn = try sheet.png(of: Array(part), in: model.dataset)
      unreadable += drawn.unreadable
      try directory.write(sheet: drawn.png, number: number)
    }
    return (thumbnails, unreadable)
  }

  /// pred_probs.npy and labels.npy as cleanlab reads them, in the order of the data set, and the places in index.npy.
  private func writeArrays(to directory: AuditDirectory) throws {
    let dynamics = analysis.evidence.dynamics
    let probabilities =
      analysis.evidence.outOfSample
      ?? (0..<dynamics.count).flatMap { dynamics.meanProbabilities(of: $0).map(Float.init) }
    for (name, data) in [
      ("pred_probs.npy", NumPyArray.encoded(probabilities, shape: [dynamics.count, dynamics.classCount])),
      ("labels.npy", NumPyArray.encoded(dynamics.labels.map(Int64.init), shape: [dynamics.count])),
      ("index.npy", NumPyArray.encoded(dynamics.indices.map(Int64.init), shape: [dynamics.count])),
    ] { try writeAtomically(data, to: directory.url.appendingPathComponent(name)) }
  }
}
