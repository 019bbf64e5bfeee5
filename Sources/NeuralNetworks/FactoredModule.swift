// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import Tensors

/// What one call of `ForwardContext.record` left of a layer's application, once the backward pass is through.
public struct GradientRecord {
  /// What was recorded.
  public enum Content {
    /// What the layer was applied to, and the gradient at what came out.
    case factors(input: Tensor, outputGradient: Tensor)
    /// The rows of the layer's block, [B, C], from an operation that forms them in its own backward pass.
    case rows(Tensor)
  }

  /// Which of the layer's records it is, for a layer that leaves several in one application; empty otherwise.
  public let name: String
  /// What was recorded.
  public let content: Content
  /// Who computes sums over the examples of what the layer multiplies by a matrix.
  public let backend: ProductBackend

  /// A record from its parts.
  public init(name: String = "", backend: ProductBackend = .tiled, _ content: Content) {
    (self.name, self.backend, self.content) = (name, backend, content)
  }
}

/// A layer that knows its block of the gradient matrix: the per-example rule stands with the layer.
///
/// Its `forward` reads its parameters with `context.value(of:)` and returns `context.record(self, input:output:)`. A layer
/// that forgets either is an error that names it.
public protocol FactoredModule: Module {
  /// The block of all applications in one forward pass, in their order: usually
  /// `try records.block { input, outputGradient in ... }`. Columns are the layer's own parameters in the order of
  /// `members`, each row-major.
  ///
  /// - Throws: `TensorError` when the shapes do not fit.
  func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock

  /// Whether the block of a layer with one application is best used up in the backward pass, while input and output
  /// gradient are still in the processor's caches. It pays where they are large and the block is used once.
  var isUsedDuringBackward: Bool { get }
}

/// A layer with parts that may be measured by themselves, such as the heads of attention.
public protocol PartitionedModule: FactoredModule {
  /// The parts by name, each with its columns in the layer's block (which is a `FactoredBlock`), in ascending ranges.
  var columnParts: [(name: String, columns: [Range<Int>])] { get }
}

extension FactoredModule {
  /// Kept until the end of the backward pass.
  public var isUsedDuringBackward: Bool { false }
}

extension [GradientRecord] {
  /// The sum over the records, each made into a block from its factors, or taken as rows where it holds rows.
  ///
  /// - Parameter make: the block of one application, from its input and the gradient at its output.
  /// - Throws: `TensorError` when there is no record, or their blocks differ in size.
  public func block(
    _ make: (_ input: Tensor, _ outputGradient: Tensor) throws -> any GradientBlock
  ) throws -> any GradientBlock {
    let blocks: [any GradientBlock] = try map { record in
      switch record.content {
      case .factors(let input, let outputGradient): try make(input, outputGradient)
      case .rows(let rows): RowsBlock(rows)
      }
    }
    return blocks.count == 1 ? blocks[0] : try SummedBlock(blocks)
  }

  /// Inputs and output gradients of the records that hold factors, in order.
  public var factors: [(input: Tensor, outputGradient: Tensor)] {
    compactMap { if case .factors(let input, let gradient) = $0.content { (input, gradient) } else { nil } }
  }

  /// The block of a linear layer whose applications they are.
  func linearBlock(hasBias: Bool) throws -> LinearBlock {
    try LinearBlock(factors, hasBias: hasBias, backend: first?.backend ?? .tiled)
  }

  /// The records of one name.
  public func named(_ name: String) -> [GradientRecord] { filter { $0.name == name } }
}
