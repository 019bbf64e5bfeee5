// SPDX-License-Identifier: Apache-2.0

import Collectives
import GradientBlocks
import GradientMatrix
import NeuralNetworks
import Tensors

/// What a rank would send in a training step of several, by the rules that `StepSharing` follows.
public struct StepTraffic: Sendable, Equatable {
  /// N.
  public let ranks: Int
  /// The most examples that a rank has of a mini-batch.
  public let examples: Int
  /// The most bytes that a rank sends in a step, but for the few numbers of sums over columns.
  public let bytes: Int
  /// Exchanges in a step: at each of them the ranks wait for each other.
  public let exchanges: Int
}

extension TrainingStep {
  /// A layer as it is sent.
  struct SentLayer {
    /// Its columns among the parameters.
    let ranges: [Range<Int>]
    /// Numbers that an example's row follows from; nil where the row itself is sent.
    let factors: Int?

    var columnCount: Int { ranges.reduce(0) { $0 + $1.count } }
  }

  /// How layers are sent, found by a pass over some examples; empty where the aggregator asks for no examples' gradients.
  func sentLayers(_ input: Tensor) throws -> [SentLayer] {
    guard case .gradientMatrix(let aggregator, let plan) = route, aggregator.groupCount == nil else { return [] }
    let targets = try Tensor(Array(repeating: 0, count: input.size(0)), device: input.device)
    var layers: [SentLayer] = []
    _ = try GradientMatrix.visit(
      plan, input: input, training: TrainingPass(generator: generator),
      losses: { try $0.crossEntropy(targets: targets) }
    ) { matrix in
      layers += try matrix.layers.map {
        SentLayer(ranges: $0.ranges, factors: try ($0.block as? any FactoredBlock)?.factors().size(1))
      }
    }
    return layers
  }

  /// What ranks would send in a step of this kind. Their number is checked as a training checks it.
  ///
  /// - Parameters:
  ///   - counts: numbers of ranks.
  ///   - batchCount: examples in a mini-batch, B.
  ///   - input: some examples, [b, ...], for a pass that finds out how layers are sent.
  ///   - outputs: outputs of the model for an example, K.
  /// - Returns: the traffic for those numbers of ranks that can share such a step, and why the first other cannot.
  /// - Throws: `GradientMatrixError`, `TensorError`.
  public func traffic(
    ranks counts: [Int], batchCount: Int, input: Tensor, outputs: Int
  ) throws -> (possible: [StepTraffic], obstacle: String?) {
    let layers = try sentLayers(input)
    var possible: [StepTraffic] = []
    for count in counts {
      do {
        let divider = try Self.divider(model, aggregator, batchNormGroups: batchNormGroups, ranks: count)
        try StepSharing.check(store, ranks: count)
        let division = try divider.division(of: batchCount)
        possible.append(try traffic(division, ranks: count, layers: layers, outputs: outputs))
      } catch let error as TrainingError { return (possible, "\(error)") } catch let error as GradientMatrixError {
        return (possible, "\(error)")
      }
    }
    return (possible, nil)
  }

  private func traffic(
    _ division: BatchDivision, ranks count: Int, layers: [SentLayer], outputs: Int
  ) throws -> StepTraffic {
    let shards = ShardPlan(count: store.count, ranks: count)
    let most = division.parts.map(\.count).max() ?? 0
    guard count > 1 else { return StepTraffic(ranks: 1, examples: most, bytes: 0, exchanges: 0) }
    let others = count - 1
    // Records and wishes, then parameters.
    let records = 2 + most * (outputs + 1) + RunningStatistics.count(of: model)
    let gathered = others * (records + shards.size + 1)
    let sent = (0..<count).map { rank in
      switch route {
      case .batchMean: others * shards.size
      case .gradientMatrix(let aggregator, _) where aggregator.groupCount != nil:
        division.pieces(of: rank).count * (store.count - shards.range(of: rank).count)
      case .gradientMatrix:
        layers.reduce(0) { $0 + division.parts[rank].count * $1.sent(by: rank, shards) }
      }
    }
    var exchanges = 3
    if case .gradientMatrix(let aggregator, _) = route {
      if aggregator.groupCount == nil { exchanges = layers.count + 2 }
      if aggregator.sumsOverShards { exchanges += aggregator.isLayerwise ? layers.count : 1 }
    }
    return StepTraffic(
      ranks: count, examples: most,
      bytes: aggregator.batchesPerStep * ((sent.max() ?? 0) + gathered) * (try store.values.dtype.byteCount),
      exchanges: aggregator.batchesPerStep * exchanges)
  }
}

extension TrainingStep.SentLayer {
  /// Numbers that a rank sends of an example.
  fileprivate func sent(by rank: Int, _ shards: ShardPlan) -> Int {
    if let factors, factors * shards.ranks < columnCount { return factors * (shards.ranks - 1) }
    let own = shards.range(of: rank)
    return columnCount - ranges.reduce(0) { $0 + $1.clamped(to: own).count }
  }
}
