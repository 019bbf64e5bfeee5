// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import Tensors

/// Q = Σ‖gᵢ‖² of parts of layers that are measured by themselves, such as the heads of attention. S is in the sum over all
/// parameters already.
struct PartSums {
  private struct Part {
    let name: String
    /// Where its columns lie in the flat buffer.
    let ranges: [Range<Int>]
    var squaredNorm = 0.0
  }
  private var parts: [Part] = []

  /// Takes in the gradients of a batch.
  mutating func add(_ matrix: GradientMatrix) throws {
    let found = matrix.layers.flatMap { layer in layer.columnParts.map { (layer: layer, part: $0) } }
    if parts.isEmpty {
      parts = found.map { Part(name: $0.part.name, ranges: $0.layer.places(of: $0.part.columns)) }
    }
    for (place, entry) in found.enumerated() {
      parts[place].squaredNorm += try entry.layer.rowSquaredNorms(ofColumns: entry.part.columns).reduce(0, +)
    }
  }

  /// Q of each part.
  var squaredNorms: [Double] { parts.map(\.squaredNorm) }

  /// The sums with those of all processes that share the sample, this one's among them; what saw nothing knows no parts.
  func adding(_ all: [[Double]]) -> PartSums {
    var sums = self
    for place in parts.indices {
      sums.parts[place].squaredNorm = all.reduce(0) { $0 + (place < $1.count ? $1[place] : 0) }
    }
    return sums
  }

  /// Takes in what was seen elsewhere.
  mutating func merge(_ other: PartSums) {
    guard !parts.isEmpty else { return self = other }
    for place in other.parts.indices { parts[place].squaredNorm += other.parts[place].squaredNorm }
  }

  /// The coherence of each part.
  ///
  /// - Parameters:
  ///   - m: the examples taken in.
  ///   - total: S, [P].
  ///   - all: Q of the whole network.
  func coherence(m: Int, total: Tensor, all: Double) throws -> [LayerCoherence] {
    try parts.map { part in
      let sum = try part.ranges.reduce(0.0) {
        let own = try total.narrow(0, from: $1.lowerBound, length: $1.count)
        return try $0 + own.dot(own)
      }
      return LayerCoherence(
        layer: part.name, coherence: Coherence(m: m, sumSquaredNorm: sum, squaredNormSum: part.squaredNorm),
        share: all > 0 ? part.squaredNorm / all : nil, unbiasedInterval: nil)
    }
  }
}
