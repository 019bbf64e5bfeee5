// SPDX-License-Identifier: Apache-2.0

import CLibTorch

extension Tensor {
  /// Adds σ·zᵢ to every number, with independent standard normal zᵢ that depend on seed, stream and place i alone: the same
  /// whatever the number of threads, on one kind of processor. They are drawn on the CPU for any device. Four at a time come from Philox4x32-10 (Salmon et al., Parallel Random Numbers: As
  /// Easy as 1, 2, 3, 2011) by the Box-Muller transform, from 31 bits where that matters: |z| is at most 6.7.
  ///
  /// - Parameters:
  ///   - standardDeviation: σ.
  ///   - seed: of the noise; whoever knows it can take the noise off again.
  ///   - stream: which of the seed's independent sequences, such as the number of a step.
  /// - Throws: `TensorError` when the tensor is not contiguous.
  public func addGaussian(standardDeviation: Double, seed: UInt64, stream: UInt64 = 0) throws {
    try check(ct_add_gaussian(pointer, standardDeviation, seed, stream), "addGaussian", [self])
  }

  /// The words that the numbers 4·counter to 4·counter + 3 of a stream are made from.
  static func philox(seed: UInt64, stream: UInt64, counter: UInt64) throws -> [UInt32] {
    var words = [UInt32](repeating: 0, count: 4)
    try check(
      words.withUnsafeMutableBufferPointer { buffer in
        buffer.baseAddress.flatMap { ct_philox($0, seed, stream, counter) }
      }, "philox")
    return words
  }
}
