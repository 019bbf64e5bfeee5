// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The memory that a model's passes take beside its parameters and their gradients, in bytes, measured on this machine
/// with one and with two examples of zeros: what the second adds is the price of an example.
public struct ActivationMemory: Sendable, Equatable {
  /// What the graph keeps of each example from the forward to the backward pass.
  public let keptPerExample: Int
  /// At the worst moment of a forward and backward pass, for each example.
  public let trainingPerExample: Int
  /// At that moment, whatever the number of examples.
  public let trainingBase: Int
  /// At the worst moment of a pass that records nothing, for each example.
  public let evaluationPerExample: Int
  /// At that moment, whatever the number of examples.
  public let evaluationBase: Int

  /// Measures a model on the CPU. Running statistics and parameters stay as they are; the store's gradient does not.
  ///
  /// - Parameters:
  ///   - exampleShape: the extents of one example.
  ///   - linearPolicy: who computes the products of linear layers.
  ///   - backward: runs a forward and backward pass for a batch; by default the plain one, on the sum of the outputs.
  ///   - leastBatch: the smaller of the two batches.
  /// - Throws: `TensorError` when the model does not take the examples.
  public init(
    of model: any Module, store: ParameterStore, exampleShape: [Int], linearPolicy: LinearPolicy = .native,
    leastBatch: Int = 1, backward: ((Tensor, ForwardContext) throws -> Void)? = nil
  ) throws {
    let statistics = try model.namedBuffers.map { ($0.buffer, try $0.buffer.value.clone()) }
    let generator = try Generator(seed: 1)
    func context(isTraining: Bool) -> ForwardContext {
      ForwardContext(
        isTraining: isTraining, usesSinks: isTraining, linearPolicy: linearPolicy, generator: generator)
    }
    func zeros(_ count: Int) throws -> Tensor { try Tensor.zeros([count] + exampleShape) }
    func kept(_ count: Int) throws -> Int {
      try MemoryMeter.measure { meter in
        let output = try model.forward(zeros(count), in: context(isTraining: true))
        return withExtendedLifetime(output) { meter.live }
      }
    }
    func training(_ count: Int) throws -> Int {
      try MemoryMeter.measure { meter in
        if let backward {
          try backward(zeros(count), context(isTraining: true))
        } else {
          try store.backward(model.forward(zeros(count), in: context(isTraining: true)).sum())
        }
        return meter.peak
      }
    }
    func evaluation(_ count: Int) throws -> Int {
      try withoutGradients {
        try MemoryMeter.measure { meter in
          _ = try model.forward(zeros(count), in: context(isTraining: false))
          return meter.peak
        }
      }
    }
    func line(_ measure: (Int) throws -> Int) throws -> (base: Int, slope: Int) {
      let (one, two) = try (measure(leastBatch), measure(leastBatch + 1))
      let slope = max(0, two - one)
      return (max(0, one - leastBatch * slope), slope)
    }
    defer { for (buffer, value) in statistics { try? buffer.value.copy(from: value) } }
    keptPerExample = try line(kept).slope
    let training = try line(training)
    (trainingBase, trainingPerExample) = (training.base, training.slope)
    let evaluation = try line(evaluation)
    (evaluationBase, evaluationPerExample) = (evaluation.base, evaluation.slope)
  }

  /// The largest number of examples, up to `most`, whose evaluation stays within a budget.
  public func evaluationChunk(most: Int, budget: Int = 256 << 20) -> Int {
    max(1, min(most, budget / max(1, evaluationPerExample)))
  }

  /// The largest number of examples, up to `most`, whose forward and backward pass stays within a budget.
  public func trainingChunk(most: Int, budget: Int = 256 << 20) -> Int {
    max(1, min(most, budget / max(1, trainingPerExample)))
  }
}
