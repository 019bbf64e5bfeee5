// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import NeuralNetworks
import Tensors

extension GradientMatrix {
  private init(_ other: GradientMatrix, layers: [Layer]) {
    self.layers = layers
    (exampleCount, parameterCount) = (other.exampleCount, other.parameterCount)
    (losses, output, batchNormPolicy) = (other.losses, other.output, other.batchNormPolicy)
    sumOverShards = other.sumOverShards
  }

  /// The same matrix with its rows in the form that `gram(with:)` of other matrices takes without further work: explicit
  /// rows, and the factors of linear layers.
  ///
  /// - Throws: `TensorError` when memory runs out.
  public func prepared() throws -> GradientMatrix {
    GradientMatrix(
      self, layers: try layers.map { Layer(name: $0.name, ranges: $0.ranges, block: try $0.block.prepared()) })
  }

  /// The numbers of the rows that are explicit: of a matrix that is `prepared()`, what it keeps in memory but for the
  /// factors of linear layers.
  public var explicitCount: Int {
    layers.reduce(0) { $0 + ($1.block is RowsBlock ? exampleCount * $1.columnCount : 0) }
  }

  /// G·Hᵀ for the examples of another batch H of the same model: [B, the other's B] by layer. Their sum is the product.
  ///
  /// - Parameter other: best `prepared()` where it is used more than once.
  /// - Throws: `GradientMatrixError` when the other is of another model; `TensorError` when memory runs out.
  public func gram(with other: GradientMatrix) throws -> [Tensor] {
    guard layers.map(\.ranges) == other.layers.map(\.ranges) else {
      throw GradientMatrixError("the gradients of different models have no inner products: take both from one plan")
    }
    return try zip(layers, other.layers).map { try $0.block.gram(with: $1.block) }
  }
}
