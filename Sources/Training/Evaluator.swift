// SPDX-License-Identifier: Apache-2.0

import Collectives
import Datasets
import NeuralNetworks
import RunStore
import Tensors

/// The mean loss and accuracies over a group of examples, each counted once.
public struct GroupMetrics: Sendable, Equatable {
  /// Number of examples.
  public var count = 0
  private var lossSum = 0.0
  private var correct = 0
  private var amongFive = 0

  /// An empty group.
  public init() {}

  /// Takes in one example: its loss, and how many classes rank above its label.
  public mutating func accumulate(loss: Double, rank: Int) {
    count += 1
    lossSum += loss
    if rank == 0 { correct += 1 }
    if rank < 5 { amongFive += 1 }
  }

  /// Mean loss; NaN for an empty group.
  public var loss: Double { lossSum / Double(count) }
  /// Share classified correctly.
  public var accuracy: Double { Double(correct) / Double(count) }
  /// Share with the label among the five largest logits.
  public var accuracyTop5: Double { Double(amongFive) / Double(count) }

  func record(epoch: Double, step: Int, split: String, group: String) -> MetricRecord {
    MetricRecord(
      epoch: epoch, step: step, split: split, group: group, count: count, loss: loss, accuracy1: accuracy,
      accuracy5: accuracyTop5)
  }
}

/// What a model makes of a list of examples.
public struct Evaluation: Sendable {
  /// Loss per example, in the order asked for.
  public let losses: [Double]
  /// How many classes rank above each example's label; 0 is correct.
  public let ranks: [Int]

  /// The metrics over the positions of a group.
  public func metrics(over positions: some Sequence<Int>) -> GroupMetrics {
    var metrics = GroupMetrics()
    for position in positions { metrics.accumulate(loss: losses[position], rank: ranks[position]) }
    return metrics
  }

  /// The metrics over all.
  public var metrics: GroupMetrics { metrics(over: losses.indices) }
}

/// Evaluates a model on parts of a data set in bounded memory: one chunk of examples at a time, nothing recorded.
public struct Evaluator {
  /// Examples in a chunk; fewer when they are large.
  public var chunkSize = 1000
  /// Values in a chunk, at most: a thousand photographs would fill the memory.
  private static let maximumValues = 1 << 23
  let context: ForwardContext
  let device: Device
  /// Ranks that share the chunks of an evaluation, which all of them then make; nil for this process alone.
  var group: ProcessGroup?

  /// An evaluator that computes as training does.
  public init(linearPolicy: LinearPolicy, device: Device) {
    context = .evaluation(linearPolicy: linearPolicy)
    self.device = device
  }

  /// Losses and ranks of `indices` against `labels` (one per example of the data set).
  ///
  /// - Throws: `TensorError` when the model does not fit the data.
  public func evaluate(_ model: any Module, on dataset: Dataset, indices: [Int], labels: [Int]) throws -> Evaluation {
    guard let group, group.count > 1, !indices.isEmpty else {
      return try part(model, on: dataset, indices: indices, labels: labels)
    }
    // Whole chunks, so that the bits are those of one process.
    let size = chunkSize(for: dataset)
    let chunks = ShardPlan(count: (indices.count + size - 1) / size, ranks: group.count)
    func examples(of rank: Int) -> Range<Int> {
      let range = chunks.range(of: rank)
      return min(indices.count, range.lowerBound * size)..<min(indices.count, range.upperBound * size)
    }
    let ranks = 0..<group.count
    let own = try part(model, on: dataset, indices: Array(indices[examples(of: group.rank)]), labels: labels)
    let most = ranks.map { examples(of: $0).count }.max() ?? 0
    let rest = [Double](repeating: 0, count: most - own.losses.count)
    let all = try group.gather(own.losses + rest + own.ranks.map(Double.init) + rest)
    func joined(_ start: Int) -> [Double] { ranks.flatMap { all[$0][start..<start + examples(of: $0).count] } }
    return Evaluation(losses: joined(0), ranks: joined(most).map { Int(exactly: $0) ?? .max })
  }

  /// What this process evaluates.
  private func part(_ model: any Module, on dataset: Dataset, indices: [Int], labels: [Int]) throws -> Evaluation {
    var losses: [Double] = []
    var ranks: [Int] = []
    losses.reserveCapacity(indices.count)
    ranks.reserveCapacity(indices.count)
    try dataset.forEachBatch(of: indices, size: chunkSize(for: dataset), device: device) { images, range in
      try withoutGradients {
        let logits = try model.forward(images, in: context)
        let records = try logits.classificationRecords(targets: Tensor(indices[range].map { labels[$0] }))
        losses += try context.completed(Tensor(records.losses)).values(as: Double.self)
        ranks += records.ranks
      }
    }
    return Evaluation(losses: losses, ranks: ranks)
  }

  /// Examples in a chunk of a data set.
  func chunkSize(for dataset: Dataset) -> Int {
    max(1, min(chunkSize, Self.maximumValues / max(dataset.exampleSize, 1)))
  }
}
