// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// The updates, medians and clipped sums of a device against the processor's in float64: for a device that nobody has
/// tried yet. Takes milliseconds, and as long again as compiling the kernels takes on a GPU.
public enum KernelCheck {
  /// One kernel's largest difference over all its numbers, relative to the largest of them; infinite where one is NaN or
  /// infinite and the other is not.
  public struct Difference: Sendable, Equatable {
    /// Such as "winsorized rows".
    public let kernel: String
    /// 1e-5 and less is rounding.
    public let difference: Double
    /// Whether one of the package's own kernels for GPUs ran; otherwise libtorch's operations did it.
    public let isOwnKernel: Bool
  }

  /// What is more than rounding in float32.
  public static let tolerance = 1e-5

  /// Runs every kernel once, on odd sizes, with infinities that have to be clipped and NaN that has to stay.
  ///
  /// - Throws: `TensorError` when the device cannot compute.
  public static func differences(on device: Device) throws -> [Difference] {
    var found: [Difference] = []
    func compare(_ kernel: String, _ body: (_ place: (Tensor) throws -> Tensor) throws -> [Tensor]) throws {
      // Copies: updates change what they are given.
      let expected = try body { try $0.to(.float64) }
      let before = Runtime.kernelLaunches
      let actual = try body { try $0.clone().to(.float32, device: device) }
      let launches = Runtime.kernelLaunches - before
      let worst = try zip(actual, expected).map { try difference(of: $0, from: $1) }.max() ?? 0
      found.append(Difference(kernel: kernel, difference: worst, isOwnKernel: launches > 0))
    }
    let (batch, inputs, outputs) = (37, 131, 5)
    let input = try special([batch, inputs], seed: 1)
    let delta = try Tensor.randn([batch, outputs], generator: Generator(seed: 2))
    for (word, clipping) in [
      ("winsorized", Clipping(low: 2, high: 3, scale: 0.5)), ("trimmed", Clipping(low: 1, high: 4, kind: .trimmed)),
    ] {
      try compare("\(word) rows") { place in
        let target = try place(Tensor.zeros([inputs]))
        try target.setClippedSum(ofRows: place(input), clipping)
        return [target]
      }
      try compare("\(word) outer products") { place in
        let (target, bias) = try (place(Tensor.zeros([outputs, inputs])), place(Tensor.zeros([outputs])))
        try target.setClippedSum(outputGradient: place(delta), input: place(input), bias: bias, clipping)
        return [target, bias]
      }
    }
    for count in [3, 5, 9] {
      try compare("median of \(count)") { place in
        let target = try place(Tensor.zeros([inputs]))
        try target.setMedian(ofRows: place(input.narrow(0, from: 0, length: count)))
        return [target]
      }
    }
    let numbers = try (0..<5).map { try Tensor.randn([1001], generator: Generator(seed: UInt64(10 + $0))) }
    let update = SGDUpdate(learningRate: 0.1, momentum: 0.9, dampening: 0.1, weightDecay: 0.01)
    try compare("SGD") { place in
      let (parameters, velocity) = try (place(numbers[0]), place(numbers[1]))
      _ = try parameters.updateSGD(gradient: place(numbers[2]), velocity: velocity, update)
      return [parameters, velocity]
    }
    for isMedian in [true, false] {
      try compare("SGD from the \(isMedian ? "median" : "mean") of three") { place in
        let (parameters, velocity, current) = try (place(numbers[0]), place(numbers[1]), place(numbers[2]))
        _ = try parameters.updateFromThree(
          current: current, previous: (place(numbers[3]), place(numbers[4])), velocity: velocity, isMedian: isMedian,
          decaysBefore: isMedian, update)
        return [parameters, velocity, current]
      }
    }
    try compare("Adam") { place in
      let (parameters, first, second) = try (place(numbers[0]), place(numbers[1]), place(numbers[2] * numbers[2]))
      _ = try parameters.updateAdam(
        gradient: place(numbers[3]), firstMoment: first, secondMoment: second,
        AdamUpdate(learningRate: 0.01, weightDecay: 0.1, number: 3))
      return [parameters, first, second]
    }
    return found
  }

  /// Normal numbers, with an infinity of either sign in one column and a NaN in another.
  private static func special(_ shape: [Int], seed: UInt64) throws -> Tensor {
    let values = try Tensor.randn(shape, generator: Generator(seed: seed))
    try values.select(0, 1).select(0, 7).fill(.infinity)
    try values.select(0, 2).select(0, 7).fill(-.infinity)
    try values.select(0, 0).select(0, 11).fill(.nan)
    return values
  }

  private static func difference(of actual: Tensor, from expected: Tensor) throws -> Double {
    let (found, wanted): ([Double], [Double]) = try (
      actual.to(.float64, device: .cpu).values(), expected.values()
    )
    let scale = max(wanted.filter(\.isFinite).map(abs).max() ?? 0, .leastNormalMagnitude)
    return zip(found, wanted).map { a, b in
      if a == b || a.isNaN && b.isNaN { return 0 }
      return a.isFinite && b.isFinite ? abs(a - b) / scale : .infinity
    }.max() ?? 0
  }
}
