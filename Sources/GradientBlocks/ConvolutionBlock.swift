// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The block of a two-dimensional convolution: rowᵢ = Σ over positions of δᵢₜ ⊗ patchᵢₜ within each group of channels,
/// and Σₜ δᵢₜ for the bias.
public struct ConvolutionBlock: GradientBlock {
  private let factors: ConvolutionFactors
  private let hasBias: Bool

  private var input: Tensor { factors.input }
  private var delta: Tensor { factors.delta }
  private var geometry: ConvolutionGeometry { factors.geometry }
  private var outputs: Int { delta.size(1) }
  private var positions: Int { delta.size(2) * delta.size(3) }
  private var patch: Int { input.size(1) / geometry.groups * geometry.kernel[0] * geometry.kernel[1] }
  private var weightCount: Int { outputs * patch }
  /// The number of examples B.
  public var exampleCount: Int { input.size(0) }
  /// The number of columns C.
  public var columnCount: Int { weightCount + (hasBias ? outputs : 0) }

  /// From the input [B, C, H, W] and the gradient [B, O, H', W'] at the output.
  public init(input: Tensor, outputGradient: Tensor, geometry: ConvolutionGeometry, hasBias: Bool) throws {
    factors = try ConvolutionFactors(input: input, delta: outputGradient, geometry: geometry)
    self.hasBias = hasBias
  }

  /// Some consecutive examples as a block of their own.
  public func group(_ range: Range<Int>) throws -> any GradientBlock { try part(range) }

  private func part(_ range: Range<Int>) throws -> ConvolutionBlock {
    try ConvolutionBlock(
      input: input.narrow(0, from: range.lowerBound, length: range.count),
      outputGradient: delta.narrow(0, from: range.lowerBound, length: range.count), geometry: geometry, hasBias: hasBias
    )
  }

  /// Each example's gradient of the bias, [B, O].
  private func biasRows() throws -> Tensor { try delta.sum([2, 3]) }

  /// The weight's and the bias's part of a buffer [C].
  private func split(_ target: Tensor) throws -> (weight: Tensor, bias: Tensor?) {
    (
      try target.narrow(0, from: 0, length: weightCount),
      hasBias ? try target.narrow(0, from: weightCount, length: outputs) : nil
    )
  }

  /// Explicit rows cost T·C, pairs of positions T²·(patch + O): the second wins where a layer is wide and its image
  /// small. Only a convolution without groups has the second form here.
  private var prefersPairs: Bool { geometry.groups == 1 && positions * (patch + outputs) < weightCount }

  /// Whether rows are made and used up one after the other, in kernels of our own.
  private func hasKernels(for target: Tensor) throws -> Bool {
    try factors.haveKernels && target.device == .cpu && target.dtype == .float32 && target.isContiguous
  }

  /// Some rows made explicit: [range.count, C].
  public func rows(_ range: Range<Int>) throws -> Tensor {
    let own = range == 0..<exampleCount ? self : try part(range)
    let weight = try own.factors.rows().reshape([range.count, weightCount])
    return hasBias ? try Tensor.concatenate([weight, own.biasRows()], dimension: 1) : weight
  }

  /// ‖rowᵢ‖² without forming a row where that is cheaper: float64 [B].
  public func rowSquaredNorms() throws -> Tensor {
    if prefersPairs { return try pairedLinear().rowSquaredNorms() }
    guard factors.haveKernels else { return try explicitRowSquaredNorms() }
    return try withBias(factors.squaredNorms())
  }

  private func withBias(_ norms: Tensor) throws -> Tensor { hasBias ? try norms + biasRows().rowSquaredNorms() : norms }

  /// Row norms and column sum in one pass where the kernels allow it.
  public func rowSquaredNorms(addingColumnSumTo target: Tensor, accumulating: Bool) throws -> Tensor {
    if prefersPairs {
      try columnSum(into: target, weights: nil, accumulating: accumulating)
      return try pairedLinear().rowSquaredNorms()
    }
    guard try hasKernels(for: target) else {
      return try RowsBlock(exampleCount: exampleCount, columnCount: columnCount, rows)
        .rowSquaredNorms(addingColumnSumTo: target, accumulating: accumulating)
    }
    let (weight, bias) = try split(target)
    let norms = try factors.squaredNorms(sum: weight, accumulating: accumulating)
    guard let bias else { return norms }
    let rows = try biasRows()
    try deliver(rows.sum([0]), to: bias, accumulating: accumulating)
    return try norms + rows.rowSquaredNorms()
  }

