// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors

/// The coordinate-wise median of the means of k groups of the mini-batch; M3 with k = 3 (Weak and Strong Gradient
/// Directions, §3). A direction that only one group's examples support is suppressed.
///
/// A batch that does not divide gives its first groups one example more. Batch statistics are taken over each group by
/// itself, as if it were a mini-batch of its own. One forward and one backward pass serve all groups.
public final class MedianOfMeans: GradientMatrixAggregator {
  /// The number of groups, k.
  public var groupCount: Int? { count }
  private let count: Int

  /// - Throws: `AggregationError` unless k is 3, 5, 7 or 9.
  public init(groupCount: Int = 3) throws {
    guard [3, 5, 7, 9].contains(groupCount) else {
      throw AggregationError("the median needs k = 3, 5, 7 or 9 group means, not \(groupCount)")
    }
    count = groupCount
  }

  /// An example for every group.
  public var minimumBatchSize: Int { count }
  /// Coordinate by coordinate.
  public var isLayerwise: Bool { true }
  /// The papers use no momentum here.
  public var supportsMomentum: Bool { false }
  /// "m3", or such as "mom:k=5".
  public var description: String { count == 3 ? "m3" : "mom:k=\(count)" }

  /// The median of the group means.
  public func aggregate(_ matrix: GradientMatrix, _ store: ParameterStore) throws {
    try matrix.groupMedian(into: store.gradient, groups: GradientMatrix.groups(of: matrix.exampleCount, count: count))
  }
}
