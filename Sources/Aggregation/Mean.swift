// SPDX-License-Identifier: Apache-2.0

/// The mean of the mini-batch's gradients: what stochastic gradient descent uses.
public final class Mean: BatchMeanAggregator {
  /// A mean, of which there is only one kind.
  public init() {}
  /// "sgd", its optimizer's name.
  public var description: String { "sgd" }
}
