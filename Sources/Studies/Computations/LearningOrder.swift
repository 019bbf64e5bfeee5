// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import Training

/// Whether the examples that are learned early are those whose gradients have most in common with the others': the rank
/// correlation between how early an example was first learned and ⟨gᵢ, ḡ⟩ at an early step.
enum LearningOrder {
  private static let permutations = 199

  static func quantities(of url: URL) throws -> [QuantityRecord] {
    let run = try RunDirectory.open(at: url.path)
    let learned = Dictionary(
      try run.examples().map { ($0.index, $0.firstLearned) }, uniquingKeysWith: { first, _ in first })
    let files = run.exampleGradientFiles()
    guard !learned.isEmpty, !files.isEmpty else {
      throw StudyError(
        "\(url.path) has no record of when examples were learned, or none of their gradients.",
        remedy: "Train it with the probe examples@dense:0-10.")
    }
    var records: [QuantityRecord] = []
    var generator = SeededGenerator(seed: 1, stream: .probe)
    for (step, file) in files {
      let gradients = try ExampleGradients(contentsOf: file)
      // What is learned already has a small gradient, and before the first step it is right by chance: the order of
      // those still to come counts. Never learned is later than any step.
      let counted = gradients.indices.indices.filter { place in
        (learned[gradients.indices[place]] ?? nil).map { $0 > step } ?? true
      }
      let order = counted.map { -Double((learned[gradients.indices[$0]] ?? nil) ?? .max) }
      guard let rho = RankCorrelation(order, counted.map { gradients.dots[$0] }) else { continue }
      if records.isEmpty { records.append(QuantityRecord(quantity: "examples", value: Double(order.count))) }
      records.append(
        QuantityRecord(quantity: "learned_by_step_\(step)", value: Double(gradients.indices.count - order.count)))
      let greater = rho.permuted(permutations, using: &generator).count { $0 >= rho.value }
      records.append(QuantityRecord(quantity: "spearman_step_\(step)", value: rho.value))
      records.append(
        QuantityRecord(quantity: "p_step_\(step)", value: Double(1 + greater) / Double(1 + permutations)))
    }
    return records
  }
}

/// Spearman's rank correlation; ties get the mean of their ranks.
struct RankCorrelation {
  let value: Double
  private let a, b: [Double]

  /// Nil with fewer than three pairs, or when one side is all ties.
  init?(_ first: [Double], _ second: [Double]) {
    guard first.count == second.count, first.count >= 3,
      let a = Self.standardizedRanks(first), let b = Self.standardizedRanks(second)
    else { return nil }
    (self.a, self.b) = (a, b)
    value = zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
  }

  /// The correlations after shuffling one side.
  func permuted(_ count: Int, using generator: inout SeededGenerator) -> [Double] {
    (0..<count).map { _ in
      zip(generator.permutation(count: b.count), a).reduce(0) { $0 + b[$1.0] * $1.1 }
    }
  }

  /// Ranks with mean 0 and norm 1.
  private static func standardizedRanks(_ values: [Double]) -> [Double]? {
    let order = values.indices.sorted { values[$0] < values[$1] }
    var ranks = [Double](repeating: 0, count: values.count)
    var start = 0
    while start < order.count {
      var end = start
      while end + 1 < order.count, values[order[end + 1]] == values[order[start]] { end += 1 }
      for place in start...end { ranks[order[place]] = Double(start + end) / 2 }
      start = end + 1
    }
    let mean = Double(values.count - 1) / 2
    let norm = ranks.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }.squareRoot()
    return norm > 0 ? ranks.map { ($0 - mean) / norm } : nil
  }
}
