// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import Tensors

/// How one example's gradient gᵢ stands to a mean gradient ḡ at one moment of training.
///
/// A gradient descent step along −ḡ with learning rate η changes example i's own loss by −η·⟨gᵢ, ḡ⟩ to first order: a
/// positive `dot` means that the others help it, a negative one that they work against it.
public struct ExampleGradientRecord: Sendable, Equatable, Codable {
  /// The example's place in the data set.
  public let index: Int
  /// ⟨gᵢ, ḡ⟩, over all parameters or over the sampled ones.
  public let dot: Double
  /// ‖gᵢ‖², over the same parameters.
  public let squaredNorm: Double
  /// ⟨gᵢ, ḡ⟩/(‖gᵢ‖‖ḡ‖); nil when either gradient is 0.
  public let cosine: Double?
  /// ⟨gᵢ, ḡ⟩ of each layer, in the order of the plan's layers.
  public let dotByLayer: [Double]
  /// ‖gᵢ‖² of each layer.
  public let squaredNormByLayer: [Double]
  /// The example's own loss.
  public let loss: Double
  /// z_y − max_{k≠y} z_k on the logits; nil where there are no classes.
  public let margin: Double?
  /// Whether the largest logit is that of the label; nil where there are no classes.
  public let isCorrect: Bool?
}

extension GradientMatrix {
  /// The records of this batch's examples against a mean gradient: G·ḡ and row norms, by layer.
  ///
  /// - Parameters:
  ///   - indices: the examples' places in the data set, one for each row.
  ///   - targets: the labels [B] (int64) when the output is logits [B, K]; nil leaves margin and correctness out.
  ///   - meanGradient: ḡ, [P], in the element type of the model.
  /// - Throws: `CoherenceError` when the sizes do not fit, or a gradient is not finite (named by layer and example).
  public func exampleRecords(indices: [Int], targets: Tensor?, meanGradient: Tensor) throws -> [ExampleGradientRecord] {
    guard meanGradient.shape == [parameterCount] else {
      throw CoherenceError(
        "the mean gradient has shape \(meanGradient.shape), but the model has \(parameterCount) parameters")
    }
    return try ExampleFacts(self, indices: indices, targets: targets).records(
      layers: layers.map(\.name), dots: product(meanGradient), squaredNorms: rowSquaredNorms().byLayer,
      meanSquaredNorm: meanGradient.dot(meanGradient))
  }
}

/// What the records of a batch hold besides gradients.
struct ExampleFacts {
  var indices: [Int] = []
  var losses: [Double] = []
  var margins: [Double?] = []
  var isCorrect: [Bool?] = []

  init() {}

  init(_ matrix: GradientMatrix, indices: [Int], targets: Tensor?) throws {
    guard indices.count == matrix.exampleCount else {
      throw CoherenceError("\(indices.count) indices were given for a batch of \(matrix.exampleCount) examples")
    }
    self.indices = indices
    losses = try matrix.losses.values()
    if let targets {
      let facts = try matrix.output.classificationRecords(targets: targets)
      margins = facts.margins
      isCorrect = facts.ranks.map { $0 == 0 }
    } else {
      margins = Array(repeating: nil, count: indices.count)
      isCorrect = Array(repeating: nil, count: indices.count)
    }
  }

  mutating func append(_ other: ExampleFacts) {
    indices += other.indices
    losses += other.losses
    margins += other.margins
    isCorrect += other.isCorrect
  }

  /// Joins them with inner products and squared norms, by layer and then by example.
  func records(
    layers: [String], dots: [[Double]], squaredNorms: [[Double]], meanSquaredNorm: Double
  ) throws -> [ExampleGradientRecord] {
    try indices.indices.map { place in
      let dotByLayer = dots.map { $0[place] }
      let squaresByLayer = squaredNorms.map { $0[place] }
      for (layer, name) in layers.enumerated() where !dotByLayer[layer].isFinite || !squaresByLayer[layer].isFinite {
        throw CoherenceError.diverged(
          "the gradient of example \(indices[place]), or the mean gradient, is not finite in layer \(name)")
      }
      let dot = dotByLayer.reduce(0, +)
      let squares = squaresByLayer.reduce(0, +)
      let length = (squares * meanSquaredNorm).squareRoot()
      return ExampleGradientRecord(
        index: indices[place], dot: dot, squaredNorm: squares, cosine: length > 0 ? dot / length : nil,
        dotByLayer: dotByLayer, squaredNormByLayer: squaresByLayer, loss: losses[place], margin: margins[place],
        isCorrect: isCorrect[place])
    }
  }
}
