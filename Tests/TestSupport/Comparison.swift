// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing

/// Expects two tensors to have one shape and element type, and |actual − expected| ≤ atol + rtol·|expected| for every
/// element. NaN equals NaN, and an infinity equals itself alone.
///
/// Shape and type are compared first; of the elements, the first that differs is reported with its place.
public func expectClose(
  _ actual: Tensor, _ expected: Tensor, rtol: Double = 1e-5, atol: Double = 1e-8,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let types = try (actual.dtype, expected.dtype)
  guard types.0 == types.1, actual.shape == expected.shape else {
    Issue.record("\(actual.summary), expected \(expected.summary)", sourceLocation: sourceLocation)
    return
  }
  try compare(
    actual.values(), expected.values(), shape: actual.shape, rtol: rtol, atol: atol, sourceLocation: sourceLocation)
}

/// Expects a tensor of the given shape (and type) whose elements in row-major order are close to `expected`.
public func expectClose(
  _ actual: Tensor, _ expected: [Double], shape: [Int], dtype: DType? = nil, rtol: Double = 1e-5, atol: Double = 1e-8,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let type = try actual.dtype
  guard actual.shape == shape, dtype.map({ $0 == type }) ?? true else {
    Issue.record("\(actual.summary), expected \(dtype ?? type) \(shape)", sourceLocation: sourceLocation)
    return
  }
  try compare(actual.values(), expected, shape: shape, rtol: rtol, atol: atol, sourceLocation: sourceLocation)
}

/// Expects as many numbers, each close to its counterpart.
public func expectClose(
  _ actual: [Double], _ expected: [Double], rtol: Double = 1e-5, atol: Double = 1e-8,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  compare(actual, expected, shape: [expected.count], rtol: rtol, atol: atol, sourceLocation: sourceLocation)
}

/// Expects two tensors to be the same to the last bit.
public func expectIdentical(
  _ actual: Tensor, _ expected: Tensor, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let types = try (actual.dtype, expected.dtype)
  guard types.0 == types.1, actual.shape == expected.shape else {
    Issue.record("\(actual.summary), expected \(expected.summary)", sourceLocation: sourceLocation)
    return
  }
  let left = try bytes(of: actual)
  let right = try bytes(of: expected)
  if left != right {
    let index = zip(left, right).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? 0
    Issue.record("the bytes differ first in element \(index / types.0.byteCount)", sourceLocation: sourceLocation)
  }
}

/// The elements' bytes in row-major order.
public func bytes(of tensor: Tensor) throws -> [UInt8] {
  var result = [UInt8](repeating: 0, count: tensor.count * (try tensor.dtype.byteCount))
  try result.withUnsafeMutableBytes { try tensor.copyBytes(into: $0) }
  return result
}

private func compare(
  _ actual: [Double], _ expected: [Double], shape: [Int], rtol: Double, atol: Double, sourceLocation: SourceLocation
) {
  guard actual.count == expected.count else {
    Issue.record("\(actual.count) elements, expected \(expected.count)", sourceLocation: sourceLocation)
    return
  }
  let differing = actual.indices.filter { !isClose(actual[$0], expected[$0], rtol: rtol, atol: atol) }
  guard let first = differing.first else { return }
  let pair = "element \(place(first, in: shape)) is \(actual[first]), expected \(expected[first])"
  Issue.record(
    "\(pair) (rtol \(rtol), atol \(atol)); \(differing.count) of \(actual.count) differ", sourceLocation: sourceLocation
  )
}

private func isClose(_ actual: Double, _ expected: Double, rtol: Double, atol: Double) -> Bool {
  if actual == expected || (actual.isNaN && expected.isNaN) { return true }
  return expected.isFinite && abs(actual - expected) <= atol + rtol * abs(expected)
}

private func place(_ index: Int, in shape: [Int]) -> [Int] {
  var rest = index
  var result: [Int] = []
  for size in shape.reversed() {
    result.append(rest % max(size, 1))
    rest /= max(size, 1)
  }
  return result.reversed()
}
