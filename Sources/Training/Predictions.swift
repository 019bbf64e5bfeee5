// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import NeuralNetworks
import Tensors

/// What a model makes of a list of examples: the logits of every class, and what follows from them.
public struct Predictions: Sendable {
  /// K, the number of classes.
  public let classCount: Int
  /// Logits row by row: [N, K].
  public let logits: [Float]

  /// Predictions from logits.
  ///
  /// - Throws: `TrainingError` unless the logits are whole rows.
  public init(logits: [Float], classCount: Int) throws {
    guard classCount >= 1, logits.count.isMultiple(of: classCount) else {
      throw TrainingError(
        .configuration, "\(logits.count) logits are not whole rows of \(classCount) classes; give N×K values")
    }
    (self.logits, self.classCount) = (logits, classCount)
  }

  /// N.
  public var count: Int { logits.count / classCount }

  /// - Throws: `TrainingError` that names the first example whose logits are not all finite numbers.
  public func checkFinite() throws {
    guard let place = logits.firstIndex(where: { !$0.isFinite }) else { return }
    throw TrainingError(
      .divergence,
      "the logits of example \(place / classCount) are not finite; the weights have diverged or do not fit the model")
  }

  /// The softmax of a row.
  public func probabilities(of row: Int) -> [Double] {
    let own = logits[row * classCount..<(row + 1) * classCount].map(Double.init)
    let largest = own.max() ?? 0
    let powers = own.map { exp($0 - largest) }
    let sum = powers.reduce(0, +)
    return powers.map { $0 / sum }
  }

  /// All probabilities row by row: [N, K].
  public func probabilities() -> [Float] { (0..<count).flatMap { probabilities(of: $0).map(Float.init) } }

  /// The classes of a row from the most to the least probable; of equal ones the lower number comes first.
  public func ranking(of row: Int) -> [Int] {
    let own = logits[row * classCount..<(row + 1) * classCount]
    return (0..<classCount).sorted { a, b in
      let (x, y) = (own[own.startIndex + a], own[own.startIndex + b])
      return x == y ? a < b : x > y
    }
  }
}

extension Evaluator {
  /// The logits of a model for some examples, in their order.
  ///
  /// - Throws: `TensorError` when the model does not fit the data; `TrainingError` when an output is no row of logits;
  ///   `DatasetError` when a file cannot be read.
  public func predictions(_ model: any Module, on dataset: Dataset, indices: [Int]) throws -> Predictions {
    var logits: [Float] = []
    var classCount = dataset.classCount
    try dataset.forEachBatch(of: indices, size: chunkSize(for: dataset), device: device) { images, _ in
      try withoutGradients {
        let output = try model.forward(images, in: context)
        classCount = output.size(-1)
        logits += try output.to(.float32).values(as: Float.self)
      }
    }
    return try Predictions(logits: logits, classCount: classCount)
  }
}
