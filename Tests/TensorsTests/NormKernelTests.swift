// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Tensors

/// Normalisation with residual and ReLU in one pass, against libtorch's operations in float64 one after the other.
@Suite struct NormKernelTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var shape = [4, 5, 3, 3]
    var relu = true
    var residual = true
    var training = true
    /// Groups of examples that batch normalisation takes by themselves.
    var groups: [Range<Int>] = []
    /// The number of groups of channels; nil for batch normalisation.
    var channelGroups: Int?
    var testDescription: String {
      "\(shape) relu \(relu) residual \(residual) training \(training) \(groups) \(channelGroups.map { "group:\($0)" } ?? "batch")"
    }
  }

  static let shapes = [
    [4, 5, 3, 3], [2, 16, 1, 1], [3, 32, 8, 8], [5, 24, 7, 5], [2, 64, 30, 30], [1, 19, 4, 2], [6, 4100, 1, 1],
  ]
  static let waysOn = [(true, true), (true, false), (false, true), (false, false)]

  static var cases: [Case] {
    var cases: [Case] = []
    for shape in shapes {
      let (channels, pixels) = (shape[1], shape[2] * shape[3])
      for (relu, residual) in waysOn {
        for training in [true, false] {
          cases.append(Case(shape: shape, relu: relu, residual: residual, training: training))
        }
        // One value a group has no variance.
        for groups in [1, 3, 4, channels] where channels.isMultiple(of: groups) && channels / groups * pixels > 1 {
          cases.append(Case(shape: shape, relu: relu, residual: residual, channelGroups: groups))
        }
      }
    }
    let groups = [0..<3, 3..<5, 5..<7]
    cases.append(Case(shape: [7, 18, 3, 2], groups: groups))
    cases.append(Case(shape: [7, 18, 3, 2], relu: false, residual: false, groups: groups))
    return cases
  }

  /// Everything a pass leaves behind: output, gradients of input, γ, β and residual, running mean and variance.
  private func results(_ test: Case, dtype: DType) throws -> [(name: String, tensor: Tensor)] {
    let channels = test.shape[1]
    func leaf(_ shape: [Int], _ seed: UInt64) throws -> Tensor {
      let value = try randomTensor(shape, seed: seed).to(dtype)
      try value.setRequiresGradient(true)
      return value
    }
    let (x, residual) = try (leaf(test.shape, 1), leaf(test.shape, 2))
    let (weight, bias) = try (leaf([channels], 3), leaf([channels], 4))
    let mean = try randomTensor([channels], seed: 5).to(dtype)
    let variance = try (randomTensor([channels], seed: 6) + 1.5).to(dtype)
    // A mean far from 0 is hard on sums of squares.
    let input = try (x + 3).channelsLast()
    var output: Tensor
    if dtype == .float32, let groups = test.channelGroups {
      output = try input.groupNormReLU(
        groups: groups, weight: weight, bias: bias, epsilon: 1e-4, residual: test.residual ? residual : nil,
        relu: test.relu)
    } else if dtype == .float32 {
      output = try input.batchNormReLU(
        weight: weight, bias: bias, mean: mean, variance: variance, residual: test.residual ? residual : nil,
        relu: test.relu, training: test.training, momentum: 0.2, epsilon: 1e-4, groups: test.groups)
    } else {
      if let groups = test.channelGroups {
        output = try input.groupNorm(groups: groups, weight: weight, bias: bias, epsilon: 1e-4)
      } else {
        let groups = test.groups.isEmpty ? [0..<test.shape[0]] : test.groups
        output = try Tensor.concatenate(
          groups.map {
            try input.narrow(0, from: $0.lowerBound, length: $0.count).batchNorm(
              weight: weight, bias: bias, mean: mean, variance: variance, training: test.training, momentum: 0.2,
              epsilon: 1e-4)
          })
      }
      if test.residual { output = try output + residual }
      if test.relu { output = try output.relu() }
    }
    let seed = try randomTensor(test.shape, seed: 7).to(dtype)
    var inputs = [x, weight, bias]
    if test.residual { inputs.append(residual) }
    let gradients = try output.gradients(withRespectTo: inputs, weights: seed)
    let names = ["∂input", "∂γ", "∂β", "∂residual"]
    return try [("output", output.detach())]
      + zip(names, gradients).map { ($0, try #require($1)) } + [("mean", mean), ("variance", variance)]
  }

  @Test(arguments: cases) func agreesWithSeparateSteps(_ test: Case) throws {
    // One value a channel has no variance.
    guard !test.training || test.shape[0] * test.shape[2] * test.shape[3] > 1 else { return }
    for (actual, expected) in zip(
      try results(test, dtype: .float32), try results(test, dtype: .float64))
    {
      try expectClose(actual.tensor.to(.float64), expected.tensor, rtol: 2e-4, atol: 3e-5)
      #expect(actual.name == expected.name)
    }
  }

  @Test(arguments: [true, false]) func slotHoldsEachExamplesGradients(training: Bool) throws {
    let x = try randomTensor([3, 18, 4, 3], seed: 1).channelsLast()
    let (weight, bias) = try (Tensor.full([18], 0.5), Tensor.full([18], 0.1))
    let (mean, variance) = try (Tensor.full([18], 0.25), Tensor.full([18], 0.5))
    let capture = try BackwardCapture()
    let y = try x.batchNormReLU(
      weight: weight, bias: bias, mean: mean, variance: variance, relu: true, training: training, momentum: 0.1,
      epsilon: 1e-5, capture: capture)
    let seed = try randomTensor([3, 18, 4, 3], seed: 7)
    try y.backward(weights: seed)
    let rows = try #require(try capture.factors()).outputGradient
    #expect(rows.shape == [3, 36])
    // The normalised input, from the same statistics.
    let (m, v) =
      try training
      ? (x.mean([0, 2, 3]), (x - x.mean([0, 2, 3]).reshape([1, 18, 1, 1])).squared().mean([0, 2, 3]))
      : (Tensor.full([18], 0.25), Tensor.full([18], 0.5))
    let normal = try (x - m.reshape([1, 18, 1, 1])) / (v + 1e-5).squareRoot().reshape([1, 18, 1, 1])
    let behind = try seed * y.detach().greater(Tensor.zeros([1])).to(.float32)
    try expectClose(rows.narrow(1, from: 0, length: 18), (behind * normal).sum([2, 3]), rtol: 1e-4, atol: 1e-4)
    try expectClose(rows.narrow(1, from: 18, length: 18), behind.sum([2, 3]), rtol: 1e-4, atol: 1e-4)
  }

  @Test func slotHoldsEachExamplesGradientsOfGroupNorm() throws {
    let x = try randomTensor([3, 18, 4, 3], seed: 1).channelsLast()
    let (weight, bias) = try (randomTensor([18], seed: 2), Tensor.full([18], 0.1))
    let capture = try BackwardCapture()
    let y = try x.groupNormReLU(groups: 6, weight: weight, bias: bias, epsilon: 1e-5, relu: true, capture: capture)
    let seed = try randomTensor([3, 18, 4, 3], seed: 7)
    try y.backward(weights: seed)
    let rows = try #require(try capture.factors()).outputGradient
    let normal = try x.groupNorm(groups: 6, weight: nil, bias: nil, epsilon: 1e-5)
    let behind = try seed * y.detach().greater(Tensor.zeros([1])).to(.float32)
    try expectClose(rows.narrow(1, from: 0, length: 18), (behind * normal).sum([2, 3]), rtol: 1e-4, atol: 1e-4)
    try expectClose(rows.narrow(1, from: 18, length: 18), behind.sum([2, 3]), rtol: 1e-4, atol: 1e-4)
  }

  /// A channel without scale still takes part in the statistics of its group.
  @Test func channelsWithoutScale() throws {
    let x = try randomTensor([2, 8, 3, 3], seed: 1)
    let weight = try Tensor([0, 1, 2, 0, 0, 0, -1, 0.5] as [Float], shape: [8])
    let seed = try randomTensor([2, 8, 3, 3], seed: 7)
    func gradient(_ dtype: DType) throws -> Tensor {
      let input = try x.to(dtype).channelsLast()
      try input.setRequiresGradient(true)
      let (scale, shift) = try (weight.to(dtype), Tensor.zeros([8]).to(dtype))
      let output =
        dtype == .float32
        ? try input.groupNormReLU(groups: 2, weight: scale, bias: shift, epsilon: 1e-5, relu: false)
        : try input.groupNorm(groups: 2, weight: scale, bias: shift, epsilon: 1e-5)
      return try #require(try output.gradients(withRespectTo: [input], weights: seed.to(dtype))[0])
    }
    try expectClose(gradient(.float32).to(.float64), gradient(.float64), rtol: 1e-4, atol: 1e-5)
  }

  @Test func groupsThatDoNotFitAreRefused() throws {
    let x = try Tensor.ones([4, 6, 2, 2]).channelsLast()
    func run(_ x: Tensor, groups: Int, residual: Tensor? = nil) throws {
      _ = try x.groupNormReLU(
        groups: groups, weight: .ones([6]), bias: .zeros([6]), epsilon: 1e-5, residual: residual, relu: true)
    }
    for groups in [0, -1, 4, 7, Int.min, Int.max] {
      expectTensorError(.invalid, "groupNormReLU", containing: "6 channels do not divide into") {
        try run(x, groups: groups)
      }
    }
    #expect(throws: TensorError.self) { try run(Tensor.ones([4, 6, 2, 2]), groups: 2) }
    #expect(throws: TensorError.self) { try run(Tensor.ones([4, 5, 2, 2]).channelsLast(), groups: 5) }
    #expect(throws: TensorError.self) { try run(x, groups: 2, residual: Tensor.ones([4, 6, 2, 1])) }
  }

  @Test func notANumberStaysSo() throws {
    let x = try Tensor([1, .nan, 2, 3] as [Float], shape: [1, 1, 2, 2]).channelsLast()
    let y = try x.batchNormReLU(
      weight: .ones([1]), bias: .zeros([1]), mean: .zeros([1]), variance: .ones([1]), relu: true, training: false,
      momentum: 0.1, epsilon: 0)
    #expect(try y.values(as: Float.self).map(\.isNaN) == [false, true, false, false])
  }

  @Test func residualOnAnotherDeviceIsRefused() throws {
    guard try Runtime.cudaDeviceCount() > 0 else { return }
    let x = try Tensor.ones([4, 3, 2, 2]).channelsLast()
    expectTensorError(.invalid, "batchNormReLU", containing: "the residual is on cuda:0") {
      try x.batchNormReLU(
        weight: .ones([3]), bias: .zeros([3]), mean: .zeros([3]), variance: .ones([3]),
        residual: x.to(device: .cuda(0)), relu: true, training: true, momentum: 0.1, epsilon: 1e-5)
    }
  }

  @Test func whatDoesNotFitIsRefused() throws {
    func run(_ x: Tensor, channels: Int = 3, groups: [Range<Int>] = [], residual: Tensor? = nil) throws {
      _ = try x.batchNormReLU(
        weight: .ones([channels]), bias: .zeros([channels]), mean: .zeros([channels]), variance: .ones([channels]),
        residual: residual, relu: true, training: true, momentum: 0.1, epsilon: 1e-5, groups: groups)
    }
    let x = try Tensor.ones([4, 3, 2, 2]).channelsLast()
    #expect(throws: TensorError.self) { try run(Tensor.ones([4, 3, 2, 2])) }
    #expect(throws: TensorError.self) { try run(x, channels: 4) }
    #expect(throws: TensorError.self) { try run(x, groups: [0..<2, 2..<3]) }
    #expect(throws: TensorError.self) { try run(x, residual: Tensor.ones([4, 3, 2, 1])) }
    #expect(throws: TensorError.self) { try run(Tensor.ones([1, 3, 1, 1]).channelsLast()) }
  }
}
