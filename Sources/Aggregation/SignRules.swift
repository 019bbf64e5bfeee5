// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors

/// The sign of the batch mean, coordinate by coordinate: scale · sign Σg. One of two policies of the authors' code that
/// keep directions and forget sizes.
public final class SignOfSum: BatchMeanAggregator {
  /// The size of a step's coordinates; 0.001 in the authors' code.
  public let scale: Double

  /// - Throws: `AggregationError` unless the scale is above 0.
  public init(scale: Double = usualSignScale) throws { self.scale = try checkedSignScale(scale) }

  /// "sign-sum".
  public var description: String { signRuleName("sign-sum", scale) }

  /// The sign of the store's gradient.
  public func aggregate(_ store: ParameterStore) throws -> Aggregate {
    let gradient = store.gradient
    try gradient.takeSigns(scale: scale)
    return .gradient
  }
}

/// A vote of the examples, coordinate by coordinate: scale · Σ sign g, the other policy.
public final class SumOfSigns: GradientMatrixAggregator {
  /// The size of one example's vote; 0.001 in the authors' code.
  public let scale: Double

  /// - Throws: `AggregationError` unless the scale is above 0.
  public init(scale: Double = usualSignScale) throws { self.scale = try checkedSignScale(scale) }

  /// "sum-sign".
  public var description: String { signRuleName("sum-sign", scale) }

  /// The sum of the rows' signs.
  public func aggregate(_ matrix: GradientMatrix, _ store: ParameterStore) throws {
    try matrix.signSum(into: store.gradient)
    try store.gradient.multiply(by: scale)
  }
}

/// The scale of sign rules in the authors' code.
public let usualSignScale = 0.001

func checkedSignScale(_ scale: Double) throws -> Double {
  guard scale > 0, scale.isFinite else {
    throw AggregationError("the scale of a sign rule must be a number above 0, not \(scale)")
  }
  return scale
}

func signRuleName(_ name: String, _ scale: Double) -> String {
  name + (scale == usualSignScale ? "" : ":scale=\(shortest(scale))")
}