  /// The convolution as a linear layer over its unfolded positions.
  private func pairedLinear() throws -> LinearBlock {
    let patches = try input.unfold(geometry).transpose(1, 2)
    let gradients = try delta.reshape([exampleCount, outputs, positions]).transpose(1, 2)
    return try LinearBlock([(patches, gradients)], hasBias: hasBias)
  }

  /// The weight gradient of the batch, with the output gradients scaled by the weights.
  public func columnSum(into target: Tensor, weights: Tensor?, accumulating: Bool) throws {
    if let weights {
      let scaled = try delta * weights.reshape([exampleCount, 1, 1, 1])
      return try ConvolutionBlock(input: input, outputGradient: scaled, geometry: geometry, hasBias: hasBias)
        .columnSum(into: target, weights: nil, accumulating: accumulating)
    }
    let (weight, bias) = try split(target)
    if try !prefersPairs && hasKernels(for: target) {
      try factors.sum(into: weight, accumulating: accumulating)
    } else {
      try deliver(factors.weightGradient().contiguous(), to: weight, accumulating: accumulating)
    }
    if let bias { try deliver(delta.sum([0, 2, 3]), to: bias, accumulating: accumulating) }
  }

  /// The clipped sum, from rows formed in registers where the kernels allow it.
  public func clippedSum(into target: Tensor, _ clipping: Clipping) throws {
    let (weight, bias) = try split(target)
    if let bias { try bias.setClippedSum(ofRows: biasRows().contiguous(), clipping) }
    if try hasKernels(for: target) { return try factors.clippedSum(into: weight, clipping) }
    // Some output channels at a time, where channels are not in groups.
    let size = geometry.groups > 1 ? outputs : max(1, explicitBudget / max(1, exampleCount * patch))
    for first in stride(from: 0, to: outputs, by: size) {
      let count = min(size, outputs - first)
      let some = try ConvolutionFactors(
        input: input, delta: delta.narrow(1, from: first, length: count), geometry: geometry)
      try weight.narrow(0, from: first * patch, length: count * patch)
        .setClippedSum(ofRows: some.rows().reshape([exampleCount, count * patch]).contiguous(), clipping)
    }
  }

  /// The median of group means, from sums formed in registers where the kernels allow it.
  public func groupMedian(into target: Tensor, groups: [Range<Int>]) throws {
    guard try hasKernels(for: target), groups.count >= 3, groups.count <= 9, !prefersPairs else {
      return try medianOfMeans(into: target, groups: groups)
    }
    let (weight, bias) = try split(target)
    try factors.median(into: weight, groups: groups)
    if let bias { try RowsBlock(biasRows()).groupMedian(into: bias, groups: groups) }
  }

  /// Products and norms from rows formed once, where the kernels allow it.
  public func rowProducts(_ vectors: Tensor) throws -> Tensor {
    guard try !prefersPairs && hasKernels(for: vectors) else { return try eachProduct(vectors) }
    let weights = try factors.products(vectors.narrow(1, from: 0, length: weightCount).contiguous())
    guard hasBias else { return weights }
    let rows = try RowsBlock(biasRows())
    return try weights + rows.rowProducts(vectors.narrow(1, from: weightCount, length: outputs).contiguous())
  }

  /// ⟨rowᵢ, v⟩ without forming a row: [B].
  public func product(_ vector: Tensor) throws -> Tensor {
    // ⟨Σₜ δₜ ⊗ patchₜ, V⟩ = Σₜ ⟨δₜ, (input ∗ V)ₜ⟩: a convolution with V, bias included.
    let weight = try vector.narrow(0, from: 0, length: weightCount)
      .reshape([outputs, input.size(1) / geometry.groups] + geometry.kernel)
    let bias = hasBias ? try vector.narrow(0, from: weightCount, length: outputs) : nil
    return try (input.convolution(weight: weight, bias: bias, geometry) * delta).sum([1, 2, 3])
  }
}
