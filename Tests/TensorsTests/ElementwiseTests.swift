// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Tensors

/// Shapes that break careless code: scalars, batches of one and of none, sizes of 1, odd sizes.
let oddShapes: [[Int]] = [
  [], [1], [0], [7], [1, 5], [3, 1], [0, 4], [4, 0], [3, 5], [2, 1, 3], [1, 1, 1], [5, 3, 2],
]

struct UnaryCase: Sendable, CustomTestStringConvertible {
  let name: String
  let low: Double
  let apply: @Sendable (Tensor) throws -> Tensor
  let reference: @Sendable (Double) -> Double

  init(
    _ name: String, low: Double = -3, _ apply: @escaping @Sendable (Tensor) throws -> Tensor,
    _ reference: @escaping @Sendable (Double) -> Double
  ) {
    self.name = name
    self.low = low
    self.apply = apply
    self.reference = reference
  }

  var testDescription: String { name }
}

let unaryCases = [
  UnaryCase("negated", { try $0.negated() }, { -$0 }),
  UnaryCase("magnitude", { try $0.magnitude() }, { abs($0) }),
  UnaryCase("squared", { try $0.squared() }, { $0 * $0 }),
  UnaryCase("squareRoot", low: 0.1, { try $0.squareRoot() }, { $0.squareRoot() }),
  UnaryCase("exponential", { try $0.exponential() }, { exp($0) }),
  UnaryCase("logarithm", low: 0.1, { try $0.logarithm() }, { log($0) }),
  UnaryCase("sign", { try $0.sign() }, { $0 > 0 ? 1 : $0 < 0 ? -1 : 0 }),
  UnaryCase("relu", { try $0.relu() }, { max($0, 0) }),
  UnaryCase("gelu", { try $0.gelu() }, { $0 * 0.5 * erfc(-$0 / 2.0.squareRoot()) }),
  UnaryCase("silu", { try $0.silu() }, { $0 / (1 + exp(-$0)) }),
  UnaryCase("sigmoid", { try $0.sigmoid() }, { 1 / (1 + exp(-$0)) }),
  UnaryCase("tanh", { try $0.tanh() }, { tanh($0) }),
  UnaryCase("leakyReLU", { try $0.leakyReLU(slope: 0.2) }, { $0 > 0 ? $0 : 0.2 * $0 }),
  UnaryCase("clamp", { try $0.clamp(-0.5, 1.25) }, { min(max($0, -0.5), 1.25) }),
  UnaryCase("power 3", { try $0.power(3) }, { $0 * $0 * $0 }),
  UnaryCase("power −0.5", low: 0.1, { try $0.power(-0.5) }, { 1 / $0.squareRoot() }),
  UnaryCase("plus a constant", { try $0 + 1.5 }, { $0 + 1.5 }),
  UnaryCase("times a constant", { try $0 * -2.5 }, { $0 * -2.5 }),
]

struct BinaryCase: Sendable, CustomTestStringConvertible {
  let name: String
  let apply: @Sendable (Tensor, Tensor) throws -> Tensor
  let reference: @Sendable (Double, Double) -> Double
  var testDescription: String { name }
}

let binaryCases = [
  BinaryCase(name: "+", apply: { try $0 + $1 }, reference: { $0 + $1 }),
  BinaryCase(name: "-", apply: { try $0 - $1 }, reference: { $0 - $1 }),
  BinaryCase(name: "*", apply: { try $0 * $1 }, reference: { $0 * $1 }),
  BinaryCase(name: "/", apply: { try $0 / $1 }, reference: { $0 / $1 }),
  BinaryCase(name: "minimum", apply: { try $0.minimum($1) }, reference: { min($0, $1) }),
  BinaryCase(name: "maximum", apply: { try $0.maximum($1) }, reference: { max($0, $1) }),
]

@Suite struct ElementwiseTests {
  @Test(arguments: unaryCases) func unaryAgreesWithSwift(_ unary: UnaryCase) throws {
    for (index, shape) in oddShapes.enumerated() {
      let numbers = randomNumbers(shape.reduce(1, *), seed: UInt64(index), low: unary.low, high: 3)
      let input = try Tensor(numbers, shape: shape)
      let expected = numbers.map(unary.reference)
      try expectClose(unary.apply(input), expected, shape: shape, dtype: .float64, rtol: 1e-12, atol: 1e-14)
      try expectClose(
        unary.apply(rearranged(input)), expected, shape: shape, dtype: .float64, rtol: 1e-12, atol: 1e-14)
      try expectClose(unary.apply(input.to(.float32)), expected, shape: shape, dtype: .float32, rtol: 2e-5, atol: 2e-6)
    }
  }

