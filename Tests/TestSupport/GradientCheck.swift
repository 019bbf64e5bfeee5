// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing

/// ∂f/∂x of a scalar function by central differences, (f(x + h) − f(x − h))/2h for each element of x, in float64.
public func numericGradient(at x: Tensor, step: Double = 1e-5, of f: (Tensor) throws -> Double) throws -> Tensor {
  var values: [Double] = try x.values()
  var gradient = [Double](repeating: 0, count: values.count)
  for index in values.indices {
    let center = values[index]
    values[index] = center + step
    let above = try withoutGradients { try f(Tensor(values, shape: x.shape)) }
    values[index] = center - step
    let below = try withoutGradients { try f(Tensor(values, shape: x.shape)) }
    values[index] = center
    gradient[index] = (above - below) / (2 * step)
  }
  return try Tensor(gradient, shape: x.shape)
}

/// Expects autograd's gradients of Σ weightᵢ·f(inputs)ᵢ, with fixed random weights, to agree with central differences
/// for every element of every input. Inputs are taken as float64.
///
/// - Parameters:
///   - inputs: where to look, away from kinks of f.
///   - f: the function; it gets float64 tensors of the inputs' shapes.
public func expectGradients(
  at inputs: [Tensor], rtol: Double = 1e-6, atol: Double = 1e-7, sourceLocation: SourceLocation = #_sourceLocation,
  of f: ([Tensor]) throws -> Tensor
) throws {
  let leaves = try inputs.map { try leaf($0) }
  let output = try f(leaves)
  let weights = try randomTensor(output.shape, seed: 99, low: 0.5, high: 1.5, dtype: .float64)
  let gradients = try output.gradients(withRespectTo: leaves, weights: weights)
  for index in leaves.indices {
    let numeric = try numericGradient(at: leaves[index]) { x in
      var point = leaves
      point[index] = x
      return try f(point).dot(weights)
    }
    guard let gradient = gradients[index] else {
      Issue.record("input \(index) has no gradient", sourceLocation: sourceLocation)
      continue
    }
    try expectClose(gradient, numeric, rtol: rtol, atol: atol, sourceLocation: sourceLocation)
  }
}

/// A float64 copy (or one of another type) that requires gradients.
public func leaf(_ tensor: Tensor, dtype: DType = .float64) throws -> Tensor {
  let copy = try tensor.detach().to(dtype).clone()
  try copy.setRequiresGradient(true)
  return copy
}
