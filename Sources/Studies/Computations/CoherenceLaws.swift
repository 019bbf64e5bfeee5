// SPDX-License-Identifier: Apache-2.0

import Coherence
import Datasets
import Foundation
import RunStore

/// What holds for α by its definition (Making Coherence Out of Nothing At All, On the Generalization Mystery), as the
/// largest relative deviation over random sets of gradients.
enum CoherenceLaws {
  static func quantities(cases: Int) throws -> [QuantityRecord] {
    var generator = SeededGenerator(seed: 1, stream: .probe)
    var worst: [String: Double] = [:]
    var range = (low: Double.infinity, high: -Double.infinity)
    func note(_ law: String, _ actual: Double, _ expected: Double) {
      let deviation = abs(actual - expected) / max(abs(expected), .leastNormalMagnitude)
      worst[law] = max(worst[law] ?? 0, deviation.isFinite ? deviation : .greatestFiniteMagnitude)
    }
    for number in 0..<cases {
      // From gradients without anything in common to ones that nearly agree.
      let mean = Double(number % 8) * 0.3
      let (count, width) = (3 + number % 5, 4 + number % 7)
      let rows = (0..<count).map { _ in (0..<width).map { _ in mean + normal(&generator) } }
      let alpha = try RowGradients.alpha(rows)
      range = (min(range.low, alpha), max(range.high, alpha))
      let factor = generator.uniform(0.1, 10)
      note("scale_invariance", try RowGradients.alpha(rows.map { $0.map { $0 * factor } }), alpha)
      // The distribution itself rather than a sample: every sequence of k draws with replacement.
      let k = 2
      let pairs = rows.flatMap { a in rows.map { b in zip(a, b).map { ($0 + $1) / Double(k) } } }
      note("minibatch_identity", try RowGradients.alpha(pairs), Double(k) * alpha / (1 + Double(k - 1) * alpha))
      let zeros = 1 + number % 6
      let diluted = rows + Array(repeating: Array(repeating: 0, count: width), count: zeros)
      note("dilution", try RowGradients.alpha(diluted), alpha * Double(count) / Double(count + zeros))
      let result = try RowGradients(widths: [1, width - 3, 2]).coherence(rows)
      let composed = result.layers.reduce(0.0) { $0 + ($1.share ?? 0) * ($1.coherence.alpha ?? 0) }
      note("layer_decomposition", composed, result.network.coherence.alpha ?? 0)
    }
    return [
      QuantityRecord(quantity: "cases", value: Double(cases)),
      QuantityRecord(quantity: "alpha_min", value: range.low),
      QuantityRecord(quantity: "alpha_max", value: range.high),
    ] + worst.sorted { $0.key < $1.key }.map { QuantityRecord(quantity: $0.key, value: $0.value) }
  }

  /// A standard normal number, by Box and Muller.
  private static func normal(_ generator: inout SeededGenerator) -> Double {
    let (u, v) = (generator.uniform(1e-12, 1), generator.uniform(0, 2 * Double.pi))
    return (-2 * log(u)).squareRoot() * cos(v)
  }
}
