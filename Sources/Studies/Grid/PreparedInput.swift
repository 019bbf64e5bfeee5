// SPDX-License-Identifier: Apache-2.0

import Charts
import Datasets
import Foundation
import RunStore
import Runs
import Training

/// A file that is made from the results of earlier cells, the same from the same results.
enum PreparedInput: Sendable, Equatable {
  /// `FOLDER/easy.csv` and `FOLDER/hard.csv`: the training examples that a run stopped half-way had learned, and the
  /// others; each with test examples of both kinds, and `most` examples to train on (Weak and Strong §4.2, §4.4).
  case easyAndHard(from: String, folder: String, seed: UInt64, maximum: Int?)
  /// `NAME.csv`: for every training example the number of runs in which it was hard (Weak and Strong §4.3).
  case difficulty(from: [String], name: String)
  /// `NAME.safetensors`: the last weights of a run.
  case weights(from: String, name: String)

  /// Makes the file, unless it is there.
  ///
  /// - Throws: `StudyError` when a run says too little; `RunStoreError` when a file cannot be read or written.
  func make(in folder: StudyFolder) throws {
    switch self {
    case .easyAndHard(let cell, let name, let seed, let most):
      try Self.easyAndHard(of: cell, to: name, seed: seed, maximum: most, in: folder)
    case .difficulty(let cells, let name): try Self.difficulty(of: cells, to: name, in: folder)
    case .weights(let cell, let name):
      let target = folder.prepared("\(name).safetensors")
      guard !FileManager.default.fileExists(atPath: target.path) else { return }
      let run = try RunDirectory.open(at: folder.run(of: cell).path)
      try writeAtomically(try TrainingRun.newestWeights(of: run), to: target)
    }
  }

  /// Weak and Strong §4.2 trains to 50 % accuracy.
  private static let halfLearned = 0.5
  /// Of each kind so many examples train, and a fifth as many test.
  private static let testShare = 5

  private static func easyAndHard(
    of cell: String, to name: String, seed: UInt64, maximum: Int?, in folder: StudyFolder
  ) throws {
    let targets = ["easy", "hard"].map { folder.prepared("\(name)/\($0).csv") }
    guard !targets.allSatisfy({ FileManager.default.fileExists(atPath: $0.path) }) else { return }
    let isEasy = try learned(in: cell, folder)
    var generator = SeededGenerator(seed: seed, stream: .probe)
    let groups = [true, false].map { wanted -> [Int] in
      let members = isEasy.filter { $0.value == wanted }.keys.sorted()
      return generator.permutation(count: members.count).map { members[$0] }
    }
    let size = min(maximum ?? .max, (groups.map(\.count).min() ?? 0) * testShare / (testShare + 1))
    guard size >= testShare else {
      throw StudyError(
        "Of the examples of \(cell) \(groups[0].count) are easy and \(groups[1].count) hard: too few to train on.",
        remedy: "Give the study more examples (--set subset=N).")
    }
    let tests = groups.map { $0[size..<size + size / testShare] }
    for (group, target) in zip(groups, targets) {
      let train = group[..<size].map { ($0, "train", "") }
      let test = zip(["easy", "hard"], tests).flatMap { word, indices in indices.map { ($0, "test", word) } }
      try write(train + test, to: target)
    }
  }

  private static func difficulty(of cells: [String], to name: String, in folder: StudyFolder) throws {
    let target = folder.prepared("\(name).csv")
    guard !FileManager.default.fileExists(atPath: target.path) else { return }
    var hard: [Int: Int] = [:]
    for cell in cells {
      for (index, isEasy) in try learned(in: cell, folder) { hard[index, default: 0] += isEasy ? 0 : 1 }
    }
    try write(hard.sorted { $0.key < $1.key }.map { ($0.key, "train", "difficulty-\($0.value)") }, to: target)
  }

  /// Whether each training example of a run was classified as its label at the end, by its place in the data set.
  private static func learned(in cell: String, _ folder: StudyFolder) throws -> [Int: Bool] {
    let run = try RunDirectory.open(at: folder.run(of: cell).path)
    let reached = try run.manifest().summary?.last?.trainAccuracy ?? 0
    guard reached >= halfLearned else {
      throw StudyError(
        "\(cell) ended at \(Wording.whole((reached * 100).rounded(.down))) % training accuracy, but separating easy from hard examples needs 50 %.",
        remedy: "Start the study in another folder with more epochs (--set epochs=N).")
    }
    let pairs = try run.examples().compactMap { record in record.finalCorrect.map { (record.index, $0) } }
    guard !pairs.isEmpty else {
      throw StudyError(
        "\(run.url.path) does not say which examples were learned: examples.csv is missing or empty.",
        remedy: "Delete that run's folder and start the study again.")
    }
    return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
  }

  private static func write(_ rows: [(Int, String, String)], to url: URL) throws {
    try? FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    // Training examples first, each part by place.
    let sorted = rows.sorted { ($1.1, $0.0) < ($0.1, $1.0) }
    let text = sorted.reduce(into: "index,split,group\n") { $0 += "\($1.0),\($1.1),\($1.2)\n" }
    try writeAtomically(Data(text.utf8), to: url)
  }
}
