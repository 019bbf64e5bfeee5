// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Tensors

@Suite struct ReductionTests {
  @Test func sumsAndMeans() throws {
    let x = try Tensor([1.0, 2, 3, 4, 5, 6], shape: [2, 3])
    for view in [x, try rearranged(x)] {
      try expectClose(view.sum(), [21], shape: [])
      try expectClose(view.sum([0]), [5, 7, 9], shape: [3])
      try expectClose(view.sum([-1], keepingDimensions: true), [6, 15], shape: [2, 1])
      try expectClose(view.sum([0, 1]), [21], shape: [])
      try expectClose(view.sum(keepingDimensions: true), [21], shape: [1, 1])
      try expectClose(view.mean(), [3.5], shape: [])
      try expectClose(view.mean([1]), [2, 5], shape: [2])
      try expectClose(view.mean(keepingDimensions: true), [3.5], shape: [1, 1])
    }
    try expectClose(Tensor.zeros([0, 2]).sum([0]), [0, 0], shape: [2])
    try expectClose(Tensor.zeros([0]).mean(), [.nan], shape: [])
    #expect(try Tensor([true, true, false]).sum().itemInteger() == 2)
    #expect(try Tensor([UInt8(200), 100]).sum().itemInteger() == 300)
  }

  @Test func largestAndTop() throws {
    let x = try Tensor([3.0, 9, 1, 7, 2, 8], shape: [2, 3])
    try expectClose(x.largest(1), [9, 8], shape: [2])
    try expectClose(x.largest(0, keepingDimension: true), [7, 9, 8], shape: [1, 3])
    #expect(try x.argmax(1).values() == [1, 2])
    #expect(try x.argmax(-1, keepingDimension: true).shape == [2, 1])
    let top = try rearranged(x).top(2)
    try expectClose(top.values, [9, 3, 8, 7], shape: [2, 2])
    #expect(try top.indices.values() == [1, 0, 2, 0])
    #expect(try x.top(0).values.shape == [2, 0])
    let sorted = try x.sorted(dimension: 0, descending: true)
    try expectClose(sorted.values, [7, 9, 8, 3, 2, 1], shape: [2, 3])
    #expect(try sorted.indices.values() == [1, 0, 1, 0, 1, 0])
    // Equal elements keep their order.
    #expect(try Tensor([1.0, 0, 1, 0, 1]).sorted().indices.values() == [1, 3, 0, 2, 4])
    #expect(try Tensor([1.0, 0, 1, 0, 1]).sorted(descending: true).indices.values() == [0, 2, 4, 1, 3])
  }

  @Test(arguments: [0, 1, 2, 65_535, 65_536, 65_537, 200_001]) func dotSumsInDouble(_ count: Int) throws {
    let a = randomNumbers(count, seed: 3).map(Float.init)
    let b = randomNumbers(count, seed: 4).map(Float.init)
    let expected = zip(a, b).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    #expect(abs(try Tensor(a).dot(Tensor(b)) - expected) <= 1e-10)
    let left = try rearranged(Tensor(a, shape: [1, count]))
    #expect(abs(try left.dot(Tensor(b, shape: [1, count])) - expected) <= 1e-10)
  }

  @Test func dotOfManyEqualNumbersLosesNothing() throws {
    // In float32 the sum of 2²⁵ ones stops at 2²⁴.
    let ones = try Tensor.ones([1]).expand([1 << 25])
    #expect(
      try ones.narrow(0, from: 0, length: (1 << 20) + 3).dot(ones.narrow(0, from: 0, length: (1 << 20) + 3))
        == Double((1 << 20) + 3))
  }

  @Test func matrixProducts() throws {
    let shapes: [([Int], [Int], [Int])] = [
      ([3, 4], [4, 5], [3, 5]), ([1, 1], [1, 1], [1, 1]), ([7], [7], []), ([2, 3], [3], [2]),
      ([0, 3], [3, 2], [0, 2]), ([2, 0], [0, 3], [2, 3]), ([4, 2, 3], [3, 5], [4, 2, 5]),
    ]
    for (left, right, result) in shapes {
      let a = try randomTensor(left, seed: 5, dtype: .float64)
      let b = try randomTensor(right, seed: 6, dtype: .float64)
      let inner = left.last ?? 1
      let columns = right.count > 1 ? right[1] : 1
      let x: [Double] = try a.values()
      let y: [Double] = try b.values()
      let rows = left.dropLast().reduce(1, *)
      let expected = (0..<rows * columns).map { place in
        (0..<inner).reduce(0.0) { $0 + x[place / columns * inner + $1] * y[$1 * columns + place % columns] }
      }
      try expectClose(a.matmul(b), expected, shape: result, rtol: 1e-13, atol: 1e-14)
      try expectClose(rearranged(a).matmul(rearranged(b)), expected, shape: result, rtol: 1e-13, atol: 1e-14)
    }
  }

  @Test func softmaxes() throws {
    let rows: [[Double]] = [[1, 2, 3], [-1000, 0, 1000], [5, 5, 5]]
    let x = try Tensor(rows.flatMap { $0 }, shape: [3, 3])
    let logs = rows.flatMap { row in
      let top = row.max() ?? 0
      let sum = row.reduce(0) { $0 + exp($1 - top) }
      return row.map { $0 - top - log(sum) }
    }
    try expectClose(x.logSoftmax(), logs, shape: [3, 3], rtol: 1e-14)
    try expectClose(x.softmax(1), logs.map(exp), shape: [3, 3], rtol: 1e-13)
    try expectClose(rearranged(x).softmax(), logs.map(exp), shape: [3, 3], rtol: 1e-13)
    try expectClose(x.transpose().softmax(0).transpose(), logs.map(exp), shape: [3, 3], rtol: 1e-13)
    #expect(try Tensor.zeros([0, 3]).softmax().shape == [0, 3])
  }
}
