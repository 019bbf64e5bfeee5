// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import Tensors

/// Some parameters of every layer, chosen once: the paper estimates contributions from 300 of each (Coherent Gradients,
/// §2.4).
public struct ColumnSample: Sendable, Equatable, Codable {
  /// The layers' names.
  public let layers: [String]
  /// For each layer, the chosen columns of its block in ascending order.
  public let columns: [[Int]]

  /// Draws `perLayer` columns of every layer without replacement; all of a layer that has no more.
  ///
  /// - Throws: `CoherenceError` unless at least one column a layer is asked for.
  public init(_ plan: GradientPlan, perLayer: Int = 300, using generator: inout some RandomNumberGenerator) throws {
    guard perLayer >= 1 else { throw CoherenceError("\(perLayer) parameters per layer are too few; take at least 1") }
    layers = plan.layerNames
    columns = plan.layerColumnCounts.map { count in
      guard perLayer < count else { return Array(0..<count) }
      return Permutation.choose(perLayer, of: count, using: &generator).sorted()
    }
  }

  /// The chosen columns of a gradient matrix: [B, columns] for each layer.
  ///
  /// - Throws: `CoherenceError` when the matrix is of another model.
  public func explicit(_ matrix: GradientMatrix) throws -> [Tensor] {
    guard matrix.layers.map(\.name) == layers,
      zip(matrix.layers, columns).allSatisfy({ $1.last ?? 0 < max($0.columnCount, 1) })
    else { throw CoherenceError("the parameters were chosen for another model: choose them again for this one") }
    return try zip(matrix.layers, columns).map { try $0.block.columns($1) }
  }
}

/// Gradients of a sample of examples over a sample of parameters, small enough to hold: the paper's 400 examples by 300
/// parameters a layer. Their records are taken against the mean over this very sample.
public struct SampledGradients {
  /// The parameters.
  public let sample: ColumnSample
  private var facts = ExampleFacts()
  private var parts: [[Tensor]] = []

  /// An empty sample of examples.
  public init(_ sample: ColumnSample) { self.sample = sample }

  /// The number of examples so far.
  public var count: Int { facts.indices.count }

  /// Takes in a batch; the parameters are those of `exampleRecords`.
  public mutating func add(_ matrix: GradientMatrix, indices: [Int], targets: Tensor?) throws {
    let own = try ExampleFacts(matrix, indices: indices, targets: targets)
    parts.append(try sample.explicit(matrix).map { try $0.to(.float64, device: .cpu) })
    facts.append(own)
  }

  /// ‖ḡ‖² over the sample of parameters, and the records of all examples against ḡ = Σgᵢ/m.
  ///
  /// - Throws: `CoherenceError` when there are no examples, or a gradient is not finite.
  public func records() throws -> (meanSquaredNorm: Double, records: [ExampleGradientRecord]) {
    guard count > 0 else { throw CoherenceError("there are no records: the sample of examples is empty") }
    let byLayer = try sample.layers.indices.map { layer in try Tensor.concatenate(parts.map { $0[layer] }) }
    let means = try byLayer.map { try $0.mean([0]) }
    let square = try means.reduce(0) { try $0 + $1.dot($1) }
    return (
      square,
      try facts.records(
        layers: sample.layers, dots: zip(byLayer, means).map { try $0.matmul($1).values() },
        squaredNorms: byLayer.map { try $0.rowSquaredNorms().values() }, meanSquaredNorm: square)
    )
  }
}
