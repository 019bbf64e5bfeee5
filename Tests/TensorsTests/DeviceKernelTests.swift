// SPDX-License-Identifier: Apache-2.0

import CKernelsOnHost
import Foundation
import TestSupport
import Testing

@testable import Tensors

/// The kernels for GPUs, run thread by thread on the processor, against the processor's own, which have plain references.
@Suite struct DeviceKernelTests {
  private static let counts = [0, 1, 23, 24, 25, 1001]

  private static var variants: [(number: Int32, groups: Int, clipping: Clipping)] {
    (Int32(0)...).lazy.map { ($0, host_kernels($0)) }.prefix { $1.groups > 0 }.map { number, variant in
      let kind: Clipping.Kind = variant.trims != 0 ? .trimmed : .winsorized
      return (
        number, Int(variant.groups), Clipping(low: Int(variant.low), high: Int(variant.high), kind: kind, scale: 0.25)
      )
    }
  }

  private static let updates = [
    SGDUpdate(learningRate: 0.1), SGDUpdate(learningRate: 0.3, weightDecay: 0.02),
    SGDUpdate(learningRate: 0.1, momentum: 0.9, dampening: 0.1, weightDecay: 0.02, isFirst: true),
    SGDUpdate(learningRate: 0.1, momentum: 0.9, dampening: 0.1, weightDecay: 0.02),
    SGDUpdate(learningRate: 0.1, momentum: 0.8, nesterov: true),
  ]

  private func step(_ update: SGDUpdate) -> host_step {
    host_step(
      rate: Float(update.learningRate), momentum: Float(update.momentum), fresh: Float(1 - update.dampening),
      decay: Float(update.weightDecay), nesterov: update.nesterov ? 1 : 0, is_first: update.isFirst ? 1 : 0)
  }

  private func numbers(_ count: Int, _ seed: UInt64) -> [Float] { randomNumbers(count, seed: seed).map(Float.init) }

  private func expectClose(_ found: [Float], _ tensor: Tensor) throws {
    try TestSupport.expectClose(tensor, found.map(Double.init), shape: [found.count], rtol: 1e-5, atol: 1e-6)
  }

  @Test func sgd() throws {
    for update in Self.updates {
      for count in Self.counts {
        var (parameters, velocity) = (numbers(count, 1), numbers(count, 3))
        let gradient = numbers(count, 2)
        let (own, ownVelocity) = try (Tensor(parameters), Tensor(velocity))
        let hasVelocity = update.momentum > 0
        let wrong = velocity.withUnsafeMutableBufferPointer {
          host_sgd_step(&parameters, gradient, hasVelocity ? $0.baseAddress : nil, 1, step(update), Int64(count))
        }
        #expect(try own.updateSGD(gradient: Tensor(gradient), velocity: hasVelocity ? ownVelocity : nil, update))
        #expect(wrong == 0)
        try expectClose(parameters, own)
        try expectClose(velocity, ownVelocity)
      }
    }
  }

