// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Datasets
import GradientMatrix
import NeuralNetworks
import Tensors

extension Trainer {
  /// Refuses a perceptron whose parameters alone would not fit, before they are made: its widths are the user's.
  static func checkParameters(
    _ specification: ModelSpecification, _ examples: Dataset, base: Int, limit: Int?,
    _ configuration: TrainingConfiguration
  ) throws {
    guard
      let count = specification.perceptronParameterCount(inputs: examples.exampleSize, classes: examples.classCount)
    else { return }
    let bytes = count * 4
    try MemoryEstimate(
      base: base, parameters: bytes, gradient: bytes,
      optimizer: bytes * OptimizerSpecification(configuration.optimizer).bufferCount(momentum: configuration.momentum)
    ).check(against: limit, batchSize: configuration.batchSize)
  }

  /// The memory of the model's passes as the aggregator needs them.
  static func activations(
    of model: any Module, _ store: ParameterStore, _ examples: Dataset, aggregator: any Aggregator, plan: GradientPlan?,
    _ policy: LinearPolicy
  ) throws -> ActivationMemory {
    var groupCount = 1
    if case .groupMeans(let count) = aggregator.need { groupCount = count }
    return try ActivationMemory(
      of: model, store: store, exampleShape: examples.exampleShape, linearPolicy: policy, leastBatch: 2 * groupCount,
      backward: plan.map { plan in
        { input, context in
          var pass = TrainingPass(generator: context.generator)
          if groupCount > 1 { pass.groups = try GradientMatrix.groups(of: input.size(0), count: groupCount) }
          let targets = try Tensor(Array(repeating: 0, count: input.size(0)))
          let losses = { (logits: Tensor) in try logits.crossEntropy(targets: targets) }
          if aggregator.isLayerwise {
            // As in a step, in which convolutions' factors are used up on the way.
            _ = try GradientMatrix.visit(plan, input: input, training: pass, losses: losses) { _ in }
          } else {
            _ = try GradientMatrix(plan, input: input, training: pass, losses: losses)
          }
        }
      })
  }

  /// - Parameters:
  ///   - base: resident bytes before the model was made.
  ///   - parameters: the parameters' bytes.
  ///   - kept: buffers of that size that the optimizer and the aggregator keep.
  static func estimate(
    _ activations: ActivationMemory, base: Int, parameters: Int, kept: Int, batchSize: Int,
    chunkSize: Int
  ) -> MemoryEstimate {
    MemoryEstimate(
      base: base, parameters: parameters, gradient: parameters,
      optimizer: parameters * kept,
      training: activations.trainingBytes(batchSize),
      evaluation: activations.evaluationBytes(chunkSize))
  }
}
