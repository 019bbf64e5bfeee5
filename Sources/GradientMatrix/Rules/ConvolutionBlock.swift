// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The block of a two-dimensional convolution: rowᵢ = Σ over positions of δᵢₜ ⊗ patchᵢₜ within each group of channels,
/// and Σₜ δᵢₜ for the bias.
struct ConvolutionBlock: GradientBlock {
  /// [B, C, H, W].
  let input: Tensor
  /// [B, O, H', W'].
  let delta: Tensor
  let geometry: ConvolutionGeometry
  let hasBias: Bool

  private var outputs: Int { delta.size(1) }
  private var positions: Int { delta.size(2) * delta.size(3) }
  private var patch: Int { input.size(1) / geometry.groups * geometry.kernel[0] * geometry.kernel[1] }
  private var weightCount: Int { outputs * patch }
  var exampleCount: Int { input.size(0) }
  var columnCount: Int { weightCount + (hasBias ? outputs : 0) }

  func rows(_ range: Range<Int>) throws -> Tensor {
    let x = try input.narrow(0, from: range.lowerBound, length: range.count)
    let d = try delta.narrow(0, from: range.lowerBound, length: range.count)
    let weight = try x.convolutionExampleGradients(outputGradient: d, geometry)
      .reshape([range.count, weightCount])
    return hasBias ? try Tensor.concatenate([weight, d.sum([2, 3])], dimension: 1) : weight
  }

  func group(_ range: Range<Int>) throws -> any GradientBlock {
    ConvolutionBlock(
      input: try input.narrow(0, from: range.lowerBound, length: range.count),
      delta: try delta.narrow(0, from: range.lowerBound, length: range.count), geometry: geometry, hasBias: hasBias)
  }

  func gram() throws -> Tensor { try explicitGram() }

  /// Explicit rows cost T·C, pairs of positions T²·(patch + O): the second wins where a layer is wide and its image
  /// small. Only a convolution without groups has the second form here.
  private var prefersPairs: Bool {
    geometry.groups == 1 && positions * (patch + outputs) < weightCount
  }

  func rowSquaredNorms() throws -> Tensor {
    try prefersPairs ? pairedLinear().rowSquaredNorms() : explicitRowSquaredNorms()
  }

  func rowSquaredNorms(addingColumnSumTo target: Tensor, accumulating: Bool) throws -> Tensor {
    if prefersPairs {
      return try pairedLinear().rowSquaredNorms(addingColumnSumTo: target, accumulating: accumulating)
    }
    return try RowsBlock(exampleCount: exampleCount, columnCount: columnCount, rows)
      .rowSquaredNorms(addingColumnSumTo: target, accumulating: accumulating)
  }

  /// The convolution as a linear layer over its unfolded positions.
  private func pairedLinear() throws -> LinearBlock {
    let patches = try input.unfold(geometry).transpose(1, 2)
    let gradients = try delta.reshape([exampleCount, outputs, positions]).transpose(1, 2)
    return try LinearBlock([(patches, gradients)], hasBias: hasBias)
  }

  func columnSum(into target: Tensor, weights: Tensor?, accumulating: Bool) throws {
    let scaled = try weights.map { try delta * $0.reshape([exampleCount, 1, 1, 1]) } ?? delta
    let block = ConvolutionBlock(input: input, delta: scaled, geometry: geometry, hasBias: hasBias)
    if geometry.groups == 1 {
      return try block.pairedLinear().columnSum(into: target, weights: nil, accumulating: accumulating)
    }
    try RowsBlock(exampleCount: exampleCount, columnCount: columnCount, block.rows)
      .columnSum(into: target, weights: nil, accumulating: accumulating)
  }

  func product(_ vector: Tensor) throws -> Tensor {
    // ⟨Σₜ δₜ ⊗ patchₜ, V⟩ = Σₜ ⟨δₜ, (input ∗ V)ₜ⟩: a convolution with V, bias included.
    let weight = try vector.narrow(0, from: 0, length: weightCount)
      .reshape([outputs, input.size(1) / geometry.groups] + geometry.kernel)
    let bias = hasBias ? try vector.narrow(0, from: weightCount, length: outputs) : nil
    return try (input.convolution(weight: weight, bias: bias, geometry) * delta).sum([1, 2, 3])
  }
}
