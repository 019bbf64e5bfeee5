// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Tensors

/// The kernels for channels-last images against libtorch's own operations in float64.
@Suite struct ConvolutionKernelTests {
  struct Shape: Sendable, CustomTestStringConvertible {
    var batch = 5
    var image = [7, 6]
    var inputs = 3
    var outputs = 4
    var kernel = [3, 3]
    var stride = [1, 1]
    var padding = [1, 1]
    var dilation = [1, 1]
    var groups = 1

    var testDescription: String {
      "\(batch)×\(inputs)→\(outputs) \(image) by \(kernel) /\(stride) +\(padding) ·\(dilation) in \(groups)"
    }

    /// Input, output gradient and geometry, in float32 channels last.
    func factors() throws -> ConvolutionFactors {
      let geometry = try ConvolutionGeometry(
        kernel: kernel, stride: stride, padding: padding, dilation: dilation, groups: groups)
      let out = (0..<2).map { (axis: Int) -> Int in
        let reach = dilation[axis] * (kernel[axis] - 1) + 1
        return (image[axis] + 2 * padding[axis] - reach) / stride[axis] + 1
      }
      return try ConvolutionFactors(
        input: randomTensor([batch, inputs] + image, seed: 3).channelsLast(),
        delta: randomTensor([batch, outputs] + out, seed: 4).channelsLast(), geometry: geometry)
    }
  }

  static let shapes: [Shape] = [
    Shape(), Shape(batch: 1, image: [1, 1], kernel: [1, 1], padding: [0, 0]),
    Shape(image: [8, 8], inputs: 16, outputs: 16), Shape(image: [4, 4], inputs: 32, outputs: 48),
    Shape(image: [9, 5], inputs: 7, outputs: 17, stride: [2, 1]), Shape(inputs: 25, outputs: 33),
    Shape(image: [11, 10], inputs: 5, outputs: 20, stride: [3, 2], padding: [0, 2], dilation: [2, 1]),
    Shape(image: [5, 5], inputs: 2, outputs: 16, kernel: [5, 5], padding: [3, 3]),
    Shape(image: [3, 3], inputs: 2, outputs: 3, kernel: [1, 7], padding: [0, 3]),
    Shape(image: [6, 6], inputs: 37, outputs: 64, kernel: [1, 1], padding: [0, 0]),
    Shape(image: [6, 6], inputs: 16, outputs: 32, kernel: [1, 1], stride: [2, 2], padding: [0, 0]),
    Shape(inputs: 6, outputs: 9, groups: 3), Shape(inputs: 40, outputs: 20, stride: [2, 2], groups: 2),
    Shape(inputs: 19, outputs: 19, groups: 19),
    Shape(inputs: 32, outputs: 32, kernel: [5, 5], stride: [2, 2], groups: 32),
    Shape(inputs: 5, outputs: 10, groups: 5),
    // A padding so wide that some taps never meet the image.
    Shape(image: [2, 2], inputs: 4, outputs: 16, kernel: [5, 5], padding: [4, 4]),
    // Images that are taken a few rows at a time, by copies or without, and inputs that are taken in two parts.
    Shape(batch: 4, image: [23, 40], inputs: 18, outputs: 35),
    Shape(batch: 2, image: [3, 300], inputs: 3, outputs: 70),
    Shape(batch: 2, image: [9, 130], inputs: 200, outputs: 40, stride: [2, 1]),
    Shape(batch: 4, image: [31, 30], inputs: 70, outputs: 48, kernel: [2, 3], stride: [1, 2], dilation: [3, 2]),
    Shape(batch: 4, image: [45, 17], inputs: 40, outputs: 50, kernel: [1, 1], stride: [2, 3], padding: [0, 0]),
    Shape(batch: 4, image: [20, 21], inputs: 36, outputs: 70, groups: 2),
  ]

  private func reference(_ factors: ConvolutionFactors) throws -> Tensor {
    let wide = try ConvolutionFactors(
      input: factors.input.to(.float64), delta: factors.delta.to(.float64), geometry: factors.geometry)
    #expect(factors.haveKernels && !wide.haveKernels)
    return try wide.rows().reshape([factors.input.size(0), -1])
  }

  @Test(arguments: shapes) func rowsNormsAndSumsAgree(_ shape: Shape) throws {
    let factors = try shape.factors()
    let rows = try reference(factors)
    try expectClose(factors.rows().reshape(rows.shape).to(.float64), rows, rtol: 1e-5, atol: 2e-5)
    // n products of numbers of variance 1, added in float32 one after the other, are off by some 2⁻²⁴·n/2, 10⁻⁴ for the
    // largest shape. Kernels add in parts, more of them with wider registers, and stay well below that.
    let terms = factors.delta.size(0) * factors.delta.size(2) * factors.delta.size(3)
    let sums = 2e-6 * Double(terms).squareRoot()
    let target = try Tensor.full([rows.size(1)], 3, dtype: .float32)
    try expectClose(factors.squaredNorms(), rows.rowSquaredNorms(), rtol: 1e-5, atol: 1e-5)
    try expectClose(
      factors.squaredNorms(sum: target, accumulating: true), rows.rowSquaredNorms(), rtol: 1e-5, atol: 1e-5)
    try expectClose(target.to(.float64), rows.sum([0]) + 3, rtol: 1e-5, atol: sums)
    try factors.sum(into: target, accumulating: false)
    try expectClose(target.to(.float64), rows.sum([0]), rtol: 1e-5, atol: sums)
    try expectClose(factors.weightGradient().reshape([-1]).to(.float64), rows.sum([0]), rtol: 1e-5, atol: sums)
    let generator = try Generator(seed: 5)
    let vectors = try Tensor.normal([2, rows.size(1)], generator: generator)
    let wide = try vectors.to(.float64)
    let products = try factors.products(vectors)
    #expect(products.shape == [shape.batch, 3])
    // A row's entries are off by some 10⁻⁶, and a product adds one for each.
    let error = 5e-6 * Double(rows.size(1)).squareRoot() * Double(terms / shape.batch).squareRoot()
    try expectClose(
      products.narrow(1, from: 0, length: 2), rows.matmul(wide.transpose()), rtol: 1e-5, atol: max(1e-4, error))
    try expectClose(
      products.narrow(1, from: 2, length: 1).reshape([shape.batch]), rows.rowSquaredNorms(), rtol: 1e-5, atol: 1e-5)
  }

