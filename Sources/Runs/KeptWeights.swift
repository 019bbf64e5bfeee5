// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Tensors
import Training

/// A set of weights to keep, as a word: "best,selected,last".
public struct KeepPolicy: Sendable, Equatable {
  /// What is kept when a run is complete; while it trains, its newest checkpoints always are.
  public let selections: Set<WeightSelection>

  /// Everything.
  public static let all = KeepPolicy(Set(WeightSelection.allCases))

  /// A policy from its selections.
  public init(_ selections: Set<WeightSelection>) { self.selections = selections }

  /// Parses the word.
  ///
  /// - Throws: `TrainingError` that says what was expected.
  public init(_ text: String) throws {
    let words = text.split(separator: ",", omittingEmptySubsequences: false).map {
      WeightSelection(rawValue: $0.trimmingCharacters(in: .whitespaces))
    }
    let known = words.compactMap { $0 }
    guard known.count == words.count else {
      throw TrainingError(
        .configuration, "keep \"\(text)\" is not known; write best, selected, last, or several joined by commas")
    }
    selections = Set(known)
  }
}

/// Weights that a run keeps beside its checkpoints: `checkpoints/best.json` and `selected.json` name a file
/// `kept-N.safetensors` (the parameters and buffers by name at step N), which they share when N is the same.
///
/// The weights are written first and a description replaces the one before atomically, so that a description always
/// names a whole file.
public struct KeptWeights: Codable, Sendable, Equatable {
  /// The evaluation that chose them.
  public let moment: RunSummary.Moment
  let file: Checkpoint.File

  fileprivate static func description(of selection: WeightSelection, in folder: URL) -> URL {
    folder.appendingPathComponent(selection.rawValue + ".json")
  }

  fileprivate static func fileName(step: Int) -> String { "kept-\(Checkpoint.paddedStep(step)).safetensors" }

  /// What is kept for a selection; nil when nothing is.
  ///
  /// - Throws: `TrainingError` of kind checkpoint when the description is damaged.
  static func find(_ selection: WeightSelection, in folder: URL) throws -> KeptWeights? {
    let url = description(of: selection, in: folder)
    guard FileManager.default.fileExists(atPath: url.path) else { return nil }
    guard let kept = try? JSONDecoder().decode(KeptWeights.self, from: readFile(url)),
      kept.file.name == fileName(step: kept.moment.step)
    else {
      throw TrainingError(
        .checkpoint, "\(url.path) is damaged and cannot be read; choose other weights with --select last")
    }
    return kept
  }

  /// Deletes weights that no description names.
  static func prune(in folder: URL) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    let kept = [WeightSelection.best, .selected].map { try? find($0, in: folder)?.file.name }
    for name in names where name.hasPrefix("kept-") && name.hasSuffix(".safetensors") && !kept.contains(name) {
      try? FileManager.default.removeItem(at: folder.appendingPathComponent(name))
    }
  }
}

extension Trainer {
  /// Keeps the present weights where the last evaluation made them the best or the selected ones.
  ///
  /// - Throws: `RunStoreError` when the disk is full; what was kept before then still is.
  func keep(_ policy: KeepPolicy, in folder: URL) throws {
    let winners: [(WeightSelection, RunSummary.Moment?)] = [(.best, milestones.best), (.selected, milestones.selected)]
    let new = winners.compactMap { selection, moment in
      moment.flatMap { $0.step == step && policy.selections.contains(selection) ? (selection, $0) : nil }
    }
    guard !new.isEmpty else { return }
    defer { KeptWeights.prune(in: folder) }
    let file = try Checkpoint.write(weights(), as: KeptWeights.fileName(step: step), in: folder)
    for (selection, moment) in new {
      try writeAtomically(
        prettyJSON(KeptWeights(moment: moment, file: file), escapingSlashes: true),
        to: KeptWeights.description(of: selection, in: folder))
    }
  }
}

/// The weights of a run that a selection means.
public struct SelectedWeights: Sendable {
  /// Which were asked for.
  public let selection: WeightSelection
  /// The step they are of.
  public let step: Int
  /// The safetensors file: parameters and buffers by name.
  public let url: URL
  let file: Checkpoint.File

  /// Finds the weights of a run.
  ///
  /// - Parameters:
  ///   - run: the run directory.
  ///   - selection: which; the newest checkpoint's by default.
  ///   - wanted: a checkpoint's step, for `last` alone.
  /// - Throws: `TrainingError` of kind checkpoint that says what there is.
  public init(of run: RunDirectory, _ selection: WeightSelection = .last, step wanted: Int? = nil) throws {
    self.selection = selection
    let folder = run.checkpoints
    if selection == .last {
      guard let checkpoint = try Checkpoint.find(step: wanted, in: folder) else {
        throw TrainingError(.checkpoint, try Self.nothingFound(in: run, step: wanted))
      }
      (step, file) = (checkpoint.step, checkpoint.weights)
    } else {
      guard let kept = try KeptWeights.find(selection, in: folder) else {
        let reason =
          selection == .best
          ? "none were kept (train with --keep best,last), or no evaluation has covered the whole test set yet"
          : "none were kept (train with --validation N and --keep selected,last), or no evaluation has covered "
            + "all validation examples yet"
        throw TrainingError(
          .checkpoint,
          "\(run.url.path) holds no \(selection.rawValue) weights: \(reason); --select last takes the newest")
      }
      (step, file) = (kept.moment.step, kept.file)
    }
    url = folder.appendingPathComponent(file.name)
  }

  /// The weights of a run, read. A training that goes on replaces its checkpoints: where the file of the newest is gone by
  /// the time it is read, there is a newer one.
  ///
  /// - Throws: as `init`, and when the file is damaged.
  static func read(
    of run: RunDirectory, _ selection: WeightSelection, step: Int?
  ) throws -> (weights: SelectedWeights, tensors: [String: Tensor]) {
    var weights = try SelectedWeights(of: run, selection, step: step)
    while true {
      do {
        return (weights, try Checkpoint.read(weights.file, in: run.checkpoints))
      } catch {
        let next = try SelectedWeights(of: run, selection, step: step)
        guard next.file != weights.file else { throw error }
        weights = next
      }
    }
  }

  private static func nothingFound(in run: RunDirectory, step: Int?) throws -> String {
    let there = try Checkpoint.steps(in: run.checkpoints).map(String.init).joined(separator: ", ")
    if let step, !there.isEmpty {
      return "\(run.url.path) holds no checkpoint of step \(step); checkpoints exist for steps \(there)"
    }
    let kept = try [WeightSelection.best, .selected].filter { try KeptWeights.find($0, in: run.checkpoints) != nil }
    let remedy =
      kept.isEmpty
      ? "train it first" : "choose kept weights with --select " + kept.map(\.rawValue).joined(separator: " or ")
    return "\(run.url.path) holds no checkpoint; \(remedy)"
  }

  /// The file's bytes, after checking that they are what was written.
  ///
  /// - Throws: `TrainingError` of kind checkpoint when they are not.
  public func data() throws -> Data { try Checkpoint.data(of: file, in: url.deletingLastPathComponent()) }
}
