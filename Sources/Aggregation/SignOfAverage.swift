// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import Tensors

/// Average first, sign late: the sign of the running mean of the gradients, coordinate by coordinate. m ← βm + (1 − β)ḡ,
/// then scale · sign m (arXiv 2510.00236, 2025).
public final class SignOfAverage: BatchMeanAggregator {
  /// β, at least 0 and below 1.
  public let beta: Double
  /// The size of a step's coordinates.
  public let scale: Double
  /// m, [P]; nil before the first step.
  private var average: Tensor?

  /// β where none is given.
  public static let usualBeta = 0.9

  /// - Throws: `AggregationError` unless 0 ≤ β < 1 and the scale is above 0.
  public init(beta: Double = usualBeta, scale: Double = usualSignScale) throws {
    guard beta >= 0, beta < 1 else {
      throw AggregationError("beta of a running mean must be at least 0 and below 1, not \(beta)")
    }
    self.beta = beta
    self.scale = try checkedSignScale(scale)
  }

  /// Such as "sign-ema" or "sign-ema:beta=0.99".
  public var description: String {
    signRuleName("sign-ema" + (beta == Self.usualBeta ? "" : ":beta=\(shortest(beta))"), scale)
  }

  /// m.
  public var rememberedGradients: Int { 1 }

  /// The sign of the running mean.
  public func aggregate(_ store: ParameterStore) throws -> Aggregate {
    let gradient = store.gradient
    let average = try self.average ?? Tensor.zeros([store.count], dtype: gradient.dtype, device: gradient.device)
    self.average = average
    try gradient.takeSigns(ofRunningMean: average, beta: beta, scale: scale)
    return .gradient
  }

  /// m.
  public var state: [(name: String, tensor: Tensor)] { average.map { [("average", $0)] } ?? [] }

  /// Continues from the running mean.
  public func restore(_ arrays: [String: Tensor], afterSteps steps: Int, _ store: ParameterStore) throws {
    guard steps > 0 else { return }
    guard let saved = arrays["average"], saved.shape == [store.count] else {
      throw AggregationError("the checkpoint has no running mean for this model: it was written with another optimizer")
    }
    average = try saved.clone()
  }
}
