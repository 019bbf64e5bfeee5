// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The block of a linear layer: rowᵢ = Σₜ δᵢₜ ⊗ aᵢₜ for the weight, Σₜ δᵢₜ for the bias, over the positions t that the
/// layer was applied to (one for a plain batch).
public struct LinearBlock: GradientBlock {
  /// a, [B, T, in].
  let input: Tensor
  /// δ, [B, T, out].
  let delta: Tensor
  let hasBias: Bool
  /// Who computes sums over the examples.
  let backend: ProductBackend

  private var positions: Int { input.size(1) }
  private var inputs: Int { input.size(2) }
  private var outputs: Int { delta.size(2) }
  /// The number of examples B.
  public var exampleCount: Int { input.size(0) }
  /// The number of columns C.
  public var columnCount: Int { outputs * inputs + (hasBias ? outputs : 0) }

  /// Any axes between the first and the last count as positions; several applications are joined along them.
  ///
  /// - Parameters:
  ///   - factors: what the layer was applied to and the gradients at what came out, of each application.
  ///   - hasBias: whether the bias's columns follow the weight's.
  ///   - backend: who computes sums over the examples (`columnSum`) of float32 on the CPU: the tiled kernel, or libtorch.
  /// - Throws: `TensorError` when there is no application, or inputs and output gradients do not belong together.
  public init(
    _ factors: [(input: Tensor, outputGradient: Tensor)], hasBias: Bool, backend: ProductBackend = .tiled
  ) throws {
    func joined(_ tensors: [Tensor]) throws -> Tensor {
      let shaped = try tensors.map { try $0.reshape([$0.size(0), -1, $0.size(-1)]) }
      return shaped.count == 1 ? shaped[0] : try Tensor.concatenate(shaped, dimension: 1)
    }
    input = try joined(factors.map(\.input)).contiguous()
    delta = try joined(factors.map(\.outputGradient)).contiguous()
    guard input.shape.dropLast() == delta.shape.dropLast() else {
      throw TensorError(
        kind: .invalid, operation: "LinearBlock", operands: [input.summary, delta.summary],
        reason: "inputs and output gradients must agree in examples and positions")
    }
    (self.hasBias, self.backend) = (hasBias, backend)
  }

  /// ‖rowᵢ‖² without forming a row where that is cheaper: float64 [B].
  public func rowSquaredNorms() throws -> Tensor {
    if positions == 1 {
      // ‖δ ⊗ a‖² = ‖δ‖²·‖a‖²: the product is never formed.
      let ofInput = try input.rowSquaredNorms()
      return try delta.rowSquaredNorms() * (hasBias ? ofInput + 1 : ofInput)
    }
    // Two forms of the same sum: explicit rows cost T·in·out, pairs of positions T²·(in + out).
    return positions * (inputs + outputs) < inputs * outputs ? try gramRowSquaredNorms() : try explicitRowSquaredNorms()
  }

  /// Σₜₛ ⟨δₜ, δₛ⟩·(⟨aₜ, aₛ⟩ + 1 for the bias).
  private func gramRowSquaredNorms() throws -> Tensor {
    let size = max(1, explicitBudget / (positions * positions))
    return try Tensor.concatenate(
      stride(from: 0, to: exampleCount, by: size).map { start in
        let count = min(size, exampleCount - start)
        let a = try input.narrow(0, from: start, length: count)
        let d = try delta.narrow(0, from: start, length: count)
        let ofInput = try a.matmul(a.transpose()).to(.float64)
        let ofDelta = try d.matmul(d.transpose()).to(.float64)
        // Rounding must not make a square negative.
        return try (ofDelta * (hasBias ? ofInput + 1 : ofInput)).sum([1, 2]).clamp(0, .infinity)
      })
  }

