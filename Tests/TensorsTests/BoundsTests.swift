// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Tensors

/// Sizes that cannot be: errors, never memory beyond a tensor.
@Suite struct BoundsTests {
  private func ones(_ shape: [Int]) throws -> Tensor { try Tensor.full(shape, 1) }

  static let impossible: [[Range<Int>]] = [
    [0..<50_000_000, 0..<50_000_001, 0..<3], [0..<1, 2..<3, 3..<4], [0..<1, 0..<1, 1..<4], [1..<2, 2..<3, 3..<4],
    [0..<1, 1..<2, 2..<3], [0..<1, 1..<1, 1..<4], [0..<2, 1..<3, 3..<4], [-1..<1, 1..<2, 2..<4],
    [0..<1, 1..<2, 2..<Int.max], [0..<1, 1..<Int.max, 2..<4], [0..<4], [0..<2, 2..<4], [],
  ]

  @Test(arguments: impossible) func groupsThatDoNotCoverTheBatch(_ groups: [Range<Int>]) throws {
    let (rows, target) = (try ones([4, 64]), try Tensor.zeros([64]))
    #expect(throws: TensorError.self) { try target.setMedian(ofMeansOver: groups, rows: rows) }
    let (delta, weight) = (try ones([4, 8]), try Tensor.zeros([8, 64]))
    #expect(throws: TensorError.self) {
      try weight.setMedianWeightGradient(outputGradient: delta, input: rows, groups: groups)
    }
    let image = try ones([4, 2, 3, 3]).channelsLast()
    let factors = try ConvolutionFactors(
      input: image, delta: ones([4, 3, 1, 1]).channelsLast(), geometry: ConvolutionGeometry(kernel: 3))
    let row = try Tensor.zeros([3 * 2 * 9])
    #expect(throws: TensorError.self) { try factors.median(into: row, groups: groups) }
    guard !groups.isEmpty, groups != [0..<4], groups != [0..<2, 2..<4] else { return }
    let (one, zero) = (try ones([2]), try Tensor.zeros([2]))
    #expect(throws: TensorError.self) {
      _ = try image.batchNormReLU(
        weight: one, bias: zero, mean: zero, variance: one, relu: true, training: true, momentum: 0.1, epsilon: 1e-5,
        groups: groups)
    }
  }

  /// Groups with gaps had fewer factors than the batch has examples.
  @Test func gapsBetweenGroupsOfMany() throws {
    let n = 600_000
    let (delta, input, target) = (try ones([n, 1]), try ones([n, 1]), try Tensor.zeros([1, 1]))
    #expect(throws: TensorError.self) {
      try target.setMedianWeightGradient(
        outputGradient: delta, input: input, groups: [0..<1, (n - 2)..<(n - 1), (n - 1)..<n])
    }
  }

  @Test(arguments: [Int.max, -1, 0, 2, Int.min]) func rowsOfAnExampleThatDoNotFit(_ count: Int) throws {
    let (delta, input, target) = (try ones([3, 8]), try ones([3, 8]), try Tensor.zeros([8, 8]))
    #expect(throws: TensorError.self) {
      try target.setMedianWeightGradient(
        outputGradient: delta, input: input, groups: [0..<1, 1..<2, 2..<3], rowsPerExample: count)
    }
  }

  /// Several rows an example still give the mean over examples.
  @Test func rowsOfAnExampleAreSummed() throws {
    let (delta, input, target) = (try ones([6, 2]), try ones([6, 3]), try Tensor.zeros([2, 3]))
    try target.setMedianWeightGradient(
      outputGradient: delta, input: input, groups: [0..<1, 1..<2, 2..<3], rowsPerExample: 2)
    #expect(try target.values(as: Float.self) == Array(repeating: 2, count: 6))
  }

  @Test(arguments: [
    Clipping(low: .max / 2 + 1, high: .max / 2 + 1), Clipping(low: .max, high: 1), Clipping(low: 0, high: .max),
    Clipping(low: -1, high: 0), Clipping(low: 2, high: 1), Clipping(low: .min, high: .min),
  ])
  func clippingsThatLeaveNothing(_ clipping: Clipping) throws {
    let (rows, target) = (try ones([3, 64]), try Tensor.zeros([64]))
    #expect(throws: TensorError.self) { try target.setClippedSum(ofRows: rows, clipping) }
    let (delta, weight) = (try ones([3, 8]), try Tensor.zeros([8, 64]))
    #expect(throws: TensorError.self) {
      try weight.setClippedSum(outputGradient: delta, input: rows, clipping)
    }
    let factors = try ConvolutionFactors(
      input: ones([3, 2, 3, 3]).channelsLast(), delta: ones([3, 3, 1, 1]).channelsLast(),
      geometry: ConvolutionGeometry(kernel: 3))
    #expect(throws: TensorError.self) { try factors.clippedSum(into: Tensor.zeros([54]), clipping) }
  }

  /// Nothing to clip is no work, and no division of it: this ended the program.
  @Test(arguments: [(0, 4), (4, 0), (0, 0)]) func clippedSumsOfNoNumbers(_ out: Int, _ input: Int) throws {
    let (delta, rows, target) = (try ones([3, out]), try ones([3, input]), try Tensor.zeros([out, input]))
    let bias = try Tensor.full([out], 7)
    try target.setClippedSum(outputGradient: delta, input: rows, bias: bias, Clipping(low: 1, high: 0))
    #expect(try bias.values(as: Float.self) == Array(repeating: 3, count: out))
  }

  static let windows: [[[Int]]] = [
    [[2, 2], [3, 3], [0, 0], [1, 1]], [[1 << 40, 1], [1, 1], [0, 0], [1, 1]],
    [[1, 1], [1, 1], [1 << 62, 0], [1, 1]], [[3, 3], [5, 5], [0, 0], [1, 1]], [[2, 2], [9, 9], [0, 0], [4, 4]],
    [[1, 1], [1 << 62, 1], [0, 0], [1, 1]], [[2, 1], [1, 1], [0, 0], [1 << 62, 1]],
    [[1 << 30, 1 << 30], [1, 1], [1 << 29, 1 << 29], [1, 1]],
  ]

  /// A window larger than the input has no place, whatever the stride.
  @Test(arguments: windows) func windowsThatDoNotFit(_ numbers: [[Int]]) throws {
    let geometry = try ConvolutionGeometry(
      kernel: numbers[0], stride: numbers[1], padding: numbers[2], dilation: numbers[3])
    let (input, delta) = (try ones([1, 2, 1, 1]).channelsLast(), try ones([1, 3, 1, 1]).channelsLast())
    let factors = try ConvolutionFactors(input: input, delta: delta, geometry: geometry)
    #expect(throws: TensorError.self) { _ = try factors.rows() }
    #expect(throws: TensorError.self) { _ = try factors.weightGradient() }
    #expect(throws: TensorError.self) { _ = try factors.squaredNorms() }
    let plain = try ConvolutionFactors(input: input.to(.float64), delta: delta.to(.float64), geometry: geometry)
    #expect(throws: TensorError.self) { _ = try plain.rows() }
    guard numbers[0][0] * numbers[0][1] < 1 << 20 else { return }
    let weight = try ones([3, 2] + numbers[0])
    #expect(throws: TensorError.self) { _ = try input.convolution(weight: weight, bias: nil, geometry) }
  }

  /// A window of one number has nothing to dilate; oneDNN read memory that is not there where it was asked to.
  @Test(arguments: [1, 2, 3]) func dilatedWindowsOfOneColumn(_ height: Int) throws {
    let (input, weight) = (try ones([2, 4, 8, 1]).channelsLast(), try ones([4, 4, height, 1]).channelsLast())
    func result(_ dilation: [Int]) throws -> [Float] {
      let geometry = try ConvolutionGeometry(
        kernel: [height, 1], stride: [2, 2], padding: [1, 1], dilation: dilation)
      return try input.convolution(weight: weight, bias: ones([4]), geometry).values(as: Float.self)
    }
    #expect(try result([height == 1 ? 2 : 1, 2]) == result([1, 1]))
  }

  /// Words for people, not where in its sources the allocator failed.
  @Test func memoryThatCannotBeHad() {
    do {
      _ = try Tensor.empty([1 << 50])
      Issue.record("There was memory.")
    } catch {
      #expect("\(error)".contains("out of memory: 4503599627370496 bytes cannot be had"), "\(error)")
      #expect(!"\(error)".contains("alloc_cpu"))
    }
  }
}