  @Test(arguments: shapes) func clippedSumsAndMediansAgree(_ shape: Shape) throws {
    let factors = try shape.factors()
    // From the same float32 rows, so that ties and order are the same.
    let rows = try factors.rows().reshape([shape.batch, -1])
    let (target, expected) = try (Tensor.full([rows.size(1)], 3), Tensor.full([rows.size(1)], 4))
    if shape.batch > 2 {
      let clipping = Clipping(low: 1, high: 1, scale: 0.5)
      try factors.clippedSum(into: target, clipping)
      try expected.setClippedSum(ofRows: rows.contiguous(), clipping)
      try expectIdentical(target, expected)
      let groups = [0..<2, 2..<3, 3..<shape.batch]
      try factors.median(into: target, groups: groups)
      let means = try groups.map {
        try rows.narrow(0, from: $0.lowerBound, length: $0.count).to(.float64).mean([0]).unsqueeze(0)
      }
      try expected.setMedian(ofRows: Tensor.concatenate(means).to(.float32))
      try expectClose(target, expected, rtol: 1e-5, atol: 1e-5)
    }
  }

  @Test(arguments: shapes) func theLayerWritesItsGradientsIntoSinks(_ shape: Shape) throws {
    let factors = try shape.factors()
    let window = [shape.outputs, shape.inputs / shape.groups] + shape.kernel
    func leaf(_ tensor: Tensor) throws -> Tensor {
      let copy = try tensor.detach()
      try copy.setRequiresGradient(true)
      return copy
    }
    let (weight, bias) = try (randomTensor(window, seed: 5), randomTensor([shape.outputs], seed: 6))
    // Libtorch's own operations in float64.
    let wide = try [factors.input, weight, bias].map { try leaf($0.to(.float64)) }
    let expected = try wide[0].convolution(weight: wide[1], bias: wide[2], factors.geometry)
    let gradients = try expected.gradients(withRespectTo: wide, weights: factors.delta.to(.float64))
    // The layer's.
    let narrow = try [factors.input, weight, bias].map { try leaf($0) }
    let gradientViews = try [Tensor.full(window, 7), Tensor.full([shape.outputs], 7)].map {
      try GradientView(destination: $0)
    }
    for times in 1...2 {
      let output = try narrow[0].convolution(
        weight: narrow[1], bias: narrow[2], factors.geometry, weightView: gradientViews[0], biasView: gradientViews[1])
      try expectClose(output.detach().to(.float64), expected.detach(), rtol: 1e-4, atol: 1e-4)
      let own = try output.gradients(withRespectTo: narrow, weights: factors.delta)
      try expectClose(#require(own[0]).to(.float64), #require(gradients[0]), rtol: 1e-4, atol: 1e-4)
      // Later writes add to the first.
      for (gradientView, gradient) in zip(gradientViews, gradients.dropFirst()) {
        #expect(gradientView.isWritten)
        try expectClose(
          gradientView.destination.to(.float64), #require(gradient) * Double(times), rtol: 1e-4, atol: 1e-4)
      }
    }
    gradientViews.forEach { $0.arm() }
    #expect(!gradientViews[0].isWritten)
  }

  @Test func channelsFirstGivesTheSame() throws {
    let last = try Shape(inputs: 6, outputs: 18).factors()
    let first = try ConvolutionFactors(
      input: last.input.contiguous(), delta: last.delta.contiguous(), geometry: last.geometry)
    try expectIdentical(first.rows(), last.rows())
  }

  @Test func manyOutputsAreClippedAPartAtATime() throws {
    // More rows than are held at once: 40 × 80·256·9 numbers.
    let factors = try Shape(batch: 40, image: [3, 3], inputs: 80, outputs: 256).factors()
    let rows = try factors.rows().reshape([40, -1])
    let (target, expected) = try (Tensor.full([rows.size(1)], 3), Tensor.full([rows.size(1)], 4))
    let clipping = Clipping(low: 2, high: 3, kind: .trimmed)
    try factors.clippedSum(into: target, clipping)
    try expected.setClippedSum(ofRows: rows.contiguous(), clipping)
    try expectIdentical(target, expected)
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let factors = try Shape().factors()
    #expect(throws: TensorError.self) { try factors.sum(into: .zeros([3]), accumulating: false) }
    #expect(throws: TensorError.self) { try factors.median(into: .zeros([108]), groups: [0..<2, 2..<5]) }
    #expect(throws: TensorError.self) { try factors.clippedSum(into: .zeros([108]), Clipping(low: 3, high: 2)) }
    let other = try ConvolutionFactors(
      input: factors.input, delta: factors.delta.narrow(3, from: 0, length: 2), geometry: factors.geometry)
    #expect(throws: TensorError.self) { _ = try other.squaredNorms() }
    #expect(throws: TensorError.self) { _ = try factors.products(.zeros([2, 3])) }
    #expect(throws: TensorError.self) { _ = try factors.products(.zeros([108])) }
    #expect(throws: TensorError.self) { _ = try other.rows() }
  }
}