  /// The weight gradient of the batch, with the output gradients scaled by the weights.
  public func columnSum(into target: Tensor, weights: Tensor?, accumulating: Bool) throws {
    let scaled = try weights.map { try delta * $0.reshape([exampleCount, 1, 1]) } ?? delta
    let flatDelta = try scaled.reshape([-1, outputs]).contiguous()
    let flatInput = try input.reshape([-1, inputs])
    let (weight, bias) = try split(target)
    if try target.device == .cpu && target.dtype == .float32 && flatDelta.dtype == .float32 && target.isContiguous {
      return try weight.setWeightGradient(
        outputGradient: flatDelta, input: flatInput, bias: bias, product: backend, accumulating: accumulating)
    }
    try deliver(flatDelta.transpose().matmul(flatInput), to: weight, accumulating: accumulating)
    if let bias { try deliver(flatDelta.sum([0]), to: bias, accumulating: accumulating) }
  }

  init(input: Tensor, delta: Tensor, hasBias: Bool, backend: ProductBackend = .tiled) {
    (self.input, self.delta, self.hasBias, self.backend) = (input, delta, hasBias, backend)
  }

  /// Some consecutive examples as a block of their own.
  public func group(_ range: Range<Int>) throws -> any GradientBlock {
    LinearBlock(
      input: try input.narrow(0, from: range.lowerBound, length: range.count),
      delta: try delta.narrow(0, from: range.lowerBound, length: range.count), hasBias: hasBias, backend: backend)
  }

  /// The weight's and the bias's part of a buffer [C].
  private func split(_ target: Tensor) throws -> (weight: Tensor, bias: Tensor?) {
    (
      try target.narrow(0, from: 0, length: outputs * inputs).reshape([outputs, inputs]),
      hasBias ? try target.narrow(0, from: outputs * inputs, length: outputs) : nil
    )
  }

  /// The clipped sum, from rows formed in registers where the kernels allow it.
  public func clippedSum(into target: Tensor, _ clipping: Clipping) throws {
    let (weight, bias) = try split(target)
    guard positions == 1 else {
      if let bias { try bias.setClippedSum(ofRows: delta.sum([1]).contiguous(), clipping) }
      // Explicit rows, some outputs at a time.
      let size = max(1, explicitBudget / max(1, exampleCount * inputs))
      for first in stride(from: 0, to: outputs, by: size) {
        let count = min(size, outputs - first)
        let some = LinearBlock(
          input: input, delta: try delta.narrow(2, from: first, length: count), hasBias: false)
        try weight.narrow(0, from: first, length: count).reshape([count * inputs])
          .setClippedSum(ofRows: some.rows(0..<exampleCount).contiguous(), clipping)
      }
      return
    }
    try weight.setClippedSum(outputGradient: delta.squeeze(1), input: input.squeeze(1), bias: bias, clipping)
  }

  /// The median of group means, from sums formed in registers where the kernels allow it.
  public func groupMedian(into target: Tensor, groups: [Range<Int>]) throws {
    guard target.device == .cpu, try target.dtype == .float32, try delta.dtype == .float32, groups.count <= 9 else {
      // A product for each group: no example's row is formed.
      return try medianOfMeans(into: target, groups: groups)
    }
    let (weight, bias) = try split(target)
    try weight.setMedianWeightGradient(
      outputGradient: delta.reshape([-1, outputs]), input: input.reshape([-1, inputs]), bias: bias, groups: groups,
      rowsPerExample: positions)
  }

  /// The output gradients are divided first, and the product is the tiled kernel's, as in the median's: the bits are those
  /// of its means.
  public func groupMean(of range: Range<Int>, count: Int, into target: Tensor) throws {
    let weights = try Tensor.full([range.count], 1 / Double(count), dtype: delta.dtype, device: delta.device)
    try LinearBlock(input: input, delta: delta, hasBias: hasBias).group(range)
      .columnSum(into: target, weights: weights, accumulating: false)
  }

  /// The sum of the signs of the rows.
  public func signSum(into target: Tensor) throws {
    guard positions == 1 else {
      return try RowsBlock(exampleCount: exampleCount, columnCount: columnCount, rows).signSum(into: target)
    }
    // The sign of a product is the product of the signs.
    if try target.device == .cpu && target.dtype == .float32 && delta.dtype == .float32 && target.isContiguous {
      let (weight, bias) = try split(target)
      return try weight.setSignSum(
        outputGradient: delta.reshape([-1, outputs]).contiguous(), input: input.reshape([-1, inputs]).contiguous(),
        bias: bias)
    }
    try LinearBlock(input: input.sign(), delta: delta.sign(), hasBias: hasBias, backend: backend)
      .columnSum(into: target, weights: nil, accumulating: false)
  }

