// SPDX-License-Identifier: Apache-2.0

/// The mean of the mini-batch's gradients: what stochastic gradient descent uses.
public final class Mean: Aggregator {
  /// The batch mean as it is.
  public var need: GradientNeed { .batchMean }
  /// The mean.
  public init() {}
}
