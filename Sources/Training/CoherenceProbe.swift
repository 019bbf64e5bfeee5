// SPDX-License-Identifier: Apache-2.0

import Coherence
import Datasets
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors

/// A fixed sample of examples whose coherence is measured, always the same ones in the same order.
public struct CoherenceProbe: Sendable {
  /// The data set.
  public let dataset: Dataset
  /// The labels that losses are taken against, one per example of the data set.
  public let labels: [Int]
  /// The sample.
  public let indices: [Int]
  /// "train" or "test".
  public let split: String
  /// Examples in a pass. Results do not depend on it beyond rounding.
  public var chunkSize = 200

  /// A sample of `count` examples of `candidates`, drawn without replacement by the seed; all of them, in order, when
  /// there are no more.
  ///
  /// - Throws: `TrainingError` when more are asked for than there are.
  public init(
    of dataset: Dataset, labels: [Int], candidates: [Int], split: String, count: Int, seed: UInt64
  ) throws {
    guard count >= 1, count <= candidates.count else {
      throw TrainingError(
        .configuration,
        "a probe of \(count) \(split) examples was asked for, but there are \(candidates.count); ask for 1 to "
          + "\(candidates.count)")
    }
    self.dataset = dataset
    self.labels = labels
    self.split = split
    if count == candidates.count {
      indices = candidates
    } else {
      var generator = SeededGenerator(seed: seed, stream: .probe)
      let order = generator.permutation(count: candidates.count)
      indices = order.prefix(count).map { candidates[$0] }.sorted()
    }
  }

  /// The gradient matrices of the sample, chunk by chunk.
  func forEachChunk(_ plan: GradientPlan, _ body: (GradientMatrix, Range<Int>) throws -> Void) throws {
    let device = plan.store.values.device
    for range in BatchSampler.sequential(count: indices.count, batchSize: chunkSize) {
      let chunk = Array(indices[range])
      let targets = try Tensor(chunk.map { labels[$0] }, device: device)
      let matrix = try GradientMatrix(plan, input: dataset.imageTensor(at: chunk, device: device)) {
        try $0.crossEntropy(targets: targets)
      }
      try body(matrix, range)
    }
  }

  /// Measures the coherence of the sample.
  ///
  /// - Parameter groupCount: groups for the confidence intervals; 0 for none.
  /// - Throws: `CoherenceError` when a gradient is not finite, named by layer and place in the sample.
  public func coherence(_ plan: GradientPlan, groupCount: Int = 10) throws -> CoherenceResult {
    let accumulator = try CoherenceAccumulator(plan, expectedCount: indices.count, groupCount: groupCount)
    try forEachChunk(plan) { matrix, _ in try accumulator.add(matrix) }
    return try accumulator.result()
  }
}

extension CoherenceResult {
  /// The lines of coherence.csv: the network under "all", then its layers.
  func records(step: Int, split: String, policy: BatchNormPolicy) -> [CoherenceRecord] {
    ([network] + layers).map { part in
      CoherenceRecord(
        step: step, split: split, layer: part.layer, m: part.coherence.m, alpha: part.coherence.alpha,
        mCoherence: part.coherence.mCoherence, alphaUnbiased: part.coherence.alphaUnbiased, share: part.share,
        batchNormPolicy: policy.rawValue)
    }
  }
}