  /// ⟨rowᵢ, v⟩ without forming a row: [B].
  public func product(_ vector: Tensor) throws -> Tensor {
    // ⟨δ ⊗ a, V⟩ = ⟨δ·V, a⟩.
    let weight = try vector.narrow(0, from: 0, length: outputs * inputs).reshape([outputs, inputs])
    var result = try (delta.reshape([-1, outputs]).matmul(weight).reshape(input.shape) * input).sum([1, 2])
    if hasBias {
      let bias = try vector.narrow(0, from: outputs * inputs, length: outputs)
      result = try result + delta.matmul(bias).sum([1])
    }
    return result
  }

  /// ⟨rowᵢ, rowⱼ⟩ for every pair: [B, B].
  public func gram() throws -> Tensor {
    positions == 1 ? try gram(with: self) : try explicitGram()
  }

  /// ⟨δᵢ, δⱼ⟩·(⟨aᵢ, aⱼ⟩ + 1 for the bias) where both blocks have one position; no row is formed then.
  public func gram(with other: any GradientBlock) throws -> Tensor {
    guard positions == 1, let other = other as? LinearBlock, other.positions == 1, other.hasBias == hasBias else {
      return try explicitGram(with: other)
    }
    let ofInput = try input.squeeze(1).matmul(other.input.squeeze(1).transpose())
    return try delta.squeeze(1).matmul(other.delta.squeeze(1).transpose()) * (hasBias ? ofInput + 1 : ofInput)
  }

  /// The factors where there is one position, explicit rows otherwise.
  public func prepared() throws -> any GradientBlock {
    positions == 1 ? self : RowsBlock(try rows(0..<exampleCount))
  }

  /// Σᵢ rowᵢⱼ² for every column.
  public func columnSquareSum(into target: Tensor, accumulating: Bool) throws {
    if positions == 1 {
      // (δₒ·aᵢ)² = δₒ²·aᵢ²: the column sum of the squared factors.
      return try LinearBlock(input: input.squared(), delta: delta.squared(), hasBias: hasBias, backend: backend)
        .columnSum(into: target, weights: nil, accumulating: accumulating)
    }
    for (index, chunk) in rowChunks.enumerated() {
      try deliver(rows(chunk).squared().sum([0]), to: target, accumulating: accumulating || index > 0)
    }
  }

  /// Some columns made explicit: [B, indices.count].
  public func columns(_ indices: [Int]) throws -> Tensor {
    // Σₜ δₒₜ·aᵢₜ, with a = 1 for the bias.
    let weights = outputs * inputs
    let isBias = indices.map { $0 >= weights }
    let device = input.device
    let rowPlaces = try Tensor(indices.map { $0 >= weights ? $0 - weights : $0 / inputs }, device: device)
    let columnPlaces = try Tensor(indices.map { $0 >= weights ? 0 : $0 % inputs }, device: device)
    let d = try delta.indexSelect(2, rowPlaces)
    var a = try input.indexSelect(2, columnPlaces)
    if isBias.contains(true) {
      let one = try Tensor.ones([1], dtype: a.dtype, device: device)
      a = try Tensor.select(one, where: Tensor(isBias, device: device), else: a)
    }
    return try (d * a).sum([1])
  }

  /// Some rows made explicit: [range.count, C].
  public func rows(_ range: Range<Int>) throws -> Tensor {
    let a = try input.narrow(0, from: range.lowerBound, length: range.count)
    let d = try delta.narrow(0, from: range.lowerBound, length: range.count)
    let weight = try d.transpose().matmul(a).reshape([range.count, outputs * inputs])
    return hasBias ? try Tensor.concatenate([weight, d.sum([1])], dimension: 1) : weight
  }
}
