// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import Runs
import Training

/// Whether the examples that are learned early are those whose gradients have most in common with the others': the rank
/// correlation between how early an example was first learned and, at an early step, ⟨gᵢ, ḡ⟩ or the cosine with the mean
/// of the others' gradients, over all examples and within classes.
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
      if records.isEmpty { records.append(QuantityRecord(quantity: "examples", value: Double(order.count))) }
      records.append(
        QuantityRecord(quantity: "learned_by_step_\(step)", value: Double(gradients.indices.count - order.count)))
      let others = counted.map { gradients.cosineWithOthers(at: $0) ?? 0 }
      let classes = counted.map { gradients.labels[$0] }
      for (name, values, groups) in [
        ("", counted.map { gradients.dots[$0] }, nil), ("others_", others, nil), ("class_", others, classes),
      ] as [(String, [Double], [Int]?)] {
        guard let rho = RankCorrelation(order, values, within: groups) else { continue }
        let greater = rho.permuted(permutations, using: &generator).count { $0 >= rho.value }
        records.append(QuantityRecord(quantity: "spearman_\(name)step_\(step)", value: rho.value))
        records.append(
          QuantityRecord(quantity: "p_\(name)step_\(step)", value: Double(1 + greater) / Double(1 + permutations)))
      }
    }
    return records
  }
}

/// Spearman's rank correlation; ties get the mean of their ranks. Within groups: the mean of the groups' correlations,
/// weighted by their sizes.
struct RankCorrelation {
  let value: Double
  private let parts: [(weight: Double, a: [Double], b: [Double])]

  /// Nil with fewer than three pairs, or when one side is all ties; such groups are left out.
  init?(_ first: [Double], _ second: [Double], within groups: [Int]? = nil) {
    guard first.count == second.count, groups.map({ $0.count == first.count }) ?? true else { return nil }
    let members = groups.map { groups in
      Dictionary(grouping: groups.indices) { groups[$0] }.sorted { $0.key < $1.key }.map(\.value)
    }
    let kept = (members ?? [Array(first.indices)]).compactMap { places -> (Double, [Double], [Double])? in
      guard places.count >= 3, let a = Self.standardizedRanks(places.map { first[$0] }),
        let b = Self.standardizedRanks(places.map { second[$0] })
      else { return nil }
      return (Double(places.count), a, b)
    }
    guard !kept.isEmpty else { return nil }
    let total = kept.reduce(0) { $0 + $1.0 }
    parts = kept.map { ($0.0 / total, $0.1, $0.2) }
    value = parts.reduce(0) { sum, part in sum + part.weight * zip(part.a, part.b).reduce(0) { $0 + $1.0 * $1.1 } }
  }

  /// The correlations after shuffling one side, within groups.
  func permuted(_ count: Int, using generator: inout SeededGenerator) -> [Double] {
    (0..<count).map { _ in
      parts.reduce(0) { sum, part in
        sum + part.weight
          * zip(generator.permutation(count: part.b.count), part.a).reduce(0) { $0 + part.b[$1.0] * $1.1 }
      }
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
