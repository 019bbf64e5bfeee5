// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Tensors

/// How the gradient gᵢ of every example of a sample stands to the sample's mean gradient ḡ, at one moment of training.
/// Arrays side by side, one entry for each example: a training set has many.
///
/// A step along −ḡ with learning rate η changes the loss of example i by −η·⟨gᵢ, ḡ⟩ to first order.
public struct ExampleGradients: Sendable, Equatable {
  /// "train" or "test".
  public let split: String
  /// The examples' places in the data set.
  public let indices: [Int]
  /// The labels that losses are taken against.
  public let labels: [Int]
  /// Whether the label is not the data set's.
  public let isCorrupt: [Bool]
  /// ‖ḡ‖².
  public let meanSquaredNorm: Double
  /// ⟨gᵢ, ḡ⟩.
  public let dots: [Double]
  /// ‖gᵢ‖².
  public let squaredNorms: [Double]
  /// The examples' own losses.
  public let losses: [Float]
  /// z_y − max_{k≠y} z_k on the logits.
  public let margins: [Float]
  /// Whether the largest logit is the label's.
  public let isCorrect: [Bool]
  /// The examples' files by their paths below the data folder; nil where the data set is no folder of pictures, and for
  /// records read back.
  public let files: [String]?

  /// Records from their columns, which all have one entry for each example.
  public init(
    split: String, indices: [Int], labels: [Int], isCorrupt: [Bool], meanSquaredNorm: Double, dots: [Double],
    squaredNorms: [Double], losses: [Float], margins: [Float], isCorrect: [Bool], files: [String]?
  ) {
    (self.split, self.indices, self.labels, self.isCorrupt) = (split, indices, labels, isCorrupt)
    (self.meanSquaredNorm, self.dots, self.squaredNorms, self.losses) = (meanSquaredNorm, dots, squaredNorms, losses)
    (self.margins, self.isCorrect, self.files) = (margins, isCorrect, files)
  }

  /// ⟨gᵢ, ḡ⟩/(‖gᵢ‖‖ḡ‖); NaN when either gradient is 0.
  public var cosines: [Float] {
    zip(dots, squaredNorms).map { dot, square in
      let length = (square * meanSquaredNorm).squareRoot()
      return length > 0 ? Float(dot / length) : .nan
    }
  }

  /// The cosine of gᵢ with the mean ḡ₋ᵢ = (mḡ − gᵢ)/(m − 1) of the other examples' gradients, in which the example itself
  /// has no part: (m⟨gᵢ, ḡ⟩ − ‖gᵢ‖²) / ((m − 1)‖gᵢ‖‖ḡ₋ᵢ‖). Nil where gᵢ or ḡ₋ᵢ is 0.
  ///
  /// - Parameter place: an example's place among `indices`.
  public func cosineWithOthers(at place: Int) -> Double? {
    let m = Double(indices.count)
    guard m > 1 else { return nil }
    let (dot, square) = (dots[place], squaredNorms[place])
    // (m − 1)²‖ḡ₋ᵢ‖² = m²‖ḡ‖² − 2m⟨gᵢ, ḡ⟩ + ‖gᵢ‖².
    let others = m * m * meanSquaredNorm - 2 * m * dot + square
    guard square > 0, others > 0 else { return nil }
    return (m * dot - square) / (square * others).squareRoot()
  }

  /// The bytes of a safetensors file with one array for each column of `csv`, under the same name, but for `file`.
  ///
  /// - Throws: `TensorError` when memory runs out.
  public func safetensors(step: Int) throws -> Data {
    try Safetensors.encode(
      [
        ("index", Tensor(indices)), ("label", Tensor(labels)), ("dot", Tensor(dots)),
        ("squared_norm", Tensor(squaredNorms)), ("cosine", Tensor(cosines)), ("loss", Tensor(losses)),
        ("margin", Tensor(margins)), ("is_corrupt", Tensor(isCorrupt)), ("correct", Tensor(isCorrect)),
      ],
      metadata: [
        "step": String(step), "split": split, "m": String(indices.count), "mean_squared_norm": String(meanSquaredNorm),
      ])
  }

  /// The columns of `csv`; `file` stands behind them where the examples have files.
  static let columns = ["index", "label", "is_corrupt", "dot", "squared_norm", "cosine", "loss", "margin", "correct"]

  /// One line for each example, after a header; a cosine that is undefined is an empty cell.
  public var csv: String {
    var text = (Self.columns + (files == nil ? [] : ["file"])).joined(separator: ",") + "\n"
    for (place, cosine) in cosines.enumerated() {
      text += "\(indices[place]),\(labels[place]),\(isCorrupt[place] ? 1 : 0),\(dots[place]),\(squaredNorms[place]),"
      text += "\(cosine.isNaN ? "" : "\(cosine)"),\(losses[place]),\(margins[place]),\(isCorrect[place] ? 1 : 0)"
      text += (files.map { "," + csvCell($0[place]) } ?? "") + "\n"
    }
    return text
  }
}
