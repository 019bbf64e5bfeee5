// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The memory that a model's passes take beside its parameters and their gradients, in bytes, measured on this machine
/// with one and with two examples of zeros: what the second adds is the price of an example. Each stretch between the
/// ends of two layers has its own price, since another one is the worst in small batches than in large ones.
public struct ActivationMemory: Sendable, Equatable {
  /// a + b·examples.
  private struct Line: Sendable, Equatable {
    let base, slope: Int

    init(_ first: (count: Int, bytes: Int), _ second: (count: Int, bytes: Int)) {
      slope = max(0, (second.bytes - first.bytes) / (second.count - first.count))
      base = max(0, first.bytes - first.count * slope)
    }
  }

  /// What the graph keeps of each example from the forward to the backward pass.
  public let keptPerExample: Int
  private let training: [Line]
  private let evaluation: [Line]

  /// At the worst moment of the forward and backward pass of so many examples.
  public func trainingBytes(_ examples: Int) -> Int { Self.bytes(training, examples) }

  /// At the worst moment of a pass of so many examples that records nothing.
  public func evaluationBytes(_ examples: Int) -> Int { Self.bytes(evaluation, examples) }

  /// The largest number of examples, up to `maximum`, whose evaluation stays within a budget; at least 1. A larger budget
  /// makes nothing faster, and the system's allocator makes it several times that.
  public func evaluationChunk(maximum: Int, budget: Int = 32 << 20) -> Int { Self.chunk(evaluation, maximum, budget) }

  /// The largest number of examples, up to `maximum`, whose forward and backward pass stays within a budget beside what it
  /// takes whatever their number; at least 1.
  public func trainingChunk(maximum: Int, budget: Int = 256 << 20) -> Int {
    Self.chunk(training, maximum, budget + (training.map(\.base).max() ?? 0))
  }

  private static func bytes(_ lines: [Line], _ examples: Int) -> Int {
    lines.map { $0.base + examples * $0.slope }.max() ?? 0
  }

  private static func chunk(_ lines: [Line], _ maximum: Int, _ budget: Int) -> Int {
    max(
      1, lines.filter { $0.slope > 0 }.map { (budget - $0.base) / $0.slope }.min().map { min(maximum, $0) } ?? maximum)
  }

  /// Measures a model on the CPU. Running statistics and parameters stay as they are; the store's gradient does not.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - store: the model's parameters.
  ///   - exampleShape: the extents of one example.
  ///   - linearPolicy: who computes the products of linear layers.
  ///   - minimumBatch: the smaller of the two batches; from 2 on, as one example alone may have no batch statistics.
  ///   - backward: runs a forward and backward pass for a batch; by default the plain one, on the sum of the outputs.
  /// - Throws: `TensorError` when the model does not take the examples.
  public init(
    of model: any Module, store: ParameterStore, exampleShape: [Int], linearPolicy: LinearPolicy = .native,
    minimumBatch: Int = 2, backward: ((Tensor, ForwardContext) throws -> Void)? = nil
  ) throws {
    let statistics = try model.namedBuffers.map { ($0.buffer, try $0.buffer.value.clone()) }
    defer { for (buffer, value) in statistics { try? buffer.value.copy(from: value) } }
    let generator = try Generator(seed: 1)
    /// The peaks of the stretches of a pass, and what is alive after its forward part.
    func peaks(_ count: Int, isTraining: Bool) throws -> (kept: Int, stretches: [Int]) {
      try MemoryMeter.measure { meter in
        let context = ForwardContext(
          isTraining: isTraining, usesGradientViews: isTraining, linearPolicy: linearPolicy, generator: generator)
        var stretches: [Int] = []
        context.observer = { _, _, _ in stretches.append(meter.takePeak()) }
        let input = try Tensor.zeros([count] + exampleShape)
        if isTraining, let backward {
          try backward(input, context)
          return (0, [meter.takePeak()])
        }
        var output = try model.forward(input, in: context).sum()
        if let own = context.ownLosses { output = try output + own.sum.sum() }
        let kept = meter.live
        stretches.append(meter.takePeak())
        if isTraining {
          try store.backward(output)
          stretches.append(meter.takePeak())
        }
        return (kept, stretches)
      }
    }
    func lines(_ one: [Int], _ two: [Int]) -> [Line] {
      zip(one, two).map { Line((minimumBatch, $0), (minimumBatch + 1, $1)) }
    }
    let trained = try (peaks(minimumBatch, isTraining: true), peaks(minimumBatch + 1, isTraining: true))
    training = lines(trained.0.stretches, trained.1.stretches)
    keptPerExample = max(0, trained.1.kept - trained.0.kept)
    let evaluated = try withoutGradients {
      try (peaks(minimumBatch, isTraining: false), peaks(minimumBatch + 1, isTraining: false))
    }
    evaluation = lines(evaluated.0.stretches, evaluated.1.stretches)
  }
}
