// SPDX-License-Identifier: Apache-2.0

import Tensors

/// Processes that have a part of a sample each, seen from one of them. All make the same calls in the same order, and all
/// get the same answers.
public protocol SampleExchange {
  /// The sum over the processes, in place.
  ///
  /// - Parameter tensor: contiguous; the same shape in all.
  func sum(_ tensor: Tensor) throws

  /// The numbers of all processes, in their order: as many from each.
  func gather(_ values: [Double]) throws -> [[Double]]
}

extension SampleExchange {
  /// The numbers of all processes one after the other, where these have different numbers of them.
  public func concatenated(_ values: [Double]) throws -> [[Double]] {
    let counts = try gather([Double(values.count)]).map { Int(exactly: $0[0]) ?? 0 }
    let most = counts.max() ?? 0
    let padded = values + [Double](repeating: 0, count: max(0, most - values.count))
    return try zip(counts, gather(padded)).map { Array($1.prefix($0)) }
  }
}
