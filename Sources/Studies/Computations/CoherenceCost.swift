// SPDX-License-Identifier: Apache-2.0

import Coherence
import Datasets
import Foundation
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors
import Runs
import Training

/// m-coherence on gradients for which it is known, and what it and its relatives cost by m.
enum CoherenceCost {
  /// r of m orthogonal, of m identical and of cancelling gradients.
  static func laws(m: Int = 64) throws -> [QuantityRecord] {
    func r(_ rows: [[Double]]) throws -> Double {
      try RowGradients(widths: [rows.first?.count ?? 0]).coherence(rows).network.coherence.mCoherence ?? .nan
    }
    let orthogonal = (0..<m).map { row in (0..<m).map { $0 == row ? 2.0 : 0 } }
    let identical = Array(repeating: [0.5, -2, 0, 1.25], count: m)
    let cancelling = (0..<m).map { row in [0.3, -0.7].map { row % 2 == 0 ? $0 : -$0 } }
    return [
      QuantityRecord(quantity: "m", value: Double(m)),
      QuantityRecord(quantity: "r_orthogonal", value: try r(orthogonal)),
      QuantityRecord(quantity: "r_identical", value: try r(identical)),
      QuantityRecord(quantity: "r_cancelling", value: try r(cancelling)),
    ]
  }

  private static let rounds = 3

  /// Less than this is what an allocator keeps or returns by chance.
  private static let minimumBytes = 1 << 20

  /// Seconds (median of three) of measuring r over m examples, and the peak of memory meanwhile beyond what model and
  /// data take; m ascending, as memory that was freed may stay with the process.
  static func quantities(_ sizes: [Int], width: Int) throws -> [QuantityRecord] {
    let sizes = sizes.sorted()
    let subject = try Subject(count: sizes.last ?? 0, width: width)
    _ = try subject.probe(min(sizes.first ?? 1, 200)).coherence(subject.plan)
    let before = MemoryLimit.residentBytes() ?? 0
    return try sizes.flatMap { m in
      let probe = try subject.probe(m)
      let isAnew = MemoryLimit.forgetPeak()
      let seconds = try median { _ = try probe.coherence(subject.plan) }
      // A peak from before would hide what this size takes.
      let peak = isAnew ? MemoryLimit.peakBytes() : nil
      return [QuantityRecord(quantity: "seconds_m_\(m)", value: seconds)]
        + (peak.map { [QuantityRecord(quantity: "peak_bytes_m_\(m)", value: Double(max($0 - before, minimumBytes)))] }
          ?? [])
    }
  }

  /// Seconds of coherence, and of all measures over pairs, by m.
  static func relatives(_ sizes: [Int], width: Int) throws -> [QuantityRecord] {
    let sizes = sizes.sorted()
    let subject = try Subject(count: sizes.last ?? 0, width: width)
    return try sizes.flatMap { m in
      let probe = try subject.probe(m)
      return [
        QuantityRecord(
          quantity: "seconds_coherence_m_\(m)", value: try median { _ = try probe.coherence(subject.plan) }),
        QuantityRecord(
          quantity: "seconds_pairs_m_\(m)", value: try median { _ = try probe.relatedMeasures(subject.plan) }),
      ]
    }
  }

  private static func median(_ body: () throws -> Void) rethrows -> Double {
    try (0..<rounds).map { _ in try seconds(body) }.sorted()[rounds / 2]
  }

  /// A perceptron on the built-in digits.
  private struct Subject {
    let data: Dataset
    let plan: GradientPlan

    init(count: Int, width: Int) throws {
      data = try DatasetLoader.load(name: "digits", split: .train, count: count)
      let model = try ModelSpecification("mlp:\(width)").build(
        exampleShape: data.exampleShape, classes: data.classCount, norm: NormalizationChoice("batch"),
        initializer: nil, generator: Generator(seed: 1))
      plan = try GradientPlan(model, store: ParameterStore(model))
    }

    func probe(_ m: Int) throws -> ProbeSample {
      try ProbeSample(
        of: data, labels: data.labels, candidates: Array(0..<data.count), split: Split.train.rawValue, count: m,
        seed: 1)
    }
  }
}
