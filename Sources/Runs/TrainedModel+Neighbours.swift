// SPDX-License-Identifier: Apache-2.0

import Coherence
import Training

extension TrainedModel {
  /// Some examples of the split, in the given order.
  ///
  /// - Parameter indices: their numbers in the data set.
  /// - Throws: `TrainingError` when a number is not one of the split.
  public func sample(at indices: [Int]) throws -> ProbeSample {
    if let bad = indices.first(where: { !labels.indices.contains($0) }) {
      throw TrainingError(
        .configuration,
        "example \(bad) was requested, but the \(split.rawValue) split has examples 0 to \(labels.count - 1)")
    }
    var sample = try ProbeSample(
      of: dataset, labels: labels, candidates: indices, split: split.rawValue, count: indices.count,
      seed: configuration.seed)
    sample.loss = try loss()
    return sample
  }

  /// The examples of the split whose gradients help, and those whose gradients hurt, each of some examples, with the
  /// running policy for batch norm.
  ///
  /// - Parameters:
  ///   - queries: the examples that are asked about: of this split (`sample(at:)`), or others.
  ///   - settings: what is looked for.
  ///   - count: how many examples of the split are looked through; every one by default.
  ///   - chunkSize: examples in a pass; by default 150, or fewer when the model takes much memory.
  /// - Throws: `TrainingError` when there are not so many examples; `GradientMatrixError` when a layer has no rule;
  ///   `CoherenceError` when the settings make no sense or a gradient is not finite.
  public func neighbours(
    of queries: ProbeSample, _ settings: NeighbourSettings = NeighbourSettings(), examples count: Int? = nil,
    chunkSize: Int? = nil
  ) throws -> Neighbourhoods {
    let candidates = try sample(count, chunkSize: chunkSize)
    var queries = queries
    (queries.chunkSize, queries.loss) = (candidates.chunkSize, candidates.loss)
    return try candidates.neighbours(of: queries, plan(.running), settings)
  }
}