  @Test(arguments: binaryCases) func binaryBroadcasts(_ binary: BinaryCase) throws {
    let pairs: [([Int], [Int], [Int])] = [
      ([], [], []), ([3], [], [3]), ([0], [1], [0]), ([2, 3], [3], [2, 3]), ([2, 1], [1, 3], [2, 3]),
      ([4, 1, 3], [5, 1], [4, 5, 3]), ([1, 1], [1], [1, 1]), ([0, 3], [1, 3], [0, 3]),
    ]
    for (left, right, result) in pairs {
      let a = try randomTensor(left, seed: 1, low: 0.5, high: 2, dtype: .float64)
      let b = try randomTensor(right, seed: 2, low: 0.5, high: 2, dtype: .float64)
      let expected = broadcast(try a.values(), left, try b.values(), right, to: result, binary.reference)
      try expectClose(binary.apply(a, b), expected, shape: result, dtype: .float64, rtol: 1e-15)
      try expectClose(
        binary.apply(rearranged(a), rearranged(b)), expected, shape: result, dtype: .float64, rtol: 1e-15)
    }
  }

  @Test func comparisonsAndLogic() throws {
    let a = try Tensor([1.0, 2, 3, .nan])
    let b = try Tensor([1.0, 3, 2, .nan])
    #expect(try a.equal(b).values() == [true, false, false, false])
    #expect(try a.less(b).values() == [false, true, false, false])
    #expect(try a.greater(b).values() == [false, false, true, false])
    let p = try Tensor([true, true, false, false])
    let q = try Tensor([true, false, true, false])
    #expect(try p.logicalAnd(q).values() == [true, false, false, false])
    #expect(try p.logicalNot().values() == [false, false, true, true])
    #expect(try Tensor([0.0, -2]).logicalNot().values() == [true, false])
    #expect(try p.all().values() == [false])
    #expect(try Tensor([1, 5]).all().values() == [true])
    #expect(try Tensor([Bool]()).all().values() == [true])
    try expectClose(Tensor.select(a, where: p, else: b), [1, 2, 2, .nan], shape: [4], dtype: .float64)
    let special = try Tensor([0.0, .nan, .infinity, -.infinity, 1e308])
    #expect(try special.isFinite().values() == [true, false, false, false, true])
  }

  @Test func specialValues() throws {
    let x = try Tensor([Double.nan, -.infinity, .infinity, -0.0])
    try expectClose(x.relu(), [.nan, 0, .infinity, 0], shape: [4])
    try expectClose(x.minimum(Tensor(0.0, dtype: .float64)), [.nan, -.infinity, 0, 0], shape: [4])
    try expectClose(x.maximum(Tensor(0.0, dtype: .float64)), [.nan, 0, .infinity, 0], shape: [4])
    try expectClose(Tensor([-1.0, 0]).logarithm(), [.nan, -.infinity], shape: [2])
    try expectClose(Tensor([1.0, -1, 0]) / Tensor([0.0]), [.infinity, -.infinity, .nan], shape: [3])
  }

  @Test func inPlace() throws {
    let base = try Tensor([1.0, 2, 3, 4, 5, 6], shape: [2, 3])
    try base.narrow(1, from: 1, length: 2).add(Tensor([10.0, 20]), scale: 0.5)
    try expectClose(base, [1, 7, 13, 4, 10, 16], shape: [2, 3])
    try base.select(0, 1).multiply(by: -1)
    try expectClose(base, [1, 7, 13, -4, -10, -16], shape: [2, 3])
    let whole = try Tensor([1, 2, 3])
    try whole.add(Tensor([10, 20, 30]))
    try whole.multiply(by: 2)
    #expect(try whole.values() == [22, 44, 66])
    expectTensorError(.invalid, "multiply", operands: ["int64 [3]"]) { try whole.multiply(by: 0.5) }
    try base.fill(7)
    try expectClose(base, [Double](repeating: 7, count: 6), shape: [2, 3])
  }

  @Test func mixedTypesPromote() throws {
    #expect(try (Tensor([1, 2]) + Tensor([Float(0.5), 1])).dtype == .float32)
    #expect(try (Tensor([Float(1)]) + Tensor([2.0])).dtype == .float64)
    #expect(try (Tensor([1, 3]) / Tensor([2, 2])).dtype == .float32)
    #expect(try (Tensor([true]) * Tensor([3])).dtype == .int64)
    #expect(try (Tensor([UInt8(200)]) + Tensor([UInt8(100)])).values() == [UInt8(44)])
  }
}

private func broadcast(
  _ a: [Double], _ aShape: [Int], _ b: [Double], _ bShape: [Int], to shape: [Int],
  _ f: (Double, Double) -> Double
) -> [Double] {
  func pick(_ values: [Double], _ own: [Int], _ place: [Int]) -> Double {
    var index = 0
    for (size, at) in zip(own, place.suffix(own.count)) { index = index * size + (size == 1 ? 0 : at) }
    return values[index]
  }
  return (0..<shape.reduce(1, *)).map { flat in
    var rest = flat
    var place: [Int] = []
    for size in shape.reversed() {
      place.insert(rest % size, at: 0)
      rest /= size
    }
    return f(pick(a, aShape, place), pick(b, bShape, place))
  }
}
