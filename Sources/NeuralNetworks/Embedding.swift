// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import Tensors

/// A table of vectors looked up by index: int64 [B, ...] to [B, ..., D].
public final class Embedding: FactoredModule {
  /// [N, D].
  public let weight: Parameter

  /// A table of `count` vectors of `size` numbers, drawn from the standard normal distribution.
  public init(count: Int, size: Int, generator: Generator) throws {
    weight = try Parameter(.normal([count, size], generator: generator))
  }

  /// A table [N, D] that exists already, shared with whoever else holds it.
  ///
  /// - Throws: `TensorError` when the parameter has another number of dimensions.
  public init(weight: Parameter) throws {
    guard weight.shape.count == 2 else {
      throw TensorError(
        kind: .invalid, operation: "Embedding", operands: [weight.value.summary], reason: "a table has the shape [N, D]"
      )
    }
    self.weight = weight
  }

  /// The table.
  public var members: [ModuleMember] { [.parameter("weight", weight)] }

  /// The vectors of the indices.
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    let output = try context.value(of: weight).embedding(input)
    return try context.record(self, input: input, output: output)
  }

  /// rowᵢ holds, at each vector, the sum of δᵢₜ over the positions t that looked it up.
  public func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    try records.block { try EmbeddingBlock(indices: $0, outputGradient: $1, vectorCount: weight.value.size(0)) }
  }
}
