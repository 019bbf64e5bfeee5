// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors

/// Two policies of the authors' code that keep directions and forget sizes, coordinate by coordinate.
public final class SignRule: Aggregator {
  /// Which.
  public enum Rule: Sendable {
    /// scale · sign Σg: the sign of the batch mean.
    case signOfSum
    /// scale · Σ sign g: a vote of the examples.
    case sumOfSigns
  }

  /// Which.
  public let rule: Rule
  /// The size of a step's coordinates; 0.001 in the authors' code.
  public let scale: Double

  /// - Throws: `AggregationError` unless the scale is above 0.
  public init(_ rule: Rule, scale: Double = 0.001) throws {
    guard scale > 0, scale.isFinite else {
      throw AggregationError("the scale of a sign rule must be a number above 0, not \(scale)")
    }
    self.rule = rule
    self.scale = scale
  }

  /// The batch mean, or every example's own gradient.
  public var need: GradientNeed { rule == .signOfSum ? .batchMean : .gradientMatrix }

  /// The sign of the store's gradient.
  public func aggregate(_ store: ParameterStore) throws -> Aggregate {
    let gradient = store.gradient
    try gradient.copy(from: gradient.sign() * scale)
    return .gradient
  }

  /// The sum of the rows' signs.
  public func aggregate(_ matrix: GradientMatrix, _ store: ParameterStore) throws {
    try matrix.signSum(into: store.gradient)
    try store.gradient.multiply(by: scale)
  }
}
