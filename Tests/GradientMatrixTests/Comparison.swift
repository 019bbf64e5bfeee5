// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors
import Testing

/// Each difference stays below `tolerance` × the largest expected magnitude, and shapes agree.
func expectClose(
  _ actual: [Double], _ expected: [Double], _ tolerance: Double, _ what: String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard actual.count == expected.count else {
    Issue.record("\(what): \(actual.count) numbers, not \(expected.count)", sourceLocation: sourceLocation)
    return
  }
  let scale = expected.reduce(0) { max($0, abs($1)) }
  // Written so that NaN fails.
  let wrong = zip(actual, expected).enumerated().filter { !(abs($1.0 - $1.1) <= tolerance * scale) }
  if let first = wrong.first {
    Issue.record(
      "\(what): \(wrong.count) of \(actual.count) differ, the first at \(first.offset): \(first.element)",
      sourceLocation: sourceLocation)
  }
}

/// The same for tensors.
func expectClose(
  _ actual: Tensor, _ expected: Tensor, _ tolerance: Double, _ what: String,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  #expect(actual.shape == expected.shape, "\(what)", sourceLocation: sourceLocation)
  try expectClose(actual.values(), expected.values(), tolerance, what, sourceLocation: sourceLocation)
}

/// A loss that is quadratic in the output and differs between examples: Σⱼ ½zⱼ² + cᵢⱼzⱼ with c = 1 − √(0.7·place).
func quadraticLosses(_ output: Tensor) throws -> Tensor {
  let flat = try output.reshape([output.size(0), -1])
  let places = try Tensor.arange(0..<flat.count).to(flat.dtype).reshape(flat.shape)
  let slopes = try (places * 0.7).squareRoot() * -1 + 1
  return try (flat.squared() * 0.5 + flat * slopes).sum([1])
}

/// A problem with its gradient matrix and its oracle.
struct Solved {
  let matrix: GradientMatrix
  let plan: GradientPlan
  /// G by autograd on batches of one, float64 [B, P].
  let oracle: Tensor

  init(_ problem: Problem, dtype: DType) throws {
    let source = try Source(dtype: dtype)
    let parts = try problem.make(source)
    let losses = parts.losses ?? quadraticLosses
    plan = try GradientPlan(
      parts.model, store: parts.store(dtype: dtype), batchNormPolicy: parts.batchNormPolicy,
      linearPolicy: parts.linearPolicy, unknownLayers: parts.unknownLayers)
    matrix = try GradientMatrix(plan, input: parts.input, losses: losses)
    try parts.beforeOracle()
    oracle = try plan.exampleGradients(input: parts.input, losses: losses).to(.float64)
  }

  /// The columns of a layer in the oracle.
  func oracle(_ layer: GradientMatrix.Layer) throws -> Tensor {
    try Tensor.concatenate(
      layer.ranges.map { try oracle.narrow(1, from: $0.lowerBound, length: $0.count) }, dimension: 1)
  }
}
