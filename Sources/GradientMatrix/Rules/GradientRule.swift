// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import Tensors

/// A layer that knows its block of the gradient matrix. Conform a layer of your own to take part, and have its `forward`
/// read its parameters with `context.value(of:)` and call `context.record` on its output: a layer that does not is an
/// error that names it.
public protocol FactoredModule: Module {
  /// The block of one application, from the recorded input and the gradient at the recorded output. Columns are the
  /// layer's own parameters in the order of `members`.
  func gradientBlock(input: Tensor, outputGradient: Tensor) throws -> any GradientBlock
}

/// What one application of a layer left for its block.
enum Application {
  /// What it was applied to, and the gradient at what came out.
  case factors(input: Tensor, outputGradient: Tensor)
  /// The rows of the block, [B, C].
  case rows(Tensor)
}

/// The registry of per-layer rules.
enum GradientRule {
  /// Whether a layer with parameters of its own has a rule.
  static func knows(_ layer: any Module) -> Bool {
    layer is Linear || layer is Conv2d || layer is any AffineNormalization || layer is Embedding
      || layer is any FactoredModule
  }

  /// The block of all applications of one layer.
  static func block(
    for layer: any Module, _ applications: [Application]
  ) throws -> any GradientBlock {
    if let linear = layer as? Linear {
      // Positions make several applications of a linear layer one.
      let factors = applications.compactMap { application -> (input: Tensor, outputGradient: Tensor)? in
        if case .factors(let input, let delta) = application { (input, delta) } else { nil }
      }
      return try LinearBlock(factors, hasBias: linear.bias != nil)
    }
    let parts: [any GradientBlock] = try applications.map { application in
      switch application {
      case .factors(let input, let delta): try single(layer, input: input, delta: delta)
      case .rows(let rows): RowsBlock(rows)
      }
    }
    guard parts.count != 1 else { return parts[0] }
    let columnCount = parts.first?.columnCount ?? 0
    return SumBlock(
      exampleCount: parts.first?.exampleCount ?? 0, columnCount: columnCount,
      parts: parts.map { SumBlock.Part(block: $0, columns: [0..<columnCount]) })
  }

  private static func single(_ layer: any Module, input: Tensor, delta: Tensor) throws -> any GradientBlock {
    switch layer {
    case let layer as Conv2d:
      return try ConvolutionBlock(input: input, delta: delta, geometry: layer.geometry, hasBias: layer.bias != nil)
    case let layer as any AffineNormalization:
      return try affine(layer, normalized: input, delta: delta)
    case let layer as Embedding:
      return try EmbeddingBlock(indices: input, delta: delta, vectorCount: layer.weight.value.size(0))
    case let layer as any FactoredModule:
      return try layer.gradientBlock(input: input, outputGradient: delta)
    default:
      throw GradientMatrixError("there is no per-example rule for a layer of type \(type(of: layer))")
    }
  }

  /// γ and β of a normalisation: Σ over positions of δ·x̂ and of δ. Small enough to be explicit.
  private static func affine(
    _ layer: any AffineNormalization, normalized: Tensor, delta: Tensor
  ) throws -> any GradientBlock {
    let batch = delta.size(0)
    func summed(_ values: Tensor) throws -> Tensor {
      layer.isPerChannel
        ? try values.reshape([batch, delta.size(1), -1]).sum([2])
        : try values.reshape([batch, -1, delta.size(-1)]).sum([1])
    }
    var parts: [Tensor] = []
    if layer.weight != nil { parts.append(try summed(delta * normalized)) }
    if layer.bias != nil { parts.append(try summed(delta)) }
    return RowsBlock(try Tensor.concatenate(parts, dimension: 1))
  }
}