  @Test func threeGradients() throws {
    for update in Self.updates {
      for (isMedian, decaysBefore) in [(true, true), (true, false), (false, true), (false, false)] {
        for count in Self.counts {
          var (parameters, current, velocity) = (numbers(count, 1), numbers(count, 2), numbers(count, 5))
          let (previous, before) = (numbers(count, 3), numbers(count, 4))
          let (own, ownCurrent, ownVelocity) = try (Tensor(parameters), Tensor(current), Tensor(velocity))
          let hasVelocity = update.momentum > 0
          let wrong = velocity.withUnsafeMutableBufferPointer {
            host_three_gradient_step(
              &parameters, &current, previous, before, hasVelocity ? $0.baseAddress : nil, isMedian ? 1 : 0,
              decaysBefore ? 1 : 0, step(update), Int64(count))
          }
          #expect(
            try own.updateFromThree(
              current: ownCurrent, previous: (Tensor(previous), Tensor(before)),
              velocity: hasVelocity ? ownVelocity : nil, isMedian: isMedian, decaysBefore: decaysBefore, update))
          #expect(wrong == 0)
          try expectClose(parameters, own)
          try expectClose(current, ownCurrent)
          try expectClose(velocity, ownVelocity)
        }
      }
    }
  }

  @Test func adam() throws {
    for (number, isDecoupled) in [(1, false), (7, false), (3, true)] {
      let update = AdamUpdate(learningRate: 0.05, weightDecay: 0.1, isDecoupled: isDecoupled, number: number)
      let (power1, power2) = (pow(update.beta1, Double(number)), pow(update.beta2, Double(number)))
      let constants = host_adam(
        beta1: Float(update.beta1), beta2: Float(update.beta2), fresh1: Float(1 - update.beta1),
        fresh2: Float(1 - update.beta2), epsilon: Float(update.epsilon),
        rate: Float(update.learningRate / (1 - power1)), root_correction: Float(1 / (1 - power2).squareRoot()),
        coupled: isDecoupled ? 0 : 0.1, kept: isDecoupled ? Float(1 - 0.05 * 0.1) : 1)
      for count in Self.counts {
        var (parameters, first, second) = (numbers(count, 1), numbers(count, 3), numbers(count, 4).map(abs))
        let gradient = numbers(count, 2)
        let (own, ownFirst, ownSecond) = try (Tensor(parameters), Tensor(first), Tensor(second))
        #expect(host_adam_step(&parameters, gradient, &first, &second, constants, Int64(count)) == 0)
        #expect(
          try own.updateAdam(gradient: Tensor(gradient), firstMoment: ownFirst, secondMoment: ownSecond, update))
        try expectClose(parameters, own)
        try expectClose(first, ownFirst)
        try expectClose(second, ownSecond)
      }
    }
  }

  @Test(arguments: [Float.nan, .infinity]) func numbersThatAreNoneAreReported(_ value: Float) {
    var (parameters, velocity) = ([Float](repeating: 1, count: 100), [Float](repeating: 0, count: 100))
    var gradient = parameters
    gradient[77] = value
    var copy = gradient
    let step = step(SGDUpdate(learningRate: 0.1))
    #expect(host_sgd_step(&parameters, gradient, nil, 1, step, 100) == 1)
    parameters = velocity
    #expect(host_three_gradient_step(&parameters, &copy, gradient, gradient, nil, 1, 0, step, 100) == 1)
    parameters = velocity
    var second = velocity
    let constants = host_adam(
      beta1: 0.9, beta2: 0.99, fresh1: 0.1, fresh2: 0.01, epsilon: 1e-8, rate: 0.1, root_correction: 1, coupled: 0,
      kept: 1)
    #expect(host_adam_step(&parameters, gradient, &velocity, &second, constants, 100) == 1)
  }

  @Test(arguments: Adversary.allCases) func mediansOfRows(_ adversary: Adversary) throws {
    for variant in Self.variants {
      for count in Self.counts.dropFirst() {
        let rows = adversary.values(variant.groups * count, seed: 7).map(Float.init)
        var found = [Float](repeating: 42, count: count)
        host_row_median(variant.number, &found, rows, Int64(count))
        let expected = try Tensor.zeros([count])
        try expected.setMedian(ofRows: Tensor(rows, shape: [variant.groups, count]))
        try TestSupport.expectClose(expected, found.map(Double.init), shape: [count], rtol: 0, atol: 0)
      }
    }
  }

  @Test(arguments: Adversary.allCases) func clippedSums(_ adversary: Adversary) throws {
    for variant in Self.variants {
      let least = variant.clipping.low + variant.clipping.high + 1
      for (batch, width) in [(least, 1), (least + 1, 25), (40, 101)] {
        let values = adversary.values(batch * width, seed: 8)
        var found = [Float](repeating: 42, count: width)
        host_clipped_rows(variant.number, &found, values.map(Float.init), Int32(batch), 0.25, Int64(width))
        let expected = (0..<width).map { column in
          let clipping = variant.clipping
          return clippedSum(
            (0..<batch).map { values[$0 * width + column] }, low: clipping.low, high: clipping.high,
            kind: clipping.kind,
            scale: 0.25)
        }
        try TestSupport.expectClose(Tensor(found), expected, shape: [width], rtol: 2e-5, atol: 2e-5)
      }
    }
  }

  @Test(arguments: Adversary.allCases) func clippedOuterProducts(_ adversary: Adversary) throws {
    for variant in Self.variants {
      let least = variant.clipping.low + variant.clipping.high + 1
      for (batch, inputs, outputs) in [(least, 1, 1), (40, 19, 3), (33, 5, 9)] {
        let (input, delta) = (
          adversary.values(batch * inputs, seed: 9).map(Float.init),
          Adversary.sparse.values(batch * outputs, seed: 10).map(Float.init)
        )
        var found = [Float](repeating: 42, count: outputs * inputs)
        host_clipped_outer(
          variant.number, &found, delta, input, Int32(batch), Int32(outputs), Int32(inputs), 0.25)
        let expected = try Tensor.zeros([outputs, inputs])
        try expected.setClippedSum(
          outputGradient: Tensor(delta, shape: [batch, outputs]), input: Tensor(input, shape: [batch, inputs]),
          variant.clipping)
        try TestSupport.expectClose(
          expected, found.map(Double.init), shape: [outputs, inputs], rtol: 2e-5, atol: 2e-5)
      }
    }
  }

  /// The compiler's library, of the test environment.
  private static let compiler: String? = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let folder = root.appendingPathComponent(".deps/test-venv/lib").path
    let paths = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return paths.map { "\(folder)/\($0)/site-packages/nvidia/cu13/lib/libnvrtc.so.13" }
      .first { FileManager.default.fileExists(atPath: $0) }
  }()

  @Test(.enabled(if: Self.compiler != nil, "needs the test environment: make setup"))
  func compilesForEveryArchitecture() throws {
    let path = try #require(Self.compiler)
    // What is loaded already is found by its name.
    try #require(dlopen(path, RTLD_NOW) != nil)
    for architecture in ["sm_75", "sm_80", "sm_90", "sm_100", "sm_120"] {
      try Runtime.compileKernels(forArchitecture: architecture)
    }
    let error = #expect(throws: TensorError.self) { try Runtime.compileKernels(forArchitecture: "sm_1") }
    #expect(error?.description.contains("cannot be compiled") == true)
  }

  @Test func aDeviceThatIsNotThereIsNamed() {
    let error = #expect(throws: TensorError.self) { try Runtime.prepareKernels(forDevice: 99) }
    #expect(error?.description.contains("there is no device cuda:99") == true)
  }

  /// Against itself in float64, as a GPU is checked: the general paths against the kernels.
  @Test func theCheckOfADeviceFindsOnlyRounding() throws {
    let found = try KernelCheck.differences(on: .cpu)
    #expect(found.count == 11)
    for kernel in found { #expect(kernel.difference <= KernelCheck.tolerance, "\(kernel)") }
  }
}
